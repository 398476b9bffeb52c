"""The server's connections, each with its login and session, by their ids and by their timers.

Between the server node, which decides, and the connections: a :class:`Link` is what the node knows
of one of them, :class:`Links` finds the one that a packet is for, :class:`LinkTimers` tells whose
deadline comes first (PROTOCOL §3.10 and §4.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from udpim.hop.bucket import TokenBucket
from udpim.hop.connection import Connection
from udpim.im.session import Session
from udpim.model import Endpoint

SPARE = 64
"""Outdated entries that the heap may hold beside one for each present one."""


class Proof(NamedTuple):
    """What a login was admitted by, or is to be.

    Attributes:
        endpoint: Who it is.
        token_sha256: Digest of the token.
        key: The public key whose owner the client is; None in plain text.
    """

    endpoint: Endpoint
    token_sha256: bytes
    key: bytes | None


class Link:
    """One connection at the server and, after the login, its session."""

    __slots__ = (
        "cids",
        "connection",
        "login_by",
        "login_taken",
        "proof",
        "session",
        "signal_rate",
        "timer_at",
    )

    def __init__(self, connection: Connection, login_by: float) -> None:
        """A connection that has to log in by ``login_by``."""
        self.connection = connection
        self.session: Session | None = None
        self.login_taken = False
        """A login is being checked, or has its answer: another one is not taken."""
        self.proof: Proof | None = None
        """Of the last login that was taken."""
        self.login_by: float | None = login_by
        self.signal_rate: TokenBucket | None = None
        """Made with the first signal: most sessions that are idle send none."""
        self.timer_at: float | None = None
        """The deadline that stands in the heap."""
        self.cids: tuple[bytes, ...] = ()
        """The ids by which it is found."""


class Links:
    """All connections, each by all of its ids."""

    def __init__(self) -> None:
        """Start without any."""
        self._by_cid: dict[bytes, Link] = {}
        self._all: dict[Link, None] = {}

    def add(self, link: Link) -> None:
        """A connection was opened."""
        self._all[link] = None
        self.follow(link)

    def follow(self, link: Link) -> None:
        """A connection has sent or taken something: look whether its ids are others now."""
        cids = link.connection.local_cids
        if cids is not link.cids:
            self._forget(link)
            self._by_cid.update(dict.fromkeys(cids, link))
            link.cids = cids

    def remove(self, link: Link) -> None:
        """A connection is closed."""
        self._forget(link)
        del self._all[link]

    def _forget(self, link: Link) -> None:
        for cid in link.cids:
            del self._by_cid[cid]
        link.cids = ()

    def get(self, cid: bytes) -> Link | None:
        """Return the connection with this id."""
        return self._by_cid.get(cid)

    def __contains__(self, cid: object) -> bool:
        """Tell whether a connection has this id."""
        return cid in self._by_cid

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._all)

    def __iter__(self) -> Iterator[Link]:
        """Go through the connections, in the order in which they were opened."""
        return iter(self._all)


class LinkTimers:
    """The deadlines of all links: a heap, in which an entry that no longer holds is skipped."""

    def __init__(self) -> None:
        """Start with nothing to wait for."""
        self._heap: list[tuple[float, int, Link]] = []
        self._counter = 0
        self._entries_max = SPARE

    def arm(self, link: Link) -> None:
        """Look at a link's deadlines anew; its connection must not be closed."""
        when, login_by = link.connection.next_timeout(), link.login_by
        if when is None or (login_by is not None and login_by < when):
            assert login_by is not None, "an open connection has a deadline"
            when = login_by
        if when == link.timer_at:
            return
        link.timer_at = when
        self._counter += 1
        heappush(self._heap, (when, self._counter, link))
        if len(self._heap) > self._entries_max:
            self._sweep()

    def _sweep(self) -> None:
        """Throw outdated entries away, so that the heap grows with the links, not with time."""
        present = {entry[2]: entry for entry in self._heap if entry[0] == entry[2].timer_at}
        self._heap = list(present.values())
        heapify(self._heap)
        self._entries_max = 2 * len(self._heap) + SPARE

    def disarm(self, link: Link) -> None:
        """The link is gone."""
        link.timer_at = None

    def due(self, now: float) -> list[Link]:
        """Return the links whose deadline has come; each must be armed again."""
        links = []
        while (when := self.next_timeout()) is not None and when <= now:
            link = heappop(self._heap)[2]
            link.timer_at = None
            links.append(link)
        return links

    def next_timeout(self) -> float | None:
        """Return the earliest deadline."""
        heap = self._heap
        while heap and heap[0][0] != heap[0][2].timer_at:
            heappop(heap)
        return heap[0][0] if heap else None

    def __len__(self) -> int:
        """Return how many entries there are, outdated ones included."""
        return len(self._heap)
