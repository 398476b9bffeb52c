"""The product's SQLite store on a drive in memory, without a thread: its own writer, step by step.

`SteppedStore` is `udpim.store.sqlite.SQLiteStore` but for two things: the writer works when it is
told to, on whatever has been submitted by then, and SQLite reads and writes a `Drive`. What the
store itself asks of the system (a new file's mode, its folder's sync, the first bytes of an old
file, and whether a log lies beside it) it asks of a stand-in in a real folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread

from udpim.store.sqlite import SQLiteStore
from udpim.store.sqlite_file import HEADER_BYTES, LOG_MAGICS, Kind
from udpim.testing.power.connection import factory
from udpim.testing.power.drive import Drive


class _IdleThread(Thread):
    """Runs only where it is waited for."""

    def __init__(self, *, target: Callable[[], None], name: str, daemon: bool) -> None:
        super().__init__(name=name, daemon=daemon)
        self._work = target

    def start(self) -> None:
        pass

    def join(self, timeout: float | None = None) -> None:
        del timeout
        self._work()


class SteppedStore(SQLiteStore):
    """A store whose transactions wait for `step`."""

    def __init__(
        self, folder: Path, drive: Drive, kind: Kind, *, synchronous: str | None = None
    ) -> None:
        """Open the store of a drive.

        Args:
            folder: Holds the stand-in; nobody else's.
            drive: Where the store is.
            kind: Whose store it is.
            synchronous: See `PowerConnection`.

        Raises:
            StoreError: As for every store; also where the power goes off meanwhile.
        """
        path = folder / "udpim.db"
        for suffix in ("", *LOG_MAGICS):
            beginning = drive.header(f"{path}{suffix}", HEADER_BYTES)
            Path(f"{path}{suffix}").write_bytes(beginning)
        super().__init__(
            str(path),
            kind=kind,
            connection_factory=factory(drive, synchronous=synchronous),
            thread=_IdleThread,
        )

    def step(self) -> None:
        """Let the writer do everything that was submitted, in groups as it forms them."""
        self._jobs.put(None)  # the end of the writer's work, which begins anew with the next step
        self._write()

    def damage(self) -> list[str]:
        """Return what SQLite finds wrong with the file."""
        rows = self._connection.execute("PRAGMA integrity_check").fetchall()
        return [words for (words,) in rows if words != "ok"]

    def checkpoint_after(self, pages: int) -> None:
        """Bring the log into the file after this many pages; the store leaves it at SQLite's."""
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")

    def _put(self, job: object) -> None:
        super()._put(job)  # type: ignore[arg-type]  # what it is, the store alone knows
        if callable(job):  # whoever asks waits for the answer
            self.step()
