"""Three messages, their macs, and what must not come of them."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.secure import (
    CLIENT_CID,
    CLIENT_STATIC,
    OTHER_STATIC,
    PATTERNS,
    PSK,
    RESET_TOKEN,
    SERVER_CID,
    SERVER_STATIC,
    client_half,
    client_security,
    server_half,
    server_parameters,
)
from udpim.crypto.handshake import ClientHandshake, HandshakeResult, Refused
from udpim.crypto.noise.handshake_state import HandshakeState
from udpim.crypto.noise.suites import DEFAULT_SUITE
from udpim.crypto.secure_handshake import (
    KEY_REFUSED,
    PARAMETERS_REFUSED,
    SecureClientHandshake,
    client_side,
    mac_key,
)
from udpim.crypto.security import AES_SHA256, XK, Plain
from udpim.crypto.security import PATTERNS as PATTERNS_BY_NUMBER
from udpim.wire.packet import (
    NO_CID,
    Finish,
    Retry,
    SecureHello,
    Welcome,
    encode_long,
    parse_long,
)
from udpim.wire.parameters import PeerParameters, encode_parameters

EACH_PATTERN = pytest.mark.parametrize("pattern", PATTERNS)


def accepted(server, hello, parameters=None):
    """The server's handshake after this HELLO."""
    packet = parse_long(hello)
    assert server.refusal(packet, hello) is None
    return server.accept(packet, hello, parameters or server_parameters(), SERVER_CID)


def shaken(client, server):
    """Both ends' results of a handshake without accidents."""
    waiting = accepted(server, client.hello)
    at_client = client.receive_welcome(parse_long(waiting.welcome))
    return at_client, waiting.receive_finish(parse_long(at_client.finish))


@EACH_PATTERN
@pytest.mark.parametrize("suite", [1, 2])
def test_both_ends_have_the_same_keys_and_know_each_other(pattern, suite):
    at_client, at_server = shaken(client_half(pattern, suite=suite), server_half(pattern))
    assert at_client.channel_binding == at_server.channel_binding
    assert (SERVER_STATIC.public, CLIENT_STATIC.public) == (
        at_client.peer_static,
        at_server.peer_static,
    )
    for one, other in ((at_client, at_server), (at_server, at_client)):
        sealed = one.keys.schedule.seal(bytes(13), 0, b"frames")
        assert b"frames" == other.keys.schedule.open(bytes(13), 0, sealed)
        assert one.keys.send_mask.mask(bytes(16)) == other.keys.receive_mask.mask(bytes(16))


def test_both_ends_learn_the_others_parameters():
    at_client, at_server = shaken(client_half(), server_half())
    assert (20.0, None) == (at_server.peer.idle_timeout_s, at_server.peer.reset_token)
    assert (512, RESET_TOKEN) == (at_client.peer.frame_window, at_client.peer.reset_token)


@EACH_PATTERN
def test_no_answer_is_larger_than_its_hello(pattern):
    client = client_half(pattern)
    waiting = accepted(server_half(pattern), client.hello)
    assert len(waiting.welcome) <= len(client.hello) == 300
    assert len(server_half(pattern).retry(parse_long(client.hello), bytes(24))) < 300


def test_what_the_client_says_of_itself_is_not_readable_where_the_servers_key_is_known():
    client = client_half("XK")
    at_client, _ = shaken(client, server_half())
    nonce = at_client.peer.nonce
    assert nonce not in client.hello
    assert CLIENT_STATIC.public not in client.hello + at_client.finish


def test_the_default_configuration_chooses_the_half():
    cid, params = CLIENT_CID, PeerParameters()
    plain = client_side(Plain(), params, random.Random(1).randbytes, cid)
    assert ClientHandshake is type(plain)
    secure = client_side(client_security(), params, random.Random(1).randbytes, cid)
    assert SecureClientHandshake is type(secure)


# Macs.


def test_a_hello_for_another_server_has_a_wrong_mac():
    hello = client_half(server_key=OTHER_STATIC.public).hello
    assert "HELLO has a wrong mac" == server_half().refusal(parse_long(hello), hello)


@pytest.mark.parametrize(
    ("client", "server"),
    [
        (client_half("XX"), server_half(first_contact=False)),
        (client_half("XKpsk3"), server_half()),
        (client_half("XK"), server_half("XKpsk3")),
        (client_half("XK", suite=AES_SHA256), server_half(suites=(1,))),
    ],
    ids=["XX", "psk", "no psk", "suite"],
)
def test_what_a_server_does_not_offer_is_refused_and_not_bargained_over(client, server):
    refusal = server.refusal(parse_long(client.hello), client.hello)
    assert "HELLO of a pattern or suite that is not offered" == refusal


@EACH_PATTERN
def test_every_bit_of_a_hello_is_under_the_mac(pattern):
    hello, server = client_half(pattern).hello, server_half(pattern)
    packet = parse_long(hello)
    for at in range(len(hello) - 16):
        changed = bytearray(hello)
        changed[at] ^= 1 << at % 8
        assert server.refusal(packet, bytes(changed)) is not None


def test_a_mac_in_a_packet_of_whatever_version_says_that_it_is_meant():
    hello = client_half("XK").hello
    assert server_half().is_meant(hello)
    assert not server_half().is_meant(b"\xc2" + hello[1:])
    assert server_half().is_meant(client_half("XX").hello)
    assert not server_half(first_contact=False).is_meant(client_half("XX").hello)
    assert not server_half().is_meant(client_half(server_key=OTHER_STATIC.public).hello)


def test_the_key_of_the_mac_is_anybodys_only_where_the_server_is_not_known():
    assert mac_key(None) != mac_key(SERVER_STATIC.public) != mac_key(OTHER_STATIC.public)


def test_a_retry_is_believed_if_it_answers_this_very_hello():
    client, other, server = client_half(), client_half(seed=7), server_half()
    retry = parse_long(server.retry(parse_long(client.hello), b"token"))
    assert client.retried(replace(retry, token=b"other")) is None
    assert client.retried(replace(retry, mac=bytes(16))) is None
    assert client.retried(parse_long(server.retry(parse_long(other.hello), b"token"))) is None
    assert client.retried(parse_long(client.hello)) is None
    assert b"token" == parse_long(client.retried(retry).hello).token


def test_after_a_retry_nothing_of_the_first_hello_is_used_again():
    client, server = client_half(), server_half()
    again = client.retried(parse_long(server.retry(parse_long(client.hello), b"token")))
    before, after = parse_long(client.hello), parse_long(again.hello)
    assert before.source_cid == after.source_cid
    assert before.payload[:32] != after.payload[:32], "the ephemeral key"
    at_client, at_server = shaken(again, server)
    assert at_client.channel_binding == at_server.channel_binding
    waiting = accepted(server, client.hello)
    assert again.receive_welcome(parse_long(waiting.welcome)) is None, "that of the first HELLO"


# What is in the clear is in the prologue.


@pytest.mark.parametrize(
    "change",
    [{"token": b"another"}, {"source_cid": b"another1"}, {"destination_cid": b"another1"}],
    ids=lambda change: next(iter(change)),
)
def test_a_clear_field_that_both_saw_differently_leaves_nothing(change):
    """Even if somebody who knows the server's key makes the mac right again."""
    client, server = client_half(), server_half()
    packet = replace(parse_long(client.hello), **change)
    assert server.accept(packet, encode_long(packet), server_parameters(), SERVER_CID) is None


def test_a_suite_that_both_saw_differently_leaves_nothing():
    client, server = client_half(), server_half()
    packet = replace(parse_long(client.hello), suite=AES_SHA256)
    assert server.accept(packet, encode_long(packet), server_parameters(), SERVER_CID) is None


# WELCOME.


def test_a_welcome_that_is_not_the_servers_changes_nothing():
    client, server = client_half(), server_half()
    waiting = accepted(server, client.hello)
    welcome = parse_long(waiting.welcome)
    impostor = accepted(server_half(seed=9), client.hello)
    forged = replace(welcome, payload=bytes(len(welcome.payload)))
    assert client.receive_welcome(forged) is None
    plain = Welcome(destination_cid=CLIENT_CID, source_cid=SERVER_CID, payload=b"")
    assert client.receive_welcome(plain) is None
    assert HandshakeResult is type(client.receive_welcome(welcome))
    assert client.receive_welcome(parse_long(impostor.welcome)) is None, "it is over"
    assert client.receive_welcome(welcome) is None, "and gives nothing twice"


def test_an_id_that_was_changed_on_the_way_is_noticed_and_the_true_one_taken():
    client, server = client_half(), server_half()
    waiting = accepted(server, client.hello)
    welcome = parse_long(waiting.welcome)
    assert client.receive_welcome(replace(welcome, source_cid=b"somebody")) is None
    result = client.receive_welcome(welcome)
    assert waiting.receive_finish(parse_long(result.finish)) is not None


def test_a_key_that_is_not_accepted_ends_the_attempt():
    shown = []
    client = client_half("XX", accept_key=lambda key: bool(shown.append(key)))
    welcome = parse_long(accepted(server_half(), client.hello).welcome)
    assert Refused(reason=KEY_REFUSED) == client.receive_welcome(welcome)
    assert [SERVER_STATIC.public] == shown


def test_an_owner_of_another_key_is_not_even_asked_about():
    """Who shows the server's key in XX must own it."""
    client = client_half("XX", accept_key=lambda key: pytest.fail("asked"))
    waiting = accepted(server_half(), client.hello)
    welcome = parse_long(waiting.welcome)
    payload = bytearray(welcome.payload)
    payload[40] ^= 1
    assert client.receive_welcome(replace(welcome, payload=bytes(payload))) is None


@pytest.mark.parametrize(
    "change",
    [{"reset_token": None}, {"frame_window": 1}],
    ids=lambda change: next(iter(change)),
)
def test_parameters_that_one_cannot_live_with_end_the_attempt(change):
    client = client_half()
    waiting = accepted(server_half(), client.hello, replace(server_parameters(), **change))
    answer = client.receive_welcome(parse_long(waiting.welcome))
    assert Refused(reason=PARAMETERS_REFUSED) == answer


def test_a_client_that_one_cannot_live_with_is_refused():
    client = SecureClientHandshake(
        client_security(), PeerParameters(frame_window=1), random.Random(1).randbytes, CLIENT_CID
    )
    assert accepted(server_half(), client.hello) is None


@pytest.mark.parametrize("pattern", ["XK", "XX"])
def test_an_ephemeral_key_that_gives_no_secret_is_refused(pattern):
    client, server = client_half(pattern), server_half()
    packet = parse_long(client.hello)
    weak = replace(packet, payload=bytes(32) + packet.payload[32:])
    assert server.accept(weak, encode_long(weak), server_parameters(), SERVER_CID) is None


# FINISH.


@EACH_PATTERN
def test_a_finish_that_is_not_the_clients_changes_nothing(pattern):
    client, server = client_half(pattern), server_half(pattern)
    waiting = accepted(server, client.hello)
    result = client.receive_welcome(parse_long(waiting.welcome))
    finish = parse_long(result.finish)
    for at in range(len(finish.payload)):
        changed = bytearray(finish.payload)
        changed[at] ^= 1 << at % 8
        assert waiting.receive_finish(replace(finish, payload=bytes(changed))) is None
    assert waiting.receive_finish(replace(finish, source_cid=b"somebody")) is None
    assert HandshakeResult is type(waiting.receive_finish(finish))
    assert waiting.receive_finish(finish) is None, "only once"


def test_another_shared_secret_ends_with_finish():
    client = client_half("XKpsk3", psk=PSK[::-1])
    waiting = accepted(server_half("XKpsk3"), client.hello)
    result = client.receive_welcome(parse_long(waiting.welcome))
    assert waiting.receive_finish(parse_long(result.finish)) is None


def test_a_finish_with_a_payload_is_none():
    """Written by hand, for no client of ours does."""
    security, server = client_security(), server_half()
    hello = SecureHello(source_cid=CLIENT_CID, pattern=XK, suite=1, token=b"", payload=b"")
    state = HandshakeState(
        PATTERNS_BY_NUMBER[XK],
        DEFAULT_SUITE,
        random.Random(1).randbytes,
        initiator=True,
        prologue=b"udpim handshake 1" + encode_long(hello)[: hello.clear_bytes],
        static=security.static,
        remote_static=security.server_key,
    )
    hello = replace(hello, payload=state.write_message(encode_parameters(PeerParameters())))
    waiting = server.accept(hello, encode_long(hello), server_parameters(), SERVER_CID)
    state.read_message(parse_long(waiting.welcome).payload)
    finish = Finish(
        destination_cid=SERVER_CID, source_cid=CLIENT_CID, payload=state.write_message(b"more")
    )
    assert waiting.receive_finish(finish) is None


@given(st.binary(max_size=120))
def test_garbage_changes_nothing(garbage):
    client, server = client_half(), server_half()
    waiting = accepted(server, client.hello)
    welcome = parse_long(waiting.welcome)
    assert client.receive_welcome(replace(welcome, payload=garbage)) is None
    finish = parse_long(client.receive_welcome(welcome).finish)
    assert waiting.receive_finish(replace(finish, payload=garbage)) is None
    packet = replace(parse_long(client.hello), payload=garbage)
    assert server.accept(packet, encode_long(packet), server_parameters(), SERVER_CID) is None


def test_plaintext_packets_are_no_answer():
    retry = Retry(destination_cid=CLIENT_CID, source_cid=NO_CID, token=b"token")
    assert client_half().retried(retry) is None


def test_results_print_no_keys():
    at_client, at_server = shaken(client_half(), server_half())
    for result in (at_client, at_server):
        assert result.channel_binding.hex() not in repr(result)
        assert "keys" not in repr(result)
