"""Nodes in memory: every step comes to rest, and every check can fail."""

import pytest

from udpim_bench.flat_world import SPARE_TIMERS, STEP_S, World
from udpim_bench.measure import WrongCounts


def pair():
    world = World()
    return world, world.log_in("alice"), world.log_in("bob")


def exchange(world, sender, recipient, count=3):
    world.send(sender, recipient.address[0], count)
    world.step()
    world.handle(recipient, count)
    world.step()


def test_a_step_each_brings_messages_there_and_receipts_back():
    world, alice, bob = pair()
    world.send(alice, "bob", 30)
    world.step()
    assert (30, 0, 0) == (world.sent, world.handled, world.receipted)
    world.handle(bob, 20)
    world.step()
    assert (20, 20) == (world.handled, world.receipted)
    world.handle(bob, 10)
    world.step()
    assert (30, 30) == (world.handled, world.receipted)
    world.check()


def test_equal_steps_exchange_equally_many_datagrams():
    world, alice, bob = pair()
    for _ in range(3):
        exchange(world, alice, bob)
    counts = []
    for _ in range(20):
        before = world.datagrams
        exchange(world, alice, bob)
        counts.append(world.datagrams - before)
    assert {counts[0]} == set(counts)


def test_time_passes_by_steps():
    world, alice, bob = pair()
    before = world.now
    exchange(world, alice, bob)
    assert before + 2 * STEP_S == pytest.approx(world.now)


def test_outdated_timers_do_not_pile_up():
    world, alice, bob = pair()
    for _ in range(100):
        exchange(world, alice, bob)
    assert len(world._timers) <= SPARE_TIMERS + 4 * 3


def test_a_ping_is_answered():
    world, alice, _ = pair()
    before = world.datagrams
    world.ping(alice)
    world.step()
    assert 2 == world.datagrams - before


@pytest.mark.parametrize("wrong", ["doubled", "misordered", "missing between checks"])
def test_what_arrived_wrongly_is_noticed(wrong):
    world, alice, bob = pair()
    exchange(world, alice, bob)
    world.check()
    exchange(world, alice, bob)
    got = world._got["alice", "bob"]
    if wrong == "doubled":
        got.insert(1, got[1])
    elif wrong == "misordered":
        got.reverse()
    else:
        del got[1]
    with pytest.raises(WrongCounts, match="bob got something else than alice sent"):
        world.check()


def test_a_missing_receipt_is_noticed():
    world, alice, bob = pair()
    exchange(world, alice, bob)
    world.receipted -= 1
    with pytest.raises(WrongCounts, match="3 handled, 2 receipted"):
        world.check()


def test_who_cannot_log_in_is_noticed(monkeypatch):
    world = World()
    monkeypatch.setattr(world, "step", lambda: None)
    with pytest.raises(WrongCounts, match="alice could not log in"):
        world.log_in("alice")
