"""A gate passes datagrams on unread; the home answers each client through its own gate."""

import pytest

from udpim.cluster.directory import Lease
from udpim.cluster.door import Door
from udpim.cluster.frames import BusFrame, Kind, encode

CLIENT = ("198.51.100.7", 4000)
HOME = Lease("home", 3, 0)


class Port:
    kind = "sham"

    def __init__(self):
        self.sent = []
        self.drops = {"full": 1}

    def send(self, datagrams):
        self.sent += datagrams

    def stats(self):
        return {"datagrams_sent": len(self.sent)}


class Net:
    """A bus without a network: frames come when `deliver` is called."""

    def __init__(self):
        self.doors = {}
        self.waiting = []

    def door(self, name):
        net = self

        class Bus:
            def send(self, node, frames):
                net.waiting += [(node, frame) for frame in frames]

            def stats(self):
                return {"bus_frames_sent": 0}

        port = Port()
        self.doors[name] = door = Door(name, port, Bus())
        return door, port

    def deliver(self):
        waiting, self.waiting = self.waiting, []
        for node, frame in waiting:
            self.doors[node].receive_frames([frame])


@pytest.fixture
def net():
    return Net()


def home_and_gate(net):
    taken = []
    home, home_port = net.door("home")
    gate, gate_port = net.door("gate")
    home.become_home(HOME, taken.extend)
    gate.follow(HOME)
    return home, home_port, gate, gate_port, taken


def test_what_a_client_sends_to_a_gate_comes_to_the_home_with_the_gate_in_its_address(net):
    _, _, gate, _, taken = home_and_gate(net)
    gate.receive([(b"one", CLIENT), (b"two", CLIENT)])
    net.deliver()
    path = ("198.51.100.7@gate", 4000)
    assert [(b"one", path), (b"two", path)] == taken


def test_an_answer_leaves_through_the_gate_that_its_client_uses(net):
    home, home_port, _, gate_port, _ = home_and_gate(net)
    home.send([(b"here", CLIENT), (b"there", ("198.51.100.7@gate", 4000))])
    net.deliver()
    assert [(b"here", CLIENT)] == home_port.sent
    assert [(b"there", CLIENT)] == gate_port.sent


def test_the_home_takes_what_comes_to_its_own_port(net):
    home, _, _, _, taken = home_and_gate(net)
    home.receive([(b"direct", CLIENT)])
    assert [(b"direct", CLIENT)] == taken


def test_without_a_home_datagrams_are_dropped_and_counted(net):
    gate, port = net.door("gate")
    gate.receive([(b"lost", CLIENT)] * 3)
    gate.follow(HOME)
    gate.follow(None)
    gate.receive([(b"lost", CLIENT)])
    gate.send([(b"lost", ("198.51.100.7@other", 4000))])
    assert [] == net.waiting == port.sent
    assert {"full": 1, "no home": 4} == gate.drops


@pytest.mark.parametrize("kind", Kind)
def test_frames_of_another_epoch_are_dropped(net, kind):
    home, _, gate, gate_port, taken = home_and_gate(net)
    for door in (home, gate):
        door.receive_frames([encode(BusFrame(kind, 2, 1, "gate", [(b"old", CLIENT)]))])
        assert 1 == door.drops["bus frame of another epoch"]
    assert [] == taken == gate_port.sent


def test_frames_for_another_role_are_dropped(net):
    home, home_port, gate, _, taken = home_and_gate(net)
    home.receive_frames([encode(BusFrame(Kind.OUTWARD, 3, 1, "gate", [(b"x", CLIENT)]))])
    gate.receive_frames([encode(BusFrame(Kind.INWARD, 3, 1, "gate", [(b"x", CLIENT)]))])
    for door in (home, gate):
        assert 1 == door.drops["bus frame for another role"]
    assert [] == taken == home_port.sent == net.waiting


def test_garbage_on_the_bus_is_dropped(net):
    _, _, gate, _, _ = home_and_gate(net)
    gate.receive_frames([b"", b"\x01"])
    assert 2 == gate.drops["malformed bus frame"]


def test_a_home_that_steps_down_takes_nothing_more(net):
    home, _, gate, _, taken = home_and_gate(net)
    home.follow(None)
    gate.receive([(b"late", CLIENT)])
    net.deliver()
    home.receive([(b"late", CLIENT)])
    assert [] == taken


def test_it_shows_port_and_bus_in_its_counters(net):
    door, _ = net.door("gate")
    assert "sham" == door.kind
    assert {"datagrams_sent": 0, "bus_frames_sent": 0} == door.stats()


def test_a_bus_that_doubles_makes_nobody_answer_or_send_twice(net):
    home, _, gate, gate_port, taken = home_and_gate(net)
    gate.receive([(b"hello", CLIENT)])
    net.waiting *= 2
    net.deliver()
    assert [b"hello"] == [data for data, _ in taken]
    home.send([(b"welcome", taken[0][1])])
    net.waiting *= 2
    net.deliver()
    assert [(b"welcome", CLIENT)] == gate_port.sent
    assert 1 == home.drops["bus frame once more"] == gate.drops["bus frame once more"]
