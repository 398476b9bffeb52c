"""The inside of HELLO and WELCOME."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udpim.crypto.handshake import ClientHandshake, accept_hello
from udpim.wire.parameters import PeerParameters, encode_parameters, parse_parameters

TOKEN = b"reset-token-0016"
CLIENT = PeerParameters(idle_timeout_s=20.0)
SERVER = PeerParameters(frame_window=512, reset_token=TOKEN)


def client(seed=1):
    return ClientHandshake(CLIENT, random.Random(seed).randbytes)


def test_both_sides_learn_the_other_sides_parameters():
    handshake = client()
    welcome, at_server = accept_hello(handshake.hello_payload(), SERVER)
    at_client = handshake.receive_welcome(welcome)
    assert at_server.peer.idle_timeout_s == 20.0
    assert at_server.peer.reset_token is None
    assert at_client.peer.frame_window == 512
    assert at_client.peer.reset_token == TOKEN


def test_what_one_side_seals_the_other_opens():
    handshake = client()
    welcome, at_server = accept_hello(handshake.hello_payload(), SERVER)
    at_client = handshake.receive_welcome(welcome)
    sealed = at_client.protection.send.seal(b"header", 1, b"payload")
    assert at_server.protection.receive.open(b"header", 1, sealed) == b"payload"


def test_hello_is_the_same_each_time_and_differs_between_attempts():
    one = client(1)
    assert one.hello_payload() == one.hello_payload()
    assert one.hello_payload() != client(2).hello_payload()


def test_a_welcome_without_our_nonce_is_not_ours():
    """Who did not see our HELLO cannot answer it."""
    welcome, _ = accept_hello(client(2).hello_payload(), SERVER)
    assert client(1).receive_welcome(welcome) is None


def test_a_welcome_without_a_reset_token_is_refused():
    handshake = client()
    welcome, _ = accept_hello(handshake.hello_payload(), replace(SERVER, reset_token=None))
    assert handshake.receive_welcome(welcome) is None


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
    nonce = parse_parameters(client().hello_payload()).nonce
    assert accept_hello(encode_parameters(replace(CLIENT, **change)), SERVER) is None
    welcome = encode_parameters(replace(SERVER, nonce=nonce, **change))
    assert client().receive_welcome(welcome) is None


@given(st.binary(max_size=80))
def test_garbage_is_refused(payload):
    assert accept_hello(payload, SERVER) is None
    assert client().receive_welcome(payload) is None
