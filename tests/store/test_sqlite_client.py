"""A client's rows in SQLite beyond the contract: the inbox history, the numbers of streams."""

import sqlite3

import pytest

from tests.store.samples import OTHER, STREAM, Driver, SqlError, faulty, in_stream, inbox, outbox
from udpim.errors import StoreError, StoreFull
from udpim.im.records import MarkHandled, PutInStream, StampOutbox, TrimOutbox
from udpim.model import SEQ_MAX
from udpim.store import sqlite_client
from udpim.store.sqlite import SQLiteStore
from udpim.store.sqlite_client import PRUNES_A_ROUND, bits_to_blob
from udpim.store.sqlite_rows import HistoryRow


@pytest.fixture
def opened(tmp_path):
    """Open a store, closing the one before; the last one is closed at the end."""
    stores = []

    def open_store(**options):
        for store in stores:
            store.close()
        stores.append(SQLiteStore(str(tmp_path / "some.db"), kind="client", **options))
        return stores[-1], Driver(stores[-1])

    yield open_store
    stores[-1].close()


def arrive_and_be_handled(driver, seqs):
    assert driver.commit(inbox(STREAM, seqs), MarkHandled(STREAM, ((0, SEQ_MAX),))) is None


def test_handled_messages_stay_as_history(opened):
    store, driver = opened()
    assert driver.commit(inbox(STREAM, (1, SEQ_MAX)), inbox(OTHER, (7,))) is None
    assert driver.commit(MarkHandled(STREAM, ((0, SEQ_MAX),))) is None
    expected = [
        HistoryRow(STREAM, 1, True, 1, b"in 1"),
        HistoryRow(STREAM, SEQ_MAX, True, SEQ_MAX % 7, b"in %d" % SEQ_MAX),
        HistoryRow(OTHER, 7, False, 0, b"in 7"),
    ]
    assert expected == store.inbox_history()
    store, _ = opened()
    assert expected == store.inbox_history()


def test_a_handled_message_cannot_arrive_again(opened):
    store, driver = opened()
    arrive_and_be_handled(driver, (1, 2))
    assert type(driver.commit(inbox(STREAM, (2,)))) is StoreError
    assert [1, 2] == [row.seq for row in store.inbox_history()]


def test_history_is_pruned_oldest_first_and_never_longer_than_its_limit(opened):
    store, driver = opened(inbox_history_rows=80)
    for seq in range(1, 301):
        arrive_and_be_handled(driver, (seq,))
        if seq % 20 == 0:
            kept = [row.seq for row in store.inbox_history()]
            assert min(seq, 70) <= len(kept) <= 80
            assert list(range(seq + 1 - len(kept), seq + 1)) == kept


def test_pruning_is_seldom(opened):
    deletes = []
    factory = faulty(lambda sql: deletes.append(sql) if sql.startswith("DELETE") else None)
    _, driver = opened(inbox_history_rows=80, connection_factory=factory)
    for seq in range(1, 281):
        arrive_and_be_handled(driver, (seq,))
    assert (280 - 80) / 11 - 1 <= len(deletes) <= (280 - 80) / 10


def test_waiting_messages_are_never_pruned(opened):
    store, driver = opened(inbox_history_rows=8)
    assert driver.commit(inbox(OTHER, range(1, 31))) is None
    arrive_and_be_handled(driver, range(1, 31))
    assert 30 == len(store.load_client().inbox)
    assert [30 - 6, 30] == [row.seq for row in store.inbox_history()[30::6]]


def test_messages_that_wait_below_the_history_make_pruning_no_dearer(opened):
    steps = []

    def counting(*args, **options):
        connection = sqlite3.connect(*args, **options)
        connection.set_progress_handler(lambda: steps.append(1) and 0, 10)
        return connection

    spent = []
    for waiting in (10, 20_000):
        _, driver = opened(inbox_history_rows=80, connection_factory=counting)
        stale = OTHER._replace(user=f"waiting {waiting}")
        assert driver.commit(inbox(stale, range(waiting))) is None
        done = OTHER._replace(user=f"done {waiting}")
        for seq in range(200):
            if seq == 100:
                steps.clear()
            assert driver.commit(inbox(done, (seq,)), MarkHandled(done, ((seq, seq),))) is None
        spent.append(len(steps))
    assert 0.8 < spent[1] / spent[0] < 1.2


def test_what_was_handled_late_is_pruned_in_its_turn(opened):
    store, driver = opened(inbox_history_rows=8)
    assert driver.commit(inbox(OTHER, range(6))) is None
    arrive_and_be_handled(driver, range(1, 31))
    assert driver.commit(MarkHandled(OTHER, ((0, 9),))) is None
    for seq in range(31, 31 + 3 * PRUNES_A_ROUND):
        arrive_and_be_handled(driver, (seq,))
        assert len(store.inbox_history()) <= 8
    assert {STREAM} == {row.stream for row in store.inbox_history()}


def test_no_history_can_be_kept_at_all(opened):
    store, driver = opened(inbox_history_rows=0)
    arrive_and_be_handled(driver, range(9))
    assert [] == store.inbox_history()


def test_a_smaller_limit_holds_from_the_first_commit(opened):
    _, driver = opened()
    arrive_and_be_handled(driver, range(1, 101))
    store, driver = opened(inbox_history_rows=10)
    assert 100 == len(store.inbox_history())
    assert driver.commit() is None
    assert list(range(92, 101)) == [row.seq for row in store.inbox_history()]


def test_a_rolled_back_handling_does_not_count_as_history(opened):
    failing = []

    def script(sql):
        if sql == "COMMIT" and failing:
            raise failing.pop()

    store, driver = opened(inbox_history_rows=10, connection_factory=faulty(script))
    assert driver.commit(inbox(STREAM, range(1, 11))) is None
    for _ in range(5):
        failing.append(SqlError(sqlite3.SQLITE_FULL, "full"))
        assert type(driver.commit(MarkHandled(STREAM, ((1, 10),)))) is StoreFull
    assert driver.commit(MarkHandled(STREAM, ((1, 10),))) is None
    assert 10 == len(store.inbox_history())


def test_a_stream_numbered_in_a_rolled_back_transaction_is_numbered_again(opened):
    store, driver = opened()
    assert driver.commit(outbox()) is None
    assert driver.commit(PutInStream(in_stream(STREAM)), inbox(STREAM), outbox()) is not None
    assert driver.commit(PutInStream(in_stream(OTHER)), inbox(OTHER)) is None
    assert driver.commit(PutInStream(in_stream(STREAM)), inbox(STREAM)) is None
    loaded = store.load_client()
    assert [OTHER] * 3 + [STREAM] * 3 == [row.stream for row in loaded.inbox]
    assert [OTHER, STREAM] == [record.stream for record in loaded.in_streams]


def test_the_cache_of_stream_numbers_has_a_limit(opened, monkeypatch):
    monkeypatch.setattr(sqlite_client, "STREAM_IDS_MAX", 2)
    store, driver = opened()
    streams = [STREAM._replace(conversation=f"{i}") for i in range(5)]
    assert driver.commit(*(inbox(stream, (1,)) for stream in streams)) is None
    assert driver.commit(*(inbox(stream, (2,)) for stream in streams)) is None
    assert streams * 2 == [row.stream for row in store.load_client().inbox]


def test_the_order_within_one_transaction_is_kept(opened):
    store, driver = opened()
    ops = [
        outbox(count=4),
        StampOutbox(1, 1, 2, 9),
        TrimOutbox(1, 2, 3),
        outbox(first_seq=2, count=1),
        StampOutbox(1, 3, 9, 8),
        TrimOutbox(1, 1, 1),
    ]
    assert driver.commit(*ops) is None
    assert [(2, 1), (4, 8)] == [(row.seq, row.epoch) for row in store.load_client().outbox]


def test_a_message_is_not_handled_by_a_mark_that_came_before_it(opened):
    store, driver = opened()
    assert driver.commit(MarkHandled(STREAM, ((1, 9),)), inbox(STREAM, (9, 10))) is None
    assert [9, 10] == [row.seq for row in store.load_client().inbox]


def test_a_bitmap_takes_no_more_bytes_than_it_needs():
    assert [b"", b"\x01", b"\x00\x01"] == [bits_to_blob(bits) for bits in (0, 1, 256)]
    assert 128 == len(bits_to_blob(2**1024 - 1))
