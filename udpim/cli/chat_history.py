"""The conversation on disk: each message once, by its msgid, and the last mark of our own.

A SQLite file of the chat's own beside the device's store. Flow: inbox → history (committed) → "the
message is handled". So a message that comes again after a crash is found here, and what the inbox
hands out at least once stands in the history exactly once.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from udpim.cli.chat_log import KEPT_BYTES_MAX, Line
from udpim.errors import StoreError, StoreFormat, StoreFull, StoreLocked
from udpim.model import FINAL_STATES, MessageState, MsgId, StreamId

SUFFIX = "-chat"
"""The history of the store FILE is FILE-chat."""
LINES_MAX = 200_000
"""Lines that are kept; beyond, the oldest are forgotten, but none whose mark can still move."""
PRUNE_LINES = 1000
"""How many lines may come before it is looked at again."""
APPLICATION_ID = 0x7544_5048  # uDPH
SCHEMA_VERSION = 1

_FINAL = ", ".join(str(int(state)) for state in sorted(FINAL_STATES))
_OPEN = f"mine AND state NOT IN ({_FINAL})"
_SCHEMA = f"""
    BEGIN;
    CREATE TABLE line (number INTEGER PRIMARY KEY, msgid TEXT NOT NULL, mine INTEGER NOT NULL,
        at_ms INTEGER NOT NULL, payload BLOB NOT NULL, state INTEGER NOT NULL,
        words TEXT NOT NULL, UNIQUE (msgid, mine));
    CREATE INDEX line_open ON line (number) WHERE {_OPEN};
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {SCHEMA_VERSION};
    COMMIT;
"""
_COLUMNS = "msgid, mine, at_ms, payload, state, words"
_SHORT = (
    f"msgid, mine, at_ms, substr(payload, 1, {KEPT_BYTES_MAX}), state, words,"
    f" max(0, length(payload) - {KEPT_BYTES_MAX})"
)
_Row = tuple[str, int, int, bytes, int, str, int]


class History:
    """A history file; each method is one transaction, and one thread at a time may call."""

    def __init__(self, path: str | None) -> None:
        """Open it, and make it if it is not there; None is a history in memory.

        Raises:
            StoreFormat: It is some other file; nothing of it was changed.
            StoreLocked: Somebody else writes to it.
            StoreFull: There is no room for it.
            StoreError: It cannot be used for another reason.
        """
        self.path = path or ":memory:"
        self._since_prune = 0
        if path is not None:
            # 0600: it holds what was said, and SQLite gives its side files the same mode. Where the
            # file cannot be made, SQLite says why.
            with suppress(OSError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with self._errors():
            self._connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False
            )
        try:
            with self._errors():
                self._prepare()
            self._prune()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        kind = self._pragma("application_id"), self._pragma("user_version")
        if kind == (0, 0) and not self._pragma("schema_version"):
            self._connection.executescript(_SCHEMA)
        elif kind[0] != APPLICATION_ID:
            raise StoreFormat(self.path, "it is not the history of a chat")
        elif kind[1] != SCHEMA_VERSION:
            raise StoreFormat(self.path, f"it has version {kind[1]}, not {SCHEMA_VERSION}")
        # FULL: what the inbox has forgotten must be here, whatever happens to the power.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")

    def _pragma(self, name: str) -> int:
        value: int = self._connection.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explained(self.path, error) from error

    def close(self) -> None:
        """Close the file."""
        with self._errors():
            self._connection.close()

    # --- Writing ---

    def add(self, line: Line) -> bool:
        """Record a line, durably; return whether it is a new one.

        Raises:
            StoreError: It is not recorded.
        """
        with self._errors():
            cursor = self._connection.execute(
                f"INSERT OR IGNORE INTO line ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    _key(line.msgid),
                    line.mine,
                    line.at_ms,
                    line.payload,
                    int(line.state),
                    line.words,
                ),
            )
        self._since_prune += cursor.rowcount
        if self._since_prune >= PRUNE_LINES:
            self._prune()
        return cursor.rowcount == 1

    def move(self, moves: Iterable[tuple[MsgId, Line]]) -> None:
        """Record what is known now of our own lines; each with the msgid that it was recorded by.

        Raises:
            StoreError: Nothing of it is recorded.
        """
        with self._errors(), self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "UPDATE OR IGNORE line SET msgid = ?, state = ?, words = ?"
                " WHERE msgid = ? AND mine",
                [
                    (_key(line.msgid), int(line.state), line.words, _key(recorded))
                    for recorded, line in moves
                ],
            )

    def _prune(self) -> None:
        self._since_prune = 0
        with self._errors():
            self._connection.execute(
                f"DELETE FROM line WHERE NOT ({_OPEN}) AND number <="
                " (SELECT number FROM line ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (LINES_MAX,),
            )

    # --- Reading ---

    def knows(self, msgid: MsgId) -> bool:
        """Tell whether a message of somebody else is recorded."""
        with self._errors():
            found = self._connection.execute(
                "SELECT 1 FROM line WHERE msgid = ? AND NOT mine", (_key(msgid),)
            ).fetchone()
        return found is not None

    def last(self, count: int) -> list[Line]:
        """Return the newest lines, oldest first, each as short as `Line.shorten` makes it."""
        return self._select("1", count)

    def open_lines(self, count: int) -> list[Line]:
        """Return the newest of our own lines whose mark can still move, oldest first."""
        return self._select(_OPEN, count)

    def _select(self, where: str, count: int) -> list[Line]:
        with self._errors():
            rows: list[_Row] = self._connection.execute(
                f"SELECT {_SHORT} FROM line WHERE {where} ORDER BY number DESC LIMIT ?", (count,)
            ).fetchall()
        return [_line(row) for row in reversed(rows)]


def history_beside(store: str | None) -> str | None:
    """Return where the history of a device's store is."""
    return None if store is None else str(Path(store)) + SUFFIX


def _key(msgid: MsgId) -> str:
    return json.dumps([*msgid.stream, msgid.seq], ensure_ascii=False, separators=(",", ":"))


def _line(row: _Row) -> Line:
    key, mine, at_ms, payload, state, words, cut_bytes = row
    user, device, incarnation, conversation, seq = json.loads(key)
    return Line(
        msgid=MsgId(StreamId(user, device, incarnation, conversation), seq),
        mine=bool(mine),
        at_ms=at_ms,
        payload=payload,
        state=MessageState(state),
        words=words,
        cut_bytes=cut_bytes,
    )


def _explained(path: str, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return StoreFormat(path, "it is not the history of a chat")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreLocked(path, "another process has it open")
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(path, "the disk has no room left")
    return StoreError(path, str(error))
