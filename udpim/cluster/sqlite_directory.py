"""A directory for the processes of one host: one row in an SQLite file of its own.

See `udpim.cluster.directory`. The file lies in the folder that the processes share, beside the
bus's sockets. Losing it costs nothing but epochs: the store has the highest one, and the next home
claims above it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from udpim.cluster.directory import Lease
from udpim.errors import StoreError
from udpim.store.sqlite_file import ConnectionFactory, explain

FILE = "directory.db"
LOCK_WAIT_S = 2.0
_TABLE = """CREATE TABLE IF NOT EXISTS home (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    node TEXT NOT NULL, epoch INTEGER NOT NULL, beats INTEGER NOT NULL)"""


class SQLiteDirectory:
    """A `udpim.cluster.directory.Directory` in a folder; one thread at a time may use it."""

    def __init__(self, folder: str, factory: ConnectionFactory = sqlite3.connect) -> None:
        """Open it, or make it.

        Args:
            folder: Where the processes meet; it must exist.
            factory: Called like `sqlite3.connect`.

        Raises:
            StoreError: If it cannot be opened or is something else.
        """
        self._path = str(Path(folder, FILE).absolute())
        with self._explained():
            with suppress(FileExistsError):
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            self._connection = factory(
                self._path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.execute(_TABLE)
            except BaseException:
                self._connection.close()
                raise

    def look(self) -> Lease | None:
        """See `Directory.look`."""
        with self._explained():
            return self._read()

    def claim(self, node: str, seen: Lease | None, least_epoch: int = 1) -> Lease | None:
        """See `Directory.claim`."""
        with self._changing():
            if self._read() != seen:
                return None
            epoch = max(least_epoch, 1 if seen is None else seen.epoch + 1)
            return self._write(Lease(node, epoch, 0))

    def renew(self, lease: Lease) -> Lease | None:
        """See `Directory.renew`."""
        with self._changing():
            if not self._is_ours(lease):
                return None
            return self._write(lease._replace(beats=lease.beats + 1))

    def release(self, lease: Lease) -> None:
        """See `Directory.release`."""
        with self._changing():
            if self._is_ours(lease):
                self._write(lease._replace(node=""))

    def close(self) -> None:
        """See `Directory.close`."""
        self._connection.close()

    def _is_ours(self, lease: Lease) -> bool:
        found = self._read()
        return found is not None and found[:2] == lease[:2]

    def _read(self) -> Lease | None:
        row = self._connection.execute("SELECT node, epoch, beats FROM home").fetchone()
        return None if row is None else Lease(*row)

    def _write(self, lease: Lease) -> Lease:
        self._connection.execute("INSERT OR REPLACE INTO home VALUES (1, ?, ?, ?)", lease)
        return lease

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Read and write in one transaction, or not at all."""
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(self._path, error) from error
        except OSError as error:
            words = f"it cannot be opened: {error.strerror}"
            raise StoreError(self._path, words) from error
