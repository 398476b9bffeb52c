"""One side of a handshake: its turns, its refusals, and what a failure leaves behind."""

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.noise.helpers import CLIENT, PSK, SERVER, both, finish, side
from udpim.crypto.noise.errors import (
    AuthenticationFailed,
    MalformedMessage,
    NoiseError,
    PublicKeyRefused,
)
from udpim.crypto.noise.handshake_state import MESSAGE_BYTES_MAX
from udpim.errors import ConfigError, LocalProtocolError, PayloadTooLarge

SMALL_ORDER = bytes(32)


@pytest.mark.parametrize("pattern", ["XK", "XX", "NK", "XXpsk3", "NNpsk0+psk2", "X1X1", "K"])
def test_both_sides_end_with_the_same_keys(pattern):
    initiator, responder = both(pattern)
    finish(initiator, responder)
    ours, theirs = initiator.split(), responder.split()
    assert (ours.send, ours.receive) == (theirs.receive, theirs.send)
    assert ours.send != ours.receive
    assert initiator.handshake_hash == responder.handshake_hash


def test_payloads_travel_and_the_client_is_made_known():
    client, server = both("XK")
    assert b"one" == server.read_message(client.write_message(b"one"))
    assert b"two" == client.read_message(server.write_message(b"two"))
    assert server.remote_static is None
    assert b"three" == server.read_message(client.write_message(b"three"))
    assert CLIENT.public == server.remote_static
    assert SERVER.public == client.remote_static


def test_messages_of_xk_have_the_sizes_of_the_specification():
    client, server = both("XK")
    sizes = []
    for writer, reader in ((client, server), (server, client), (client, server)):
        message = writer.write_message()
        sizes.append(len(message))
        reader.read_message(message)
    assert [48, 48, 64] == sizes


def test_another_handshake_has_other_keys():
    first, second = both("XK", seed=1), both("XK", seed=2)
    finish(*first)
    finish(*second)
    assert first[0].split() != second[0].split()
    assert first[0].handshake_hash != second[0].handshake_hash


# Turns.


def test_whoever_has_no_turn_can_neither_write_nor_read():
    client, server = both("XK")
    assert (True, False) == (client.may_write, client.may_read)
    assert (False, True) == (server.may_write, server.may_read)
    with pytest.raises(LocalProtocolError):
        server.write_message()
    with pytest.raises(LocalProtocolError):
        client.read_message(bytes(48))


def test_after_the_last_message_nobody_has_a_turn():
    client, server = both("XK")
    finish(client, server)
    for state in (client, server):
        assert (False, False, True) == (state.may_write, state.may_read, state.finished)
        with pytest.raises(LocalProtocolError):
            state.write_message()
        with pytest.raises(LocalProtocolError):
            state.read_message(b"")


def test_an_unfinished_handshake_has_no_keys_and_no_name():
    client, server = both("XK")
    server.read_message(client.write_message())
    for state in (client, server):
        with pytest.raises(LocalProtocolError, match="not finished"):
            state.split()
        with pytest.raises(LocalProtocolError, match="not finished"):
            _ = state.handshake_hash


# What a peer, or somebody in its place, can send.


@pytest.mark.parametrize("turn", [0, 1, 2])
@given(data=st.data())
def test_a_changed_message_changes_nothing(turn, data):
    """XK seals from the first message on, so any bit counts; the true message is read after it."""
    writer, reader = both("XK")
    for _ in range(turn):
        reader.read_message(writer.write_message())
        writer, reader = reader, writer
    message = writer.write_message(b"payload")
    at = data.draw(st.integers(0, len(message) - 1))
    # The top bit of a public key of curve 25519 is not part of the number, but of the transcript.
    changed = bytearray(message)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(NoiseError):
        reader.read_message(bytes(changed))
    assert reader.may_read
    assert b"payload" == reader.read_message(message)


@given(st.binary(max_size=200), st.sampled_from(["XK", "XX", "NN", "IK", "NNpsk0"]))
def test_garbage_raises_nothing_else(garbage, pattern):
    responder = side(pattern, initiator=False)
    try:
        responder.read_message(garbage)
    except NoiseError:
        assert responder.may_read
    else:
        assert responder.may_write, "the first message of this pattern proves nothing"


def test_after_a_refused_message_the_handshake_comes_to_its_end():
    client, server = both("XX")
    server.read_message(client.write_message())
    answer = server.write_message()
    with pytest.raises(AuthenticationFailed):
        client.read_message(answer[:-1] + bytes((answer[-1] ^ 1,)))
    assert client.remote_static is None, "what was read before the fault is forgotten too"
    client.read_message(answer)
    server.read_message(client.write_message())
    assert client.split().send == server.split().receive


@pytest.mark.parametrize("size", [0, 31])
def test_a_message_without_room_for_a_key_is_malformed(size):
    with pytest.raises(MalformedMessage) as caught:
        side("XK", initiator=False).read_message(bytes(size))
    assert size == caught.value.size_bytes


def test_a_sealed_static_key_needs_its_tag():
    client, server = both("XK")
    server.read_message(client.write_message())
    client.read_message(server.write_message())
    with pytest.raises(MalformedMessage):
        server.read_message(client.write_message()[:47])


def test_a_message_over_64_kib_is_malformed():
    with pytest.raises(MalformedMessage):
        side("XX", initiator=False).read_message(bytes(MESSAGE_BYTES_MAX + 1))


@pytest.mark.parametrize(("pattern", "overhead"), [("XX", 32), ("XK", 48)])
def test_a_message_has_64_kib_at_most(pattern, overhead):
    client, server = both(pattern)
    payload = bytes(MESSAGE_BYTES_MAX - overhead)
    with pytest.raises(PayloadTooLarge) as caught:
        client.write_message(payload + b"x")
    assert (len(payload) + 1, len(payload)) == (caught.value.size_bytes, caught.value.limit_bytes)
    assert payload == server.read_message(client.write_message(payload))


def test_an_ephemeral_key_without_a_secret_is_refused():
    server = side("XK", initiator=False)
    with pytest.raises(PublicKeyRefused):
        server.read_message(SMALL_ORDER + bytes(16))
    assert b"" == server.read_message(side("XK", initiator=True).write_message())


def test_a_pinned_key_without_a_secret_is_refused_when_it_is_used():
    client = side("XK", initiator=True, remote_static=SMALL_ORDER)
    with pytest.raises(PublicKeyRefused):
        client.write_message()
    assert client.may_write


@pytest.mark.parametrize(
    "changed",
    [
        {"prologue": b"version 2"},
        {"remote_static": CLIENT.public},
        {"psks": [bytes(32)]},
        {"pattern": "XKpsk2"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_sides_that_differ_in_anything_do_not_meet(changed):
    changed = {"pattern": "XKpsk3", "prologue": b"version 1", **changed}
    client = side(changed.pop("pattern"), initiator=True, **changed)
    server = side("XKpsk3", initiator=False, prologue=b"version 1")
    with pytest.raises(AuthenticationFailed):
        finish(client, server)
    assert not server.finished


# What is wrong from the beginning.


@pytest.mark.parametrize(
    ("pattern", "changed", "complaint"),
    [
        ("XK", {"static": None}, "needs a static key"),
        ("NK", {"static": CLIENT}, "no use for a static key"),
        ("XK", {"remote_static": None}, "needs a remote static key"),
        ("XX", {"remote_static": SERVER.public}, "no use for a remote static key"),
        ("XK", {"remote_static": bytes(31)}, "32 bytes"),
        ("XKpsk3", {"psks": []}, "takes 1 keys"),
        ("XKpsk3", {"psks": [bytes(31)]}, "32 bytes"),
        ("XK", {"psks": [PSK]}, "takes 0 keys"),
    ],
)
def test_keys_must_be_those_of_the_pattern(pattern, changed, complaint):
    """A key that a pattern would ignore is a mistake too: somebody believes in it."""
    with pytest.raises(ConfigError, match=complaint):
        side(pattern, initiator=True, **changed)


# Secrets.


def printed(*things):
    return "".join(f"{thing!r}{thing}" for thing in things)


def test_nothing_that_is_printed_shows_a_secret():
    client, server = both("XKpsk3")
    finish(client, server)
    keys = client.split()
    shown = printed(client, server, keys)
    secrets = [keys.send, keys.receive, PSK, bytes(range(32)), bytes(range(32, 64))]
    for secret in secrets:
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_no_error_shows_a_secret():
    client = side("XKpsk3", initiator=True)
    server = side("XKpsk3", initiator=False, psks=[bytes(range(1, 33))])
    with pytest.raises(NoiseError) as refused:
        finish(client, server)
    with pytest.raises(ConfigError) as wrong:
        side("XKpsk3", initiator=True, psks=[PSK[:31]])
    with pytest.raises(ConfigError) as short:
        side("XK", initiator=True, remote_static=SERVER.public[:31])
    for caught in (refused, wrong, short):
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.args)
        assert caught.value.__cause__ is None
        for secret in (PSK[:31], bytes(range(1, 33)), bytes(range(32)), SERVER.public[:31]):
            assert secret.hex() not in shown
            assert repr(secret)[2:-1] not in shown
