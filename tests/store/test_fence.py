"""Of several processes that have one server's store open, only the latest home writes."""

import sqlite3
from contextlib import closing

import pytest

from tests.store.samples import Driver
from udpim.errors import StoreFenced, StoreLocked
from udpim.im.records import PutMeta
from udpim.store import sqlite_file
from udpim.store.sqlite import SQLiteStore


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "server.db")


@pytest.fixture
def two_processes(monkeypatch):
    """Let one process open a file as often as two could."""

    class Nothing(set):
        def __contains__(self, item):
            return False

    monkeypatch.setattr(sqlite_file, "_open_here", Nothing())


def home(path, epoch):
    return SQLiteStore(path, kind="server", fence=epoch)


def test_a_later_home_ends_the_promises_of_an_earlier_one(path, two_processes):
    with closing(home(path, 3)) as old:
        driver = Driver(old)
        assert driver.commit(PutMeta("before", b"1")) is None
        with closing(home(path, 4)) as new:
            error = driver.commit(PutMeta("after", b"2"))
            assert (StoreFenced, 4) == (type(error), error.epoch)
            assert "the home of epoch 4 has taken it over, this one had epoch 3" in str(error)
            assert StoreFenced is type(driver.commit(PutMeta("after", b"3")))
            assert Driver(new).commit(PutMeta("new", b"4")) is None
            meta = new.load_server().meta
    assert {"before": b"1", "new": b"4"} == {k: v for k, v in meta.items() if k != "fence"}


def test_what_a_group_holds_fails_together_when_it_is_fenced(path, two_processes):
    with closing(home(path, 1)) as old, closing(home(path, 2)):
        for token in range(5):
            old.submit(token, [PutMeta(f"key {token}", b"")])
        done = []
        while len(done) < 5:
            done += old.completed()
    assert [StoreFenced] * 5 == [type(completion.error) for completion in done]


@pytest.mark.parametrize("epoch", [1, 5])
def test_an_epoch_that_the_store_has_seen_is_refused(path, epoch):
    home(path, 5).close()
    with pytest.raises(StoreFenced) as caught:
        home(path, epoch)
    assert (path, 5) == (caught.value.path, caught.value.epoch)
    home(path, 6).close()


def test_the_largest_epoch_is_one(path):
    home(path, 2**64 - 1).close()
    with pytest.raises(StoreFenced):
        home(path, 2**64 - 1)


def test_who_does_not_share_and_who_does_keep_each_other_out(path, two_processes):
    with closing(SQLiteStore(path, kind="server")), pytest.raises(StoreLocked):
        home(path, 1)
    with closing(home(path, 1)), pytest.raises(StoreLocked):
        SQLiteStore(path, kind="server")


def test_a_home_in_the_midst_of_a_transaction_keeps_the_next_one_out(path, monkeypatch):
    home(path, 1).close()
    monkeypatch.setattr(sqlite_file, "SHARED_LOCK_WAIT_S", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked):
            home(path, 2)
    home(path, 3).close()


def test_a_reader_that_holds_the_log_keeps_the_next_one_out(path, monkeypatch):
    first = home(path, 1)
    monkeypatch.setattr(sqlite_file, "SHARED_LOCK_WAIT_S", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM meta").fetchone()
        assert Driver(first).commit(PutMeta("behind the reader", b"")) is None
        first.close()
        with pytest.raises(StoreLocked, match=r"in the midst of a transaction|has it open"):
            home(path, 2)
