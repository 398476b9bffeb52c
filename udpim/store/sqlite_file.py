"""Open a store's file: make it, own it, or say why not and what to do.

Below `udpim.store.sqlite`. A file that is not ours is found out by its first bytes, before SQLite
may recover or checkpoint anything in it, so nothing of it changes. PROTOCOL §5.2.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Literal

from udpim.errors import StoreError, StoreFormat, StoreFull, StoreLocked

Kind = Literal["client", "server"]
ConnectionFactory = Callable[..., sqlite3.Connection]

SCHEMA_VERSIONS: dict[Kind, int] = {"client": 3, "server": 3}
APPLICATION_IDS: dict[Kind, int] = {"client": 0x7544_5043, "server": 0x7544_5053}  # uDPC, uDPS
PAGE_BYTES = 8192  # a row of the largest message fits without an overflow page (4096: not)
# A server writes and reads the ends of all streams' queues in turn; the usual 2 MiB hold those of
# some hundred streams. Only what is used takes memory.
CACHE_KIB: dict[Kind, int] = {"client": 2048, "server": 16 * 1024}
LOCK_WAIT_S = 0.25  # a killed owner's lock is gone at once; this is for one that is just closing
SHARED_LOCK_WAIT_S = 2.0  # for a transaction of another process, which takes as long as a sync

HEADER_BYTES = 100
MAGIC = b"SQLite format 3\0"
LOG_MAGICS = {
    "-journal": (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7",),
    "-wal": (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"),
}
"""What a journal or log of SQLite's begins with, by what its name has more than the file's."""

_UNSIGNED = "INTEGER NOT NULL"  # offset by 2^63, so that it fits and keeps its order
# Rows of the inbox that the application set aside; few, so a waiting row has no column for it.
_ASIDE = f"""CREATE TABLE aside (stream INTEGER NOT NULL, seq {_UNSIGNED}, words TEXT NOT NULL,
    PRIMARY KEY (stream, seq)) WITHOUT ROWID"""
_READ = tuple(
    f"ALTER TABLE in_stream ADD COLUMN {name} {_UNSIGNED} DEFAULT {-(2**63)}"
    for name in ("read", "read_told")
)
_RECEIPT = f"""CREATE TABLE receipt (user TEXT NOT NULL, device TEXT NOT NULL,
    incarnation {_UNSIGNED}, conversation TEXT NOT NULL,
    to_user TEXT NOT NULL, to_device TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (user, device, incarnation, conversation, to_user, to_device)) WITHOUT ROWID"""
_GROUPS = (
    """CREATE TABLE chat_group (name TEXT PRIMARY KEY, owner TEXT NOT NULL,
        epoch INTEGER NOT NULL, next_ordinal INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE member (chat_group TEXT NOT NULL, user TEXT NOT NULL,
        device TEXT NOT NULL, ordinal INTEGER NOT NULL, joined INTEGER NOT NULL,
        PRIMARY KEY (chat_group, user, device)) WITHOUT ROWID""",
)
_AGE = "ALTER TABLE queue_row ADD COLUMN age_s INTEGER NOT NULL DEFAULT 0"
# What waits already begins to wait anew: it has the server's age of now, eight bytes in `meta`, of
# which the lower four are read digit by digit.
_AGE_OF_NOW = """UPDATE queue_row SET age_s = coalesce((
    SELECT sum((instr('0123456789ABCDEF', substr(hex(value), column1, 1)) - 1)
        << (4 * (16 - column1)))
    FROM meta, (VALUES (9), (10), (11), (12), (13), (14), (15), (16)) WHERE key = 'age_s'), 0)
    WHERE NOT void"""
_SCHEMAS: dict[Kind, tuple[str, ...]] = {
    "client": (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE out_stream (number INTEGER PRIMARY KEY, record TEXT NOT NULL)",
        f"""CREATE TABLE outbox (number INTEGER NOT NULL, seq {_UNSIGNED}, epoch {_UNSIGNED},
            ttl_ms INTEGER NOT NULL, stamp {_UNSIGNED}, payload BLOB NOT NULL,
            PRIMARY KEY (number, seq)) WITHOUT ROWID""",
        f"""CREATE TABLE stream (id INTEGER PRIMARY KEY, user TEXT NOT NULL, device TEXT NOT NULL,
            incarnation {_UNSIGNED}, conversation TEXT NOT NULL,
            UNIQUE (user, device, incarnation, conversation))""",
        f"""CREATE TABLE in_stream (stream INTEGER PRIMARY KEY, cum {_UNSIGNED},
            delivered BLOB NOT NULL, void BLOB NOT NULL, floor {_UNSIGNED},
            void_runs TEXT NOT NULL)""",
        f"""CREATE TABLE inbox (arrival INTEGER PRIMARY KEY, stream INTEGER NOT NULL,
            seq {_UNSIGNED}, handled INTEGER NOT NULL, stamp {_UNSIGNED}, payload BLOB NOT NULL,
            UNIQUE (stream, seq))""",
        "CREATE INDEX inbox_waiting ON inbox (arrival) WHERE handled = 0",
        _ASIDE,
        *_READ,
    ),
    "server": (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        """CREATE TABLE device (user TEXT NOT NULL, device TEXT NOT NULL, record TEXT NOT NULL,
            PRIMARY KEY (user, device)) WITHOUT ROWID""",
        f"""CREATE TABLE queue (id INTEGER PRIMARY KEY, to_user TEXT NOT NULL,
            to_device TEXT NOT NULL, user TEXT NOT NULL, device TEXT NOT NULL,
            incarnation {_UNSIGNED}, conversation TEXT NOT NULL,
            floor {_UNSIGNED}, base {_UNSIGNED},
            UNIQUE (to_user, to_device, user, device, incarnation, conversation))""",
        f"""CREATE TABLE queue_row (queue INTEGER NOT NULL, seq {_UNSIGNED},
            void INTEGER NOT NULL, stamp {_UNSIGNED}, payload BLOB NOT NULL,
            PRIMARY KEY (queue, seq)) WITHOUT ROWID""",
        _RECEIPT,
        *_GROUPS,
        _AGE,
    ),
}

# What makes of a version's file one of the next version.
_UPGRADES: dict[tuple[Kind, int], tuple[str, ...]] = {
    ("client", 1): (_ASIDE, *_READ),
    ("client", 2): (),  # records of streams may say where messages went on
    ("server", 1): (
        "ALTER TABLE receipt RENAME TO receipt_of_users",
        _RECEIPT,
        """INSERT INTO receipt SELECT user, device, incarnation, conversation, conversation,
            to_device, record FROM receipt_of_users""",
        "DROP TABLE receipt_of_users",
        *_GROUPS,
    ),
    ("server", 2): (_AGE, _AGE_OF_NOW),
}

FileId = tuple[int, int]

# Files that this process has open. SQLite's lock cannot be trusted with them: closing any other
# descriptor of a file drops every POSIX lock that the process has on it, so a second opening must
# be refused before it looks into the file.
_open_here: set[FileId] = set()
_open_here_lock = threading.Lock()


def open_file(
    path: str, kind: Kind, factory: ConnectionFactory, *, shared: bool = False
) -> tuple[sqlite3.Connection, FileId]:
    """Open a store's file for this process alone; make it if it does not exist or is empty.

    Args:
        path: The file.
        kind: Whose store it is.
        factory: Called like `sqlite3.connect`.
        shared: Leave it to a fencing epoch which process may write (PROTOCOL §8.2): one that is
            stopped, and has the file open for ever, then keeps nobody out.

    Returns:
        The connection, without a transaction open, and what `release` takes.

    Raises:
        StoreLocked: If somebody has it open.
        StoreFormat: If it is not a store of this kind and version; it is left as it is.
        StoreFull: If there is no room for a new one.
        StoreError: If it cannot be opened for another reason.
    """
    try:
        file_id = _reserve(path)
    except OSError as error:
        raise _explain_os(path, error) from error
    try:
        _inspect(path, kind)
        return connect(path, kind, factory, shared=shared), file_id
    except OSError as error:
        release(file_id)
        raise _explain_os(path, error) from error
    except BaseException:
        release(file_id)
        raise


def release(file_id: FileId) -> None:
    """Let this process open the file again, once its connection is closed."""
    with _open_here_lock:
        _open_here.discard(file_id)


def explain(path: str, error: Exception) -> StoreError:
    """Say in one sentence what an SQLite error means and what to do."""
    code = primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(path, "the disk is full; make room and try again")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreLocked(path, "another process has it open; stop that one or use another file")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreFormat(path, "it is not a udpim store; use another file")
    if code == sqlite3.SQLITE_CORRUPT:
        return StoreFormat(path, "it is damaged; restore a copy or use another file")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return StoreError(path, "it cannot be written; allow this user to write file and folder")
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(path, f"the disk fails ({error}); check it, then open the store again")
    return StoreError(path, f"{type(error).__name__}: {error}")


def primary_code(error: Exception) -> int | None:
    """Return SQLite's result code without its extension, None if the error has none."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


# --- Looking before SQLite does ---


def _reserve(path: str) -> FileId:
    """Make the file if need be, and make sure that this process opens it only once."""
    with _open_here_lock:
        # 0600: it holds messages and secrets, and SQLite gives its side files the same mode.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        status = Path(path).stat()
        file_id = (status.st_dev, status.st_ino)
        if file_id in _open_here:
            raise StoreLocked(path, "this process has it open already; close that store first")
        _open_here.add(file_id)
        return file_id


def _sync_folder(path: str) -> None:
    """Make the new file's name durable; SQLite does this for its side files only."""
    folder = os.open(Path(path).parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _inspect(path: str, kind: Kind) -> None:
    """Refuse a file that is not ours by its header; an empty one is as good as none."""
    with Path(path).open("r+b") as file:
        header = file.read(HEADER_BYTES)
    if not header:
        _sync_folder(path)
        return
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        # What lost its power while its first page was written: the journal or log beside it holds
        # that page, and whatever comes of it is checked again when that has been played back.
        if any(_begins(path + suffix, magics) for suffix, magics in LOG_MAGICS.items()):
            return
        raise StoreFormat(path, "it is not a udpim store; use another file")
    user_version = int.from_bytes(header[60:64], "big")
    application_id = int.from_bytes(header[68:72], "big")
    _check_format(path, kind, application_id, user_version)


def _begins(path: str, magics: tuple[bytes, ...]) -> bool:
    with suppress(FileNotFoundError), Path(path).open("rb") as file:
        return file.read(HEADER_BYTES).startswith(magics)
    return False


def _check_format(path: str, kind: Kind, application_id: int, version: int) -> None:
    if application_id != APPLICATION_IDS[kind]:
        for other, other_id in APPLICATION_IDS.items():
            if application_id == other_id:
                raise StoreFormat(path, f"it is the store of a {other}, not of a {kind}")
        raise StoreFormat(path, "it is an SQLite file but not a udpim store; use another file")
    if version < 1:
        raise StoreFormat(path, "it is damaged; restore a copy or use another file")
    if version > SCHEMA_VERSIONS[kind]:
        known = SCHEMA_VERSIONS[kind]
        words = f"it needs a udpim that knows schema {version}, this one knows {known}"
        raise StoreFormat(path, f"{words}; install a newer udpim")


def _explain_os(path: str, error: OSError) -> StoreError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreFull(path, "the disk is full; make room and try again")
    if not Path(path).parent.is_dir():
        return StoreError(path, f"there is no folder {Path(path).parent}; make it first")
    if isinstance(error, IsADirectoryError):
        return StoreError(path, "it is a folder; name a file")
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return StoreError(path, "it cannot be written; allow this user to write file and folder")
    return StoreError(path, f"it cannot be opened: {error.strerror}")


# --- With SQLite ---


def connect(
    path: str, kind: Kind, factory: ConnectionFactory, *, shared: bool
) -> sqlite3.Connection:
    """Open or make the database of a file that has been inspected; see `open_file`.

    What is in it then is synced.
    """
    try:
        connection = factory(
            str(Path(path).absolute()),  # so that SQLite finds no meaning in ":memory:"
            timeout=SHARED_LOCK_WAIT_S if shared else LOCK_WAIT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            make_or_check(path, kind, connection, shared=shared)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB[kind]}")
            # What a killed owner wrote but never synced looks committed now. Nobody may promise
            # anything from it before it is in the file, and synced.
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise StoreLocked(path, "another process is in the midst of a transaction")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise explain(path, error) from error
    return connection


def _begin_alone(connection: sqlite3.Connection, *, shared: bool) -> None:
    """Make this connection the only one; the system drops its lock when the process dies.

    For a shared file that holds only until the end of the transaction.
    """
    if not shared:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")


def make_or_check(path: str, kind: Kind, connection: sqlite3.Connection, *, shared: bool) -> None:
    """Check the format again, now with a journal played back; make the tables of a new file.

    An older file is brought to the present version in one transaction, all of it or nothing.

    A new file is made with SQLite's rollback journal and in one transaction: so its header, which
    `_inspect` reads, is in the file itself and not in a log beside it, and a making that is cut
    off leaves an empty file or a journal that empties it.
    """
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    _begin_alone(connection, shared=shared)
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        _check_format(path, kind, application_id, version)
        steps = [_UPGRADES[kind, old] for old in range(version, SCHEMA_VERSIONS[kind])]
        statements = tuple(chain.from_iterable(steps))
    else:
        statements = (*_SCHEMAS[kind], f"PRAGMA application_id = {APPLICATION_IDS[kind]}")
    for statement in statements:
        connection.execute(statement)
    if statements:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSIONS[kind]}")
    connection.execute("COMMIT")
