"""A client's operations as SQL: its outbox, and its inbox with a history of handled messages.

Below `udpim.store.sqlite`, on its writer thread. PROTOCOL §5.2.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable

from udpim.im.records import (
    AsideRow,
    ClientSnapshot,
    InboxRow,
    InStreamRecord,
    MarkHandled,
    OutboxRow,
    PutInbox,
    PutInStream,
    PutOutbox,
    PutOutStream,
    SetAside,
    StampOutbox,
    TakeBack,
    TrimOutbox,
)
from udpim.model import StreamId
from udpim.ranges import RangeSet
from udpim.store.out_stream_text import from_text, to_text
from udpim.store.sqlite_rows import (
    OFFSET,
    STREAM,
    HistoryRow,
    Params,
    Rows,
    ranges_of,
    stream_key,
    stream_of,
)

STREAM_IDS_MAX = 65_536  # of the cache; it starts anew when full
PRUNE_ROWS = 1000  # history is pruned about this many rows at a time: no commit waits long
# Pruning goes on where it ended, or each time it would walk over every old message that waits. Now
# and then it begins at the bottom, for those that are handled by now.
PRUNES_A_ROUND = 32


def bits_to_blob(bits: int) -> bytes:
    """Return a bitmap's bytes, lowest first, without empty ones at the end."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


class ClientRows(Rows):
    """`Rows` of a client's store."""

    def __init__(self, connection: sqlite3.Connection, history_rows: int) -> None:
        """Keep the connection and how many handled inbox rows may stay."""
        super().__init__(connection)
        self._history_rows = history_rows
        self._handled = self._handled_committed = self._count_handled()
        self._pruned_to = 0  # the arrival at which the last pruning ended
        self._prunes = 0
        self._stream_ids: dict[StreamId, int] = {}
        # Put off until `_flush`: rows to insert, and ranges that concern rows inserted before.
        self._outbox_rows: list[Params] = []
        self._trims: defaultdict[int, RangeSet] = defaultdict(RangeSet)
        self._inbox_rows: list[Params] = []
        self._marks: defaultdict[int, RangeSet] = defaultdict(RangeSet)
        self._steps |= {
            PutOutStream: self._put_out_stream,
            PutOutbox: self._put_outbox,
            StampOutbox: self._stamp_outbox,
            TrimOutbox: self._trim_outbox,
            PutInStream: self._put_in_stream,
            PutInbox: self._put_inbox,
            MarkHandled: self._mark_handled,
            SetAside: self._set_aside,
            TakeBack: self._take_back,
        }

    def commit(self) -> None:
        """See `Rows.commit`."""
        self._flush()
        self._prune()
        super().commit()
        self._handled_committed = self._handled

    def rollback(self) -> None:
        """See `Rows.rollback`."""
        self._forget()
        self._stream_ids.clear()
        self._handled = self._handled_committed
        super().rollback()

    def _flush(self) -> None:
        """Write the inserts that were put off, then the trims and marks that came with them.

        A transaction group of many small operations becomes a handful of statements that way.
        """
        self._insert("outbox", self._outbox_rows)
        for number, trims in self._trims.items():
            for first, last in trims:
                self._execute(
                    "DELETE FROM outbox WHERE number = ? AND seq BETWEEN ? AND ?",
                    (number, first - OFFSET, last - OFFSET),
                )
        self._insert("inbox (stream, seq, handled, stamp, payload)", self._inbox_rows)
        for stream, marks in self._marks.items():
            for first, last in marks:
                self._handled += self._execute(
                    "UPDATE inbox SET handled = 1"
                    " WHERE stream = ? AND seq BETWEEN ? AND ? AND handled = 0",
                    (stream, first - OFFSET, last - OFFSET),
                ).rowcount
        self._forget()

    def _forget(self) -> None:
        self._outbox_rows.clear()
        self._trims.clear()
        self._inbox_rows.clear()
        self._marks.clear()

    # --- Sender's side ---

    def _put_out_stream(self, op: PutOutStream) -> None:
        record = op.record
        params = (record.number, to_text(record))
        self._last.setdefault("out_stream", {})[record.number] = params

    def _put_outbox(self, op: PutOutbox) -> None:
        number, first, epoch, ttl_ms, stamps, payloads = op
        epoch -= OFFSET
        if self._trims[number].within(first, first + len(payloads) - 1):
            self._flush()
        self._outbox_rows.extend(
            (number, seq, epoch, ttl_ms, stamp - OFFSET, payload)
            for seq, (stamp, payload) in enumerate(
                zip(stamps, payloads, strict=True), first - OFFSET
            )
        )

    def _stamp_outbox(self, op: StampOutbox) -> None:
        self._flush()
        self._execute(
            "UPDATE outbox SET epoch = ? WHERE number = ? AND seq BETWEEN ? AND ?",
            (op.epoch - OFFSET, op.number, op.first - OFFSET, op.last - OFFSET),
        )

    def _trim_outbox(self, op: TrimOutbox) -> None:
        self._trims[op.number].add(op.first, op.last)

    # --- Receiver's side ---

    def _stream_id(self, stream: StreamId) -> int:
        found = self._stream_ids.get(stream)
        if found is not None:
            return found
        key = stream_key(stream)
        row = self._execute(f"SELECT id FROM stream WHERE {STREAM}", key).fetchone()
        if row is None:
            row = self._execute(
                "INSERT INTO stream (user, device, incarnation, conversation)"
                " VALUES (?, ?, ?, ?) RETURNING id",
                key,
            ).fetchone()
        if len(self._stream_ids) >= STREAM_IDS_MAX:
            self._stream_ids.clear()
        number: int = row[0]
        self._stream_ids[stream] = number
        return number

    def _put_in_stream(self, op: PutInStream) -> None:
        record = op.record
        params = (
            self._stream_id(record.stream),
            record.cum - OFFSET,
            bits_to_blob(record.delivered),
            bits_to_blob(record.void),
            record.floor - OFFSET,
            json.dumps(record.void_runs),
            record.read - OFFSET,
            record.read_told - OFFSET,
        )
        self._last.setdefault("in_stream", {})[record.stream] = params

    def _put_inbox(self, op: PutInbox) -> None:
        number = self._stream_id(op.stream)
        marks = self._marks[number]
        if any(seq in marks for seq in op.seqs):
            self._flush()
        self._inbox_rows.extend(
            (number, seq - OFFSET, 0, stamp - OFFSET, payload)
            for seq, stamp, payload in zip(op.seqs, op.stamps, op.payloads, strict=True)
        )

    def _mark_handled(self, op: MarkHandled) -> None:
        self._marks[self._stream_id(op.stream)].update(op.ranges)

    def _set_aside(self, op: SetAside) -> None:
        self._execute(
            "INSERT OR REPLACE INTO aside VALUES (?, ?, ?)",
            (self._stream_id(op.stream), op.seq - OFFSET, op.words),
        )

    def _take_back(self, op: TakeBack) -> None:
        self._execute(
            "DELETE FROM aside WHERE stream = ? AND seq = ?",
            (self._stream_id(op.stream), op.seq - OFFSET),
        )

    def _count_handled(self) -> int:
        # Both counts come from indexes; payloads are not read.
        total, waiting = self._execute(
            "SELECT (SELECT count(*) FROM inbox),"
            " (SELECT count(*) FROM inbox INDEXED BY inbox_waiting WHERE handled = 0)"
        ).fetchone()
        return int(total - waiting)

    def _prune(self) -> None:
        """Forget the oldest history, a little more than need be, so that it is seldom done."""
        if self._handled <= self._history_rows:
            return
        self._prunes += 1
        if self._prunes % PRUNES_A_ROUND == 0:
            self._pruned_to = 0
        if not self._prune_from(self._pruned_to):
            self._prune_from(0)

    def _prune_from(self, arrival: int) -> bool:
        """Forget history that arrived later than ``arrival``; False if there is too little."""
        keep = self._history_rows - min(self._history_rows // 8, PRUNE_ROWS)
        wanted = self._handled - keep
        (last,) = self._execute(
            "SELECT max(arrival) FROM (SELECT arrival FROM inbox"
            " WHERE handled = 1 AND arrival > ? ORDER BY arrival LIMIT ?)",
            (arrival, wanted),
        ).fetchone()
        if last is None:
            return False
        pruned = self._execute(
            "DELETE FROM inbox WHERE handled = 1 AND arrival > ? AND arrival <= ?",
            (arrival, last),
        ).rowcount
        self._handled -= pruned
        self._pruned_to = last
        return pruned == wanted

    # --- Reading ---

    def load_client(self) -> ClientSnapshot:
        """Read what a client needs to go on."""
        return ClientSnapshot(
            meta=self._load_meta(),
            out_streams=tuple(
                from_text(text)
                for (text,) in self._execute("SELECT record FROM out_stream ORDER BY number")
            ),
            outbox=tuple(
                OutboxRow(number, seq + OFFSET, epoch + OFFSET, ttl_ms, stamp + OFFSET, payload)
                for number, seq, epoch, ttl_ms, stamp, payload in self._execute(
                    "SELECT * FROM outbox ORDER BY number, seq"
                )
            ),
            in_streams=tuple(
                InStreamRecord(
                    stream_of(*row[:4]),
                    row[4] + OFFSET,
                    int.from_bytes(row[5], "little"),
                    int.from_bytes(row[6], "little"),
                    row[7] + OFFSET,
                    ranges_of(json.loads(row[8])),
                    row[9] + OFFSET,
                    row[10] + OFFSET,
                )
                for row in self._execute(
                    "SELECT user, device, incarnation, conversation,"
                    " cum, delivered, void, floor, void_runs, read, read_told"
                    " FROM in_stream JOIN stream ON stream = id"
                    " ORDER BY user, device, incarnation, conversation"
                )
            ),
            inbox=tuple(
                InboxRow(row.stream, row.seq, row.stamp, row.payload)
                for row in self._inbox(
                    "WHERE handled = 0 AND (stream, seq) NOT IN (SELECT stream, seq FROM aside)"
                )
            ),
            aside=tuple(
                AsideRow(stream_of(*stream), seq + OFFSET, stamp + OFFSET, payload, words)
                for *stream, seq, stamp, payload, words in self._execute(
                    "SELECT user, device, incarnation, conversation, seq, stamp, payload, words"
                    " FROM aside JOIN inbox USING (stream, seq) JOIN stream ON stream = id"
                    " WHERE handled = 0 ORDER BY arrival"
                )
            ),
        )

    def inbox_history(self) -> list[HistoryRow]:
        """See `Rows.inbox_history`."""
        return list(self._inbox())

    def _inbox(self, where: str = "") -> Iterable[HistoryRow]:
        return (
            HistoryRow(stream_of(*stream), seq + OFFSET, bool(handled), stamp + OFFSET, payload)
            for *stream, seq, handled, stamp, payload in self._execute(
                "SELECT user, device, incarnation, conversation,"
                " seq, handled, stamp, payload"
                f" FROM inbox JOIN stream ON stream = id {where} ORDER BY arrival"
            )
        )
