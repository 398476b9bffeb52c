"""The durable store: one SQLite file, one writer thread, group commit.

``synchronous=FULL`` on a write-ahead log: a commit that is reported has been synced. Whatever is
waiting when the writer wakes shares one SQLite transaction, because the sync is what costs. If
the group fails it is rolled back and its members go one by one, so that each gets its own true
verdict. After an error that leaves the outcome open (a failing disk) nothing more is promised:
every later transaction is refused, and the owner opens the store again. PROTOCOL §5.2.

The queue to the writer has no limit of its own: each transaction in it has a promise that waits
for it, and those are bounded by the nodes' windows.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from udpim.errors import LocalProtocolError, StoreError, StoreFenced
from udpim.im.records import ClientSnapshot, Op, QueueItems, ReadQueue, ServerSnapshot
from udpim.store.base import Completion
from udpim.store.fence import Fence
from udpim.store.sqlite_client import ClientRows
from udpim.store.sqlite_file import (
    ConnectionFactory,
    Kind,
    explain,
    open_file,
    primary_code,
    release,
)
from udpim.store.sqlite_rows import HistoryRow, Rows
from udpim.store.sqlite_server import ServerRows

GROUP_MAX = 256  # transactions in one commit: an early one does not wait for ever for a flood
INBOX_HISTORY_ROWS = 100_000

# After these the transaction did not happen, for certain, and the next one may succeed.
_CLEAN_CODES = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISMATCH,
}

T = TypeVar("T")
_Work = tuple[int, Sequence[Op] | ReadQueue]
_Job = _Work | Callable[[], None] | None
"""A transaction or read; something to run between transactions; or the end."""


class SQLiteStore:
    """A `udpim.store.base.Store` in one file that this process owns until `close`.

    Attributes:
        durable: True: a completed transaction survives a crash of the machine.
        path: The file.
    """

    durable = True

    def __init__(
        self,
        path: str,
        *,
        kind: Kind,
        connection_factory: ConnectionFactory = sqlite3.connect,
        inbox_history_rows: int = INBOX_HISTORY_ROWS,
        fence: int | None = None,
        thread: Callable[..., Thread] = Thread,
    ) -> None:
        """Open or make the file, and start the writer.

        Args:
            path: The file; it is made if it does not exist or is empty.
            kind: Whose store it is.
            connection_factory: Called like `sqlite3.connect`.
            inbox_history_rows: How many handled inbox rows a client's store keeps.
            fence: The epoch under which this process is the home of a shared store; every
                transaction of an earlier epoch fails from now on. None for a file that nobody
                shares.
            thread: Makes the writer's thread; called like `threading.Thread`.

        Raises:
            StoreFenced: The file has seen this epoch, or a later one.
            StoreError: See `udpim.store.sqlite_file.open_file`.
        """
        self.path = path
        shared = fence is not None
        self._connection, self._file_id = open_file(path, kind, connection_factory, shared=shared)
        try:
            self._rows: Rows = (
                ClientRows(self._connection, inbox_history_rows)
                if kind == "client"
                else ServerRows(self._connection)
            )
            self._fence = None if fence is None else Fence(path, self._connection, fence)
            if self._fence is not None:
                self._rows.begin_sql = "BEGIN IMMEDIATE"
                self._fence.raise_it()
        except sqlite3.Error as error:
            self._release()
            raise explain(path, error) from error
        except StoreError:
            self._release()
            raise
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._completions: deque[Completion] = deque()
        self._wake: Callable[[], None] = _nothing
        self._broken: StoreError | None = None
        self._chained = False
        self._closed = False
        # A daemon: a program that dies without closing shall not hang; nothing promised is lost.
        self._writer = thread(target=self._write, name=f"udpim store {path}", daemon=True)
        self._writer.start()

    def load_client(self) -> ClientSnapshot:
        """See `Store.load_client`; it sees everything submitted before.

        Raises:
            StoreError: If the file cannot be read.
            LocalProtocolError: If the store is closed, or a server's.
        """
        # From now on a client writes here, whose transactions rest on each other.
        self._chained = True
        return self._between(self._rows.load_client)

    def load_server(self) -> ServerSnapshot:
        """See `Store.load_server`; it sees everything submitted before.

        Raises:
            StoreError: If the file cannot be read.
            LocalProtocolError: If the store is closed, or a client's.
        """
        return self._between(self._rows.load_server)

    def inbox_history(self) -> list[HistoryRow]:
        """Return every inbox row of a client's store, handled or not, in order of arrival.

        Raises:
            StoreError: If the file cannot be read.
            LocalProtocolError: If the store is closed, or a server's.
        """
        return self._between(self._rows.inbox_history)

    def submit(self, token: int, ops: Sequence[Op]) -> None:
        """See `Store.submit`."""
        self._put((token, ops))

    def read_queue(self, token: int, request: ReadQueue) -> None:
        """See `Store.read_queue`."""
        self._put((token, request))

    def completed(self) -> list[Completion]:
        """See `Store.completed`."""
        completions = []
        with suppress(IndexError):
            while True:
                completions.append(self._completions.popleft())
        return completions

    def set_wake(self, wake: Callable[[], None]) -> None:
        """See `Store.set_wake`."""
        self._wake = wake

    def close(self) -> None:
        """See `Store.close`; blocks until everything is committed."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._writer.join()
        self._release()

    def _release(self) -> None:
        # What is committed is synced already; an error of the last checkpoint takes nothing away.
        with suppress(sqlite3.Error):
            self._connection.close()
        release(self._file_id)

    def _put(self, job: _Job) -> None:
        if self._closed:
            raise LocalProtocolError("the store is closed")
        self._jobs.put(job)

    def _between(self, read: Callable[[], T]) -> T:
        """Read on the writer thread, after everything submitted before; wait for it."""
        answer: Future[T] = Future()

        def run() -> None:
            try:
                if self._broken is not None:
                    raise self._broken
                answer.set_result(read())
            except sqlite3.Error as error:
                answer.set_exception(explain(self.path, error))
            except Exception as error:  # whoever waits gets it
                answer.set_exception(error)

        self._put(run)
        return answer.result()

    # --- On the writer thread ---

    def _write(self) -> None:
        while True:
            works, stop = self._next_group()
            if works:
                self._completions.extend(self._verdicts(works))
                # The owner's event loop may be closed already: then nobody is left to be woken.
                with suppress(RuntimeError):
                    self._wake()
            if stop is None:
                return
            stop()

    def _next_group(self) -> tuple[list[_Work], Callable[[], None] | None]:
        """Wait for work; return it, and what comes after it: None is the end."""
        works: list[_Work] = []
        job = self._jobs.get()
        while isinstance(job, tuple):
            works.append(job)
            if len(works) == GROUP_MAX:
                return works, _nothing
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return works, _nothing
        return works, job

    def _verdicts(self, works: list[_Work]) -> list[Completion]:
        """Commit the works together, or else one by one."""
        if self._broken is None:
            try:
                answers = self._transact(works)
            except Exception as error:  # a promise waits for the verdict
                if len(works) > 1 and self._broken is None:
                    return [verdict for work in works for verdict in self._verdicts([work])]
                verdict = self._broken or explain(self.path, error)
                if self._chained:
                    self._broken = verdict
                return [Completion(token, verdict, ()) for token, _ in works]
            return [
                Completion(token, None, items)
                for (token, _), items in zip(works, answers, strict=True)
            ]
        if isinstance(self._broken, StoreFenced):
            return [Completion(token, self._broken, ()) for token, _ in works]
        words = f"an earlier write failed, open the store again; it was: {self._broken.words}"
        return [Completion(token, StoreError(self.path, words), ()) for token, _ in works]

    def _transact(self, works: list[_Work]) -> list[tuple[QueueItems, ...]]:
        """Run the works in one transaction; note whether a failure leaves the outcome open."""
        answers: list[tuple[QueueItems, ...]] = []
        rows = self._rows
        try:
            rows.begin()
            if self._fence is not None:
                self._fence.check()
            for _, work in works:
                if isinstance(work, ReadQueue):
                    answers.append(rows.read_queue(work))
                else:
                    rows.apply(work)
                    answers.append(())
            rows.commit()
        except Exception as error:
            if isinstance(error, StoreFenced):
                self._broken = error
            if isinstance(error, sqlite3.Error) and not _is_clean(error):
                self._broken = explain(self.path, error)
            try:
                rows.rollback()
            except sqlite3.Error as second:
                self._broken = explain(self.path, second)
            raise
        return answers


def _is_clean(error: sqlite3.Error) -> bool:
    code = primary_code(error)
    # Without a code it comes from the binding of a parameter, before SQLite saw anything.
    return code in _CLEAN_CODES or isinstance(
        error, sqlite3.InterfaceError | sqlite3.ProgrammingError
    )


def _nothing() -> None:
    """Do nothing: nobody to wake, nothing between two groups."""


def inbox_history(path: str) -> list[HistoryRow]:
    """Read every inbox row of a client's store that nobody has open, in order of arrival.

    Raises:
        StoreError: See `udpim.store.sqlite_file.open_file`.
    """
    with closing(SQLiteStore(path, kind="client")) as store:
        return store.inbox_history()
