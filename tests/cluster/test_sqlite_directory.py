"""The directory changes hands only from what was seen, and never lowers the epoch."""

import sqlite3
import stat
from contextlib import closing

import pytest

from udpim.cluster import sqlite_directory
from udpim.cluster.directory import Lease
from udpim.cluster.sqlite_directory import FILE, SQLiteDirectory
from udpim.errors import StoreError, StoreFormat, StoreLocked


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path)


@pytest.fixture
def two(folder):
    with closing(SQLiteDirectory(folder)) as one, closing(SQLiteDirectory(folder)) as other:
        yield one, other


def test_of_two_that_saw_the_same_one_gets_the_lease(two):
    one, other = two
    assert one.look() is None
    assert Lease("a", 1, 0) == one.claim("a", None)
    assert other.claim("b", None) is None
    assert Lease("a", 1, 0) == other.look()


def test_a_renewal_makes_a_claim_fail_that_did_not_see_it(two):
    one, other = two
    lease = one.claim("a", None)
    seen = other.look()
    assert Lease("a", 1, 1) == one.renew(lease)
    assert other.claim("b", seen) is None
    assert Lease("b", 2, 0) == other.claim("b", other.look())


def test_who_was_replaced_can_neither_renew_nor_release(two):
    one, other = two
    lease = one.claim("a", None)
    taken = other.claim("b", lease)
    assert one.renew(lease) is None
    one.release(lease)
    assert taken == one.look()


def test_a_lease_that_was_given_back_is_free_and_keeps_its_epoch(two):
    one, other = two
    one.release(one.claim("a", None))
    assert Lease("", 1, 0) == other.look()
    assert Lease("b", 2, 0) == other.claim("b", other.look())


def test_a_claim_is_above_what_the_store_has_seen(two):
    one, _ = two
    lease = one.claim("a", None, least_epoch=9)
    assert 9 == lease.epoch
    assert 10 == one.claim("b", lease, least_epoch=3).epoch


def test_it_stays_when_everybody_has_gone(folder):
    with closing(SQLiteDirectory(folder)) as one:
        lease = one.claim("a", None)
    with closing(SQLiteDirectory(folder)) as other:
        assert lease == other.look()


def test_only_its_user_may_read_it(tmp_path, folder):
    SQLiteDirectory(folder).close()
    assert 0o600 == stat.S_IMODE((tmp_path / FILE).stat().st_mode)


def test_without_a_folder_there_is_none(tmp_path):
    with pytest.raises(StoreError, match="it cannot be opened: No such file or directory"):
        SQLiteDirectory(str(tmp_path / "nowhere"))


def test_another_file_in_its_place_is_named(tmp_path, folder):
    (tmp_path / FILE).write_bytes(b"something else " * 100)
    with pytest.raises(StoreFormat, match=FILE):
        SQLiteDirectory(folder)


def test_a_directory_that_somebody_holds_is_an_error_and_not_a_wait_for_ever(folder, monkeypatch):
    monkeypatch.setattr(sqlite_directory, "LOCK_WAIT_S", 0.01)
    with closing(SQLiteDirectory(folder)) as directory:
        with closing(sqlite3.connect(f"{folder}/{FILE}", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreLocked):
                directory.claim("a", None)
        assert directory.claim("a", None) is not None
