"""A world has one server and many clients, and tells what is wrong with it."""

import pytest

from udpim.testing import Loss, Profile, World
from udpim.testing.choices import Choices
from udpim.testing.oracle import Violated


def test_example_of_the_module(seed):
    world = World(seed, faults=Profile(loss_ratio=0.3))
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    sent = alice.send("bob", [b"one", b"two"])
    world.heal_and_settle()
    world.check()
    assert alice.states(sent) == {"DELIVERED": 2}
    assert bob.online


EVERYTHING = (
    Loss.burst(0.1, mean_burst=3)
    .outage(0.03, mean="2s")
    .corrupt(0.05)
    .truncate(0.05)
    .duplicate(0.1)
    .duplicate_late(0.05, after="5s")
    .rate("1Mbit")
    .delay("40ms", jitter="20ms")
    .reorder(0.1)
    .mtu(1280)
)


@pytest.mark.parametrize("encrypted", [True, False])
def test_the_promise_holds_on_a_network_with_every_fault_and_nats_that_forget(
    seed, encrypted, monkeypatch
):
    monkeypatch.setattr(World, "encrypted", encrypted)
    world = World(seed, faults=EVERYTHING)
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    nats = [world.network.nat(client.host, 5.0) for client in (alice, bob)]
    sent = []
    for turn in range(20):
        sent.append(alice.send("bob", [b"%d" % turn]))
        world.run(1.0)
        nats[turn % 2].rebind()
    world.heal_and_settle()
    world.run(5)
    world.check()
    assert [{"DELIVERED": 1}] * 20 == [alice.states(each) for each in sent]
    counters = world.network.counters
    faults = ("lost", "outage", "corrupted", "truncated", "damaged", "duplicated", "late")
    assert min(counters[fault] for fault in faults) > 0


def test_a_tape_of_what_struck_gives_the_same_run(seed):
    def run(choices):
        world = World(seed, faults=EVERYTHING, choices=choices)
        world.server()
        alice, _ = world.client("alice"), world.client("bob")
        alice.send("bob", [b"%d" % n for n in range(20)])
        world.run(20.0)
        return [(c.sent_at, c.data, c.fate, c.faults) for c in world.network.trace]

    first = Choices(seed)
    expected = run(first)
    assert expected == run(None) == run(Choices("another", first.tape()))


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
    world = World(seed, faults=Profile(loss_ratio=0.5))
    world.server()
    alice = world.client("alice")
    world.online(300)
    world.check_quiet()
    world.clock.call_later(30, lambda: alice.send("nobody", b"one"))
    with pytest.raises(Violated, match="i15_quiescence"):
        world.check_quiet()
