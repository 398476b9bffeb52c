"""The inside of HELLO and WELCOME."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udpim.crypto.handshake import ClientHandshake, accept_hello
from udpim.wire.packet import NO_CID, Retry, SecureRetry, Welcome, parse_long
from udpim.wire.parameters import PeerParameters, encode_parameters, parse_parameters

TOKEN = b"reset-token-0016"
CLIENT = PeerParameters(idle_timeout_s=20.0)
SERVER = PeerParameters(frame_window=512, reset_token=TOKEN)


CID = b"client-1"


def client(seed=1):
    return ClientHandshake(CLIENT, random.Random(seed).randbytes, CID)


def hello_payload(handshake):
    return parse_long(handshake.hello).payload


def welcomed(handshake, payload):
    """What a client makes of a WELCOME with this payload."""
    packet = Welcome(destination_cid=CID, source_cid=b"server-1", payload=payload)
    return handshake.receive_welcome(packet)


def test_both_sides_learn_the_other_sides_parameters():
    handshake = client()
    welcome, at_server = accept_hello(hello_payload(handshake), SERVER)
    at_client = welcomed(handshake, welcome)
    assert at_server.peer.idle_timeout_s == 20.0
    assert at_server.peer.reset_token is None
    assert at_client.peer.frame_window == 512
    assert at_client.peer.reset_token == TOKEN


def test_plaintext_leaves_no_keys_and_names_nobody():
    handshake = client()
    welcome, at_server = accept_hello(hello_payload(handshake), SERVER)
    for result in (at_server, welcomed(handshake, welcome)):
        assert (result.keys, result.peer_static, result.channel_binding) == (None, None, None)
        assert result.finish == b""


def test_a_retry_adds_its_token_and_changes_nothing_else():
    handshake = client()
    before = parse_long(handshake.hello)
    retry = Retry(destination_cid=CID, source_cid=NO_CID, token=b"token")
    after = parse_long(handshake.retried(retry).hello)
    assert after == replace(before, token=b"token")


def test_packets_of_an_encrypted_handshake_are_no_answer():
    retry = SecureRetry(destination_cid=CID, source_cid=NO_CID, token=b"token")
    assert client().retried(retry) is None
    assert client().receive_welcome(retry) is None


def test_hello_is_the_same_each_time_and_differs_between_attempts():
    one = client(1)
    assert hello_payload(one) == hello_payload(one)
    assert hello_payload(one) != hello_payload(client(2))


def test_a_welcome_without_our_nonce_is_not_ours():
    """Who did not see our HELLO cannot answer it."""
    welcome, _ = accept_hello(hello_payload(client(2)), SERVER)
    assert welcomed(client(1), welcome) is None


def test_a_welcome_without_a_reset_token_is_refused():
    handshake = client()
    welcome, _ = accept_hello(hello_payload(handshake), replace(SERVER, reset_token=None))
    assert welcomed(handshake, welcome) is None


@pytest.mark.parametrize(
    "change",
    [
        {"idle_timeout_s": 0.999},
        {"max_datagram_bytes": 1199},
        {"frame_window": 15},
        {"max_ack_delay_s": 1.001},
    ],
    ids=lambda change: next(iter(change)),
)
def test_parameters_that_one_cannot_live_with_are_refused(change):
    nonce = parse_parameters(hello_payload(client())).nonce
    assert accept_hello(encode_parameters(replace(CLIENT, **change)), SERVER) is None
    welcome = encode_parameters(replace(SERVER, nonce=nonce, **change))
    assert welcomed(client(), welcome) is None


@given(st.binary(max_size=80))
def test_garbage_is_refused(payload):
    assert accept_hello(payload, SERVER) is None
    assert welcomed(client(), payload) is None
