"""Whole exchanges beside messages in flight, and beside sessions: equal steps at every level.

A round moves a burst of messages of one conversation from A over S to B in a first step and brings
as many receipts back in a second one, whatever the level is. Nodes rest in between, so the levels
do not differ in what shares a datagram.
"""

from __future__ import annotations

from collections import deque

from udpim_bench.flat_meter import Meter
from udpim_bench.flat_world import Client, World
from udpim_bench.measure import WrongCounts

BURST = 10
"""Messages a round beside sessions."""
USERS = 20
"""Senders, and recipients; conversations are spread over them, so that no session holds more than
its credit."""


def _check_quiet(world: World, resent: int) -> None:
    world.check()
    if world.resent() != resent:
        raise WrongCounts("the end-to-end timer spoke: messages were in flight too long")


class InFlight:
    """``in_flight`` messages that B's application has not finished with, first in, first out.

    They are unsettled in A's outbox, unreceipted in the server's memory and held in B's inbox.
    """

    def __init__(self, in_flight: int, burst: int, rounds: int, conversations: int = 200) -> None:
        """Log everybody in and let so many messages pile up; a round moves ``burst`` of them."""
        self._burst = burst
        self._rounds = rounds
        self._world = world = World()
        senders = [world.log_in(f"a{i}") for i in range(USERS)]
        recipients = [world.log_in(f"b{i}") for i in range(USERS)]
        # Neighbours in this order share neither sender nor recipient.
        self._pairs = [
            (senders[turn % USERS], recipients[(turn + turn // USERS) % USERS])
            for turn in range(conversations)
        ]
        self._turn = 0
        self._holders: deque[Client] = deque()
        # Everybody learns whom a handle stands for, and the windows open.
        for _ in range(2 * conversations):
            self._round()
        self._resent = world.resent()
        while self.in_flight < in_flight - burst:
            self._send()
        for _ in range(conversations):
            self._round()
        self.check()

    @property
    def in_flight(self) -> int:
        """Messages sent and not receipted."""
        return self._world.sent - self._world.receipted

    def _send(self) -> None:
        sender, recipient = self._pairs[self._turn % len(self._pairs)]
        self._turn += 1
        self._world.send(sender, recipient.address[0], self._burst)
        self._world.step()
        self._holders.append(recipient)

    def _round(self) -> None:
        self._send()
        self._world.handle(self._holders.popleft(), self._burst)
        self._world.step()

    def run(self, meter: Meter) -> None:
        """See `FlatCase.run`."""
        with meter.section("message", self._rounds * self._burst):
            for _ in range(self._rounds):
                self._round()

    def check(self) -> None:
        """See `FlatCase.check`."""
        _check_quiet(self._world, self._resent)

    def counts(self) -> dict[str, int]:
        """See `FlatCase.counts`."""
        return {
            "in_flight": self.in_flight + self._burst,
            "datagrams": self._world.datagrams,
            "sent": self._world.sent,
            "receipted": self._world.receipted,
        }

    def close(self) -> None:
        """See `FlatCase.close`."""


class Sessions:
    """``sessions`` logged in at one server.

    * one pair: session 0 writes to session 1, all others are idle;
    * in turn: every session writes to one more, one after the other, so that one will do;
    * keepalive: they say their PING in turn, as idle clients do; a unit is one PING.
    """

    def __init__(self, sessions: int, rounds: int) -> None:
        """Log so many in; each has exchanged messages before."""
        self._rounds = rounds
        self._world = world = World()
        self._clients = [world.log_in(f"u{i}") for i in range(sessions)]
        self._turn = 0
        self._other = world.log_in("other")
        for client in self._clients * 2:
            self._exchange(client, self._other)
        if sessions > 1:
            self._exchange(self._clients[0], self._clients[1])
            self._exchange(self._clients[0], self._clients[1])
        self._resent = world.resent()
        self.check()

    def _exchange(self, sender: Client, recipient: Client) -> None:
        world = self._world
        world.send(sender, recipient.address[0], BURST)
        world.step()
        world.handle(recipient, BURST)
        world.step()

    def _next(self) -> Client:
        self._turn += 1
        return self._clients[self._turn % len(self._clients)]

    def run(self, meter: Meter) -> None:
        """See `FlatCase.run`."""
        world, units = self._world, self._rounds * BURST
        if len(self._clients) > 1:
            first, second, *_ = self._clients
            with meter.section("one pair", units):
                for _ in range(self._rounds):
                    self._exchange(first, second)
        with meter.section("in turn", units):
            for _ in range(self._rounds):
                self._exchange(self._next(), self._other)
        with meter.section("keepalive", self._rounds):
            for _ in range(self._rounds):
                world.ping(self._next())
                world.step()

    def check(self) -> None:
        """See `FlatCase.check`."""
        _check_quiet(self._world, self._resent)

    def counts(self) -> dict[str, int]:
        """See `FlatCase.counts`."""
        return {
            "sessions": len(self._clients),
            "datagrams": self._world.datagrams,
            "sent": self._world.sent,
            "receipted": self._world.receipted,
        }

    def close(self) -> None:
        """See `FlatCase.close`."""
