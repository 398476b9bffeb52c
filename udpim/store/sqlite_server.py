"""A server's operations as SQL: devices, the offline queue, receipts that wait.

Below `udpim.store.sqlite`, on its writer thread. PROTOCOL §5.2.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from udpim.config import QUEUE_ENTRY_BYTES
from udpim.im.group_records import DropMember, GroupRecord, MemberRecord, PutGroup, PutMember
from udpim.im.records import (
    DeleteQueue,
    DeviceRecord,
    DropReceipt,
    PutDevice,
    PutQueue,
    PutReceipt,
    QueueIndex,
    QueueItems,
    QueueRow,
    ReadQueue,
    ReceiptRecord,
    ServerSnapshot,
)
from udpim.model import Endpoint, StreamId
from udpim.store.selection import ReadBudget, age_runs, runs
from udpim.store.sqlite_rows import (
    OFFSET,
    STREAM,
    Params,
    Rows,
    ranges_of,
    stream_key,
    stream_of,
)

_QUEUE_KEY = "to_user, to_device, user, device, incarnation, conversation"
_QUEUE = f"to_user = ? AND to_device = ? AND {STREAM}"
# PROTOCOL §5.5: an existing row keeps its content, except that a void item replaces a message.
_VOID_WINS = (
    "ON CONFLICT (queue, seq) DO UPDATE"
    " SET void = 1, stamp = excluded.stamp, payload = excluded.payload, age_s = excluded.age_s"
    " WHERE excluded.void AND NOT queue_row.void"
)


def _queue_key(endpoint: Endpoint, stream: StreamId) -> Params:
    return *endpoint, *stream_key(stream)


class ServerRows(Rows):
    """`Rows` of a server's store."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Keep the connection."""
        super().__init__(connection)
        self._steps |= {
            PutDevice: self._put_device,
            PutQueue: self._put_queue,
            DeleteQueue: self._delete_queue,
            PutReceipt: self._put_receipt,
            DropReceipt: self._drop_receipt,
            PutGroup: self._put_group,
            PutMember: self._put_member,
            DropMember: self._drop_member,
        }

    # --- Changing ---

    def _put_device(self, op: PutDevice) -> None:
        record = op.record
        params = (record.user, record.device, json.dumps(record[2:]))
        self._last.setdefault("device", {})[params[:2]] = params

    def _put_queue(self, op: PutQueue) -> None:
        key = _queue_key(op.endpoint, op.stream)
        marks = (op.floor - OFFSET, op.base - OFFSET)
        if not op.rows:
            self._execute(
                f"UPDATE queue SET floor = max(floor, ?), base = max(base, ?) WHERE {_QUEUE}",
                marks + key,
            )
            return
        ((number,),) = self._execute(
            f"INSERT INTO queue ({_QUEUE_KEY}, floor, base) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            f" ON CONFLICT ({_QUEUE_KEY}) DO UPDATE"
            " SET floor = max(floor, excluded.floor), base = max(base, excluded.base)"
            " RETURNING id",
            key + marks,
        ).fetchall()
        self._insert(
            "queue_row",
            (
                (number, seq - OFFSET, int(void), stamp - OFFSET, payload, age_s)
                for seq, void, stamp, payload, age_s in op.rows
            ),
            conflict=_VOID_WINS,
        )

    def _delete_queue(self, op: DeleteQueue) -> None:
        key = _queue_key(op.endpoint, op.stream)
        for (number,) in self._execute(f"SELECT id FROM queue WHERE {_QUEUE}", key).fetchall():
            for first, last in op.ranges:
                self._execute(
                    "DELETE FROM queue_row WHERE queue = ? AND seq BETWEEN ? AND ?",
                    (number, first - OFFSET, last - OFFSET),
                )
            self._execute(
                "DELETE FROM queue WHERE id = ?1"
                " AND NOT EXISTS (SELECT 1 FROM queue_row WHERE queue = ?1)",
                (number,),
            )

    def _put_receipt(self, op: PutReceipt) -> None:
        record = op.record
        text = json.dumps(record[2:])
        self._execute(
            "INSERT OR REPLACE INTO receipt VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*stream_key(record.stream), *record.endpoint, text),
        )

    def _drop_receipt(self, op: DropReceipt) -> None:
        self._execute(
            f"DELETE FROM receipt WHERE {STREAM} AND to_user = ? AND to_device = ?",
            (*stream_key(op.stream), *op.endpoint),
        )

    def _put_group(self, op: PutGroup) -> None:
        self._last.setdefault("chat_group", {})[op.record.name] = op.record

    def _put_member(self, op: PutMember) -> None:
        self._execute("INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?)", op.record)

    def _drop_member(self, op: DropMember) -> None:
        self._execute(
            "DELETE FROM member WHERE chat_group = ? AND user = ? AND device = ?", tuple(op)
        )

    # --- Reading ---

    def read_queue(self, request: ReadQueue) -> tuple[QueueItems, ...]:
        """See `Rows.read_queue`."""
        budget = ReadBudget(request.bytes_max)
        items: list[QueueItems] = []
        for stream, ranges in request.wanted:
            key = _queue_key(request.endpoint, stream)
            queue = self._execute(f"SELECT id, floor, base FROM queue WHERE {_QUEUE}", key)
            for number, floor, base in queue.fetchall():
                rows, whole = self._wanted_rows(number, ranges, budget)
                if rows:
                    items.append(QueueItems(stream, floor + OFFSET, base + OFFSET, tuple(rows)))
                if not whole:
                    return tuple(items)
        return tuple(items)

    def _wanted_rows(
        self, number: int, ranges: tuple[tuple[int, int], ...], budget: ReadBudget
    ) -> tuple[list[QueueRow], bool]:
        """Read one queue's rows; the flag says that the budget was enough."""
        rows: list[QueueRow] = []
        for first, last in ranges:
            for seq, void, stamp, payload, age_s in self._execute(
                "SELECT seq, void, stamp, payload, age_s FROM queue_row"
                " WHERE queue = ? AND seq BETWEEN ? AND ? ORDER BY seq",
                (number, first - OFFSET, last - OFFSET),
            ):
                if not budget.take(len(payload)):
                    return rows, False
                row = QueueRow(seq + OFFSET, bool(void), stamp + OFFSET, payload, age_s)
                rows.append(row)
        return rows, True

    def load_server(self) -> ServerSnapshot:
        """See `Rows.load_server`."""
        return ServerSnapshot(
            meta=self._load_meta(),
            devices=tuple(
                self._device(user, device, json.loads(text))
                for user, device, text in self._execute(
                    "SELECT user, device, record FROM device ORDER BY user, device"
                )
            ),
            queue=tuple(
                self._index(number, Endpoint(to_user, to_device), stream_of(*stream))
                for number, to_user, to_device, *stream in self._execute(
                    f"SELECT id, {_QUEUE_KEY} FROM queue ORDER BY {_QUEUE_KEY}"
                ).fetchall()
            ),
            receipts=tuple(
                self._receipt(stream_of(*stream), Endpoint(to_user, to_device), json.loads(text))
                for *stream, to_user, to_device, text in self._execute(
                    "SELECT * FROM receipt"
                    " ORDER BY user, device, incarnation, conversation, to_user, to_device"
                )
            ),
            groups=tuple(
                GroupRecord(*row) for row in self._execute("SELECT * FROM chat_group ORDER BY name")
            ),
            members=tuple(
                MemberRecord(*row)
                for row in self._execute("SELECT * FROM member ORDER BY chat_group, user, device")
            ),
        )

    @staticmethod
    def _device(user: str, device: str, values: list[Any]) -> DeviceRecord:
        ordinal, joined, incarnation, retired, *rest = values
        return DeviceRecord(user, device, ordinal, joined, incarnation, tuple(retired), *rest)

    def _index(self, number: int, endpoint: Endpoint, stream: StreamId) -> QueueIndex:
        seqs: tuple[list[int], list[int]] = ([], [])
        large, ages = [], []
        for seq, void, size, age_s in self._execute(
            "SELECT seq, void, length(payload), age_s FROM queue_row WHERE queue = ? ORDER BY seq",
            (number,),
        ):
            seqs[void].append(seq + OFFSET)
            if not void:
                ages.append((age_s, seq + OFFSET))
            if size > QUEUE_ENTRY_BYTES:
                large.append((seq + OFFSET, size))
        kinds = (runs(seqs[0]), runs(seqs[1]))
        return QueueIndex(endpoint, stream, *kinds, tuple(large), age_runs(ages))

    @staticmethod
    def _receipt(stream: StreamId, endpoint: Endpoint, values: list[Any]) -> ReceiptRecord:
        incarnation, delivered, void, *read = values  # of version 1 without the mark
        return ReceiptRecord(
            stream, endpoint, incarnation, ranges_of(delivered), ranges_of(void), *read
        )
