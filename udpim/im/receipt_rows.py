"""Receipts that wait at the server for senders who were away (R3).

One row per (stream, endpoint). It is the answer to status:R and to re-sent msg:R, and it dies when
the sender's floor passes it, or when the endpoint comes back as a newer incarnation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from udpim.im.ledger import Continuation, Ledger
from udpim.im.records import DropReceipt, PutReceipt, ReceiptRecord
from udpim.model import Endpoint, StreamId
from udpim.ranges import Range, RangeSet


class ReceiptRow:
    """Verdicts of one endpoint for one stream."""

    __slots__ = ("delivered", "incarnation", "read", "void")

    def __init__(self, incarnation: int) -> None:
        """Start empty for one incarnation."""
        self.incarnation = incarnation
        self.delivered = RangeSet()
        self.void = RangeSet()
        self.read = 0
        """Watermark that the sender has not heard of; 0 for none."""

    @property
    def empty(self) -> bool:
        """Whether the sender knows all of it."""
        return not (len(self.delivered) or len(self.void) or self.read)

    def missing(self, first: int, last: int) -> list[Range]:
        """Return the parts of first..last without a verdict."""
        parts = self.delivered.missing(first, last)
        return [part for a, b in parts for part in self.void.missing(a, b)]


class ReceiptRows:
    """All receipt rows."""

    def __init__(self, records: Sequence[ReceiptRecord], ledger: Ledger) -> None:
        """Restore from a snapshot."""
        self._ledger = ledger
        self._rows: dict[Endpoint, dict[StreamId, ReceiptRow]] = {}
        """By the endpoint whose verdicts they are: a login asks for all of one endpoint's."""
        self._senders: dict[Endpoint, dict[tuple[StreamId, Endpoint], None]] = {}
        """The same rows by the device that they wait for."""
        for record in records:
            row = self._new(record.stream, record.endpoint, record.incarnation)
            row.delivered.update(record.delivered)
            row.void.update(record.void)
            row.read = record.read

    def _new(self, stream: StreamId, endpoint: Endpoint, incarnation: int) -> ReceiptRow:
        row = ReceiptRow(incarnation)
        self._rows.setdefault(endpoint, {})[stream] = row
        sender = Endpoint(stream.user, stream.device)
        self._senders.setdefault(sender, {})[stream, endpoint] = None
        return row

    def find(self, stream: StreamId, endpoint: Endpoint) -> ReceiptRow | None:
        """Return the row of one endpoint for one stream."""
        rows = self._rows.get(endpoint)
        return None if rows is None else rows.get(stream)

    def _own(self, stream: StreamId, endpoint: Endpoint, incarnation: int) -> ReceiptRow:
        """Return the row of one incarnation; verdicts of another one make way."""
        row = self.find(stream, endpoint)
        if row is None or row.incarnation != incarnation:
            row = self._new(stream, endpoint, incarnation)
        return row

    def keep(
        self,
        stream: StreamId,
        endpoint: Endpoint,
        incarnation: int,
        delivered: Sequence[Range],
        void: Sequence[Range],
        *,
        after: Continuation,
    ) -> None:
        """Add verdicts to a row, durably."""
        row = self._own(stream, endpoint, incarnation)
        row.delivered.update(delivered)
        row.void.update(void)
        self._ledger.put(self._put(stream, endpoint, row), after)

    def keep_read(
        self,
        stream: StreamId,
        endpoint: Endpoint,
        incarnation: int,
        read: int,
        *,
        after: Continuation,
    ) -> None:
        """Add a read watermark to a row, durably."""
        row = self._own(stream, endpoint, incarnation)
        row.read = max(row.read, read)
        self._ledger.put(self._put(stream, endpoint, row), after)

    def read_told(self, stream: StreamId, endpoint: Endpoint, read: int) -> None:
        """The sender has heard of this watermark."""
        row = self.find(stream, endpoint)
        if row is not None and 0 < row.read <= read:
            row.read = 0
            self._drop_or_put(stream, endpoint, row)

    def reads_for(self, sender: Endpoint) -> list[tuple[StreamId, Endpoint, ReceiptRow]]:
        """Return the rows with a watermark that waits for this device."""
        rows = [
            (stream, endpoint, self._rows[endpoint][stream])
            for stream, endpoint in self._senders.get(sender, ())
        ]
        return [(stream, endpoint, row) for stream, endpoint, row in rows if row.read]

    def _put(self, stream: StreamId, endpoint: Endpoint, row: ReceiptRow) -> PutReceipt:
        delivered, void = tuple(row.delivered), tuple(row.void)
        return PutReceipt(
            ReceiptRecord(stream, endpoint, row.incarnation, delivered, void, row.read)
        )

    def _drop_or_put(self, stream: StreamId, endpoint: Endpoint, row: ReceiptRow) -> None:
        if row.empty:
            self._drop(stream, endpoint)
        else:
            self._ledger.put(self._put(stream, endpoint, row))

    def floor_passed(self, stream: StreamId, endpoint: Endpoint, floor: int) -> None:
        """The sender knows what is below its floor."""
        row = self.find(stream, endpoint)
        if row is None:
            return
        row.delivered.remove(1, floor - 1)
        row.void.remove(1, floor - 1)
        if row.empty:
            self._drop(stream, endpoint)

    def forget(self, endpoint: Endpoint) -> None:
        """The endpoint is a newer incarnation, or has left: its verdicts say nothing (R5, R7)."""
        for stream in list(self._rows.get(endpoint, ())):
            self._drop(stream, endpoint)

    def forget_conversation(self, endpoint: Endpoint, conversation: str) -> None:
        """The endpoint has left this conversation."""
        for stream in list(self._rows.get(endpoint, ())):
            if stream.conversation == conversation:
                self._drop(stream, endpoint)

    def sender_left(self, sender: Endpoint, ended: Callable[[StreamId], bool]) -> None:
        """Nobody asks any more about this device's streams that have ended."""
        for stream, endpoint in list(self._senders.get(sender, ())):
            if ended(stream):
                self._drop(stream, endpoint)

    def _drop(self, stream: StreamId, endpoint: Endpoint) -> None:
        rows = self._rows[endpoint]
        del rows[stream]
        if not rows:
            del self._rows[endpoint]
        sender = Endpoint(stream.user, stream.device)
        waiting = self._senders[sender]
        del waiting[stream, endpoint]
        if not waiting:
            del self._senders[sender]
        self._ledger.put(DropReceipt(stream, endpoint))

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(map(len, self._rows.values()))
