"""The rows of one SQLite connection: transactions, and what both kinds of store hold.

Below `udpim.store.sqlite`, on its writer thread; `udpim.store.sqlite_client` and
`udpim.store.sqlite_server` add their operations. Unsigned 64-bit numbers are stored less 2^63,
which fits SQLite's signed integers and keeps their order. PROTOCOL §5.2.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from udpim.errors import LocalProtocolError
from udpim.im.records import (
    ClientSnapshot,
    Op,
    PutMeta,
    QueueItems,
    Ranges,
    ReadQueue,
    ServerSnapshot,
)
from udpim.model import StreamId

OFFSET = 2**63
CHUNK_ROWS = 128
STREAM = "user = ? AND device = ? AND incarnation = ? AND conversation = ?"

Params = tuple[Any, ...]


def stream_key(stream: StreamId) -> Params:
    """Return the four columns of a stream."""
    user, device, incarnation, conversation = stream
    return user, device, incarnation - OFFSET, conversation


def stream_of(user: str, device: str, incarnation: int, conversation: str) -> StreamId:
    """Build a stream from its four columns."""
    return StreamId(user, device, incarnation + OFFSET, conversation)


def ranges_of(items: list[list[int]]) -> Ranges:
    """Build ranges from JSON."""
    return tuple((first, last) for first, last in items)


class HistoryRow(NamedTuple):
    """One inbox row as an audit reads it."""

    stream: StreamId
    seq: int
    handled: bool
    stamp: int
    payload: bytes


class Rows:
    """Any operations between `begin` and `commit` or `rollback`; not for two threads at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Keep the connection, which is in autocommit mode."""
        self.begin_sql = "BEGIN"
        """IMMEDIATE where other processes may write: then what a transaction reads still holds
        when it writes."""
        self._connection = connection
        self._execute = connection.execute
        # By table and key: rows that nothing reads before the next start, so that of one
        # transaction only the last counts.
        self._last: dict[str, dict[Any, Params]] = {}
        self._steps: dict[type, Callable[[Any], None]] = {PutMeta: self._put_meta}

    # --- Transactions ---

    def begin(self) -> None:
        """Open a transaction."""
        self._execute(self.begin_sql)

    def apply(self, ops: Sequence[Op]) -> None:
        """Apply operations within the open transaction."""
        for op in ops:
            step = self._steps.get(type(op))
            if step is None:
                raise LocalProtocolError(f"{type(op).__name__} is not for this kind of store")
            step(op)

    def commit(self) -> None:
        """Make the open transaction durable."""
        for table, rows in self._last.items():
            self._insert(table, rows.values(), verb="INSERT OR REPLACE")
        self._last.clear()
        self._execute("COMMIT")

    def rollback(self) -> None:
        """Undo the open transaction, if there still is one."""
        self._last.clear()
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    # --- Reading ---

    def read_queue(self, request: ReadQueue) -> tuple[QueueItems, ...]:
        """Answer a `ReadQueue`."""
        raise LocalProtocolError("only a server's store has a queue")

    def load_client(self) -> ClientSnapshot:
        """Read what a client needs to go on."""
        raise LocalProtocolError("this is a server's store")

    def load_server(self) -> ServerSnapshot:
        """Read what a server needs to go on."""
        raise LocalProtocolError("this is a client's store")

    def inbox_history(self) -> list[HistoryRow]:
        """Read the inbox, handled rows too."""
        raise LocalProtocolError("only a client's store has an inbox")

    # --- Shared by both kinds ---

    def _insert(
        self, into: str, rows: Iterable[Params], *, verb: str = "INSERT", conflict: str = ""
    ) -> None:
        """Insert many rows with few statements.

        One statement per row would let go of the interpreter's lock once per row, and a busy
        event loop gives it back only after its switch interval. Differs from executemany for
        that reason alone. Chunks are powers of two, so that the statements stay few and cached.
        """
        todo = list(rows)
        start, chunk = 0, CHUNK_ROWS
        values = f"({','.join('?' * len(todo[0]))})" if todo else ""
        while start < len(todo):
            while chunk > len(todo) - start:
                chunk //= 2
            sql = f"{verb} INTO {into} VALUES {','.join([values] * chunk)} {conflict}"
            self._execute(sql, tuple(chain.from_iterable(todo[start : start + chunk])))
            start += chunk

    def _put_meta(self, op: PutMeta) -> None:
        self._last.setdefault("meta", {})[op.key] = op

    def _load_meta(self) -> dict[str, bytes]:
        return dict(self._execute("SELECT key, value FROM meta"))
