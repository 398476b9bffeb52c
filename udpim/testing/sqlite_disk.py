"""A virtual disk that is a real database: the product's own SQL, in memory and in virtual time.

`udpim.testing.storage` decides what is lost in a crash; what a disk then holds is a `StoreState` of
Python objects, or this. ``VirtualStore.new_disk = SQLiteDisk`` puts it into every process of the
worlds made from then on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Self

from udpim.errors import LocalProtocolError
from udpim.im.records import ClientSnapshot, Op, QueueItems, ReadQueue, ServerSnapshot
from udpim.store.sqlite import INBOX_HISTORY_ROWS
from udpim.store.sqlite_client import ClientRows
from udpim.store.sqlite_file import Kind, make_or_check
from udpim.store.sqlite_rows import Rows
from udpim.store.sqlite_server import ServerRows

NAME = "a database in memory"


class DatabaseDisk:
    """What one store's file holds, as SQL; whose store it is, the first look into it decides."""

    _kind: Kind | None = None

    def client_snapshot(self) -> ClientSnapshot:
        """See `udpim.store.base.Store.load_client`."""
        return self._rows_of("client").load_client()

    def server_snapshot(self) -> ServerSnapshot:
        """See `udpim.store.base.Store.load_server`."""
        return self._rows_of("server").load_server()

    def read_queue(self, request: ReadQueue) -> tuple[QueueItems, ...]:
        """See `udpim.store.base.Store.read_queue`."""
        return self._rows_of("server").read_queue(request)

    def apply(self, ops: Sequence[Op], check: Callable[[], None] = lambda: None) -> None:
        """Do all operations in one transaction, or none.

        Args:
            ops: The operations.
            check: Is asked within the transaction; what it raises ends it.

        Raises:
            LocalProtocolError: One of them contradicts what is there.
        """
        if self._kind is None:
            raise LocalProtocolError("nobody has looked into this disk, so it is nobody's")
        rows = self._rows_of(self._kind)
        rows.begin()
        try:
            check()
            rows.apply(ops)
            rows.commit()
        except sqlite3.IntegrityError as error:
            rows.rollback()
            raise LocalProtocolError(str(error)) from error
        except BaseException:
            rows.rollback()
            raise

    def _rows_of(self, kind: Kind) -> Rows:
        """Return the open database's rows; ``kind`` decides where nobody has looked yet."""
        raise NotImplementedError


class SQLiteDisk(DatabaseDisk):
    """A database in memory, which loses nothing by itself."""

    def __init__(self) -> None:
        """Start empty."""
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._rows: Rows | None = None

    def copy(self) -> Self:
        """Return an independent disk with the same contents."""
        other = type(self)()
        self._connection.backup(other._connection)
        if self._kind is not None:
            other._kind = self._kind
            other._rows = rows_of(self._kind, other._connection)
        return other

    def connection(self, kind: Kind) -> sqlite3.Connection:
        """Return the open database, with its tables."""
        self._rows_of(kind)
        return self._connection

    def _rows_of(self, kind: Kind) -> Rows:
        if self._rows is None:
            make_or_check(NAME, kind, self._connection, shared=False)
            self._kind = kind
            self._rows = rows_of(kind, self._connection)
        return self._rows


def rows_of(kind: Kind, connection: sqlite3.Connection) -> Rows:
    """Return the product's own SQL for a store of this kind."""
    if kind == "client":
        return ClientRows(connection, INBOX_HISTORY_ROWS)
    return ServerRows(connection)
