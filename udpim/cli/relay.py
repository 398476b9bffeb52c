"""A userspace UDP relay with faults: clients talk to it, it talks to the server.

Real sockets on asyncio, one upstream socket per client address. Every datagram's fate is decided
when it arrives, from a seeded generator with a fixed number of draws for each, and is counted
here: these counters are the truth about the network of ``udpim demo``, whatever the ends believe.
"""

from __future__ import annotations

import asyncio
import heapq
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from udpim.errors import ConfigError
from udpim.model import Address

CLIENTS_MAX = 256
"""Client addresses at once; datagrams of one more are counted as refused and go no further."""
WAITING_MAX = 65_536
"""Datagrams under way in both directions; one more is counted as overflowed and dropped."""
BURST_MAX = 64
"""Datagrams read in one wake-up, so that no socket starves the others."""
BUFFER_BYTES = 4 * 1024 * 1024
"""Kernel buffers (best effort): what the kernel drops would be missing from the counters."""
DATAGRAM_BYTES_MAX = 65_535
HOLD_BACK_S_MIN = 0.002
"""A datagram held back waits at least this much longer, so that later ones can overtake it."""

_Source = tuple[Any, ...]
"""An address as the socket module has it: two items, or four with IPv6."""
Watch = Callable[[bytes, bool], None]
"""Called with every datagram that arrives, and whether it goes up (to the server)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What one direction does to datagrams."""

    loss: float = 0.0
    """Probability that a datagram vanishes."""
    duplicate: float = 0.0
    """Probability that a datagram arrives twice."""
    reorder: float = 0.0
    """Probability that a datagram is held back until later ones have overtaken it."""
    delay_s: float = 0.0
    """Time under way."""
    jitter_s: float = 0.0
    """Largest addition to it; jitter alone changes no order."""

    def __post_init__(self) -> None:
        """Refuse what is no probability and no time.

        Raises:
            ConfigError: With one sentence.
        """
        for name in ("loss", "duplicate", "reorder"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 0 and less than 1")
        for name in ("delay_s", "jitter_s"):
            if not 0 <= getattr(self, name) <= 10:
                raise ConfigError(f"{name.removesuffix('_s')} must be between 0 and 10 s")


@dataclass(slots=True, kw_only=True)
class Counters:
    """What happened in one direction; received + duplicated = dropped + overflowed + sent."""

    received: int = 0
    """Datagrams that arrived at the relay."""
    dropped: int = 0
    """Of these, made to vanish."""
    duplicated: int = 0
    """Second copies made."""
    reordered: int = 0
    """Datagrams that left after one that had arrived later."""
    sent: int = 0
    """Datagrams that left, second copies included."""
    overflowed: int = 0
    """Not sent because a queue or the kernel's buffer was full."""


class Lane:
    """One direction: decides when copies of a datagram leave, if they do."""

    def __init__(self, faults: Faults, random: Random) -> None:
        """Keep the faults and the generator that this direction alone draws from."""
        self.faults = faults
        self.counters = Counters()
        self._random = random
        self._last_departure = 0.0
        self._newest_sent = 0

    def departures(self, now: float) -> list[float]:
        """Decide the fate of a datagram that arrives now: when its copies leave."""
        faults, draw = self.faults, self._random.random
        lost, doubled, held = draw(), draw(), draw()
        jitters = draw(), draw()
        self.counters.received += 1
        if lost < faults.loss:
            self.counters.dropped += 1
            return []
        whens = [now + faults.delay_s + faults.jitter_s * jitter for jitter in jitters]
        if doubled >= faults.duplicate:
            whens.pop()
        else:
            self.counters.duplicated += 1
        if held < faults.reorder:
            extra = max(faults.delay_s, faults.jitter_s, HOLD_BACK_S_MIN)
            return [when + extra for when in whens]
        whens[0] = self._last_departure = max(whens[0], self._last_departure)
        return whens

    def on_sent(self, serial: int, *, sent: bool) -> None:
        """Count a departure; serials rise in the order of arrival."""
        if not sent:
            self.counters.overflowed += 1
            return
        self.counters.sent += 1
        if serial < self._newest_sent:
            self.counters.reordered += 1
        self._newest_sent = max(serial, self._newest_sent)


class Relay:
    """Forwards between clients and one server; use as ``async with Relay(...) as relay``.

    Attributes:
        up: The lane from clients to the server.
        down: The lane back.
        refused: Datagrams of clients beyond `CLIENTS_MAX`.
    """

    def __init__(
        self, server: Address, *, up: Faults, down: Faults, seed: int, watch: Watch | None = None
    ) -> None:
        """Prepare; sockets are opened on entering the context."""
        self.up = Lane(up, Random(f"{seed} up"))
        self.down = Lane(down, Random(f"{seed} down"))
        self.refused = 0
        self._server = server
        self._family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self._watch = watch or _ignore
        self._links: dict[_Source, socket.socket] = {}
        self._heap: list[tuple[float, int, int, Lane, socket.socket, bytes, _Source]] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def address(self) -> Address:
        """Where clients send to."""
        host, port = self._front.getsockname()[:2]
        return host, port

    async def __aenter__(self) -> Relay:
        """Open the front socket on the server's loopback."""
        self._loop = asyncio.get_running_loop()
        self._front = self._open(lambda: self._read(self._front, self.up))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all sockets; what is still under way is gone."""
        if self._timer is not None:
            self._timer.cancel()
        for sock in (self._front, *self._links.values()):
            self._loop.remove_reader(sock)
            sock.close()
        self._heap.clear()

    def _open(self, on_readable: Callable[[], None]) -> socket.socket:
        sock = socket.socket(self._family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        sock.bind(("::1" if self._family == socket.AF_INET6 else "127.0.0.1", 0))
        self._loop.add_reader(sock, on_readable)
        return sock

    def _link(self, client: _Source) -> socket.socket | None:
        """The upstream socket of a client, made when it is first heard of."""
        found = self._links.get(client)
        if found is None and len(self._links) < CLIENTS_MAX:
            found = self._links[client] = self._open(lambda: self._read_link(client))
        return found

    def _read_link(self, client: _Source) -> None:
        self._read(self._links[client], self.down, client)

    def _read(self, sock: socket.socket, lane: Lane, client: _Source | None = None) -> None:
        """Take one burst from a socket and put what survives on its way."""
        now = self._loop.time()
        for _ in range(BURST_MAX):
            try:
                data, source = sock.recvfrom(DATAGRAM_BYTES_MAX)
            except OSError:  # drained, or an ICMP error that concerns an earlier datagram
                break
            if client is not None:
                self._put(lane, data, (self._front, client), now)
            elif (upstream := self._link(source)) is not None:
                self._put(lane, data, (upstream, self._server), now)
            else:
                self.refused += 1
        self._flush()

    def _put(self, lane: Lane, data: bytes, to: tuple[socket.socket, _Source], now: float) -> None:
        self._watch(data, lane is self.up)
        self._serial += 1
        for copy, when in enumerate(lane.departures(now)):
            if len(self._heap) >= WAITING_MAX:
                lane.on_sent(self._serial, sent=False)
            else:
                heapq.heappush(self._heap, (when, self._serial, copy, lane, to[0], data, to[1]))

    def _flush(self) -> None:
        """Send what is due, then sleep until the next departure."""
        now = self._loop.time()
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, serial, _, lane, sock, data, target = heapq.heappop(heap)
            try:
                sock.sendto(data, target)
            except OSError:
                lane.on_sent(serial, sent=False)
            else:
                lane.on_sent(serial, sent=True)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(heap[0][0], self._flush) if heap else None


def _ignore(data: bytes, up: bool) -> None:
    """Watch nothing."""
