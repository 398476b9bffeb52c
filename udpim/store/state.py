"""What a store holds, as dicts: the operations' meaning, and the model of every other store.

`udpim.store.memory` keeps one of these. The virtual storage of the tests keeps two, one of them
committed. Hot module: it stands on the benchmark's path, so rows are tuples that C code builds.
PROTOCOL §5.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from udpim.config import QUEUE_ENTRY_BYTES
from udpim.errors import LocalProtocolError
from udpim.im.group_records import DropMember, GroupRecord, MemberRecord, PutGroup, PutMember
from udpim.im.records import (
    AsideRow,
    ClientSnapshot,
    DeleteQueue,
    DeviceRecord,
    DropReceipt,
    InboxRow,
    InStreamRecord,
    MarkHandled,
    Op,
    OutboxRow,
    OutStreamRecord,
    PutDevice,
    PutInbox,
    PutInStream,
    PutMeta,
    PutOutbox,
    PutOutStream,
    PutQueue,
    PutReceipt,
    QueueIndex,
    QueueItems,
    QueueRow,
    ReadQueue,
    ReceiptRecord,
    ServerSnapshot,
    SetAside,
    StampOutbox,
    TakeBack,
    TrimOutbox,
)
from udpim.model import Endpoint, StreamId
from udpim.store.selection import ReadBudget, age_runs, present, remove, runs


def _outbox_row(seq: int, run: PutOutbox) -> OutboxRow:
    number, first, epoch, ttl_ms, stamps, payloads = run
    return OutboxRow(number, seq, epoch, ttl_ms, stamps[seq - first], payloads[seq - first])


class _Queue:
    """What waits for one endpoint from one stream; it dies with its last row."""

    __slots__ = ("base", "floor", "rows")

    def __init__(self, floor: int, base: int, rows: dict[int, QueueRow]) -> None:
        self.floor = floor
        self.base = base
        self.rows = rows


class StoreState:
    """Everything that a store holds, changed by whole transactions.

    A handled inbox row is dropped at once: memory keeps no history.
    """

    __slots__ = (
        "_arrivals",
        "_aside",
        "_checks",
        "_devices",
        "_groups",
        "_in_streams",
        "_inbox",
        "_members",
        "_meta",
        "_out_streams",
        "_outbox",
        "_outbox_top",
        "_queues",
        "_receipts",
        "_steps",
    )

    def __init__(self) -> None:
        self._meta: dict[str, bytes] = {}
        self._out_streams: dict[int, OutStreamRecord] = {}
        # By stream and seq: the operation that brought the row. That is one dict entry and no
        # object per message; a run's payloads stay until its last row is trimmed.
        self._outbox: dict[int, dict[int, PutOutbox]] = {}
        # Highest seq of a stream's rows ever; above it nothing can be there already.
        self._outbox_top: dict[int, int] = {}
        self._in_streams: dict[StreamId, InStreamRecord] = {}
        # seq → (arrival, stamp, payload); one arrival number per operation.
        self._inbox: dict[StreamId, dict[int, tuple[int, int, bytes]]] = {}
        self._arrivals = 0
        self._aside: dict[tuple[StreamId, int], str] = {}
        self._devices: dict[Endpoint, DeviceRecord] = {}
        self._queues: dict[tuple[Endpoint, StreamId], _Queue] = {}
        self._receipts: dict[tuple[StreamId, Endpoint], ReceiptRecord] = {}
        self._groups: dict[str, GroupRecord] = {}
        self._members: dict[tuple[str, str, str], MemberRecord] = {}
        self._checks: dict[type, Callable[[Any], None]] = {
            PutOutbox: self._check_outbox,
            PutInbox: self._check_inbox,
        }
        self._steps: dict[type, Callable[[Any], None]] = {
            PutMeta: self._put_meta,
            PutOutStream: self._put_out_stream,
            PutOutbox: self._put_outbox,
            StampOutbox: self._stamp_outbox,
            TrimOutbox: self._trim_outbox,
            PutInStream: self._put_in_stream,
            PutInbox: self._put_inbox,
            MarkHandled: self._mark_handled,
            SetAside: self._set_aside,
            TakeBack: self._take_back,
            PutDevice: self._put_device,
            PutQueue: self._put_queue,
            DeleteQueue: self._delete_queue,
            PutReceipt: self._put_receipt,
            DropReceipt: self._drop_receipt,
            PutGroup: self._put_group,
            PutMember: self._put_member,
            DropMember: self._drop_member,
        }

    def copy(self) -> StoreState:
        """Return an independent copy; rows and records are shared, they never change."""
        clone = StoreState()
        clone._meta = self._meta.copy()
        clone._out_streams = self._out_streams.copy()
        clone._outbox = {number: rows.copy() for number, rows in self._outbox.items()}
        clone._outbox_top = self._outbox_top.copy()
        clone._in_streams = self._in_streams.copy()
        clone._inbox = {stream: rows.copy() for stream, rows in self._inbox.items()}
        clone._arrivals = self._arrivals
        clone._aside = self._aside.copy()
        clone._devices = self._devices.copy()
        clone._queues = {
            key: _Queue(queue.floor, queue.base, queue.rows.copy())
            for key, queue in self._queues.items()
        }
        clone._receipts = self._receipts.copy()
        clone._groups = self._groups.copy()
        clone._members = self._members.copy()
        return clone

    # --- Changing ---

    def apply(self, ops: Sequence[Op]) -> None:
        """Apply one transaction.

        Raises:
            LocalProtocolError: If it inserts an outbox or inbox row that is there already.
                Nothing of the transaction has happened then.
        """
        checks = self._checks
        for op in ops:
            check = checks.get(type(op))
            if check is not None:
                check(op)
        steps = self._steps
        for op in ops:
            steps[type(op)](op)

    def _put_meta(self, op: PutMeta) -> None:
        self._meta[op.key] = op.value

    def _put_out_stream(self, op: PutOutStream) -> None:
        self._out_streams[op.record.number] = op.record

    def _check_outbox(self, op: PutOutbox) -> None:
        if op.first_seq > self._outbox_top.get(op.number, -1):
            return
        seqs = range(op.first_seq, op.first_seq + len(op.payloads))
        if not self._outbox[op.number].keys().isdisjoint(seqs):
            raise LocalProtocolError(f"outbox row {op.number}/{op.first_seq}… is there already")

    def _put_outbox(self, op: PutOutbox) -> None:
        number, first, payloads = op.number, op.first_seq, op.payloads
        assert len(op.stamps) == len(payloads), "each payload has its stamp"
        rows = self._outbox.get(number)
        if rows is None:
            rows = self._outbox[number] = {}
        end = first + len(payloads)
        count = len(rows) + len(payloads)
        rows.update(dict.fromkeys(range(first, end), op))
        assert len(rows) == count, "a seq is never used twice in one transaction"
        if end > self._outbox_top.get(number, 0):
            self._outbox_top[number] = end - 1

    def _stamp_outbox(self, op: StampOutbox) -> None:
        rows = self._outbox.get(op.number, {})
        for seq in present(rows, op.first, op.last):
            rows[seq] = rows[seq]._replace(epoch=op.epoch)

    def _trim_outbox(self, op: TrimOutbox) -> None:
        rows = self._outbox.get(op.number)
        if rows:
            remove(rows, op.first, op.last)

    def _put_in_stream(self, op: PutInStream) -> None:
        self._in_streams[op.record.stream] = op.record

    def _check_inbox(self, op: PutInbox) -> None:
        rows = self._inbox.get(op.stream)
        if rows and not rows.keys().isdisjoint(op.seqs):
            raise LocalProtocolError(f"inbox row of {op.stream} is there already")

    def _put_inbox(self, op: PutInbox) -> None:
        stream, seqs, stamps, payloads = op
        rows = self._inbox.get(stream)
        if rows is None:
            rows = self._inbox[stream] = {}
        count = len(rows) + len(seqs)
        self._arrivals += 1
        rows.update(zip(seqs, zip(repeat(self._arrivals), stamps, payloads), strict=True))
        assert len(rows) == count, "a msgid is never inserted twice in one transaction"

    def _mark_handled(self, op: MarkHandled) -> None:
        rows = self._inbox.get(op.stream)
        if rows:
            for first, last in op.ranges:
                remove(rows, first, last)

    def _set_aside(self, op: SetAside) -> None:
        self._aside[op.stream, op.seq] = op.words

    def _take_back(self, op: TakeBack) -> None:
        self._aside.pop((op.stream, op.seq), None)

    def _put_device(self, op: PutDevice) -> None:
        record = op.record
        self._devices[Endpoint(record.user, record.device)] = record

    def _put_queue(self, op: PutQueue) -> None:
        key = (op.endpoint, op.stream)
        queue = self._queues.get(key)
        if queue is None:
            if not op.rows:
                return
            queue = self._queues[key] = _Queue(op.floor, op.base, {})
        queue.floor = max(queue.floor, op.floor)
        queue.base = max(queue.base, op.base)
        rows = queue.rows
        for row in op.rows:
            if rows.setdefault(row.seq, row).void < row.void:
                rows[row.seq] = row

    def _delete_queue(self, op: DeleteQueue) -> None:
        key = (op.endpoint, op.stream)
        queue = self._queues.get(key)
        if queue is None:
            return
        for first, last in op.ranges:
            remove(queue.rows, first, last)
        if not queue.rows:
            del self._queues[key]

    def _put_receipt(self, op: PutReceipt) -> None:
        self._receipts[op.record.stream, op.record.endpoint] = op.record

    def _drop_receipt(self, op: DropReceipt) -> None:
        self._receipts.pop((op.stream, op.endpoint), None)

    def _put_group(self, op: PutGroup) -> None:
        self._groups[op.record.name] = op.record

    def _put_member(self, op: PutMember) -> None:
        self._members[op.record[:3]] = op.record

    def _drop_member(self, op: DropMember) -> None:
        self._members.pop((op.group, op.user, op.device), None)

    # --- Reading ---

    def read_queue(self, request: ReadQueue) -> tuple[QueueItems, ...]:
        """Answer a `ReadQueue`."""
        budget = ReadBudget(request.bytes_max)
        items: list[QueueItems] = []
        for stream, ranges in request.wanted:
            queue = self._queues.get((request.endpoint, stream))
            if queue is None:
                continue
            rows: list[QueueRow] = []
            wanted = [queue.rows[seq] for f, last in ranges for seq in present(queue.rows, f, last)]
            for row in wanted:
                if not budget.take(len(row.payload)):
                    break
                rows.append(row)
            if rows:
                items.append(QueueItems(stream, queue.floor, queue.base, tuple(rows)))
            if len(rows) < len(wanted):
                break
        return tuple(items)

    def client_snapshot(self) -> ClientSnapshot:
        """Return what a client loads; records ascend by their key."""
        arrived = [
            (row[0], InboxRow(stream, seq, row[1], row[2]))
            for stream, rows in self._inbox.items()
            for seq, row in rows.items()
        ]
        arrived.sort(key=lambda pair: pair[0])
        aside = self._aside
        return ClientSnapshot(
            meta=self._meta.copy(),
            out_streams=tuple(self._out_streams[number] for number in sorted(self._out_streams)),
            outbox=tuple(
                _outbox_row(seq, rows[seq])
                for _, rows in sorted(self._outbox.items())
                for seq in sorted(rows)
            ),
            in_streams=tuple(self._in_streams[stream] for stream in sorted(self._in_streams)),
            inbox=tuple(row for _, row in arrived if (row.stream, row.seq) not in aside),
            aside=tuple(
                AsideRow(*row, aside[row.stream, row.seq])
                for _, row in arrived
                if (row.stream, row.seq) in aside
            ),
        )

    def server_snapshot(self) -> ServerSnapshot:
        """Return what a server loads; records ascend by their key."""
        return ServerSnapshot(
            meta=self._meta.copy(),
            devices=tuple(self._devices[endpoint] for endpoint in sorted(self._devices)),
            queue=tuple(
                QueueIndex(
                    endpoint,
                    stream,
                    runs(seq for seq in sorted(queue.rows) if not queue.rows[seq].void),
                    runs(seq for seq in sorted(queue.rows) if queue.rows[seq].void),
                    tuple(
                        (seq, len(row.payload))
                        for seq, row in sorted(queue.rows.items())
                        if len(row.payload) > QUEUE_ENTRY_BYTES
                    ),
                    age_runs((row.age_s, seq) for seq, row in queue.rows.items() if not row.void),
                )
                for (endpoint, stream), queue in sorted(self._queues.items(), key=lambda kv: kv[0])
            ),
            receipts=tuple(self._receipts[key] for key in sorted(self._receipts)),
            groups=tuple(self._groups[name] for name in sorted(self._groups)),
            members=tuple(self._members[key] for key in sorted(self._members)),
        )
