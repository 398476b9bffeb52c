"""SQLite on a drive in memory."""

from contextlib import suppress

import pytest

pytest.importorskip("apsw", reason="needs the extra sim")

import apsw

from udpim.testing.choices import Choices
from udpim.testing.power.drive import Drive
from udpim.testing.power.vfs import NAME, vfs

PATH = "/folder/file.db"


def opened(drive, flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE):
    return apsw.Connection(vfs.path_on(drive, PATH), flags=flags, vfs=NAME)


@pytest.fixture
def drive():
    return Drive(Choices(0, {}).stream("drive"))


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_commit_survives_and_an_open_transaction_does_not(drive, mode):
    connection = opened(drive)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    assert mode == connection.execute(f"PRAGMA journal_mode = {mode}").get
    connection.execute("PRAGMA synchronous = FULL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    connection.execute("PRAGMA cache_size = 1; BEGIN; INSERT INTO t VALUES (zeroblob(99999))")
    drive.lose_power()
    with suppress(apsw.IOError):
        connection.close()
    again = opened(drive)
    again.execute("PRAGMA locking_mode = EXCLUSIVE")
    assert [(1,)] == again.execute("SELECT x FROM t").fetchall()
    assert "ok" == again.execute("PRAGMA integrity_check").get


def test_who_lived_before_the_loss_reaches_nothing_any_more(drive):
    connection = opened(drive)
    connection.execute("CREATE TABLE t (x)")
    drive.lose_power()
    before = drive.image()
    with pytest.raises(apsw.IOError):
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()
    assert before == drive.image()


def test_side_files_go_with_the_transaction(drive):
    connection = opened(drive)
    connection.execute("BEGIN; CREATE TABLE t (x); PRAGMA cache_spill = 1")
    connection.execute("INSERT INTO t VALUES (zeroblob(9999999))")
    assert {PATH, f"{PATH}-journal"} == set(drive.image())
    connection.execute("COMMIT")
    assert {PATH} == set(drive.image())


def test_a_file_that_is_not_there_is_made_only_where_that_is_asked_for(drive):
    with pytest.raises(apsw.CantOpenError):
        opened(drive, flags=apsw.SQLITE_OPEN_READWRITE)


def test_files_without_a_name_are_no_part_of_the_drive(drive):
    connection = opened(drive)
    connection.execute("PRAGMA temp_store = FILE; PRAGMA cache_size = 1; CREATE TEMP TABLE t (x)")
    connection.execute("INSERT INTO temp.t VALUES (zeroblob(999999))")
    assert [(999999,)] == connection.execute("SELECT length(x) FROM t").fetchall()
    assert set() == set(drive.image()) - {PATH}
