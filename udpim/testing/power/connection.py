"""As much of `sqlite3.Connection` as the store uses, over apsw: for the store's factory.

The same class of exception and the same code for each error, because the store tells by them
whether a transaction happened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import apsw

from udpim.testing.power.drive import Drive
from udpim.testing.power.vfs import NAME, vfs

Row = tuple[Any, ...]
ROWS_OF_NO_CHANGE = -1

_INTERNAL = {apsw.SQLITE_INTERNAL, apsw.SQLITE_NOTFOUND}
_OPERATIONAL = {
    apsw.SQLITE_ERROR,
    apsw.SQLITE_PERM,
    apsw.SQLITE_ABORT,
    apsw.SQLITE_BUSY,
    apsw.SQLITE_LOCKED,
    apsw.SQLITE_READONLY,
    apsw.SQLITE_INTERRUPT,
    apsw.SQLITE_IOERR,
    apsw.SQLITE_FULL,
    apsw.SQLITE_CANTOPEN,
    apsw.SQLITE_PROTOCOL,
    apsw.SQLITE_EMPTY,
    apsw.SQLITE_SCHEMA,
}
_KINDS: dict[type[sqlite3.Error], set[int]] = {
    sqlite3.InternalError: _INTERNAL,
    sqlite3.OperationalError: _OPERATIONAL,
    sqlite3.DataError: {apsw.SQLITE_TOOBIG},
    sqlite3.IntegrityError: {apsw.SQLITE_CONSTRAINT, apsw.SQLITE_MISMATCH},
    sqlite3.InterfaceError: {apsw.SQLITE_MISUSE, apsw.SQLITE_RANGE},
}


class Rows:
    """What a statement brought, complete when it is made: no statement stays open.

    Attributes:
        rowcount: How many rows a change changed.
    """

    def __init__(self, rows: list[Row], rowcount: int) -> None:
        """Keep the rows."""
        self.rowcount = rowcount
        self._rows = iter(rows)

    def __iter__(self) -> Iterator[Row]:
        """Return the rows that nobody has taken yet."""
        return self._rows

    def fetchone(self) -> Row | None:
        """Return the next row."""
        return next(self._rows, None)

    def fetchall(self) -> list[Row]:
        """Return the other rows."""
        return list(self._rows)


class PowerConnection:
    """One connection to a file on a drive, in autocommit mode."""

    def __init__(self, drive: Drive, path: str, *, synchronous: str | None = None) -> None:
        """Open or make the file.

        Args:
            drive: Kept as long as the connection.
            path: Of the file on it.
            synchronous: What the connection uses whatever it is told, to see what would come of
                it; None for what it is told.

        Raises:
            sqlite3.Error: As `sqlite3.connect` does.
        """
        self.drive = drive
        self._synchronous = synchronous
        try:
            self._connection = apsw.Connection(vfs.path_on(drive, path), vfs=NAME)
        except apsw.Error as error:
            raise explained(error) from error

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Rows:
        """Carry out one statement to its end.

        Raises:
            sqlite3.Error: As `sqlite3.Connection.execute` does.
        """
        if self._synchronous is not None and sql.startswith("PRAGMA synchronous ="):
            sql = f"PRAGMA synchronous = {self._synchronous}"
        connection = self._connection
        try:
            cursor = connection.execute(sql, tuple(params))
            rows = cast("list[Row]", cursor.fetchall())
            changes = sql[:6] in {"INSERT", "UPDATE", "DELETE"}
            return Rows(rows, connection.changes() if changes else ROWS_OF_NO_CHANGE)
        except apsw.Error as error:
            raise explained(error) from error

    def close(self) -> None:
        """Close it.

        Raises:
            sqlite3.Error: As `sqlite3.Connection.close` does.
        """
        try:
            self._connection.close()
        except apsw.Error as error:
            raise explained(error) from error


def factory(drive: Drive, *, synchronous: str | None = None) -> Callable[..., sqlite3.Connection]:
    """Return what opens connections to files on a drive, called like `sqlite3.connect`."""

    def connect(path: str, **options: object) -> sqlite3.Connection:
        del options  # one connection, one thread and no transactions but our own
        connection = PowerConnection(drive, path, synchronous=synchronous)
        return cast("sqlite3.Connection", connection)

    return connect


def explained(error: apsw.Error) -> sqlite3.Error:
    """Return the exception that `sqlite3` would have raised."""
    code = int(getattr(error, "result", apsw.SQLITE_ERROR))
    kind = next((kind for kind, codes in _KINDS.items() if code in codes), sqlite3.DatabaseError)
    found = kind(str(error) or type(error).__name__)
    found.sqlite_errorcode = int(getattr(error, "extendedresult", code))
    found.sqlite_errorname = type(error).__name__
    return found
