"""The server's side of establishment."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.settings import settings
from udpim.crypto.tokens import AddressTokens, ConnectionIdIssuer
from udpim.hop.codes import Role
from udpim.hop.config import HopConfig
from udpim.hop.dial import Dialer
from udpim.hop.listen import Listener
from udpim.wire.packet import (
    RESET_BYTES,
    Hello,
    Reset,
    Retry,
    VersionOffer,
    Welcome,
    encode_long,
    encode_short_header,
    parse_long,
)
from udpim.wire.parameters import PeerParameters, encode_parameters

SECRET = b"0123456789abcdef"
SERVER = ("192.0.2.1", 9000)
CLIENT = ("198.51.100.7", 40_000)


class Server:
    """A listener with the little of an endpoint that it needs."""

    def __init__(self, random_bytes=None, **config):
        self.issuer = ConnectionIdIssuer(SECRET, 3)
        self.listener = Listener(
            config=settings(HopConfig, **config),
            issuer=self.issuer,
            tokens=AddressTokens(SECRET),
            random_bytes=random_bytes or random.Random(2).randbytes,
        )
        self.connections = {}
        self.now = 100.0
        self.bytes_in = self.bytes_out = 0

    def receive(self, datagram, path=CLIENT):
        """Take in a datagram: the answers that go to ``path``."""
        self.bytes_in += len(datagram)
        made = self.listener.receive_datagram(datagram, path, self.now, self.connections)
        if made is not None:
            assert made.local_cid not in self.connections
            self.connections[made.local_cid] = made
        out = self.listener.datagrams_to_send(self.now)
        for connection in self.connections.values():
            out += connection.datagrams_to_send(self.now)
        assert all(address == path for _, address in out)
        self.bytes_out += sum(len(answer) for answer, _ in out)
        return [answer for answer, _ in out]

    def hello(self, seed, path=CLIENT, token=b""):
        """Take in the HELLO of one client: the one answer, parsed."""
        (answer,) = self.receive(hello(seed, token), path)
        return parse_long(answer)


def hello(seed, token=b""):
    cid = b"client%02d" % (seed % 100)
    payload = encode_parameters(PeerParameters(nonce=b"%016d" % seed))
    return encode_long(Hello(source_cid=cid, token=token, payload=payload))


@pytest.fixture
def server():
    return Server()


def test_a_hello_makes_a_connection_that_its_sender_can_reach(server):
    packet = server.hello(1)
    assert isinstance(packet, Welcome)
    assert packet.destination_cid == b"client01"
    (connection,) = server.connections.values()
    assert connection.role is Role.SERVER
    assert (connection.local_cid, connection.remote_cid) == (packet.source_cid, b"client01")
    assert connection.path == CLIENT
    assert not connection.validated
    assert server.issuer.verifies(connection.local_cid)


def test_a_dialer_and_a_listener_agree(server):
    dialer = Dialer(
        server=SERVER, config=HopConfig(), random_bytes=random.Random(1).randbytes, now=100.0
    )
    ((first, _),) = dialer.datagrams_to_send(100.0)
    (answer,) = server.receive(first)
    dialer.receive_datagram(answer, SERVER, 100.1)
    client = dialer.connection
    (at_server,) = server.connections.values()
    assert client.parameters.reset_token == server.issuer.reset_token(at_server.local_cid)
    client.send_frame(b"first words", None, 100.1)
    ((datagram, _),) = client.datagrams_to_send(100.1)
    packet = at_server.receive_packet(datagram, CLIENT, 100.2)
    assert packet.frames == [b"first words"]
    at_server.take(packet, 100.2)
    assert at_server.validated


def test_a_repeated_hello_gets_the_same_welcome_and_no_second_connection(server):
    first = server.hello(1)
    assert server.hello(1) == first
    assert len(server.connections) == 1
    assert server.listener.handshakes == 1


@pytest.mark.parametrize("other", [(2, CLIENT), (101, CLIENT), (1, ("198.51.100.7", 40_001))])
def test_another_id_nonce_or_address_is_another_client(server, other):
    server.hello(1)
    server.hello(*other)
    assert len(server.connections) == 2


def test_a_hello_is_remembered_only_as_long_as_it_may_be_repeated(server):
    server.hello(1)
    server.now += HopConfig().handshake_s
    server.hello(2)
    assert server.listener.handshakes == 1


def test_answers_to_an_unproven_address_are_never_larger_than_what_came(server):
    for seed in range(400):
        server.receive(hello(seed))
        server.receive(hello(seed % 7))
        assert server.bytes_out <= server.bytes_in
    for connection in server.connections.values():
        connection.send_frame(bytes(1000), None, server.now)
        assert connection.datagrams_to_send(server.now) == []


def test_a_crowd_of_unproven_clients_makes_the_next_one_prove_its_address():
    server = Server(unproven_handshakes_max=3)
    for seed in range(3):
        assert isinstance(server.hello(seed), Welcome)
    answer = server.hello(3)
    assert isinstance(answer, Retry)
    assert answer.destination_cid == b"client03"
    assert isinstance(server.hello(3, token=answer.token), Welcome)
    assert len(server.connections) == 4


def test_a_token_is_of_no_use_to_another_address_or_later():
    server = Server(always_retry=True)
    token = server.hello(1).token
    assert isinstance(server.hello(1, ("203.0.113.5", 1), token), Retry)
    server.now += 15.5
    assert isinstance(server.hello(1, CLIENT, token), Retry)
    assert server.connections == {}


def test_a_token_proves_the_address_so_the_connection_may_speak_first():
    server = Server(always_retry=True)
    token = server.hello(1).token
    server.hello(1, token=token)
    (connection,) = server.connections.values()
    assert connection.validated


def test_a_flood_of_spoofed_hellos_leaves_bounded_state():
    server = Server(unproven_handshakes_max=10)
    for seed in range(5000):
        server.hello(seed, path=("203.0.113.5", seed + 1))
    assert len(server.connections) == server.listener.handshakes == 10


def test_proven_closed_and_expired_clients_are_no_crowd():
    server = Server(unproven_handshakes_max=2)
    server.hello(1)
    server.hello(2)
    one, two = server.connections.values()
    one.validated = True
    assert isinstance(server.hello(3), Welcome)
    two.close(0, "", server.now)
    assert isinstance(server.hello(4), Welcome)
    assert isinstance(server.hello(5), Retry)
    server.now += HopConfig().handshake_s
    assert isinstance(server.hello(6), Welcome)


def test_the_number_of_handshakes_is_limited_even_for_proven_addresses():
    server = Server(always_retry=True, handshakes_max=2)
    for seed in range(3):
        token = server.hello(seed).token
        answers = server.receive(hello(seed, token))
        assert len(answers) == (seed < 2)
    assert server.listener.drops == {"too many handshakes": 1}


def test_connections_are_limited_however_long_they_stay_without_a_login():
    server = Server(handshakes_max=2, sessions_max=1)
    for seed in range(4):
        server.now += HopConfig().handshake_s
        assert len(server.receive(hello(seed))) == (seed < 3)
    assert server.listener.drops == {"too many connections": 1}


def test_no_connection_id_is_given_twice():
    """With a broken source of randomness there is no connection rather than a shared id."""
    server = Server(random_bytes=bytes)
    server.hello(1)
    assert server.receive(hello(2)) == []
    assert server.listener.drops == {"no connection id is free": 1}


def test_a_hello_that_one_cannot_live_with_is_dropped(server):
    bad = encode_parameters(PeerParameters(max_datagram_bytes=500))
    datagram = encode_long(Hello(source_cid=b"client01", token=b"", payload=bad))
    assert server.receive(datagram) == []
    assert server.listener.drops == {"HELLO has a bad payload": 1}


def test_another_version_is_told_which_ones_are_spoken_here(server):
    foreign = bytearray(hello(1))
    foreign[0] = 0x82
    (answer,) = server.receive(bytes(foreign))
    assert parse_long(answer) == VersionOffer(
        destination_cid=b"client01", source_cid=bytes(8), versions=(1,)
    )
    assert server.connections == {}


def test_whatever_comes_is_a_named_answer_a_connection_or_a_named_drop():
    server = Server(unproven_handshakes_max=1)
    foreign = bytearray(hello(1))
    foreign[0] = 0x82
    cid = server.issuer.issue(random.Random(9).randbytes)
    for datagram in (hello(1), hello(1), hello(2), bytes(foreign), short(cid), b"", b"\xff" * 400):
        server.receive(datagram)
    stats, drops = server.listener.stats, server.listener.drops
    assert (1, 1) == (stats.connections_accepted, stats.hellos_repeated)
    assert (1, 2, 1) == (stats.retries_sent, stats.versions_sent, stats.resets_sent)
    assert 7 == 1 + 1 + 1 + 2 + 1 + sum(drops.values())


def test_what_only_a_server_says_is_not_answered(server):
    for packet in (
        Welcome(destination_cid=bytes(8), source_cid=b"somebody", payload=b""),
        Reset(cid=b"somebody", token=bytes(16)),
        Hello(destination_cid=b"somebody", source_cid=b"client01", token=b"", payload=b""),
    ):
        assert server.receive(encode_long(packet)) == []
    assert server.listener.drops == {"not a HELLO": 3}
    assert server.receive(b"") == []
    assert server.listener.drops["empty datagram"] == 1


def short(cid, size=32):
    return encode_short_header(1, cid, 7).ljust(size, b"\0")


def test_a_connection_of_an_earlier_life_earns_a_smaller_reset(server):
    cid = server.issuer.issue(random.Random(9).randbytes)
    (answer,) = server.receive(short(cid))
    assert len(answer) == RESET_BYTES < 32
    assert parse_long(answer) == Reset(cid=cid, token=server.issuer.reset_token(cid))


def test_nothing_else_earns_a_reset(server):
    cid = server.issuer.issue(random.Random(9).randbytes)
    for datagram in (short(b"\x03strange"), short(cid, 31), short(cid)[:5]):
        assert server.receive(datagram) == []
    assert server.listener.drops == {"unknown connection id": 3}


def test_resets_are_rationed():
    server = Server(resets_per_s=10.0, reset_burst=5)
    cid = server.issuer.issue(random.Random(9).randbytes)
    assert sum(len(server.receive(short(cid))) for _ in range(50)) == 5
    assert server.listener.drops == {"too many resets": 45}
    server.now += 0.125
    assert len(server.receive(short(cid))) == 1


def test_two_servers_never_reset_in_turns(server):
    cid = server.issuer.issue(random.Random(9).randbytes)
    (answer,) = server.receive(short(cid))
    assert server.receive(answer) == []


@given(st.binary(max_size=299))
def test_garbage_makes_no_state_and_no_answer(data):
    server = Server()
    assert server.receive(data) == []
    assert server.connections == {}
    assert sum(server.listener.drops.values()) == 1
