"""A coroutine in virtual time waits, stands still, and dies with its process."""

import pytest

from udpim.testing.clock import VirtualClock
from udpim.testing.cluster.routine import Killed, Routine, nap


@pytest.fixture
def clock():
    return VirtualClock()


def worker(clock, did, naps=3):
    async def work():
        try:
            for _ in range(naps):
                did.append(clock.now)
                await nap(1.0)
        finally:
            did.append("over")

    return work


def test_a_nap_takes_virtual_time(clock):
    did = []
    Routine(clock, worker(clock, did))
    clock.run_until(10.0)
    assert [0.0, 1.0, 2.0, "over"] == did


def test_who_is_hurried_naps_no_longer_and_wakes_once(clock):
    did = []
    routine = Routine(clock, worker(clock, did))
    clock.run_until(0.5)
    routine.hurry()
    clock.run_until(10.0)
    assert [0.0, 0.5, 1.5, "over"] == did


def test_what_is_due_in_a_pause_waits_for_its_end(clock):
    did = []
    routine = Routine(clock, worker(clock, did))
    clock.run_until(0.5)
    routine.pause()
    clock.run_until(5.0)
    assert [0.0] == did
    routine.resume()
    clock.run_until(5.0)
    assert [0.0, 5.0] == did
    routine.pause()
    routine.resume()
    clock.run_until(10.0)
    assert [0.0, 5.0, 6.0, "over"] == did


def test_who_is_killed_while_it_waits_ends_there(clock):
    did = []
    routine = Routine(clock, worker(clock, did))
    clock.run_until(1.5)
    routine.kill()
    routine.kill()
    clock.run_until(10.0)
    assert [0.0, 1.0, "over"] == did


def test_who_is_killed_before_it_began_does_nothing(clock):
    did = []
    Routine(clock, worker(clock, did)).kill()
    clock.run_until(10.0)
    assert [] == did


def test_who_is_killed_by_what_it_does_ends_at_its_next_nap(clock):
    did = []

    async def work():
        routine.kill()
        did.append("goes on")
        try:
            await nap(1.0)
        except Killed:
            did.append("killed")
            raise

    routine = Routine(clock, work)
    clock.run_until(10.0)
    assert ["goes on", "killed"] == did


def test_an_error_of_its_own_is_heard(clock):
    async def work():
        raise ValueError("a bug")

    Routine(clock, work)
    with pytest.raises(ValueError, match="a bug"):
        clock.run_until(1.0)
