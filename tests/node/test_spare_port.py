"""A client behind a NAT that forgets: what it learns on a spare port, and what it does with it."""

import random

import pytest

from tests.crypto.secure import client_security, server_security
from tests.hop.pair import connect
from tests.node.harness import SERVER, Client, Net, Server
from udpim.hop.codes import CloseCode, Role
from udpim.hop.config import HopConfig
from udpim.hop.nat import IDLE_PARTS, LIFE_S_MAX, MARGIN_RATIO, RESOLUTION_S
from udpim.node.spare_port import SparePort
from udpim.node.stats import client_stats
from udpim.testing.nat import Nat
from udpim.wire.packet import is_long

SPARE = ("10.0.0.2", 7777)
INSIDE = ("10.0.0.2", 5000)
IDLE_S = 900.0


class NatNet(Net):
    """A network in which one client is behind a NAT."""

    def __init__(self, seed, life_s):
        super().__init__(seed)
        self.nat = Nat("203.0.113.99", life_s)

    def transmit(self, source, destination, data):
        if source in (INSIDE, SPARE):
            source = self.nat.outward(source, self.now)
        elif destination[0] == self.nat.host:
            inside = self.nat.inward(destination, self.now)
            if inside is None:
                return
            destination = inside
        super().transmit(source, destination, data)


class Spare:
    """The second socket of a client, for as long as it is wanted."""

    def __init__(self, client):
        self.client, self.address = client, SPARE
        self.sent = 0
        client.net.peers[SPARE] = self

    def turn(self, now):
        out = self.client.node.spare_port.datagrams_to_send(now)
        self.sent += len(out)
        return out

    def receive(self, burst, now):
        self.client.node.spare_port.receive_datagrams(burst, now)

    def handle_timeout(self, now):
        pass

    def next_timeout(self):
        return None


def behind(life_s, seed=1, *, idle_s=IDLE_S, learn=True, encrypted=False, keepalive_s=10.0):
    """(net, server, client, its spare port): online, behind a NAT of this life."""
    times = {"idle_timeout_s": idle_s, "grease_packets_max": 0, "keepalive_s": keepalive_s}
    at_server, at_client = dict(times), {**times, "learn_keepalive": learn}
    if encrypted:
        at_server["security"], at_client["security"] = server_security(), client_security()
    net = NatNet(seed, life_s)
    server = Server(net, hop=HopConfig(**at_server))
    client = Client(net, "alice/d", hop=HopConfig(**at_client))
    client.move(INSIDE, knows=False)
    spare = Spare(client)
    client.login()
    return net, server, client, spare


def learnt(net, client):
    net.until(lambda: not client.node.spare_port.wanted, 20_000.0)
    return client.node.spare_port.life_s


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("life_s", [20.0, 47.0, 130.0, 1000.0])
def test_the_life_of_a_binding_is_found_within_the_resolution(life_s, encrypted):
    net, _, client, _ = behind(life_s, encrypted=encrypted)
    assert client.node.spare_port.wanted
    found = learnt(net, client)
    assert min(life_s, LIFE_S_MAX) - RESOLUTION_S <= found <= life_s
    assert client.online
    assert 1 == [state for state, _ in client.links].count("ONLINE")


def test_the_learnt_interval_keeps_the_session_alive_and_the_binding_with_it():
    """An idle client behind a NAT of 47 s: half of the keepalives, and pushes arrive at once."""
    net, server, client, _ = behind(47.0)
    found = learnt(net, client)
    assert found * MARGIN_RATIO == client_stats(client.node)["hop"]["keepalive_s"]
    net.run(60.0)
    before, forgotten, mark = client.node.connection.path, net.nat.forgotten, len(net.sent)
    net.run(1000.0)
    pings = [data for _, to, data in net.sent[mark:] if to == SERVER and not is_long(data)]
    assert len(pings) <= 1000.0 / (found * MARGIN_RATIO) + 2
    assert (before, forgotten) == (client.node.connection.path, net.nat.forgotten)
    assert client.online
    other = Client(net, "bob/d", hop=HopConfig(grease_packets_max=0)).login()
    other.send("alice", b"are you there?")
    net.run(0.1)
    assert [b"are you there?"] == client.received
    assert 0 == sum(c.stats.path_changes for c in server.node.connections())


def test_the_interval_stays_below_the_idle_timeout():
    net, _, client, _ = behind(130.0, idle_s=60.0)
    learnt(net, client)
    mark = len(net.sent)
    net.run(600.0)
    pings = [to for _, to, _ in net.sent[mark:] if to == SERVER]
    assert 600.0 / (60.0 / IDLE_PARTS) - 2 <= len(pings)
    assert client.online


def test_who_does_not_want_to_learn_needs_no_second_socket():
    net, _, client, spare = behind(47.0, learn=False)
    net.run(100.0)
    client.node.rebound(net.now)
    net.run(1.0)
    assert not client.node.spare_port.wanted
    assert (0, None) == (spare.sent, client.node.spare_port.life_s)
    client.node.spare_port.receive_datagrams([(bytes(40), SERVER)], net.now)
    assert {} == client.hop_drops()


def test_what_was_learnt_is_used_after_a_reconnect_and_forgotten_on_another_network():
    net, server, client, spare = behind(47.0)
    found = learnt(net, client)
    sent = spare.sent
    server.start()
    net.run(100.0)
    assert client.online
    assert (found, sent) == (client.node.spare_port.life_s, spare.sent)
    client.node.rebound(net.now)
    assert client.node.spare_port.wanted
    assert client.node.spare_port.life_s is None
    assert found == learnt(net, client)


def test_a_link_that_is_lost_ends_the_learning_and_the_next_one_begins_anew():
    net, server, client, _ = behind(47.0)
    net.run(20.0)
    server.node.shutdown(net.now)
    net.until(lambda: not client.node.spare_port.wanted)
    assert client.node.spare_port.next_timeout() is None
    assert [] == client.node.spare_port.datagrams_to_send(net.now)
    net.until(lambda: client.online)
    assert client.node.spare_port.wanted


def test_moving_while_learning_takes_another_id_for_the_spare_port():
    net, server, client, _ = behind(47.0)
    net.run(10.0)
    cids = set()
    for _ in range(6):
        client.node.rebound(net.now)
        net.run(3.0)
        cids |= {data[1:9] for source, to, data in net.sent if to == SERVER}
    assert client.online
    assert 0 == client.node.connection.stats.cids_short
    (connection,) = server.node.connections()
    assert 4 == len(connection.local_cids)
    assert len(cids) >= 12


def test_only_the_answer_is_taken_from_the_spare_port():
    net, server, client, _ = behind(47.0)
    net.run(0.5)
    (connection,) = server.node.connections()
    number = connection.stats.datagrams_sent
    connection.ping()
    ((ping, _),) = connection.datagrams_to_send(net.now)
    port = client.node.spare_port
    port.receive_datagrams([(b"", SERVER), (b"\x99" * 25, SERVER), (b"\x01" * 40, SERVER)], net.now)
    port.receive_datagrams([(ping, SERVER)], net.now)
    assert 1 == client.hop_drops()["not for the spare port"]
    assert number + 1 == connection.stats.datagrams_sent
    assert client.online


def test_a_lost_answer_is_not_taken_for_a_dead_binding(seed):
    net, _, client, _ = behind(47.0, seed)
    net.drop = lambda source, destination, data: (
        SPARE in (source, destination) and (net.rng.random() < 0.1)
    )
    found = learnt(net, client)
    assert 47.0 - 2 * RESOLUTION_S <= found <= 47.0


def test_closing_ends_the_learning():
    net, _, client, _ = behind(47.0)
    client.node.close(net.now)
    net.run(1.0)
    assert not client.node.spare_port.wanted
    assert CloseCode.NO_ERROR == client.last_link().code


def test_a_spare_port_that_hears_nothing_changes_nothing():
    net, _, client, _ = behind(47.0)
    net.drop = lambda source, destination, data: SPARE in (source, destination)
    assert learnt(net, client) is None
    assert client.online


def test_while_no_id_is_free_for_it_the_spare_port_is_silent():
    connection = connect(Role.CLIENT, spare_ids=True)
    port = SparePort(random.Random(1).randbytes, learns=True)
    port.online(connection, 0.0)
    assert (True, []) == (port.wanted, port.datagrams_to_send(0.0))


def test_a_client_without_a_connection_may_move():
    net = Net(1)
    Server(net)
    client = Client(net)
    client.move(INSIDE)
    assert client.login().online
    assert 0 == client.node.connection.stats.path_changes
