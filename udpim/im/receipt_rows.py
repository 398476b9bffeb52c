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

    __slots__ = ("delivered", "incarnation", "void")

    def __init__(self, incarnation: int) -> None:
        """Start empty for one incarnation."""
        self.incarnation = incarnation
        self.delivered = RangeSet()
        self.void = RangeSet()

    def missing(self, first: int, last: int) -> list[Range]:
        """Return the parts of first..last without a verdict."""
        parts = self.delivered.missing(first, last)
        return [part for a, b in parts for part in self.void.missing(a, b)]


class ReceiptRows:
    """All receipt rows."""

    def __init__(self, records: Sequence[ReceiptRecord], ledger: Ledger) -> None:
        """Restore from a snapshot."""
        self._ledger = ledger
        self._rows: dict[tuple[str, str], dict[StreamId, ReceiptRow]] = {}
        """By the endpoint whose verdicts they are: a login asks for all of one endpoint's."""
        self._senders: dict[tuple[str, str], dict[tuple[StreamId, str], None]] = {}
        """The same rows by the device that they wait for."""
        for record in records:
            row = self._new(record.stream, record.device, record.incarnation)
            row.delivered.update(record.delivered)
            row.void.update(record.void)

    def _new(self, stream: StreamId, device: str, incarnation: int) -> ReceiptRow:
        row = ReceiptRow(incarnation)
        self._rows.setdefault((stream.conversation, device), {})[stream] = row
        self._senders.setdefault((stream.user, stream.device), {})[stream, device] = None
        return row

    def find(self, stream: StreamId, device: str) -> ReceiptRow | None:
        """Return the row of one endpoint for one stream."""
        rows = self._rows.get((stream.conversation, device))
        return None if rows is None else rows.get(stream)

    def keep(
        self,
        stream: StreamId,
        device: str,
        incarnation: int,
        delivered: Sequence[Range],
        void: Sequence[Range],
        *,
        after: Continuation,
    ) -> None:
        """Add verdicts to a row, durably; verdicts of another incarnation make way."""
        row = self.find(stream, device)
        if row is None or row.incarnation != incarnation:
            row = self._new(stream, device, incarnation)
        row.delivered.update(delivered)
        row.void.update(void)
        self._ledger.put(self._put(stream, device, row), after)

    def _put(self, stream: StreamId, device: str, row: ReceiptRow) -> PutReceipt:
        record = ReceiptRecord(
            stream, device, row.incarnation, tuple(row.delivered), tuple(row.void)
        )
        return PutReceipt(record)

    def floor_passed(self, stream: StreamId, device: str, floor: int) -> None:
        """The sender knows what is below its floor."""
        row = self.find(stream, device)
        if row is None:
            return
        row.delivered.remove(1, floor - 1)
        row.void.remove(1, floor - 1)
        if not len(row.delivered) and not len(row.void):
            self._drop(stream, device)

    def forget(self, endpoint: Endpoint) -> None:
        """The endpoint is a newer incarnation: its older verdicts say nothing of it (R7)."""
        for stream in list(self._rows.get(endpoint, ())):
            self._drop(stream, endpoint.device)

    def sender_left(self, sender: Endpoint, ended: Callable[[StreamId], bool]) -> None:
        """Nobody asks any more about this device's streams that have ended."""
        for stream, device in list(self._senders.get(sender, ())):
            if ended(stream):
                self._drop(stream, device)

    def _drop(self, stream: StreamId, device: str) -> None:
        endpoint = (stream.conversation, device)
        rows = self._rows[endpoint]
        del rows[stream]
        if not rows:
            del self._rows[endpoint]
        sender = (stream.user, stream.device)
        waiting = self._senders[sender]
        del waiting[stream, device]
        if not waiting:
            del self._senders[sender]
        self._ledger.put(DropReceipt(stream, device))

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(map(len, self._rows.values()))
