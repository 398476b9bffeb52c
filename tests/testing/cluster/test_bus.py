"""A virtual bus carries frames between lives of processes, and loses them as it is told."""

import pytest

from udpim.testing.choices import Choices
from udpim.testing.clock import VirtualClock
from udpim.testing.cluster.bus import VirtualBus
from udpim.testing.cluster.meeting import BUS


class Rig:
    def __init__(self, faults=BUS):
        self.clock = VirtualClock()
        self.bus = VirtualBus(self.clock, Choices(3), faults)
        self.got = {"s1.1": [], "s2.1": []}
        self.one, self.two = (self.bus.join(n, got.extend) for n, got in self.got.items())

    def send(self, count=1):
        self.one.send("s2.1", [b"%d" % n for n in range(count)])
        self.clock.run_until(self.clock.now + 10.0)
        return self.got["s2.1"]


@pytest.fixture
def rig():
    return Rig()


def test_frames_arrive_a_little_later(rig):
    rig.one.send("s2.1", [b"a", b"b"])
    rig.clock.run_until(0.0)
    assert [] == rig.got["s2.1"]
    rig.clock.run_until(1.0)
    assert [b"a", b"b"] == rig.got["s2.1"]
    assert 2 == rig.bus.counters["arrived"]
    assert {} == rig.one.stats()


def test_a_profile_loses_doubles_and_reorders_until_it_heals():
    rig = Rig(BUS.loss(0.3).duplicate(0.2).reorder(0.2, by=1.0))
    got = rig.send(200)
    assert 100 < len(set(got)) < 190
    assert len(got) > len(set(got))
    assert got != sorted(got, key=int)
    rig.bus.heal()
    got.clear()
    assert [b"%d" % n for n in range(200)] == rig.send(200)


def test_what_is_for_a_life_that_is_over_is_for_nobody(rig):
    assert not rig.one.is_dead("s2.1")
    rig.two.close()
    rig.bus.join("s2.2", rig.got["s2.1"].extend)
    assert [] == rig.send()
    assert rig.one.is_dead("s2.1")
    assert not rig.one.is_dead("s2.2")
    assert 1 == rig.bus.counters["unreachable"]


def test_who_is_cut_off_hears_nothing_and_takes_nobody_for_dead(rig):
    rig.bus.cut("s2")
    assert [] == rig.send()
    rig.two.close()
    assert not rig.one.is_dead("s2.1")
    rig.bus.mend("s2")
    assert rig.one.is_dead("s2.1")
