"""Worlds in which the tests of the semantics begin."""

import os

import pytest

from udpim.config import ServerConfig
from udpim.testing import Profile, World

FOUR = os.environ.get("UDPIM_EXCHANGE", "six") == "four"
"""Whether clients log in for four packets (UDPIM_EXCHANGE): no msg:A, no ack:A."""
ROUTED = "PENDING" if FOUR else "ACCEPTED"
"""What a message shows that the server is routing: in four packets nobody says so."""
SIX = ("msg:R", "msg:A", "msg:N", "ack:R", "ack:A", "ack:N")
EXCHANGED = [label for label in SIX if not (FOUR and label in ("msg:A", "ack:A"))]
"""The packets that carry a message and its receipt."""
six_only = pytest.mark.skipif(FOUR, reason="in four packets there is no msg:A and no ack:A")

NEVER_RETIRES = ServerConfig(retire_after_s=100 * 365 * 86_400.0)
"""For worlds in which years pass."""


def met(seed, *, faults=None, users=("alice", "bob"), server_config=None, **settings):
    """A server and one device per user; everybody is logged in and alice knows whom bob is."""
    world = World(seed, **({} if faults is None else {"faults": faults}), **settings)
    world.server(config=server_config)
    clients = [world.client(user) for user in users]
    world.online()
    clients[0].send(users[1], b"hello")
    world.settle()
    return world, *clients


def laptop_away(world, alice):
    """A second device of bob, which alice has heard of, and whose session is over."""
    laptop = world.client("bob", "laptop")
    world.online()
    alice.send("bob", b"both")
    world.settle()
    laptop.crash()
    world.run(40)
    return laptop


def bad(ratio, *, delay_s=0.02):
    """Everything that a network does, each to this share of the datagrams."""
    return Profile(
        loss_ratio=ratio,
        duplicate_ratio=ratio,
        reorder_ratio=ratio,
        delay_s=delay_s,
        jitter_s=delay_s / 2,
    )


def payloads(count, label="m"):
    return [f"{label}{n}".encode() for n in range(count)]


def got(world, client):
    """What the application of a client was given, in order."""
    return [one.payload for one in world.history.handovers if one.endpoint == client.endpoint]


def finish(world):
    """Heal everything, demand liveness, let the oracle judge, demand silence."""
    world.heal_and_settle()
    world.online()
    world.run(5)
    world.check()
    world.check_quiet()


class Carrying:
    """The ordinals of datagrams, for an intercept, that carry one seq of a stream's messages."""

    def __init__(self, world, seq):
        self.world, self.seq = world, seq

    def __contains__(self, number):
        return self.carried_by(self.world.network.trace[-1])

    def carried_by(self, crossing):
        sections = [getattr(packet, "section", None) for _, packet in crossing.content.packets]
        return any(s is not None and s.first <= self.seq <= s.last for s in sections)
