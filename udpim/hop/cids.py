"""Connection ids of both ends: which ones the peer may send to, and which ones we may.

Each end keeps a few spare ids of its own at the peer, so that whoever moves to another path can
use one there that nobody has seen on the old one. Between the connection, which looks ids up and
carries the frames, and :mod:`udpim.hop.path`, which decides when one is used.

Specification: PROTOCOL §3.10; RFC 9000 §5.1 and §9.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from udpim.hop.dedup import BEYOND_WINDOW, DUPLICATE, FrameDedup
from udpim.hop.sendqueue import OutgoingFrame, SendQueue
from udpim.hop.stats import HopStats
from udpim.wire.frames import encode_new_cid, encode_retire_cid
from udpim.wire.packet_number import expand

CIDS_MAX = 4
"""Ids of one end that are in use or spare: one for a path, one for a candidate, one for a spare
port, and one for the next path while the peer makes up for those that were used."""
RETIRING_MAX = 8
"""RETIRE_CIDs without an ack; beyond, ids are not changed (CVE-2024-22189 is a queue of them)."""
SEQUENCES_MAX = 64
"""How far ids may overtake each other; the peer has CIDS_MAX in the air."""

IssueCid = Callable[[], tuple[bytes, bytes] | None]
"""Gives (a new id that nobody has, its reset token); None if there is none now."""


class LocalIds:
    """The ids that the peer may send to: that of the handshake, and those of our NEW_CIDs."""

    __slots__ = ("_by_sequence", "_issue", "_next", "_offers", "_queue", "_unseen", "active")

    def __init__(self, first: bytes, issue: IssueCid, queue: SendQueue) -> None:
        """Begin with the id of the handshake.

        Args:
            first: That id.
            issue: Where further ones come from.
            queue: Where NEW_CIDs go.
        """
        self.active: tuple[bytes, ...] = (first,)
        """All of them; replaced by another tuple with every change."""
        self._issue = issue
        self._queue = queue
        self._by_sequence = {0: first}
        self._next = 1
        self._offers: dict[int, OutgoingFrame] = {}
        self._unseen: set[bytes] = set()

    def offer(self) -> None:
        """Give the peer as many ids as it may have."""
        while len(self.active) < CIDS_MAX:
            issued = self._issue()
            if issued is None:
                return
            cid, token = issued
            self._by_sequence[self._next] = cid
            wire = encode_new_cid(self._next, cid, token)
            self._offers[self._next] = self._queue.push_steering(wire)
            self._next += 1
            self._unseen.add(cid)
            self.active += (cid,)

    def is_first_use(self, cid: bytes) -> bool:
        """Whether an authentic packet is the first one to this id; it is seen then."""
        if cid not in self._unseen:
            return False
        self._unseen.remove(cid)
        return True

    def on_retired(self, sequence: int) -> str | None:
        """The peer gives an id back (low 32 bits of its number); returns what is wrong with it."""
        whole = expand(sequence, self._next)
        if whole >= self._next:
            return "a connection id given back that was never given out"
        cid = self._by_sequence.pop(whole, None)
        if cid is not None:
            self._unseen.discard(cid)
            # Else who gives ids back and acks nothing would fill the queue with them.
            if whole in self._offers:
                self._queue.forget(self._offers.pop(whole))
            self.active = tuple(self._by_sequence.values())
        return None


class RemoteId(NamedTuple):
    """One id of the peer's."""

    sequence: int
    cid: bytes
    reset_token: bytes | None


class RemoteIds:
    """The ids that we may send to: the one in use, and the spare ones."""

    __slots__ = ("_held", "_queue", "_retiring", "_seen", "_spare", "_stats", "current")

    def __init__(
        self, first: bytes, reset_token: bytes | None, queue: SendQueue, stats: HopStats
    ) -> None:
        """Begin with the id of the handshake.

        Args:
            first: That id.
            reset_token: What a RESET for it would show.
            queue: Where RETIRE_CIDs go.
            stats: Where changes of the id are counted.
        """
        self.current = RemoteId(0, first, reset_token)
        """The one of the current path."""
        self._spare: list[RemoteId] = []  # few: a deque takes more than they do
        self._held = 0  # taken for other paths
        self._seen = FrameDedup(1, SEQUENCES_MAX)
        self._retiring: list[OutgoingFrame] = []
        self._queue = queue
        self._stats = stats

    @property
    def spare(self) -> int:
        """How many ids are there to be taken."""
        return len(self._spare)

    def on_new(self, sequence: int, cid: bytes, token: bytes) -> str | None:
        """A NEW_CID came, perhaps not for the first time; returns what is wrong with it."""
        whole = self._seen.classify(sequence)
        if whole == DUPLICATE:
            return None
        if whole == BEYOND_WINDOW or 1 + self._held + len(self._spare) >= CIDS_MAX:
            return "more connection ids than are asked for"
        self._seen.mark(whole)
        self._spare.append(RemoteId(whole, cid, token or None))
        return None

    def take(self) -> RemoteId | None:
        """Take a spare id for another path; None if there is none, which is counted."""
        self._retiring = [frame for frame in self._retiring if self._queue.holds(frame)]
        if not self._spare or len(self._retiring) >= RETIRING_MAX:
            self._stats.cids_short += 1
            return None
        self._held += 1
        return self._spare.pop(0)

    def give_back(self, taken: RemoteId) -> None:
        """What was taken is not needed any more; it was shown to a path, so it is retired."""
        self._held -= 1
        self._retire(taken)

    def switch(self, taken: RemoteId) -> None:
        """From now on the connection uses what was taken; what it used before is retired."""
        self._held -= 1
        before, self.current = self.current, taken
        self._stats.cids_changed += 1
        self._retire(before)

    def _retire(self, used: RemoteId) -> None:
        self._retiring.append(self._queue.push_steering(encode_retire_cid(used.sequence)))
