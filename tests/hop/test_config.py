"""Limits and times."""

import pytest

from tests.settings import settings
from udpim.config import Limits
from udpim.crypto.key_log import ConnectionSecrets
from udpim.errors import ConfigError
from udpim.hop.config import HopConfig


def test_the_peer_learns_what_concerns_it():
    parameters = settings(HopConfig, idle_timeout_s=20.0, window_frames=512).parameters(b"t" * 16)
    assert parameters.idle_timeout_s == 20.0
    assert parameters.frame_window == 512
    assert parameters.reset_token == b"t" * 16


@pytest.mark.parametrize(
    "wrong",
    [{"max_datagram_bytes": 1500}, {"keepalive_s": 30.0}, {"keepalive_s": 0.0}],
    ids=["datagram size", "keepalive too late", "no keepalive"],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigError):
        HopConfig(**wrong)


def test_a_nodes_limits_hold_for_its_connections():
    limits = Limits(window_frames=100)
    assert HopConfig(keepalive_s=5.0, limits=limits) == HopConfig(keepalive_s=5.0).within(limits)
    assert limits is HopConfig(limits=limits).within(limits).limits
    with pytest.raises(ConfigError, match="give them as limits="):
        HopConfig(limits=limits).within(Limits(window_frames=101))


def test_a_key_log_is_told_secrets_and_nothing_of_plaintext():
    told = []
    secrets = ConnectionSecrets(
        suite=1, client_cid=b"c" * 8, server_cid=b"s" * 8, to_client=b"C" * 32, to_server=b"S" * 32
    )
    HopConfig(key_log=told.append).log_secrets(secrets)
    HopConfig(key_log=told.append).log_secrets(None)
    HopConfig().log_secrets(secrets)
    assert [secrets] == told
