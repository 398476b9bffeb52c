"""Limits: what cannot work is refused where it is given, and what each one costs is stated."""

import ast
import dataclasses
import inspect
import itertools
import re
from pathlib import Path

import pytest

from tests.settings import settings
from udpim import config
from udpim.config import (
    DEVICES_PER_USER_MAX,
    LIMIT_NAMES,
    ClientConfig,
    Limits,
    ServerConfig,
    about,
)
from udpim.crypto.handshake import FRAME_WINDOW_MIN
from udpim.errors import ConfigError
from udpim.wire.frames import BODY_BYTES_MAX
from udpim.wire.im_codec import encode
from udpim.wire.im_packets import Member, Members, StreamId

FRAME_BYTES_MAX = 1164
UNITS = {
    "signals",
    "bytes",
    "messages",
    "frames",
    "groups",
    "sessions",
    "streams",
    "devices",
    "handshakes",
    "s",
}


def docstrings():
    """The words below each field of `Limits`, by the field's name."""
    (body,) = [
        node.body
        for node in ast.parse(inspect.getsource(config)).body
        if isinstance(node, ast.ClassDef) and node.name == "Limits"
    ]
    return {
        field.target.id: words.value.value
        for field, words in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(words, ast.Expr)
    }


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_every_limit_says_what_it_counts_and_what_happens_and_what_it_costs(name):
    limit, limits = about(name), Limits()
    assert UNITS & set(name.split("_")), "the unit stands in the name"
    assert docstrings().get(name), "a docstring says what it limits"
    assert limit.outcome
    assert limit.of in ("client", "server", "both")
    assert limit.per in ("process", "session", "endpoint", "sender", "user")
    shared = "no memory of its own" in docstrings()[name].replace("\n", " ").replace("    ", "")
    assert (limit.worst(limits) == 0) == shared


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_a_limit_out_of_its_range_is_refused_with_field_value_and_range(name):
    limit = about(name)
    allowed = f"must be an int from {limit.least} to {limit.most}"
    for value in (limit.least - 1, limit.most + 1, True, 1.5, None):
        with pytest.raises(ConfigError) as caught:
            Limits(**{name: value})
        assert f"{name} is {value!r}, it {allowed}" == str(caught.value)


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_both_ends_of_a_range_are_allowed(name):
    others = {"hop_frames_max": 1} if name == "send_queue_frames_max" else {}
    others |= {"send_queue_frames_max": 2**31 - 1} if name == "hop_frames_max" else {}
    for value in (about(name).least, about(name).most):
        assert value == getattr(Limits(**{**others, name: value}), name)


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_a_higher_limit_never_costs_less(name):
    limit, limits = about(name), Limits()
    higher = dataclasses.replace(limits, **{name: min(limit.most, 2 * getattr(limits, name))})
    assert limit.worst(higher) >= limit.worst(limits)
    assert higher.worst_client_bytes() >= limits.worst_client_bytes()
    assert higher.worst_server_bytes() >= limits.worst_server_bytes()


def test_limits_that_contradict_each_other_are_refused():
    words = "hop_frames_max is 11, it must not exceed send_queue_frames_max, which is 10"
    with pytest.raises(ConfigError, match=words):
        Limits(hop_frames_max=11, send_queue_frames_max=10)


def test_the_worst_case_counts_what_there_is_one_of_for_each():
    limits = Limits(sessions_max=10, handshakes_max=10)
    more = dataclasses.replace(limits, sessions_max=20)
    tables = [about(name) for name in LIMIT_NAMES]
    shares = [t for t in tables if t.per in ("session", "user") and t.of != "client"]
    each = sum(t.worst(limits) for t in shares)
    places = about("sessions_max").worst(more) - about("sessions_max").worst(limits)
    added = more.worst_server_bytes(endpoints=5) - limits.worst_server_bytes(endpoints=5)
    assert 10 * each + places == added
    rows = about("queue_messages_max").worst(limits) + about("devices_per_user_max").worst(limits)
    assert rows == limits.worst_server_bytes(endpoints=6) - limits.worst_server_bytes(endpoints=5)
    assert limits.worst_server_bytes() == limits.worst_server_bytes(endpoints=10)
    streams = about("streams_per_user_max").worst(limits)
    assert streams == limits.worst_client_bytes(senders=3) - limits.worst_client_bytes(senders=2)


def test_what_the_protocol_guarantees_fits_the_least_that_may_be_configured():
    assert BODY_BYTES_MAX < about("bulk_window_bytes").least * 3 // 4 + 1
    assert FRAME_WINDOW_MIN == about("window_frames").least


def test_the_largest_direct_membership_fits_a_few_datagrams_with_the_longest_names():
    """All devices of both users but the sending one; a group's limit is in `udpim.im.groups`."""
    name = StreamId("u" * 32, "d" * 32, 1, "c" * 32)
    members = tuple(
        Member(n, "u" * 32, "d" * 32, 1, 1, 1, 0) for n in range(2 * DEVICES_PER_USER_MAX - 1)
    )
    assert len(encode(Members(1, name, True, 1, 16, members))) <= 3 * FRAME_BYTES_MAX


def test_a_wait_grows_from_its_least_to_its_most():
    assert config.E2E_TIMER_S_MIN < config.E2E_TIMER_S_MAX
    client = ClientConfig(user="u", device="d")
    assert client.reconnect_s_min < client.reconnect_s_max


@pytest.mark.parametrize("value", [ClientConfig(user="u", device="d"), ServerConfig()])
def test_settings_do_not_change_once_given(value):
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.login_s_max = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.limits.payload_bytes_max = 1
    assert settings(ServerConfig, sessions_max=7).limits == Limits(sessions_max=7)


def test_the_protocols_table_of_limits_states_the_defaults():
    protocol = (Path(__file__).parent.parent / "PROTOCOL.md").read_text("utf-8")
    table = protocol.partition("### 5.9 Limits")[2].partition("\n## ")[0]
    for name in LIMIT_NAMES:
        value = getattr(Limits(), name)
        written = {str(value), f"{value // 2**20} MiB" if value % 2**20 == 0 else str(value)}
        if name.endswith("_s"):
            written = {f"{value // 86_400} d"}
        assert any(re.search(rf"(?<!\d){re.escape(text)}(?!\d)", table) for text in written), name
