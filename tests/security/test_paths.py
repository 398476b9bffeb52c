"""Paths before attackers: whoever is not the peer moves nothing, links nothing and costs little.

One test for each row of the list of attacks that concerns addresses and connection ids, in
plaintext and encrypted, on nodes in virtual time (PROTOCOL §3.5 and §3.10).
"""

import pytest

from tests.crypto.secure import client_security, server_security
from tests.hop.pair import both_modes, connect, frames_of, packet_to
from tests.node.harness import DELAY_S, SERVER, Client, Net, Server
from udpim.hop.cids import CIDS_MAX, RETIRING_MAX
from udpim.hop.codes import ConnectionState, Role
from udpim.hop.config import HopConfig
from udpim.hop.path import CHALLENGE_S_MIN, RESPONSES_MAX
from udpim.wire import frames as f
from udpim.wire.packet import SHORT_BYTES_MIN, is_long

RTT_S = 2 * DELAY_S
STEP_S = DELAY_S / 4
ATTACKER = ("203.0.113.66", 666)
QUIET = HopConfig(grease_packets_max=0)


@pytest.fixture(params=["plain", "encrypted"])
def hops(request):
    """The settings of (a client, a server)."""
    if request.param == "plain":
        return QUIET, QUIET
    return tuple(
        HopConfig(grease_packets_max=0, security=security)
        for security in (client_security(), server_security())
    )


@pytest.fixture
def talk(hops, seed):
    """(net, server, alice, bob), who know each other."""
    return begin(hops, seed)


def begin(hops, seed):
    net = Net(seed)
    server = Server(net, hop=hops[1])
    alice, bob = (Client(net, f"{name}/d", hop=hops[0]).login() for name in ("alice", "bob"))
    alice.send("bob", b"hello")
    net.run(1.0)
    assert [b"hello"] == bob.received
    bob.received.clear()
    return net, server, alice, bob


def connection_to(server, client):
    """The server's end of a client's connection."""
    cid = client.node.connection.remote_cid
    (found,) = [c for c in server.node.connections() if cid in c.local_cids]
    return found


def shorts(net, since=0):
    """What an onlooker sees of short packets: (connection id, the client's address)."""
    for source, destination, data in net.sent[since:]:
        if not is_long(data):
            yield data[1:9], source if destination == SERVER else destination


def seen_at(net, since=0):
    """At which addresses of clients each id was seen."""
    where = {}
    for cid, address in shorts(net, since):
        where.setdefault(cid, set()).add(address)
    return where


# Attack 9: PATH_CHALLENGE flood.


@pytest.mark.usefixtures(both_modes.__name__)
@pytest.mark.parametrize("role", Role)
def test_a_flood_of_challenges_is_answered_a_little_and_kept_not_at_all(role):
    """Attack 9, PATH_CHALLENGE flood.

    One turn answers few, each answer as small as its question.
    """
    connection = connect(role, QUIET, spare_ids=True)
    number = 0
    for turn in range(50):
        bytes_in = 0
        for index in range(100):
            challenges = [f.encode_path(f.PATH_CHALLENGE, bytes([index] * 8))] * 20
            path = ("203.0.113.66", 1000 + index % 7)
            datagram = packet_to(connection, number, *challenges)
            packet = connection.receive_packet(datagram, path, 1.0 + turn)
            connection.take(packet, 1.0 + turn)
            bytes_in += len(datagram)
            number += 1
        out = connection.datagrams_to_send(1.0 + turn)
        answers = [
            frame
            for datagram, _ in out
            for frame in frames_of(connection, datagram)
            if frame[0] == f.PATH_RESPONSE
        ]
        assert len(answers) <= RESPONSES_MAX
        assert sum(len(datagram) for datagram, _ in out) < bytes_in / 10
        assert connection.datagrams_to_send(1.0 + turn) == []
    assert connection.state is ConnectionState.OPEN
    assert connection.in_flight_frames <= CIDS_MAX + RETIRING_MAX
    assert connection.stats.path_changes == 0


# Attack 10: the queue of connection ids to be given back.


class HostilePeer:
    """Has the keys of the connection's other end, and says with them what it likes."""

    def __init__(self, connection):
        self.connection, self.number, self.now = connection, 0, 1.0

    def say(self, *frames, path=None):
        """Send one packet; return the answers: (frame, where it goes)."""
        connection = self.connection
        datagram = packet_to(connection, self.number, *frames, cid=connection.local_cids[-1])
        packet = connection.receive_packet(datagram, path or connection.path, self.now)
        assert packet is not None, connection.drops
        connection.take(packet, self.now)
        self.number += 1
        self.now += 1.0
        return [
            (frame, address)
            for answer, address in connection.datagrams_to_send(self.now)
            for frame in frames_of(connection, answer)
        ]


@pytest.mark.usefixtures(both_modes.__name__)
def test_a_peer_that_moves_for_ever_and_acks_nothing_fills_no_queue():
    """Attack 10, CID retire queue: what waits for acks is bounded, and so are the ids kept."""
    server = connect(Role.SERVER, QUIET, spare_ids=True)
    peer = HostilePeer(server)
    for turn in range(500):
        if server.stats.cids_changed == turn:  # beyond, it would be one id too many
            peer.say(f.encode_new_cid(1 + turn, b"id%06d" % turn, b""))
        path = ("203.0.113.66", 1000 + turn)
        challenges = [frame for frame, to in peer.say(b"\x01", path=path) if to == path]
        peer.say(f.encode_path(f.PATH_RESPONSE, challenges[0][1]), path=path)
        assert server.path == path, "the connection goes along all the same"
        assert server.in_flight_frames <= CIDS_MAX + RETIRING_MAX
    assert (RETIRING_MAX, 500) == (server.stats.cids_changed, server.stats.path_changes)
    assert len(server.local_cids) == CIDS_MAX


@pytest.mark.usefixtures(both_modes.__name__)
def test_ids_given_back_in_a_loop_are_made_up_for_one_by_one():
    """Attack 10, the other side of it.

    Each id that comes back is one that goes out, and no more.
    """
    server = connect(Role.SERVER, QUIET, spare_ids=True)
    peer = HostilePeer(server)
    peer.say(b"\x01")
    for known in range(1, 200):
        peer.say(b"".join(map(f.encode_retire_cid, range(known))), b"\x01")
        assert len(server.local_cids) == CIDS_MAX
        assert server.in_flight_frames <= CIDS_MAX, "those of ids that came back go no more"
    assert server.local_cids == tuple(b"serv-%03d" % n for n in range(199, 203))
    assert server.state is ConnectionState.OPEN


# Attack 13 and the hijack from off the path.


def test_copies_from_elsewhere_take_no_traffic_along(talk):
    """Attack 13, spoofed migration, and the off-path hijack: 10^4 copies relayed from elsewhere.

    The attacker sees every packet of the client and is faster than the network: each copy arrives
    before its original, from the attacker's address.
    """
    net, server, alice, bob = talk
    connection = connection_to(server, bob)
    copies, answers = [], []

    def relay(source, destination, data):
        if destination == SERVER and source == bob.address:
            copies.append(len(data))
            server.receive([(data, ATTACKER)], net.now)
            assert connection.path == bob.address
        if destination == ATTACKER:
            answers.append(len(data))
            assert sum(answers) <= sum(copies), "1.0 times what came, at any moment"
        return False

    net.drop = relay
    began_at, sent = net.now, 0
    many = 10_000 if connection.channel_binding else 2_000  # in plaintext it is the same machinery
    while len(copies) < many:
        alice.send("bob", b"%d" % sent)
        sent += 1
        for _ in range(20):
            bob.send("alice", b"one packet")
            net.flush()
        net.run(0.02)
    net.run(1.0)
    assert [b"%d" % i for i in range(sent)] == bob.received
    assert 1 == [state for state, _ in bob.links].count("ONLINE")
    assert 0 < len(answers) <= (net.now - began_at) / CHALLENGE_S_MIN + 1
    assert max(answers) <= SHORT_BYTES_MIN + 6, "nothing but challenges"


def test_a_replayed_packet_from_elsewhere_is_not_even_asked_about(talk):
    """Attack 13: what was captured moves nothing, and nothing is sent to where it came from."""
    net, server, _, bob = talk
    captured = [data for source, _, data in net.sent if source == bob.address]
    before = len(net.sent)
    for _ in range(200):
        server.receive([(data, ATTACKER) for data in captured], net.now)
        net.run(0.001)
    assert bob.address == connection_to(server, bob).path
    to_attacker = [data for _, destination, data in net.sent[before:] if destination == ATTACKER]
    assert all(is_long(data) for data in to_attacker), "WELCOMEs and RESETs at most"
    assert 200 * sum(map(len, captured)) >= sum(map(len, to_attacker))


# Attack 14: linkability.


def test_no_id_is_seen_on_two_paths(talk):
    """Attack 14, CID linkability.

    Whoever moves knowingly shows no id twice, neither does its peer.
    """
    net, server, alice, bob = talk
    for turn in range(10):
        for port, client in enumerate((alice, bob), 2000):
            client.move((f"198.51.100.{10 + turn}", port))
        alice.send("bob", b"%d" % turn)
        net.run(0.5)
    assert [b"%d" % i for i in range(10)] == bob.received
    where = seen_at(net)
    assert len(where) >= 2 * 2 * 10
    assert {cid: places for cid, places in where.items() if len(places) > 1} == {}
    assert {0} == {c.stats.cids_short for c in server.node.connections()}


def test_an_id_is_seen_on_two_paths_only_until_the_client_can_know(talk):
    """Attack 14 behind a NAT: only the packets of one round trip show the id of the old path."""
    net, _, alice, bob = talk
    before = len(net.sent)
    old = bob.node.connection.remote_cid
    bob.move(("198.51.100.99", 9999), knows=False)
    alice.send("bob", b"lost at first")
    bob.send("alice", b"by which the server hears of it")
    net.run(1.0)
    where = seen_at(net)
    assert {old} == {cid for cid, places in where.items() if len(places) > 1}
    late = [cid for cid, address in shorts(net, before) if address == bob.address]
    assert 0 < late.count(old) < 6
    assert old not in late[late.index(next(cid for cid in late if cid != old)) + 2 :]


# Moving on purpose, and being moved.


@pytest.mark.parametrize("knows", [True, False], ids=["rebind", "NAT"])
def test_ten_changes_of_address_during_two_thousand_messages(talk, knows):
    """Zeros: nothing is lost, doubled or out of order, nobody reconnects, and nothing stalls.

    It stalls for two round trips at most: what was sent before is all there by then. Of a NAT's
    change the server hears with the client's next packet, which may be a step later.
    """
    net, server, alice, bob = talk
    sent, moved, arrived = [], [], []
    bob.on_event = lambda event: (
        Client.on_event(bob, event),
        arrived.extend([net.now] * (len(bob.received) - len(arrived))),
    )
    for step in range(200):
        if step % 20 == 10:
            client = (alice, bob)[len(moved) % 2]
            host = "198.51.100.1" if len(moved) % 3 else f"198.51.100.{50 + len(moved)}"
            client.move((host, 5000 + len(moved)), knows=knows)
            moved.append((net.now, len(sent)))
        bodies = [b"%d" % (step * 10 + i) for i in range(10)]
        alice.send("bob", *bodies)
        bob.send("alice", b"back")
        sent += bodies
        net.run(STEP_S)
    net.run(1.0)
    assert len(moved) == 10
    stalls = [arrived[count - 1] - at for at, count in moved]
    heard_after_s = 0.0 if knows else STEP_S
    assert max(stalls) <= 2 * RTT_S + heard_after_s + 1e-9, stalls
    assert sent == bob.received
    assert [b"back"] * 200 == alice.received
    for client in (alice, bob):
        assert 1 == [state for state, _ in client.links].count("ONLINE")
        assert client.address == connection_to(server, client).path
    assert 5 + 5 == sum(c.stats.path_changes for c in server.node.connections())
