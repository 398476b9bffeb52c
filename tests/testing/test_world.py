"""A world has one server and many clients, and tells what is wrong with it."""

import pytest

from udpim.testing import LinkFaults, World
from udpim.testing.oracle import Violated


def test_example_of_the_module(seed):
    world = World(seed, faults=LinkFaults(loss_ratio=0.3))
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    sent = alice.send("bob", [b"one", b"two"])
    world.heal_and_settle()
    world.check()
    assert alice.states(sent) == {"DELIVERED": 2}
    assert bob.online


def test_there_is_one_server_and_one_client_per_endpoint(seed):
    world = World(seed)
    assert world.server() is world.server()
    world.client("alice", start=False)
    with pytest.raises(AssertionError, match="is there already"):
        world.client("alice")


def test_world_in_which_nothing_happened_does_not_pass(seed):
    world = World(seed)
    world.server()
    world.client("alice")
    world.online()
    with pytest.raises(Violated):
        world.check()


def test_waiting_in_vain_tells_the_story(seed):
    world = World(seed)
    world.server()
    alice = world.client("alice")
    world.online()
    alice.send("bob", b"one")
    world.client("bob", start=False)
    with pytest.raises(AssertionError, match="alice/phone→bob#1: PENDING"):
        world.settle(within_s=5)
    with pytest.raises(AssertionError, match="bob/phone: disk, life 0, down"):
        world.run_until(lambda: False, within_s=1)


def test_unknown_is_all_that_a_memory_inbox_can_tell(seed):
    world = World(seed)
    world.server()
    alice, bob = world.client("alice"), world.client("bob", durable=False)
    world.online()
    world.network.intercept("msg:N", copies=None)
    sent = alice.send("bob", b"one")
    world.run(0.1)
    alice.cancel(sent)
    after = alice.send("bob", b"two")
    world.heal_and_settle()
    assert bob.online
    world.check()
    assert alice.states(sent) == {"UNKNOWN": 1}
    assert alice.states(after) == {"DELIVERED": 1}
    world.check_quiet()


def test_quiet_is_checked_on_a_healed_network(seed):
    world = World(seed, faults=LinkFaults(loss_ratio=0.5))
    world.server()
    alice = world.client("alice")
    world.online(300)
    world.check_quiet()
    world.clock.call_later(30, lambda: alice.send("nobody", b"one"))
    with pytest.raises(Violated, match="i15_quiescence"):
        world.check_quiet()
