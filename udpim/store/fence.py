"""The fence of a shared store: of several processes, only the latest home writes.

A directory gives each home a higher epoch than the one before. The home puts it into the store,
and each of its transactions looks whether it still stands there: a home that was stopped, or cut
off from the directory, finds a later epoch and can promise nothing any more, whatever it believes
of its lease. PROTOCOL §8.2.
"""

from __future__ import annotations

import sqlite3

from udpim.errors import StoreFenced

KEY = "fence"
"""Of the row in the table ``meta``: the epoch, 8 bytes, big-endian."""


class Fence:
    """One home's epoch in one SQLite file."""

    def __init__(self, path: str, connection: sqlite3.Connection, epoch: int) -> None:
        """Keep the connection, which is in autocommit mode, and the epoch, 1 to 2^64 - 1."""
        self._path = path
        self._connection = connection
        self._epoch = epoch

    def raise_it(self) -> None:
        """Put the epoch into the store, durably.

        Raises:
            StoreFenced: If this one or a later one is there already.
        """
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        found = self._found()
        if found >= self._epoch:
            execute("ROLLBACK")
            raise self._fenced(found)
        row = (KEY, self._epoch.to_bytes(8, "big"))
        execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)
        execute("COMMIT")

    def check(self) -> None:
        """Look at the epoch within an open transaction, which must be an IMMEDIATE one.

        Raises:
            StoreFenced: If it is another home's.
        """
        found = self._found()
        if found != self._epoch:
            raise self._fenced(found)

    def _found(self) -> int:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
        return 0 if row is None else int.from_bytes(row[0], "big")

    def _fenced(self, found: int) -> StoreFenced:
        words = f"the home of epoch {found} has taken it over, this one had epoch {self._epoch}"
        return StoreFenced(self._path, words, found)
