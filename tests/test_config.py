"""Limits: what cannot work is refused where it is given."""

import dataclasses

import pytest

from udpim import config
from udpim.config import DEVICES_PER_USER_MAX, ClientConfig, ServerConfig
from udpim.errors import ConfigError
from udpim.wire.im_codec import encode
from udpim.wire.im_packets import Member, Members, StreamId

FRAME_BYTES_MAX = 1164


@pytest.mark.parametrize("devices", [0, DEVICES_PER_USER_MAX + 1])
def test_a_membership_that_fits_no_packet_is_refused(devices):
    with pytest.raises(ConfigError, match="devices_per_user_max must be 1 to"):
        ServerConfig(devices_per_user_max=devices)


def test_the_largest_membership_fits_one_packet_with_the_longest_names():
    name = StreamId("u" * 32, "d" * 32, 1, "c" * 32)
    members = tuple(Member(n, "d" * 32, 1, 1, 0) for n in range(DEVICES_PER_USER_MAX))
    assert len(encode(Members(1, name, 1, 16, members))) <= FRAME_BYTES_MAX


def test_a_wait_grows_from_its_least_to_its_most():
    assert config.E2E_TIMER_S_MIN < config.E2E_TIMER_S_MAX
    client = ClientConfig(user="u", device="d")
    assert client.reconnect_s_min < client.reconnect_s_max


@pytest.mark.parametrize("value", [ClientConfig(user="u", device="d"), ServerConfig()])
def test_settings_do_not_change_once_given(value):
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.login_s_max = 1.0
