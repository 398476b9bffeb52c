"""A table that is larger than its limit is noticed, whoever keeps it."""

from types import SimpleNamespace

import pytest

from udpim.hop.connection import Connection
from udpim.testing.oracle import Violated
from udpim.testing.sim.budgets import SECTION_MESSAGES_MAX, STEERING_MAX, over_budget
from udpim.testing.world import World


@pytest.fixture
def world():
    """Three sessions; alice waits for acks, and bob has got what he has not receipted."""
    made = World("budgets")
    made.server()
    alice, bob, _ = (made.client(user) for user in ("alice", "bob", "carol"))
    made.online()
    made.network.cut_one_way("bob/phone", "server")
    for _ in range(5):
        alice.send("bob", b"one")
        made.run(0.1)
    made.network.cut_one_way("server", "alice/phone")
    for _ in range(20):
        alice.send("bob", bytes(1000))
        made.run(0.01)
    assert bob.online
    return made


def limit(process, **limits):
    """Give a process tighter limits than it was started with, tighter than any may be."""
    values = {name: getattr(process.config.limits, name) for name in NAMES} | limits
    process.config = SimpleNamespace(limits=SimpleNamespace(**values))


NAMES = (
    "outbox_messages_max", "outbox_bytes_max", "sessions_max", "handshakes_max",
    "session_messages_max", "window_frames", "reassembly_groups_max", "signals_waiting_max",
)  # fmt: skip


def test_a_world_within_its_limits_is_let_be(world):
    over_budget(world)


@pytest.mark.parametrize(
    ("host", "limits", "table"),
    [
        ("alice/phone", {"outbox_messages_max": 24}, "25 of outbox messages, its limit is 24"),
        ("alice/phone", {"outbox_bytes_max": 1000}, "outbox bytes, its limit is 1000"),
        ("alice/phone", {"window_frames": -STEERING_MAX}, "frames in flight, its limit is 1"),
        ("server", {"sessions_max": 2}, "3 of sessions, its limit is 2"),
        ("server", {"handshakes_max": -1}, "handshakes, its limit is -1"),
        (
            "server",
            {"session_messages_max": -SECTION_MESSAGES_MAX},
            "unreceipted messages, its limit is -1",
        ),
    ],
)
def test_a_table_beyond_its_limit_is_named(world, host, limits, table):
    (process,) = (process for process in world.processes if process.host == host)
    limit(process, **limits)
    with pytest.raises(Violated, match=table) as refusal:
        over_budget(world)
    assert ["state_budget"] == refusal.value.invariants
    assert host in str(refusal.value)


@pytest.mark.parametrize(
    ("kept", "table"),
    [
        ("in_flight_frames", "frames in flight"),
        ("reassembly_groups", "bodies in pieces"),
        ("queued_datagram_frames", "signals"),
    ],
)
def test_every_connection_of_everybody_is_looked_at(world, monkeypatch, kept, table):
    monkeypatch.setattr(Connection, kept, property(lambda connection: 10**9))
    with pytest.raises(Violated) as refusal:
        over_budget(world)
    complaints = [line for line in str(refusal.value).splitlines() if f"of {table}" in line]
    hosts = [line.partition(": ")[2].split()[0] for line in complaints]
    assert ["alice/phone", "bob/phone", "carol/phone", *["server"] * 3] == sorted(hosts)


def test_who_is_down_keeps_nothing(world):
    alice = world.clients["alice/phone"]
    limit(alice, outbox_messages_max=0)
    alice.crash()
    over_budget(world)


def test_one_frame_may_pass_the_session_s_limit(world):
    server = world.server()
    (unreceipted,) = {s.unreceipted for s in server.node.router.sessions.values() if s.unreceipted}
    limit(server, session_messages_max=unreceipted - SECTION_MESSAGES_MAX + 1)
    over_budget(world)
    limit(server, session_messages_max=unreceipted - SECTION_MESSAGES_MAX)
    with pytest.raises(Violated, match="unreceipted"):
        over_budget(world)
