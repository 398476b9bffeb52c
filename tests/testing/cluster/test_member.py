"""One process of a cluster: what its port and its place on the bus do when it is not there."""

import pytest

from udpim.testing import World
from udpim.testing.cluster import Setup
from udpim.testing.process import SOCKET_BUFFER_DATAGRAMS


@pytest.fixture
def members(seed):
    world = World(seed)
    cluster = world.cluster(Setup())
    world.run(2.0)
    return world, *cluster.members


def test_each_life_has_a_name_of_its_own_on_the_bus(members):
    _world, one, _other = members
    one.restart()
    assert one.meeting.bus.is_dead("s2.1", "s1.1")
    assert not one.meeting.bus.is_dead("s2.1", "s1.2")


def test_who_is_up_is_not_started_and_who_is_down_does_not_crash(members):
    _world, one, _other = members
    with pytest.raises(AssertionError, match="up already"):
        one.start()
    one.crash()
    with pytest.raises(AssertionError, match="down already"):
        one.crash()
    one.leave()
    one.jump_clock(1.0)
    one.open()
    assert not one.up
    assert not one.is_home


def test_what_comes_in_a_pause_waits_as_in_a_sockets_buffer(members):
    world, one, other = members
    gate = other if one.is_home else one
    got = []
    gate.resume()
    gate.pause()
    for number in range(SOCKET_BUFFER_DATAGRAMS + 10):
        world.network.send(("stranger", 1), gate.address, b"%d" % number)
    world.run(1.0)
    home = one if one.is_home else other
    home.link.receive = lambda data, source: got.append(data)
    assert 0 == gate.meeting.bus.counters["arrived"]
    gate.resume()
    world.run(0.1)
    assert 0 < gate.meeting.bus.counters["arrived"]
    assert SOCKET_BUFFER_DATAGRAMS == len(got)


def test_a_pause_ends_with_the_life(members):
    world, one, other = members
    for member in (one, other):
        member.pause()
        member.restart()
    world.run(3.0)
    assert 1 == one.is_home + other.is_home
