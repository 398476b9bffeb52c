"""The server's index of the offline queue: which seqs wait for whom (PROTOCOL §5.5, R8).

Rows are in the store; here are only ranges, so a backlog of 10^5 messages is a few ints (and
another for each large one: their bytes are limited, and counted one by one). A row is deleted by
B's verdict for its msgid and by nothing else. No operation costs more where more waits; only a pull
looks at as many streams as it needs rows, and the search for what is too old at all of them.

How old a message is, is known to a grain, a fraction of how long it may wait: so a stream has few
of them, whatever comes and goes.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence

from udpim.config import QUEUE_ENTRY_BYTES, QUEUE_TTL_S, WINDOW
from udpim.im.records import QueueIndex
from udpim.model import Endpoint, StreamId
from udpim.ranges import Range, RangeSet, intersect, without

GRAINS = 32
"""Into so many the time is divided that a message may wait."""


class QueuedStream:
    """The rows of one stream for one endpoint."""

    __slots__ = (
        "ages",
        "answered",
        "base",
        "floor",
        "inserting",
        "large",
        "messages",
        "reading",
        "voids",
    )

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
        self.large: dict[int, int] = {}
        """Seq → bytes beyond `QUEUE_ENTRY_BYTES` of a message row's payload."""
        self.ages: list[tuple[int, RangeSet]] = []
        """A grain of the server's age, and the message rows that came then; the oldest first."""
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

    def present(self, ranges: Iterable[Range]) -> list[Range]:
        """Return the parts of ``ranges`` that have a row."""
        return [
            part
            for a, b in ranges
            for rows in (self.messages, self.voids)
            for part in rows.within(a, b)
        ]

    def next_rows(self) -> RangeSet:
        """Return, of the W lowest rows, those that no pull has taken."""
        kinds = [rows for rows in (self.messages, self.voids) if len(rows)]
        if not kinds:
            return RangeSet()
        low = min(rows.first for rows in kinds)
        lowest = [part for rows in kinds for part in rows.within(low, low + WINDOW - 1)]
        return RangeSet(without(lowest, self.reading))

    def came(self, ranges: Sequence[Range], grain: int) -> None:
        """These are message rows since this grain."""
        if not ranges:
            return
        if not self.ages or self.ages[-1][0] != grain:
            self.ages.append((grain, RangeSet()))
        self.ages[-1][1].update(ranges)

    def went(self, ranges: Sequence[Range]) -> None:
        """These are no message rows any more."""
        for _, rows in self.ages:
            rows.subtract(ranges)
        self.ages = [entry for entry in self.ages if len(entry[1])]

    def older_than(self, grain: int) -> list[Range]:
        """Return the message rows from before this grain that nothing is being done about."""
        old = [part for came, rows in self.ages if came < grain for part in rows]
        return without(RangeSet(old), self.inserting)

    def take_large(self, ranges: Sequence[Range]) -> int:
        """Forget the sizes of what no longer is a message row; return their sum."""
        large, gone = self.large, 0
        for first, last in ranges:
            seqs: Iterable[int] = range(first, last + 1)
            if last - first >= len(large):
                seqs = [seq for seq in large if first <= seq <= last]
            gone += sum([large.pop(seq, 0) for seq in seqs])
        return gone

    def empty(self) -> bool:
        """Tell whether pushes may go on."""
        return not (len(self.messages) or len(self.voids) or len(self.inserting))


class OfflineQueue:
    """All queues, by endpoint and stream."""

    def __init__(self, index: Sequence[QueueIndex], *, ttl_s: int = QUEUE_TTL_S) -> None:
        """Restore the index from a snapshot. A message may wait for ``ttl_s``."""
        self.age_s = 0
        """How long the server has been running, ever, seconds; set by the node."""
        self._ttl_s = ttl_s
        self._grain_s = max(1, ttl_s // GRAINS)
        # In the order in which the streams' turns come. An OrderedDict, since finding the first
        # key of a dict that loses its first keys gets slower with every key lost.
        self._queues: dict[Endpoint, OrderedDict[StreamId, QueuedStream]] = {}
        self._holders: Counter[StreamId] = Counter()
        """How many endpoints have a queue of a stream."""
        self._counts: dict[Endpoint, int] = {}
        self._taken: dict[Endpoint, dict[StreamId, QueuedStream]] = {}
        """Streams of which the present session's pulls have taken something."""
        self._large_bytes: dict[Endpoint, int] = {}
        for entry in index:
            queued = self.stream(entry.endpoint, entry.stream)
            queued.messages.update(entry.messages)
            queued.voids.update(entry.voids)
            count = queued.messages.count() + queued.voids.count()
            self._counted(entry.endpoint, count)
            self._grown(entry.endpoint, queued, entry.large)
            for age_s, first, last in entry.ages:
                queued.came([(first, last)], age_s // self._grain_s)

    def stream(self, endpoint: Endpoint, stream: StreamId) -> QueuedStream:
        """Return the queue of one stream, created when it is not there."""
        queues = self._queues.setdefault(endpoint, OrderedDict())
        queued = queues.get(stream)
        if queued is None:
            queued = queues[stream] = QueuedStream()
            self._holders[stream] += 1
        return queued

    def find(self, endpoint: Endpoint, stream: StreamId) -> QueuedStream | None:
        """Return the queue of one stream if it holds anything."""
        queues = self._queues.get(endpoint)
        if queues is None:
            return None
        queued = queues.get(stream)
        if queued is None or not queued.empty():
            return queued
        self._forget(endpoint, stream)
        return None

    def streams(self, endpoint: Endpoint) -> list[StreamId]:
        """Return the streams that wait for an endpoint."""
        return list(self._queues.get(endpoint, ()))

    def holds(self, stream: StreamId) -> bool:
        """Tell whether something of a stream waits for anybody."""
        return stream in self._holders

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints that something waits for."""
        return list(self._queues)

    def _forget(self, endpoint: Endpoint, stream: StreamId) -> None:
        del self._queues[endpoint][stream]
        self._holders[stream] -= 1
        if not self._holders[stream]:
            del self._holders[stream]
        self._taken.get(endpoint, {}).pop(stream, None)

    # --- Rows come and go ---

    def inserted(
        self,
        endpoint: Endpoint,
        stream: StreamId,
        ranges: Sequence[Range],
        sizes: Iterable[tuple[int, int]],
    ) -> None:
        """Messages became durable. ``sizes`` are their (seq, payload bytes)."""
        queued = self.stream(endpoint, stream)
        new = without(ranges, queued.messages)
        self._counted(endpoint, _size(new))
        queued.came(new, self.age_s // self._grain_s)
        queued.messages.update(ranges)
        self._grown(endpoint, queued, sizes)

    def voided(self, endpoint: Endpoint, stream: StreamId, ranges: Sequence[Range]) -> None:
        """Void items became durable, some of them in place of messages."""
        queued = self.stream(endpoint, stream)
        turned = _size(intersect(ranges, queued.messages))
        self._counted(endpoint, _size(without(ranges, queued.voids)) - turned)
        self._shrunk(endpoint, queued, ranges)
        queued.messages.subtract(ranges)
        queued.voids.update(ranges)
        queued.reading.subtract(ranges)

    def remove(self, endpoint: Endpoint, stream: StreamId, rows: Sequence[Range]) -> None:
        """B gave its verdict for these, all of which are `QueuedStream.present`."""
        queued = self.stream(endpoint, stream)
        self._counted(endpoint, -_size(rows))
        self._shrunk(endpoint, queued, rows)
        for kind in (queued.messages, queued.voids, queued.reading):
            kind.subtract(rows)
        if queued.empty():
            self._forget(endpoint, stream)  # or every later pull would look at it

    def _counted(self, endpoint: Endpoint, delta: int) -> None:
        self._counts[endpoint] = self._counts.get(endpoint, 0) + delta

    def _grown(
        self, endpoint: Endpoint, queued: QueuedStream, sizes: Iterable[tuple[int, int]]
    ) -> None:
        """Of the message rows that came, only the sizes of the large ones are remembered."""
        large = {seq: size - QUEUE_ENTRY_BYTES for seq, size in sizes if size > QUEUE_ENTRY_BYTES}
        if large:
            queued.large.update(large)
            known = self._large_bytes.get(endpoint, 0)
            self._large_bytes[endpoint] = known + sum(large.values())

    def _shrunk(self, endpoint: Endpoint, queued: QueuedStream, ranges: Sequence[Range]) -> None:
        """These are no message rows any more."""
        queued.went(ranges)
        if queued.large:
            self._large_bytes[endpoint] -= queued.take_large(ranges)

    def bytes(self, endpoint: Endpoint) -> int:
        """Return how large its queue is, `QUEUE_ENTRY_BYTES` for each small row."""
        return self.count(endpoint) * QUEUE_ENTRY_BYTES + self._large_bytes.get(endpoint, 0)

    def count(self, endpoint: Endpoint) -> int:
        """Return how many rows wait for this endpoint."""
        return self._counts.get(endpoint, 0)

    def messages_in(
        self, endpoint: Endpoint, stream: StreamId, ranges: Sequence[Range]
    ) -> list[Range]:
        """Return the parts of ``ranges`` that are message rows for this endpoint."""
        queued = self.find(endpoint, stream)
        return [] if queued is None else intersect(ranges, queued.messages)

    def expired(self) -> Iterator[tuple[Endpoint, StreamId, list[Range]]]:
        """Yield the message rows that have waited for too long (R8)."""
        over = (self.age_s - self._ttl_s) // self._grain_s
        for endpoint, queues in self._queues.items():
            for stream, queued in queues.items():
                if queued.ages and (rows := queued.older_than(over)):
                    yield endpoint, stream, rows

    def unread(self, endpoint: Endpoint) -> bool:
        """Tell whether it has rows that no pull of the present session has taken."""
        return any(
            queued.messages.count() + queued.voids.count() > queued.reading.count()
            for queued in self._queues.get(endpoint, {}).values()
        )

    def total(self) -> int:
        """Return how many rows wait in all queues."""
        return sum(self._counts.values())

    # --- Pulls ---

    def taken(self, endpoint: Endpoint, stream: StreamId, seqs: Iterable[int]) -> None:
        """A pull has these rows in its answer: no other one takes them in this session."""
        queued = self.stream(endpoint, stream)
        queued.reading.update((seq, seq) for seq in seqs)
        self._taken.setdefault(endpoint, {})[stream] = queued

    def session_ended(self, endpoint: Endpoint) -> None:
        """What a pull had taken may be taken again."""
        for queued in self._taken.pop(endpoint, {}).values():
            queued.reading.clear()

    def next_rows(self, endpoint: Endpoint) -> Iterator[tuple[StreamId, RangeSet]]:
        """Yield what the next pull may take: at most W lowest rows a stream, none twice.

        The caller takes from the iterator no more than it needs, and then says whose `turn_over`.
        """
        for stream, queued in self._queues.get(endpoint, {}).items():
            rows = queued.next_rows()
            if len(rows):
                yield stream, rows

    def turn_over(self, endpoint: Endpoint, streams: Iterable[StreamId]) -> None:
        """A pull has taken from these: in the next one, others come first."""
        for stream in streams:
            self._queues[endpoint].move_to_end(stream)


def _size(ranges: Iterable[Range]) -> int:
    return sum(last - first + 1 for first, last in ranges)
