"""Signals beside messages: at most once, never late, never later, and for nothing."""

import pytest

from tests.semantics.situations import bad, finish, met, payloads
from tests.settings import settings
from udpim.config import ClientConfig, ServerConfig
from udpim.hop.datagrams import WAIT_S_MAX
from udpim.testing import Profile, World
from udpim.wire.im_packets import SignalR

DELAY_S = 0.02
NETWORK_S = 0.4
"""The most that a bad network takes from sender to recipient, twice: delay, jitter, reordering."""


def heard(client):
    return [signal.payload for _, signal in client.signals]


def test_signals_arrive_at_most_once_and_never_late(seed):
    world, alice, bob = met(seed, faults=bad(0.3))
    said_at = {}
    for number in range(300):
        payload = b"%d" % number
        if alice.signal("bob", payload):
            said_at[payload] = world.clock.now
        world.run(0.06)
    world.run(5)
    got = heard(bob)
    assert len(got) == len(set(got))
    assert set(got) <= set(said_at)
    assert 60 < len(got) < len(said_at), "some are lost, and nobody sends them again"
    latest_s = max(at - said_at[signal.payload] for at, signal in bob.signals)
    assert latest_s <= 2 * WAIT_S_MAX + NETWORK_S
    finish(world)


def test_what_could_not_leave_in_time_does_not_leave_at_all(seed):
    world, alice, bob = met(seed)
    world.network.cut("alice/phone", "server")
    alice.send("bob", payloads(400, "x" * 600))
    world.run(0.2)
    for number in range(40):
        assert alice.signal("bob", bytes(1000) + b"%d" % number)
    world.run(8)
    assert alice.node.hop_totals().stats.datagram_frames_late > 10
    world.network.mend()
    world.run(5)
    assert heard(bob) == [], "the congestion window was full of what nobody acked"
    finish(world)


@pytest.mark.parametrize("who", ["sender", "recipient", "server"])
def test_no_signal_outlives_its_connection(seed, who):
    world, alice, bob = met(seed)
    process = {"sender": alice, "recipient": bob, "server": world.server()}[who]
    if who == "sender":
        world.network.intercept("signal:R")
    alice.signal("bob", b"before")
    process.crash()
    world.run(0.5)
    if who != "sender":
        alice.signal("bob", b"meanwhile")
    process.start()
    world.online()
    world.run(10)
    assert heard(bob) == []
    assert alice.signal("bob", b"after")
    world.run(1)
    assert heard(bob) == [b"after"]
    finish(world)


def test_signals_cost_no_disk(seed):
    world, alice, bob = met(seed)
    world.run(5)
    written = []
    for process in world.processes:
        submit = process.store.submit
        process.store.submit = lambda token, ops, s=submit: (written.append(ops), s(token, ops))
    for number in range(100):
        assert alice.signal("bob", b"%d" % number)
        world.run(0.1)
    assert len(heard(bob)) == 100
    assert written == []
    alice.send("bob", b"a message does")
    world.settle()
    assert written
    finish(world)


@pytest.mark.parametrize("ratio", [0.0, 0.2])
def test_a_flood_of_signals_costs_no_message_anything(seed, ratio):
    """A client that ignores the rate, a server that would let it."""
    world = World(seed, faults=Profile(delay_s=DELAY_S, loss_ratio=ratio))
    rate = {"signals_per_s_max": 10**6, "signals_burst_max": 10**6}
    world.server(config=settings(ServerConfig, **rate))
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    sent = alice.send("bob", payloads(2000))
    for _ in range(40):
        for _ in range(50):
            alice.inject(SignalR("bob", bytes(1000)))
        world.run(0.02)
    world.settle()
    assert alice.states(sent) == {"DELIVERED": 2000}
    assert len(bob.signals) > 10
    finish(world)


def test_a_client_that_signals_too_much_is_dropped_at_the_server_and_keeps_its_session(seed):
    world, alice, bob = met(seed)
    for _ in range(20):
        for _ in range(50):
            alice.inject(SignalR("bob", b"x"))
        world.run(0.05)
    sent = alice.send("bob", payloads(50))
    world.settle()
    limits = ClientConfig(user="alice", device="phone").limits
    assert len(bob.signals) <= limits.signals_burst_max + 2 * limits.signals_per_s_max
    assert world.server().node.drops["signal beyond the rate"] > 800
    assert alice.states(sent) == {"DELIVERED": 50}
    assert alice.online
    finish(world)
