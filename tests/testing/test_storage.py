"""Virtual disks: pending, committed, crashed, failing."""

import pytest

from udpim.errors import StoreError, StoreFenced, StoreFull
from udpim.im.records import (
    InStreamRecord,
    PutInbox,
    PutInStream,
    PutMeta,
    PutQueue,
    QueueRow,
    ReadQueue,
)
from udpim.model import Endpoint, StreamId
from udpim.store.state import StoreState
from udpim.testing.clock import VirtualClock
from udpim.testing.storage import VirtualStore

STREAM = StreamId("alice", "phone", 7, "bob")


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def store(clock):
    return VirtualStore(clock, "disk", sync_s=1.0)


def meta(store):
    return store.load_client().meta


def test_commit_is_pending_until_it_is_synced(clock, store):
    woken = []
    store.set_wake(lambda: woken.append(clock.now))
    store.submit(1, [PutMeta("a", b"1")])
    clock.run_until(0.9)
    assert (store.completed(), meta(store), store.pending) == ([], {}, 1)
    clock.run_until(1.0)
    assert [(1, None, ())] == store.completed()
    assert meta(store) == {"a": b"1"}
    assert woken == [1.0]


def test_transactions_complete_in_order_of_submission(clock, store):
    store.submit(1, [PutMeta("a", b"1")])
    store.sync_s = 0.1
    store.submit(2, [PutMeta("a", b"2")])
    clock.run_until(2)
    assert [c.token for c in store.completed()] == [1, 2]
    assert meta(store) == {"a": b"2"}


def test_crash_loses_what_is_pending_and_nothing_else(clock, store):
    store.submit(1, [PutMeta("a", b"1")])
    clock.run_until(1)
    store.submit(2, [PutMeta("b", b"2")])
    store.crash()
    clock.run_until(5)
    assert meta(store) == {"a": b"1"}
    assert store.completed() == []


def test_crash_may_let_the_oldest_land_untold(clock, store):
    observed = []
    store.observe = observed.append
    store.submit(1, [PutMeta("a", b"1")])
    store.submit(2, [PutMeta("b", b"2")])
    store.crash(landing=1)
    clock.run_until(5)
    assert meta(store) == {"a": b"1"}
    assert observed == [(PutMeta("a", b"1"),)]


def test_memory_is_done_at_once_and_forgets_at_the_crash(clock):
    store = VirtualStore(clock, "memory", durable=False)
    store.submit(1, [PutMeta("a", b"1")])
    assert [c.token for c in store.completed()] == [1]
    store.crash()
    assert meta(store) == {}


def test_reads_see_every_transaction_before_them(clock, store):
    bob = Endpoint("bob", "phone")
    row = QueueRow(1, False, 0, b"x")
    store.submit(1, [PutQueue(bob, STREAM, 1, 1, (row,))])
    store.read_queue(2, ReadQueue(bob, ((STREAM, ((1, 9),)),), 100))
    clock.run_until(5)
    _, answer = store.completed()
    assert [items.rows for items in answer.items] == [(row,)]
    assert len(store.load_server().queue) == 1


@pytest.mark.parametrize("lands", [False, True])
def test_failed_transaction_says_so_whether_it_landed_or_not(clock, store, lands):
    store.fail(lands=lands)
    store.submit(1, [PutMeta("a", b"1")])
    store.submit(2, [PutMeta("b", b"2")])
    clock.run_until(5)
    first, second = store.completed()
    assert isinstance(first.error, StoreFull)
    assert (second.error is not None) is lands, "an open outcome is the end of all promises"
    assert ("a" in meta(store), "b" in meta(store)) == (lands, not lands)


def test_after_a_failure_a_client_s_later_transactions_fail_too(clock, store):
    store.load_client()
    store.fail()
    store.submit(1, [PutMeta("a", b"1")])
    store.submit(2, [PutMeta("b", b"2")])
    clock.run_until(5)
    assert [StoreFull, StoreError] == [type(one.error) for one in store.completed()]
    store.crash()
    store.submit(3, [PutMeta("c", b"3")])
    clock.run_until(6)
    assert [None] == [one.error for one in store.completed()]
    assert {"c"} == set(meta(store))


def test_error_may_be_chosen(clock, store):
    store.fail(StoreError("disk", "input/output error"))
    store.submit(1, [PutMeta("a", b"1")])
    clock.run_until(5)
    assert str(store.completed()[0].error) == "store disk: input/output error"


def test_conflict_is_the_transaction_s_error(clock, store):
    ops = [
        PutInbox(STREAM, (1,), (0,), (b"x",)),
        PutInStream(InStreamRecord(STREAM, 1, 0, 0, 1, ())),
    ]
    store.submit(1, ops)
    store.submit(2, ops)
    clock.run_until(5)
    first, second = store.completed()
    assert first.error is None
    assert "already" in str(second.error)


def test_hooks_fire_once_before_and_after_the_sync(clock, store):
    fired = []
    store.on_submit(PutMeta, lambda: fired.append(("submit", dict(meta(store)))))
    store.on_durable(PutMeta, lambda: fired.append(("durable", dict(meta(store)))))
    store.submit(1, [PutMeta("a", b"1")])
    store.submit(2, [PutMeta("a", b"2")])
    clock.run_until(5)
    assert fired == [("submit", {}), ("durable", {"a": b"1"})]


@pytest.mark.parametrize("durable", [False, True])
def test_crash_in_a_hook_is_a_crash_at_that_moment(clock, store, durable):
    hook = store.on_durable if durable else store.on_submit
    hook(PutMeta, store.crash)
    store.submit(1, [PutMeta("a", b"1")])
    clock.run_until(5)
    assert store.completed() == []
    assert ("a" in meta(store)) is durable


def test_disks_are_lost_backed_up_and_restored(clock, store):
    store.submit(1, [PutMeta("a", b"1")])
    clock.run_until(1)
    backup = store.backup()
    store.submit(2, [PutMeta("a", b"2")])
    store.close()
    assert meta(store) == {"a": b"2"}
    store.restore(backup)
    assert meta(store) == {"a": b"1"}
    store.lose_disk()
    assert meta(store) == {}


# A process that stands still


def test_what_is_due_while_frozen_is_done_at_the_thaw_in_order(clock, store):
    woken = []
    store.set_wake(lambda: woken.append(clock.now))
    store.submit(1, [PutMeta("a", b"1")])
    store.submit(2, [PutMeta("a", b"2")])
    store.freeze()
    clock.run_until(5.0)
    assert (2, [], {}) == (store.pending, woken, meta(store))
    store.thaw()
    assert (0, [5.0], {"a": b"2"}) == (store.pending, woken, meta(store))
    assert [1, 2] == [done.token for done in store.completed()]
    store.freeze()
    store.thaw()
    assert [5.0] == woken


def test_what_is_not_due_yet_at_the_thaw_takes_its_time(clock, store):
    store.freeze()
    store.submit(1, [PutMeta("a", b"1")])
    clock.run_until(0.5)
    store.thaw()
    assert 1 == store.pending
    clock.run_until(1.0)
    assert 0 == store.pending


def test_who_dies_frozen_has_written_nothing(clock, store):
    store.submit(1, [PutMeta("a", b"1")])
    store.freeze()
    clock.run_until(5.0)
    store.crash()
    store.thaw()
    assert {} == meta(store)
    store.submit(2, [PutMeta("a", b"2")])
    clock.run_until(7.0)
    assert {"a": b"2"} == meta(store)


def test_a_crash_in_the_thaw_loses_the_rest(clock, store):
    store.on_durable(PutMeta, store.crash)
    store.submit(1, [PutMeta("a", b"1")])
    store.submit(2, [PutMeta("a", b"2")])
    store.freeze()
    clock.run_until(5.0)
    store.thaw()
    assert {"a": b"1"} == meta(store)


# A disk that another home has taken


class Fenced(StoreState):
    taken = False

    def apply(self, ops):
        if self.taken:
            raise StoreFenced("disk", "taken over", 2)
        super().apply(ops)

    def read_queue(self, request):
        self.apply([])
        return super().read_queue(request)


def test_a_fence_refuses_reads_and_writes_for_good(clock):
    disk = Fenced()
    store = VirtualStore(clock, "disk", new_disk=lambda: disk)
    store.submit(1, [PutMeta("a", b"1")])
    clock.run_until(1.0)
    disk.taken = True
    store.read_queue(2, ReadQueue(Endpoint("bob", "phone"), (), 1))
    clock.run_until(2.0)
    disk.taken = False
    store.submit(3, [PutMeta("a", b"2")])
    clock.run_until(3.0)
    verdicts = [type(done.error) for done in store.completed()]
    assert [type(None), StoreFenced, StoreFenced] == verdicts
    assert {"a": b"1"} == meta(store)
