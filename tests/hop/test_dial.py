"""The client's side of establishment."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udpim.crypto.handshake import accept_hello
from udpim.hop.codes import ConnectionState, Role
from udpim.hop.config import HopConfig
from udpim.hop.dial import RETRIES_MAX, Dialer
from udpim.wire.frames import PING, parse_frames
from udpim.wire.packet import (
    HELLO_BYTES_MIN,
    NO_CID,
    Reset,
    Retry,
    VersionOffer,
    Welcome,
    encode_long,
    parse_long,
)

SERVER = ("192.0.2.1", 9000)
SERVER_CID = b"server-1"
TOKEN = b"reset-token-0016"


@pytest.fixture
def dialer():
    return dial()


def dial():
    return Dialer(
        server=SERVER, config=HopConfig(), random_bytes=random.Random(1).randbytes, now=10.0
    )


def hello(dialer, now=10.0):
    """The HELLO that is due now."""
    ((datagram, path),) = dialer.datagrams_to_send(now)
    assert path == SERVER
    assert len(datagram) >= HELLO_BYTES_MIN
    return parse_long(datagram)


def welcome(packet, *, to=None):
    """A server's answer to a HELLO."""
    payload, _ = accept_hello(packet.payload, HopConfig().parameters(TOKEN))
    return encode_long(
        Welcome(destination_cid=to or packet.source_cid, source_cid=SERVER_CID, payload=payload)
    )


def retry(packet, token=b"token"):
    return encode_long(Retry(destination_cid=packet.source_cid, source_cid=NO_CID, token=token))


def test_a_welcome_makes_a_connection(dialer):
    dialer.receive_datagram(welcome(hello(dialer)), SERVER, 10.05)
    connection = dialer.connection
    assert connection.state is ConnectionState.OPEN
    assert connection.role is Role.CLIENT
    assert (connection.local_cid, connection.remote_cid) == (dialer.local_cid, SERVER_CID)
    assert connection.path == SERVER
    assert connection.parameters.reset_token == TOKEN
    assert connection.rtt.smoothed_rtt == pytest.approx(0.05)
    assert dialer.datagrams_to_send(99.0) == []
    assert dialer.next_timeout() is None


def test_the_new_connection_shows_itself_to_the_server_at_once(dialer):
    dialer.receive_datagram(welcome(hello(dialer)), SERVER, 10.05)
    ((datagram, _),) = dialer.connection.datagrams_to_send(10.05)
    assert parse_frames(datagram[13:-4]) == [(PING,)]


def test_hello_is_repeated_less_and_less_often(dialer):
    times = []
    now = 10.0
    for _ in range(7):
        assert hello(dialer, now).source_cid == dialer.local_cid
        assert dialer.datagrams_to_send(now) == []
        times.append(now)
        now = dialer.next_timeout()
        dialer.handle_timeout(now)
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == pytest.approx([0.25, 0.375, 0.5625, 0.84375, 1.0, 1.0])


def test_a_round_trip_is_not_measured_when_it_is_unclear_which_hello_was_answered(dialer):
    first = hello(dialer)
    hello(dialer, 10.25)
    dialer.receive_datagram(welcome(first), SERVER, 10.3)
    assert not dialer.connection.rtt.sampled


def test_a_retry_is_answered_with_its_token_at_once(dialer):
    first = hello(dialer)
    dialer.receive_datagram(retry(first), SERVER, 10.05)
    assert dialer.next_timeout() == 10.05
    second = hello(dialer, 10.05)
    assert second.token == b"token"
    assert (second.source_cid, second.payload) == (first.source_cid, first.payload)
    dialer.receive_datagram(welcome(second), SERVER, 10.1)
    assert dialer.connection is not None


def test_a_server_that_never_stops_asking_is_not_obeyed_for_ever(dialer):
    first = hello(dialer)
    for index in range(RETRIES_MAX + 1):
        dialer.receive_datagram(retry(first, b"%d" % index), SERVER, 10.0)
    assert hello(dialer).token == b"%d" % (RETRIES_MAX - 1)
    assert dialer.drops == {"unexpected long packet": 1}


def test_a_server_of_other_versions_is_a_definite_failure(dialer):
    packet = hello(dialer)
    offer = VersionOffer(destination_cid=packet.source_cid, source_cid=NO_CID, versions=(2, 3))
    dialer.receive_datagram(encode_long(offer), SERVER, 10.0)
    assert dialer.failed == "the server speaks other protocol versions (2, 3)"
    assert dialer.next_timeout() is None
    assert dialer.datagrams_to_send(20.0) == []


def test_a_version_offer_that_names_ours_is_no_reason_to_fail(dialer):
    packet = hello(dialer)
    offer = VersionOffer(destination_cid=packet.source_cid, source_cid=NO_CID, versions=(1, 2))
    dialer.receive_datagram(encode_long(offer), SERVER, 10.0)
    assert dialer.failed is None
    assert dialer.drops == {"unexpected long packet": 1}


def test_what_is_not_for_this_attempt_is_dropped(dialer):
    packet = hello(dialer)
    dialer.receive_datagram(welcome(packet), ("203.0.113.5", 9000), 10.0)
    dialer.receive_datagram(welcome(packet, to=b"somebody"), SERVER, 10.0)
    dialer.receive_datagram(encode_long(Reset(cid=packet.source_cid, token=TOKEN)), SERVER, 10.0)
    dialer.receive_datagram(b"", SERVER, 10.0)
    assert dialer.connection is None
    assert dialer.drops == {
        "not from the server": 1,
        "not for this attempt": 2,
        "unknown long packet": 1,
    }


def test_a_welcome_for_another_nonce_is_dropped(dialer):
    packet = hello(dialer)
    payload, _ = accept_hello(packet.payload, HopConfig().parameters(TOKEN))
    forged = Welcome(
        destination_cid=packet.source_cid, source_cid=SERVER_CID, payload=payload[:-16] + bytes(16)
    )
    dialer.receive_datagram(encode_long(forged), SERVER, 10.0)
    assert dialer.connection is None
    assert dialer.drops == {"WELCOME does not answer our HELLO": 1}


def test_a_second_welcome_makes_no_second_connection(dialer):
    answer = welcome(hello(dialer))
    dialer.receive_datagram(answer, SERVER, 10.0)
    first = dialer.connection
    dialer.receive_datagram(answer, SERVER, 10.0)
    assert dialer.connection is first
    assert dialer.drops == {"handshake is over": 1}


@given(st.binary(max_size=80))
def test_garbage_changes_nothing(data):
    dialer = dial()
    dialer.receive_datagram(data, SERVER, 10.0)
    assert (dialer.connection, dialer.failed) == (None, None)
    assert sum(dialer.drops.values()) == 1
