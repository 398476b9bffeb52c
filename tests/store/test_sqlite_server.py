"""A server's rows in SQLite beyond the contract: nothing is left behind."""

import sqlite3

import pytest

from tests.store.samples import (
    BOB,
    OTHER,
    STREAM,
    Driver,
    device,
    group,
    membership,
    message,
    queued,
    receipt,
    void,
)
from udpim.im.records import (
    DeleteQueue,
    DropMember,
    DropReceipt,
    PutDevice,
    PutGroup,
    PutMember,
    PutReceipt,
)
from udpim.model import SEQ_MAX
from udpim.store.sqlite import SQLiteStore


@pytest.fixture
def counted(tmp_path):
    """Commit transactions, close, and count the rows of each table."""

    def count(*transactions):
        path = str(tmp_path / "some.db")
        store = SQLiteStore(path, kind="server")
        driver = Driver(store)
        for ops in transactions:
            assert driver.commit(*ops) is None
        store.close()
        connection = sqlite3.connect(path)
        tables = ("device", "queue", "queue_row", "receipt", "chat_group", "member")
        found = [connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables]
        connection.close()
        return found

    return count


def test_rows_are_unique(counted):
    once = (
        PutDevice(device()),
        queued(message(1), void(2)),
        queued(message(1), stream=OTHER),
        PutReceipt(receipt()),
        PutGroup(group()),
        PutMember(membership()),
    )
    assert [1, 2, 3, 1, 1, 1] == counted(once, once, once + once)


def test_nothing_is_left_of_what_was_settled(counted):
    put = (queued(message(1), void(SEQ_MAX)), PutReceipt(receipt()), PutMember(membership()))
    drop = (
        DeleteQueue(BOB, STREAM, ((0, SEQ_MAX),)),
        DropReceipt(STREAM, BOB),
        DropMember("#g", *BOB),
    )
    assert [0, 0, 0, 0, 0, 0] == counted(put, drop)


def test_a_rise_of_the_floor_alone_leaves_nothing(counted):
    assert [0, 0, 0, 0, 0, 0] == counted((queued(floor=9),))


def test_many_items_go_in_one_transaction(counted):
    assert [0, 1, 1000, 0, 0, 0] == counted((queued(*(message(seq) for seq in range(1000))),))
