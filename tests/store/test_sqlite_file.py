"""Opening a store's file: what is refused, in which words, and that nothing of it changes."""

import errno
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.samples import STREAM, Driver, SqlError, faulty, inbox, outbox
from udpim.errors import StoreError, StoreFormat, StoreFull, StoreLocked
from udpim.im.records import PutMeta, SetAside
from udpim.store.sqlite import SQLiteStore
from udpim.store.sqlite_file import (
    APPLICATION_IDS,
    CACHE_KIB,
    HEADER_BYTES,
    SCHEMA_VERSIONS,
    explain,
    open_file,
    release,
)

VERSION = SCHEMA_VERSIONS["client"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.db"


def open_store(path, kind="client", **options):
    return SQLiteStore(str(path), kind=kind, **options)


def make(path, *ops, kind="client"):
    store = open_store(path, kind)
    assert Driver(store).commit(*ops) is None
    store.close()


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def refused(path, kind="client", error=StoreFormat, **options):
    """Open what must not open; return the sentence, having seen that nothing changed."""
    before = contents(path.parent)
    with pytest.raises(error) as caught:
        open_store(path, kind, **options)
    assert before == contents(path.parent)
    assert error is type(caught.value)
    assert str(path) == caught.value.path
    return str(caught.value)


def set_header(path, **pragmas):
    connection = sqlite3.connect(path)
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name} = {value}")
    connection.close()


# --- New files ---


def test_an_empty_file_becomes_a_store(path):
    path.touch()
    make(path, outbox())
    with sqlite3.connect(path) as connection:
        assert (
            APPLICATION_IDS["client"] == connection.execute("PRAGMA application_id").fetchone()[0]
        )
        assert VERSION == connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()


def test_only_the_owner_can_read_a_new_file(path):
    store = open_store(path)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    store.close()
    assert {0o600} == modes


def test_the_name_of_a_new_file_is_made_durable(path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), real(fd)))
    open_store(path).close()
    assert [path.parent.stat().st_ino] == synced
    open_store(path).close()
    assert 1 == len(synced)


def test_a_relative_path_with_a_meaning_for_sqlite_is_a_file(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    make(Path(":memory:"), outbox())
    store = open_store(":memory:")
    assert 3 == len(store.load_client().outbox)
    store.close()


def test_a_commit_is_synced(path):
    seen = {}

    def look(sql):
        if sql == "BEGIN":
            for name in ("journal_mode", "synchronous", "locking_mode"):
                (seen[name],) = made[0].execute(f"PRAGMA {name}").fetchone()

    made = []
    factory = faulty(look)

    def remember(*args, **options):
        made.append(factory(*args, **options))
        return made[0]

    store = open_store(path, connection_factory=remember)
    assert Driver(store).commit(outbox()) is None
    store.close()
    full = 2
    assert {"journal_mode": "wal", "synchronous": full, "locking_mode": "exclusive"} == seen


def test_a_making_that_was_cut_off_is_begun_anew(path):
    def cut(sql):
        if "user_version = " in sql:
            raise SqlError(sqlite3.SQLITE_IOERR, "disk I/O error")

    with pytest.raises(StoreError, match="disk fails"):
        open_store(path, connection_factory=faulty(cut))
    make(path, outbox())


# --- Files that are not ours ---


@pytest.mark.parametrize(
    "content", [b"hello", b"x" * 5000, b"SQLite format 3\0", b"\0" * HEADER_BYTES]
)
def test_a_file_of_something_else_is_refused(path, content):
    path.write_bytes(content)
    assert f"store {path}: it is not a udpim store; use another file" == refused(path)


def test_another_sqlite_file_is_refused(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    assert "not a udpim store" in refused(path)


def test_another_sqlite_file_is_not_even_recovered(path):
    """Opening it with SQLite would play its log back and change the file."""
    origin = path.parent.parent / "origin.db"
    connection = sqlite3.connect(origin)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE theirs (a)")
    connection.commit()
    for suffix in ("", "-wal"):
        shutil.copy(f"{origin}{suffix}", f"{path}{suffix}")
    connection.close()
    assert (path.parent / "some.db-wal").stat().st_size > 0
    assert "not a udpim store" in refused(path)


@pytest.mark.parametrize("torn", [b"\0" * 512, b"\xa5" * 512])
def test_a_first_page_that_a_loss_of_power_tore_comes_back_from_the_log(path, torn):
    origin = path.parent / "origin.db"
    store = open_store(origin)
    assert Driver(store).commit(PutMeta("large", b"x" * 99_999)) is None
    for suffix in ("", "-wal"):
        shutil.copy(f"{origin}{suffix}", f"{path}{suffix}")
    store.close()
    with path.open("r+b") as file:
        file.write(torn)
    again = open_store(path)
    assert {"large": b"x" * 99_999} == again.load_client().meta
    again.close()


def test_a_making_that_a_loss_of_power_tore_begins_anew(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE meta (key, value)")
    connection.execute("INSERT INTO meta VALUES (1, zeroblob(99999))")
    journal = Path(f"{path}-journal").read_bytes()
    connection.close()
    path.write_bytes(bytes(9 * 512))
    Path(f"{path}-journal").write_bytes(journal)
    store = open_store(path)
    assert {} == store.load_client().meta
    store.close()


def test_what_is_neither_ours_nor_played_back_stays_refused(path):
    path.write_bytes(b"hello" * 999)
    Path(f"{path}-journal").write_bytes(b"no journal")
    assert "not a udpim store" in refused(path)


@pytest.mark.parametrize(("made", "opened"), [("client", "server"), ("server", "client")])
def test_a_store_of_the_other_kind_is_refused(path, made, opened):
    make(path, kind=made)
    sentence = f"store {path}: it is the store of a {made}, not of a {opened}"
    assert sentence == refused(path, opened)


def test_a_newer_schema_is_refused_with_the_version_it_needs(path):
    make(path, outbox())
    set_header(path, user_version=VERSION + 1)
    sentence = refused(path)
    assert f"knows schema {VERSION + 1}" in sentence
    assert sentence.endswith("install a newer udpim")


def test_a_version_that_never_was_is_damage(path):
    make(path, outbox())
    set_header(path, user_version=0)
    assert "damaged" in refused(path)


def test_a_newer_schema_in_a_log_beside_the_file_is_refused(path):
    make(path, outbox())
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.commit()
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{path.parent}/copy.db{suffix}")
    connection.close()
    with pytest.raises(StoreFormat, match="needs a udpim"):
        open_store(path.parent / "copy.db")


# The tables of a client's file of version 1, as they were made then.
OFFSET_NUMBER = "INTEGER NOT NULL"
VERSION_1 = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE out_stream (number INTEGER PRIMARY KEY, record TEXT NOT NULL)",
    f"""CREATE TABLE outbox (number INTEGER NOT NULL, seq {OFFSET_NUMBER}, epoch {OFFSET_NUMBER},
        ttl_ms INTEGER NOT NULL, stamp {OFFSET_NUMBER}, payload BLOB NOT NULL,
        PRIMARY KEY (number, seq)) WITHOUT ROWID""",
    f"""CREATE TABLE stream (id INTEGER PRIMARY KEY, user TEXT NOT NULL, device TEXT NOT NULL,
        incarnation {OFFSET_NUMBER}, conversation TEXT NOT NULL,
        UNIQUE (user, device, incarnation, conversation))""",
    f"""CREATE TABLE in_stream (stream INTEGER PRIMARY KEY, cum {OFFSET_NUMBER},
        delivered BLOB NOT NULL, void BLOB NOT NULL, floor {OFFSET_NUMBER},
        void_runs TEXT NOT NULL)""",
    f"""CREATE TABLE inbox (arrival INTEGER PRIMARY KEY, stream INTEGER NOT NULL,
        seq {OFFSET_NUMBER}, handled INTEGER NOT NULL, stamp {OFFSET_NUMBER},
        payload BLOB NOT NULL, UNIQUE (stream, seq))""",
    "CREATE INDEX inbox_waiting ON inbox (arrival) WHERE handled = 0",
    f"PRAGMA application_id = {APPLICATION_IDS['client']}",
    "PRAGMA user_version = 1",
    "INSERT INTO meta VALUES ('incarnation', x'07')",
    "INSERT INTO stream VALUES (1, 'alice', 'phone', 9223372036854775807, 'bob')",
    *(
        f"INSERT INTO inbox VALUES ({seq}, 1, {seq - 2**63}, {handled}, {-(2**63)}, x'2a')"
        for seq, handled in ((1, 1), (2, 0), (3, 0))
    ),
)


def make_version_1(path):
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in VERSION_1:
        connection.execute(statement)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def schema_of(path):
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    found = {name: re.sub(r"\s+", " ", sql) for name, sql in rows}
    version = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return found, version


def test_a_file_of_version_1_opens_with_all_that_it_holds_and_becomes_a_new_one(path):
    make_version_1(path)
    make(path, SetAside(STREAM, 2, "why"))
    store = open_store(path)
    loaded, history = store.load_client(), store.inbox_history()
    store.close()
    assert {"incarnation": b"\x07"} == loaded.meta
    assert [(3, b"*")] == [(row.seq, row.payload) for row in loaded.inbox]
    assert [(2, "why")] == [(row.seq, row.words) for row in loaded.aside]
    assert [(1, True), (2, False), (3, False)] == [(row.seq, row.handled) for row in history]
    make(path.with_name("new.db"))
    assert schema_of(path.with_name("new.db")) == schema_of(path)


# The tables of a server's file of version 2 that it has queued messages in, as they were made then.
SERVER_VERSION_2 = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    """CREATE TABLE device (user TEXT NOT NULL, device TEXT NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (user, device)) WITHOUT ROWID""",
    f"""CREATE TABLE queue (id INTEGER PRIMARY KEY, to_user TEXT NOT NULL,
        to_device TEXT NOT NULL, user TEXT NOT NULL, device TEXT NOT NULL,
        incarnation {OFFSET_NUMBER}, conversation TEXT NOT NULL,
        floor {OFFSET_NUMBER}, base {OFFSET_NUMBER},
        UNIQUE (to_user, to_device, user, device, incarnation, conversation))""",
    f"""CREATE TABLE queue_row (queue INTEGER NOT NULL, seq {OFFSET_NUMBER},
        void INTEGER NOT NULL, stamp {OFFSET_NUMBER}, payload BLOB NOT NULL,
        PRIMARY KEY (queue, seq)) WITHOUT ROWID""",
    f"""CREATE TABLE receipt (user TEXT NOT NULL, device TEXT NOT NULL,
        incarnation {OFFSET_NUMBER}, conversation TEXT NOT NULL,
        to_user TEXT NOT NULL, to_device TEXT NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (user, device, incarnation, conversation, to_user, to_device))
        WITHOUT ROWID""",
    """CREATE TABLE chat_group (name TEXT PRIMARY KEY, owner TEXT NOT NULL,
        epoch INTEGER NOT NULL, next_ordinal INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE member (chat_group TEXT NOT NULL, user TEXT NOT NULL,
        device TEXT NOT NULL, ordinal INTEGER NOT NULL, joined INTEGER NOT NULL,
        PRIMARY KEY (chat_group, user, device)) WITHOUT ROWID""",
    f"PRAGMA application_id = {APPLICATION_IDS['server']}",
    "PRAGMA user_version = 2",
    f"""INSERT INTO queue VALUES (1, 'bob', 'phone', 'alice', 'phone', 0, 'bob',
        {1 - 2**63}, {1 - 2**63})""",
    *(
        f"INSERT INTO queue_row VALUES (1, {seq - 2**63}, {void}, {-(2**63)}, x'2a')"
        for seq, void in ((1, 0), (2, 1), (3, 0))
    ),
)


@pytest.mark.parametrize("age_s", [None, 0, 600, 0x1234ABCD])
def test_what_waits_in_a_servers_file_of_version_2_begins_to_wait_anew(path, age_s):
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in SERVER_VERSION_2:
        connection.execute(statement)
    if age_s is not None:
        connection.execute("INSERT INTO meta VALUES ('age_s', ?)", (age_s.to_bytes(8, "big"),))
    connection.close()
    store = open_store(path, "server")
    (queue,) = store.load_server().queue
    store.close()
    assert ((age_s or 0, 1, 1), (age_s or 0, 3, 3)) == queue.ages
    assert (((1, 1), (3, 3)), ((2, 2),)) == (queue.messages, queue.voids)
    open_store(path.with_name("new.db"), "server").close()
    found, version = schema_of(path)
    assert (SCHEMA_VERSIONS["server"],) == version
    assert (found, version) == schema_of(path.with_name("new.db"))


def test_an_upgrade_that_is_cut_off_leaves_the_old_file(path):
    make_version_1(path)
    before = schema_of(path)

    def fail(sql):
        if "user_version =" in sql:
            raise SqlError(sqlite3.SQLITE_FULL, "database or disk is full")

    with pytest.raises(StoreFull):
        open_store(path, connection_factory=faulty(fail))
    assert before == schema_of(path)
    open_store(path).close()
    assert (VERSION,) == schema_of(path)[1]


def test_a_damaged_file_is_refused(path):
    make(path, inbox(seqs=range(500)))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES)
        file.write(b"\xff" * (size - HEADER_BYTES))
    assert "damaged" in refused(path)


# --- Files that somebody has ---


def test_a_second_opening_in_this_process_is_refused(path):
    store = open_store(path)
    alias = path.parent / "alias.db"
    alias.symlink_to(path)
    for name in (path, alias):
        with pytest.raises(StoreLocked, match="this process"):
            open_store(name)
    store.close()
    open_store(alias).close()


OWNER = """
import sys
from udpim.im.records import PutMeta
from udpim.store.sqlite import SQLiteStore
store = SQLiteStore(sys.argv[1], kind="client")
store.set_wake(lambda: print("committed", flush=True))
store.submit(1, [PutMeta("owner", b"1")])
sys.stdin.read()
"""


@pytest.fixture
def owner(path):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert "committed\n" == process.stdout.readline()
        yield process
        process.kill()


def test_a_file_that_another_process_has_is_refused(path, owner):
    assert "another process has it open" in refused(path, error=StoreLocked)


def test_a_refused_second_opening_does_not_take_the_lock_away(path):
    """Closing any descriptor of a file drops the POSIX locks that the process has on it."""
    store = open_store(path)
    with pytest.raises(StoreLocked):
        open_store(path)
    second = subprocess.run(
        [sys.executable, "-c", OWNER, str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    store.close()
    assert "StoreLocked" in second.stderr


def test_what_a_killed_owner_committed_is_there(path, owner):
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    log = path.parent / "some.db-wal"
    assert log.stat().st_size > 0
    store = open_store(path)
    # The dead owner may have written without syncing: what is loaded must be in the file itself.
    assert 0 == log.stat().st_size
    assert {"owner": b"1"} == store.load_client().meta
    store.close()


# --- Places where no file can be ---


def test_a_missing_folder_is_named(path):
    inside = path.parent / "missing" / "some.db"
    with pytest.raises(StoreError) as caught:
        open_store(inside)
    assert f"there is no folder {inside.parent}; make it first" == caught.value.words


def test_a_file_in_place_of_a_folder_is_named(path):
    path.write_bytes(b"hello")
    with pytest.raises(StoreError, match="there is no folder"):
        open_store(path / "some.db")


def test_a_folder_is_no_store(path):
    path.mkdir()
    with pytest.raises(StoreError, match="it is a folder; name a file"):
        open_store(path)


@pytest.mark.parametrize(
    ("number", "error", "words"),
    [
        (errno.ENOSPC, StoreFull, "disk is full; make room"),
        (errno.EACCES, StoreError, "cannot be written; allow"),
        (errno.EROFS, StoreError, "cannot be written; allow"),
        (errno.EMFILE, StoreError, "cannot be opened: Too many open files"),
    ],
)
def test_a_file_that_cannot_be_made_is_told(path, monkeypatch, number, error, words):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(StoreError, match=words) as caught:
        open_store(path)
    assert error is type(caught.value)


def test_a_failing_sync_of_the_folder_is_told_and_the_file_can_be_opened_later(path, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match="Input/output error"):
            open_store(path)
    open_store(path).close()


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (sqlite3.SQLITE_FULL, StoreFull, "disk is full; make room"),
        (sqlite3.SQLITE_BUSY, StoreLocked, "another process"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreLocked, "another process"),
        (sqlite3.SQLITE_NOTADB, StoreFormat, "not a udpim store"),
        (sqlite3.SQLITE_CORRUPT, StoreFormat, "damaged"),
        (sqlite3.SQLITE_READONLY, StoreError, "cannot be written; allow"),
        (sqlite3.SQLITE_CANTOPEN, StoreError, "cannot be written; allow"),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreError, "the disk fails"),
        (sqlite3.SQLITE_NOMEM, StoreError, "SqlError: words"),
    ],
)
def test_each_code_of_sqlite_has_its_error(code, error, words):
    explained = explain("a.db", SqlError(code, "words"))
    assert error is type(explained)
    assert words in str(explained)


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE meta", "PRAGMA journal_mode", "SELECT (SELECT"]
)
def test_a_full_disk_at_opening_is_told_and_leaves_the_file_usable(path, statement):
    def full(sql):
        if sql.startswith(statement):
            raise SqlError(sqlite3.SQLITE_FULL, "database or disk is full")

    with pytest.raises(StoreFull, match="disk is full; make room"):
        open_store(path, connection_factory=faulty(full))
    make(path, outbox())


@pytest.mark.parametrize("kind", ["client", "server"])
def test_each_kind_has_its_page_cache(path, kind):
    connection, file_id = open_file(str(path), kind, sqlite3.connect)
    assert (-CACHE_KIB[kind],) == connection.execute("PRAGMA cache_size").fetchone()
    connection.close()
    release(file_id)
