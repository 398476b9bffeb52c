"""Putting items into the offline queue, and what may be said afterwards (R8).

STORED is said after the commit and only by a durable store (I7); then any live session of the
endpoint is nudged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from udpim.config import Limits
from udpim.im.held import HeldBytes
from udpim.im.ledger import Ledger
from udpim.im.offline_queue import OfflineQueue
from udpim.im.records import DeleteQueue, PutQueue, QueueRow
from udpim.model import Endpoint, StreamId
from udpim.ranges import Range, RangeSet, intersect, without
from udpim.wire.im_codec import SECTION_ENTRY_BYTES, section_messages
from udpim.wire.im_packets import Section

Stored = Callable[[Endpoint, StreamId, list[Range]], None]
"""Told after a commit: these messages are in the queue (no ranges: void items only)."""


class QueueWriter:
    """Inserts and deletes queue rows."""

    def __init__(
        self,
        queue: OfflineQueue,
        ledger: Ledger,
        stored: Stored,
        limits: Limits,
        held: HeldBytes,
    ) -> None:
        """Write through ``ledger``; tell ``stored`` what became durable, ``held`` the rest."""
        self._limits = limits
        self._queue = queue
        self._ledger = ledger
        self._stored = stored
        self._held = held
        self._answered: dict[tuple[Endpoint, StreamId], RangeSet] = {}
        """Rows on their way that B has given a verdict for: they go when they come."""

    def is_full(self, endpoint: Endpoint) -> bool:
        """Tell whether an endpoint's queue takes no more messages."""
        limits, queue = self._limits, self._queue
        return (
            queue.count(endpoint) >= limits.queue_messages_max
            or queue.bytes(endpoint) >= limits.queue_bytes_max
        )

    def store(
        self,
        endpoint: Endpoint,
        stream: StreamId,
        head: tuple[int, int],
        section: Section,
        ranges: Sequence[Range],
    ) -> None:
        """Insert the messages ``ranges`` of a section. ``head`` is (floor, base)."""
        queued = self._queue.stream(endpoint, stream)
        queued.raise_head(*head)
        stamps, payloads = section_messages(section)
        first, age_s = section.first, self._queue.age_s
        wanted = [part for a, b in ranges for part in queued.missing(a, b)]
        rows = tuple(
            QueueRow(seq, False, stamps[seq - first], payloads[seq - first], age_s)
            for a, b in wanted
            for seq in range(a, b + 1)
        )
        if rows:
            self._put(endpoint, stream, rows, wanted, void=False)

    def store_voids(
        self,
        endpoint: Endpoint,
        stream: StreamId,
        head: tuple[int, int],
        ranges: Sequence[Range],
    ) -> bool:
        """Insert void items, or turn message rows into them (R4).

        Returns:
            False when there was no room for all; a turned row needs none.
        """
        queued = self._queue.stream(endpoint, stream)
        queued.raise_head(*head)
        fitting = RangeSet(intersect(without(ranges, queued.voids), queued.messages))
        fitting.update(intersect(ranges, queued.inserting))
        room = max(0, self._limits.queue_messages_max - self._queue.count(endpoint))
        fits = True
        for low, high in [part for a, b in ranges for part in queued.missing(a, b)]:
            last = min(high, low + room - 1)
            fits = fits and last == high
            if last >= low:
                fitting.add(low, last)
                room -= last - low + 1
        rows = tuple(QueueRow(seq, True, 0, b"") for a, b in fitting for seq in range(a, b + 1))
        if rows:
            self._put(endpoint, stream, rows, list(fitting), void=True)
        return fits

    def expire(self, rows_max: int) -> int:
        """Turn up to so many messages that have waited for too long into void items (R8).

        Returns:
            How many it were.
        """
        room = rows_max
        for endpoint, stream, old in self._queue.expired():
            part: list[Range] = []
            for first, last in old[:room]:
                end = min(last, first + room - 1)
                if first <= end:
                    part.append((first, end))
                    room -= end - first + 1
            queued = self._queue.stream(endpoint, stream)
            self.store_voids(endpoint, stream, (queued.floor, queued.base), part)
            if not room:
                break
        return rows_max - room

    def _put(
        self,
        endpoint: Endpoint,
        stream: StreamId,
        rows: tuple[QueueRow, ...],
        ranges: list[Range],
        *,
        void: bool,
    ) -> None:
        queued = self._queue.stream(endpoint, stream)
        queued.inserting.update(ranges)
        op = PutQueue(endpoint, stream, queued.floor, queued.base, rows)
        sizes = [(row.seq, len(row.payload)) for row in rows]
        self._held.add(stream, _held_bytes(sizes))
        self._ledger.put(op, partial(self._inserted, (endpoint, stream, ranges), sizes, void))

    def _inserted(
        self,
        what: tuple[Endpoint, StreamId, list[Range]],
        sizes: list[tuple[int, int]],
        void: bool,
        ok: bool,
    ) -> None:
        endpoint, stream, ranges = what
        self._held.add(stream, -_held_bytes(sizes))
        queued = self._queue.stream(endpoint, stream)
        queued.inserting.subtract(ranges)
        early = self._answered.pop((endpoint, stream), RangeSet())
        answered = RangeSet(intersect(ranges, early))
        early.subtract(answered)
        if len(early):
            self._answered[endpoint, stream] = early
        if not ok:
            return
        if void:
            self._queue.voided(endpoint, stream, ranges)
        else:
            self._queue.inserted(endpoint, stream, ranges, sizes)
        self._delete_below(endpoint, stream, queued.floor)
        self.delete(endpoint, stream, list(answered))
        self._stored(endpoint, stream, [] if void else without(ranges, answered))

    def floor_passed(self, endpoint: Endpoint, stream: StreamId, floor: int) -> None:
        """The sender has the verdicts for what is below its floor, and B says no more of it.

        So it goes now, or after its commit if that is still under way.
        """
        queued = self._queue.find(endpoint, stream)
        if queued is not None:
            queued.raise_head(floor, floor)
            self._delete_below(endpoint, stream, floor)

    def _delete_below(self, endpoint: Endpoint, stream: StreamId, floor: int) -> None:
        if floor > 1:
            self.delete(endpoint, stream, ((1, floor - 1),))

    def delete(self, endpoint: Endpoint, stream: StreamId, ranges: Sequence[Range]) -> None:
        """Delete the rows that B gave a verdict for; those on their way go after their commit."""
        queued = self._queue.find(endpoint, stream)
        if queued is None:
            return
        if early := intersect(ranges, queued.inserting):
            self._answered.setdefault((endpoint, stream), RangeSet()).update(early)
        present = queued.present(ranges)
        if present:
            self._queue.remove(endpoint, stream, present)
            self._ledger.put(DeleteQueue(endpoint, stream, tuple(present)))


def _held_bytes(sizes: Sequence[tuple[int, int]]) -> int:
    """Count rows as they travelled, so that empty ones are bounded, too."""
    return sum(SECTION_ENTRY_BYTES + size for _, size in sizes)
