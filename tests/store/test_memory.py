"""The memory store beyond the contract: at once, and no history."""

import pytest

from tests.store.samples import BOB, STREAM, Driver, inbox, outbox, queued
from udpim.im.records import MarkHandled, ReadQueue
from udpim.store.memory import MemoryStore


def test_everything_is_complete_when_submit_returns():
    store = MemoryStore()
    store.submit(7, (outbox(),))
    store.submit(8, (queued(),))
    store.read_queue(9, ReadQueue(BOB, (), 0))
    assert [7, 8, 9] == [done.token for done in store.completed()]
    assert [] == store.completed()


def test_nobody_is_woken_for_what_is_complete_at_once():
    store = MemoryStore()
    store.set_wake(lambda: pytest.fail("woken"))
    store.submit(1, (outbox(),))
    assert 1 == len(store.completed())


def test_a_handled_message_takes_no_memory():
    store = MemoryStore()
    driver = Driver(store)
    assert driver.commit(inbox(), MarkHandled(STREAM, ((1, 3),))) is None
    assert driver.commit(inbox()) is None
    assert 3 == len(store.load_client().inbox)


def test_what_one_store_held_can_be_handed_to_the_next():
    first = MemoryStore()
    first.submit(1, (outbox(),))
    first.close()
    assert first.load_client() == MemoryStore(first.state).load_client()
