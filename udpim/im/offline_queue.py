"""The server's index of the offline queue: which seqs wait for whom (PROTOCOL §5.5, R8).

Rows are in the store; here are only ranges, so a backlog of 10^5 messages is a few ints. A row is
deleted by B's verdict for its msgid and by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from udpim.config import WINDOW
from udpim.im.records import QueueIndex
from udpim.model import Endpoint, StreamId
from udpim.ranges import Range, RangeSet


class QueuedStream:
    """The rows of one stream for one endpoint."""

    __slots__ = ("base", "floor", "inserting", "messages", "reading", "voids")

    def __init__(self) -> None:
        """Start empty."""
        self.messages = RangeSet()
        """Durable message rows."""
        self.voids = RangeSet()
        """Durable void items."""
        self.inserting = RangeSet()
        """Rows whose transaction is on its way."""
        self.reading = RangeSet()
        """Rows that a pull of the present session has taken."""
        self.floor = 1
        self.base = 1

    def raise_head(self, floor: int, base: int) -> None:
        """Keep the highest floor and base that a head brought."""
        self.floor = max(self.floor, floor)
        self.base = max(self.base, base)

    def missing(self, first: int, last: int) -> list[Range]:
        """Return the parts of first..last that have no row and are not getting one."""
        parts = self.messages.missing(first, last)
        for rows in (self.voids, self.inserting):
            parts = [part for a, b in parts for part in rows.missing(a, b)]
        return parts

    def remove(self, first: int, last: int) -> None:
        """B gave its verdict for first..last."""
        for rows in (self.messages, self.voids, self.reading):
            rows.remove(first, last)

    def empty(self) -> bool:
        """Tell whether pushes may go on."""
        return not (len(self.messages) or len(self.voids) or len(self.inserting))


class OfflineQueue:
    """All queues, by endpoint and stream."""

    def __init__(self, index: Sequence[QueueIndex]) -> None:
        """Restore the index from a snapshot."""
        self._queues: dict[Endpoint, dict[StreamId, QueuedStream]] = {}
        self._counts: dict[Endpoint, int] = {}
        for entry in index:
            queued = self.stream(entry.endpoint, entry.stream)
            queued.messages.update(entry.messages)
            queued.voids.update(entry.voids)
            count = queued.messages.count() + queued.voids.count()
            self.counted(entry.endpoint, count)

    def stream(self, endpoint: Endpoint, stream: StreamId) -> QueuedStream:
        """Return the queue of one stream, created when it is not there."""
        queues = self._queues.setdefault(endpoint, {})
        queued = queues.get(stream)
        if queued is None:
            queued = queues[stream] = QueuedStream()
        return queued

    def find(self, endpoint: Endpoint, stream: StreamId) -> QueuedStream | None:
        """Return the queue of one stream if it holds anything."""
        queues = self._queues.get(endpoint)
        if queues is None:
            return None
        queued = queues.get(stream)
        if queued is None or not queued.empty():
            return queued
        del queues[stream]
        return None

    def counted(self, endpoint: Endpoint, delta: int) -> None:
        """Rows came or went."""
        self._counts[endpoint] = self._counts.get(endpoint, 0) + delta

    def count(self, endpoint: Endpoint) -> int:
        """Return how many rows wait for this endpoint."""
        return self._counts.get(endpoint, 0)

    def total(self) -> int:
        """Return how many rows wait in all queues."""
        return sum(self._counts.values())

    def session_ended(self, endpoint: Endpoint) -> None:
        """What a pull had taken may be taken again."""
        for queued in self._queues.get(endpoint, {}).values():
            queued.reading.clear()

    def next_rows(self, endpoint: Endpoint) -> Iterator[tuple[StreamId, RangeSet]]:
        """Yield what the next pull may take: at most W lowest rows a stream, none twice."""
        for stream, queued in self._queues.get(endpoint, {}).items():
            rows = RangeSet((*queued.messages, *queued.voids))
            if not len(rows):
                continue
            top = rows.first + WINDOW - 1
            wanted = [part for a, b in rows.within(1, top) for part in queued.reading.missing(a, b)]
            if wanted:
                yield stream, RangeSet(wanted)

    def has_unread(self, endpoint: Endpoint) -> bool:
        """Tell whether rows wait that no pull of the present session has taken.

        `next_rows` may yield none of them: those beyond a stream's window wait for verdicts.
        """
        return any(
            queued.reading.missing(first, last)
            for queued in self._queues.get(endpoint, {}).values()
            for first, last in (*queued.messages, *queued.voids)
        )
