"""The contract of `udpim.store.base.Store`, for every store there is."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store import samples
from tests.store.samples import (
    BOB,
    BOB_TABLET,
    OTHER,
    STREAM,
    U64_MAX,
    Driver,
    device,
    group,
    in_stream,
    inbox,
    membership,
    message,
    out_stream,
    outbox,
    queued,
    receipt,
    void,
)
from udpim.errors import LocalProtocolError, StoreError
from udpim.im.records import (
    AsideRow,
    ClientSnapshot,
    DeleteQueue,
    DropMember,
    DropReceipt,
    InboxRow,
    MarkHandled,
    OutboxRow,
    PutDevice,
    PutGroup,
    PutInbox,
    PutInStream,
    PutMember,
    PutMeta,
    PutOutbox,
    PutOutStream,
    PutReceipt,
    QueueIndex,
    QueueItems,
    ReadQueue,
    ServerSnapshot,
    SetAside,
    StampOutbox,
    TakeBack,
    TrimOutbox,
)
from udpim.model import SEQ_MAX, Endpoint
from udpim.store.memory import MemoryStore
from udpim.store.sqlite import SQLiteStore

EVERYTHING = ((0, SEQ_MAX),)


class Place:
    """One store's place: opened, reopened, loaded."""

    def __init__(self, name, kind, folder):
        self.name, self.kind, self.folder = name, kind, folder
        self.store = None
        self.driver = None
        self.reopen()

    def reopen(self):
        if self.store is not None:
            self.store.close()
        if self.name == "memory":
            self.store = MemoryStore(self.store and self.store.state)
        else:
            self.store = SQLiteStore(str(self.folder / f"{self.kind}.db"), kind=self.kind)
        self.driver = Driver(self.store)

    def snapshot(self):
        """Load, and see that a reopened store loads the same."""
        load = f"load_{self.kind}"
        before = getattr(self.store, load)()
        self.reopen()
        assert before == getattr(self.store, load)()
        return before

    def commit(self, *ops):
        assert self.driver.commit(*ops) is None


def place_of(kind):
    @pytest.fixture(params=["memory", "sqlite"])
    def place(request, tmp_path):
        place = Place(request.param, kind, tmp_path)
        yield place
        place.store.close()

    return place


client = place_of("client")
server = place_of("server")


# --- Transactions ---


def test_a_new_store_is_empty(client, server):
    assert ClientSnapshot() == client.snapshot()
    assert ServerSnapshot() == server.snapshot()


def test_only_sqlite_is_durable(client):
    assert (client.name == "sqlite") == client.store.durable


def test_completions_come_in_the_order_of_submission(client):
    tokens = [client.driver.submit(outbox(first_seq=i)) for i in range(0, 300, 3)]
    assert tokens == [done.token for done in client.driver.wait(100)]
    assert [] == client.store.completed()


def test_transactions_are_applied_in_the_order_of_submission(client):
    for value in range(50):
        client.driver.submit(PutMeta("last", b"%d" % value))
    assert {"last": b"49"} == client.snapshot().meta


@pytest.mark.parametrize(
    ("present", "again"),
    [(outbox(first_seq=5, count=2), outbox(first_seq=4, count=2)), (inbox(), inbox(seqs=(3, 4)))],
)
def test_a_transaction_that_fails_in_the_middle_leaves_nothing(client, present, again):
    client.commit(present)
    before = client.snapshot()
    parts = (
        PutMeta("key", b"value"),
        outbox(number=7),
        again,
        inbox(OTHER),
        TrimOutbox(1, 0, SEQ_MAX),
        MarkHandled(STREAM, EVERYTHING),
    )
    assert isinstance(client.driver.commit(*parts), StoreError)
    client.reopen()
    assert before == client.snapshot()


def test_a_failed_transaction_does_not_hurt_its_neighbours(client):
    client.commit(outbox())
    client.driver.submit(PutMeta("before", b""))
    client.driver.submit(PutMeta("bad", b""), outbox())
    client.driver.submit(PutMeta("after", b""))
    failed = [done.error is not None for done in client.driver.wait(3)]
    assert [False, True, False] == failed
    assert {"before": b"", "after": b""} == client.snapshot().meta


def test_close_commits_what_was_submitted(client):
    tokens = [client.driver.submit(outbox(first_seq=i * 3)) for i in range(100)]
    client.store.close()
    client.store.close()
    assert tokens == [done.token for done in client.store.completed() if done.error is None]
    client.reopen()
    assert 300 == len(client.snapshot().outbox)


def test_a_closed_store_takes_nothing(server):
    server.store.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        server.store.submit(1, ())
    with pytest.raises(LocalProtocolError, match="closed"):
        server.store.read_queue(1, ReadQueue(BOB, (), 0))


def test_named_values_are_replaced(client, server):
    for place in (client, server):
        place.commit(PutMeta("incarnation", b"1"), PutMeta("secret", b"\0s"))
        place.commit(PutMeta("incarnation", b"2"))
        assert {"incarnation": b"2", "secret": b"\0s"} == place.snapshot().meta


# --- Sender's side ---


def test_an_outgoing_stream_is_replaced_whole(client):
    client.commit(PutOutStream(out_stream(2)), PutOutStream(out_stream(1)))
    client.commit(PutOutStream(out_stream(2, next_seq=2**63)))
    assert (out_stream(1), out_stream(2, next_seq=2**63)) == client.snapshot().out_streams


def test_outbox_rows_come_back_ascending(client):
    client.commit(outbox(number=2, first_seq=SEQ_MAX, count=1), outbox(first_seq=2, count=2))
    client.commit(outbox(first_seq=1, count=1, epoch=U64_MAX))
    expected = (
        OutboxRow(1, 1, U64_MAX, 0, U64_MAX - 1, b"out 1"),
        OutboxRow(1, 2, 1, 0, U64_MAX - 2, b"out 2"),
        OutboxRow(1, 3, 1, 0, U64_MAX - 3, b"out 3"),
        OutboxRow(2, SEQ_MAX, 1, 0, 0, b"out %d" % SEQ_MAX),
    )
    assert expected == client.snapshot().outbox


def test_stamping_changes_the_epoch_of_the_rows_named(client):
    client.commit(PutOutbox(1, 1, 4, 250, (7, 8, 9, 10), (b"", b"b", b"c", b"d")))
    client.commit(StampOutbox(1, 2, 3, 5), StampOutbox(2, 0, SEQ_MAX, 9))
    rows = client.snapshot().outbox
    assert [4, 5, 5, 4] == [row.epoch for row in rows]
    assert OutboxRow(1, 2, 5, 250, 8, b"b") == rows[1]


def test_trimmed_rows_are_gone(client):
    client.commit(outbox(count=9), TrimOutbox(1, 1, 2))
    client.commit(TrimOutbox(1, 5, 6), TrimOutbox(1, 9, SEQ_MAX), TrimOutbox(2, 0, 9))
    assert [3, 4, 7, 8] == [row.seq for row in client.snapshot().outbox]


def test_a_trimmed_seq_can_be_inserted_again(client):
    client.commit(outbox(count=3), TrimOutbox(1, 2, 3), outbox(first_seq=2, count=1))
    assert [1, 2] == [row.seq for row in client.snapshot().outbox]


# --- Receiver's side ---


def test_an_incoming_stream_is_replaced_whole(client):
    client.commit(PutInStream(in_stream(STREAM)), PutInStream(in_stream(OTHER)))
    client.commit(PutInStream(in_stream(STREAM, cum=SEQ_MAX)))
    assert (in_stream(OTHER), in_stream(STREAM, SEQ_MAX)) == client.snapshot().in_streams


def test_the_inbox_comes_back_in_order_of_arrival(client):
    client.commit(inbox(STREAM, (5, 6)), inbox(OTHER, (1,)))
    client.commit(inbox(STREAM, (SEQ_MAX, 2)))
    expected = [(STREAM, 5), (STREAM, 6), (OTHER, 1), (STREAM, SEQ_MAX), (STREAM, 2)]
    assert expected == [(row.stream, row.seq) for row in client.snapshot().inbox]
    assert InboxRow(STREAM, 6, 6, b"in 6") == client.snapshot().inbox[1]


def test_what_is_set_aside_comes_back_apart_with_its_words(client):
    client.commit(inbox(STREAM, (5, 2, SEQ_MAX)), inbox(OTHER, (2,)))
    client.commit(SetAside(OTHER, 2, "no"), SetAside(STREAM, 5, "no"), SetAside(STREAM, 5, "ŋo"))
    loaded = client.snapshot()
    assert [(STREAM, 2), (STREAM, SEQ_MAX)] == [(row.stream, row.seq) for row in loaded.inbox]
    assert AsideRow(STREAM, 5, 5, b"in 5", "ŋo") == loaded.aside[0]
    assert [(STREAM, 5), (OTHER, 2)] == [(row.stream, row.seq) for row in loaded.aside]


def test_what_is_taken_back_waits_again_in_its_place(client):
    client.commit(inbox(), SetAside(STREAM, 2, "no"), SetAside(STREAM, 3, "no"))
    client.commit(TakeBack(STREAM, 2), TakeBack(OTHER, 3))
    loaded = client.snapshot()
    assert [1, 2] == [row.seq for row in loaded.inbox]
    assert [3] == [row.seq for row in loaded.aside]


def test_what_was_set_aside_can_be_handled_in_the_end(client):
    client.commit(inbox(), SetAside(STREAM, 2, "no"))
    client.commit(TakeBack(STREAM, 2), MarkHandled(STREAM, ((2, 2),)))
    loaded = client.snapshot()
    assert ([1, 3], ()) == ([row.seq for row in loaded.inbox], loaded.aside)


def test_handled_messages_do_not_come_back(client):
    client.commit(inbox(STREAM, range(1, 9)), inbox(OTHER, (1, 2)))
    client.commit(MarkHandled(STREAM, ((1, 3), (5, 5), (8, SEQ_MAX))))
    assert [4, 6, 7, 1, 2] == [row.seq for row in client.snapshot().inbox]
    client.commit(MarkHandled(STREAM, EVERYTHING), MarkHandled(OTHER, ((1, 1),)))
    assert [2] == [row.seq for row in client.snapshot().inbox]


def test_a_message_can_arrive_and_be_handled_in_one_transaction(client):
    client.commit(inbox(), MarkHandled(STREAM, ((1, 2),)), inbox(seqs=(9,)))
    assert [3, 9] == [row.seq for row in client.snapshot().inbox]


def test_handling_what_never_came_is_harmless(client):
    client.commit(MarkHandled(STREAM, EVERYTHING))
    assert ClientSnapshot() == client.snapshot()


# --- Server's side ---


def wanted(ranges=EVERYTHING, stream=STREAM, endpoint=BOB, bytes_max=10**6):
    return ReadQueue(endpoint, ((stream, ranges),), bytes_max)


def test_a_device_is_replaced_whole(server):
    server.commit(PutDevice(device(BOB_TABLET)), PutDevice(device(BOB)))
    server.commit(PutDevice(device(BOB, login_count=9)))
    assert (device(BOB, 9), device(BOB_TABLET)) == server.snapshot().devices


def test_the_queue_is_indexed_by_endpoint_and_stream(server):
    server.commit(
        queued(message(1), message(2, bytes(1025)), void(3), message(9, bytes(1024))),
        queued(void(SEQ_MAX), endpoint=BOB_TABLET, stream=OTHER),
    )
    expected = (
        QueueIndex(BOB, STREAM, ((1, 2), (9, 9)), ((3, 3),), ((2, 1025),), ((0, 1, 2), (0, 9, 9))),
        QueueIndex(BOB_TABLET, OTHER, (), ((SEQ_MAX, SEQ_MAX),)),
    )
    assert expected == server.snapshot().queue


def test_a_queued_message_keeps_the_age_that_it_came_at(server):
    server.commit(queued(message(1, age_s=7), message(2, age_s=7)))
    server.commit(queued(message(3, age_s=9), message(2, age_s=9), void(4)))
    assert ((7, 1, 2), (9, 3, 3)) == server.snapshot().queue[0].ages
    rows = (message(1, age_s=7), message(2, age_s=7), message(3, age_s=9), void(4))
    assert (QueueItems(STREAM, 1, 1, rows),) == server.driver.items(wanted())
    server.commit(queued(void(1)))
    assert ((7, 2, 2), (9, 3, 3)) == server.snapshot().queue[0].ages


def test_the_same_item_twice_is_one_item(server):
    for _ in range(2):
        server.commit(queued(message(1), message(1)))
    server.commit(queued(message(1, b"another")))
    assert (QueueItems(STREAM, 1, 1, (message(1),)),) == server.driver.items(wanted())


def test_a_void_item_replaces_a_message_and_stays(server):
    server.commit(queued(message(1), message(2), void(2)))
    server.commit(queued(void(1)), queued(message(1, b"late")))
    server.commit(queued(void(1)._replace(stamp=4)))
    assert (QueueItems(STREAM, 1, 1, (void(1), void(2))),) == server.driver.items(wanted())


def test_floor_and_base_only_rise(server):
    server.commit(queued(message(1), floor=5, base=6))
    server.commit(queued(floor=4, base=U64_MAX), queued(message(2), floor=7, base=2))
    rows = (message(1), message(2))
    assert (QueueItems(STREAM, 7, U64_MAX, rows),) == server.driver.items(wanted())


def test_floor_and_base_go_with_the_last_item(server):
    server.commit(queued(message(1), floor=9, base=9), DeleteQueue(BOB, STREAM, EVERYTHING))
    server.commit(queued(floor=9, base=9))
    assert ServerSnapshot() == server.snapshot()
    server.commit(queued(message(2), floor=2, base=3))
    assert (QueueItems(STREAM, 2, 3, (message(2),)),) == server.driver.items(wanted())


def test_deleting_touches_only_what_it_names(server):
    server.commit(queued(*(message(seq) for seq in range(1, 9))))
    server.commit(queued(message(1), endpoint=BOB_TABLET), queued(message(1), stream=OTHER))
    server.commit(
        DeleteQueue(BOB, STREAM, ((1, 2), (4, 4), (8, SEQ_MAX))),
        DeleteQueue(BOB_TABLET, OTHER, EVERYTHING),
    )
    expected = (
        QueueIndex(BOB, OTHER, ((1, 1),), (), (), ((0, 1, 1),)),
        QueueIndex(BOB, STREAM, ((3, 3), (5, 7)), (), (), ((0, 3, 3), (0, 5, 7))),
        QueueIndex(BOB_TABLET, STREAM, ((1, 1),), (), (), ((0, 1, 1),)),
    )
    assert expected == server.snapshot().queue


def test_a_receipt_is_replaced_and_dropped(server):
    server.commit(
        *(PutReceipt(receipt(endpoint)) for endpoint in (BOB, BOB_TABLET)),
        PutReceipt(receipt(BOB, OTHER)),
    )
    server.commit(PutReceipt(receipt(BOB, delivered=(), read=7)))
    server.commit(DropReceipt(STREAM, BOB_TABLET), DropReceipt(OTHER, BOB_TABLET))
    expected = (receipt(BOB, OTHER), receipt(BOB, delivered=(), read=7))
    assert expected == server.snapshot().receipts


def test_a_receipt_belongs_to_the_user_and_the_device(server):
    eve = Endpoint("eve", BOB.device)
    server.commit(PutReceipt(receipt(BOB)), PutReceipt(receipt(eve, delivered=())))
    server.commit(DropReceipt(STREAM, BOB))
    assert (receipt(eve, delivered=()),) == server.snapshot().receipts


# --- Groups ---


def test_a_group_is_replaced_and_outlives_its_members(server):
    server.commit(PutGroup(group()), PutGroup(group("#a")), PutMember(membership()))
    server.commit(PutGroup(group(epoch=9)), DropMember("#g", "bob", "phone"))
    assert (group("#a"), group(epoch=9)) == server.snapshot().groups
    assert () == server.snapshot().members


def test_a_membership_is_that_of_one_device_or_of_the_user(server):
    kept = (membership(device=""), membership(device="tablet", ordinal=7), membership("#h"))
    server.commit(*map(PutMember, (membership(device="tablet"), membership(), *kept)))
    server.commit(DropMember("#g", "bob", "phone"), DropMember("#g", "eve", "phone"))
    assert kept == server.snapshot().members


# --- Reading the queue ---


def test_a_read_sees_every_transaction_before_it_and_none_after(server):
    tokens = [
        server.driver.submit(queued(message(1))),
        server.driver.read(wanted()),
        server.driver.submit(DeleteQueue(BOB, STREAM, EVERYTHING)),
        server.driver.read(wanted()),
    ]
    done = server.driver.wait(4)
    assert tokens == [completion.token for completion in done]
    assert (QueueItems(STREAM, 1, 1, (message(1),)),) == done[1].items
    assert () == done[3].items


def test_a_read_brings_only_what_is_wanted(server):
    server.commit(queued(*(message(seq) for seq in range(1, 9))))
    ((_, _, _, rows),) = server.driver.items(wanted(((2, 3), (7, SEQ_MAX))))
    assert [2, 3, 7, 8] == [row.seq for row in rows]
    assert () == server.driver.items(wanted(endpoint=BOB_TABLET))
    assert () == server.driver.items(wanted(((20, 30),)))
    assert () == server.driver.items(ReadQueue(BOB, (), 100))


def test_rows_come_in_the_order_of_the_streams_wanted(server):
    server.commit(queued(message(1)), queued(message(2), stream=OTHER))
    for order in itertools.permutations((STREAM, OTHER)):
        request = ReadQueue(BOB, tuple((stream, EVERYTHING) for stream in order), 100)
        assert list(order) == [items.stream for items in server.driver.items(request)]


def test_a_read_stops_at_its_bytes(server):
    ten = b"x" * 10
    server.commit(queued(message(1, ten), void(2), message(3, ten), message(4, b"")))
    server.commit(queued(void(1), stream=OTHER))

    def read(bytes_max):
        request = ReadQueue(BOB, ((STREAM, EVERYTHING), (OTHER, EVERYTHING)), bytes_max)
        return [[row.seq for row in items.rows] for items in server.driver.items(request)]

    assert [[1, 2]] == read(19)
    assert [[1, 2, 3, 4], [1]] == read(20)


@pytest.mark.parametrize("bytes_max", [0, 5])
def test_a_read_brings_at_least_one_row(server, bytes_max):
    server.commit(queued(message(1, b"x" * 10), message(2)), queued(message(1), stream=OTHER))
    ((_, _, _, rows),) = server.driver.items(wanted(bytes_max=bytes_max))
    assert [1] == [row.seq for row in rows]


# --- Many, and any ---


def test_ten_thousand_rows_come_back(client, server):
    count, run = 10_000, 500
    for first in range(1, count, run):
        client.driver.submit(
            outbox(first_seq=first, count=run), inbox(seqs=range(first, first + run))
        )
        server.driver.submit(queued(*(message(seq) for seq in range(first, first + run))))
    loaded = client.snapshot()
    assert list(range(1, count + 1)) == [row.seq for row in loaded.outbox]
    assert list(range(1, count + 1)) == [row.seq for row in loaded.inbox]
    assert ((1, count),) == server.snapshot().queue[0].messages


def transactions(ops):
    return st.lists(st.lists(ops, max_size=5).map(tuple), max_size=12)


def both_agree(kind, folder, given_transactions, requests=()):
    places = [Place(name, kind, folder) for name in ("memory", "sqlite")]
    try:
        for ops in given_transactions:
            for place in places:
                place.driver.submit(*ops)
        verdicts = [
            [done.error is None for done in place.driver.wait(len(given_transactions))]
            for place in places
        ]
        assert verdicts[0] == verdicts[1]
        memory, sqlite = (place.snapshot() for place in places)
        assert memory == sqlite
        for request in requests:
            assert places[0].driver.items(request) == places[1].driver.items(request)
    finally:
        for place in places:
            place.store.close()


def sane(ops):
    """Within one transaction no row is inserted twice, or after its end: the machines never do."""
    seen, trimmed = set(), []
    for op in ops:
        if isinstance(op, TrimOutbox):
            trimmed.append(op)
            continue
        if isinstance(op, PutOutbox):
            rows = {(op.number, op.first_seq + i) for i in range(len(op.payloads))}
            if any(n == t.number and t.first <= s <= t.last for n, s in rows for t in trimmed):
                return False
        elif isinstance(op, PutInbox):
            rows = {(op.stream, seq) for seq in op.seqs}
        else:
            continue
        if rows & seen:
            return False
        seen |= rows
    return True


class OncePerMessage:
    """Leaves out inserts of a msgid that was inserted before: memory keeps no history."""

    def __init__(self):
        self._seen = set()

    def __call__(self, ops):
        kept = []
        for op in ops:
            if isinstance(op, PutInbox):
                rows = {(op.stream, seq) for seq in op.seqs}
                if rows & self._seen:
                    continue
                self._seen |= rows
            kept.append(op)
        return tuple(kept)


@settings(max_examples=60)
@given(transactions(samples.client_ops))
def test_any_client_transactions_mean_the_same_everywhere(tmp_path_factory, given_transactions):
    once = OncePerMessage()
    kept = [once(ops) for ops in given_transactions if sane(ops)]
    both_agree("client", tmp_path_factory.mktemp("any"), kept)


requests = st.builds(
    ReadQueue,
    samples.endpoints,
    st.lists(
        st.tuples(samples.streams, st.sampled_from([EVERYTHING, ((1, 3), (5, 9))])), max_size=3
    ).map(tuple),
    st.integers(0, 8),
)


@settings(max_examples=60)
@given(transactions(samples.server_ops), st.lists(requests, max_size=3))
def test_any_server_transactions_mean_the_same_everywhere(tmp_path_factory, some, asked):
    both_agree("server", tmp_path_factory.mktemp("any"), some, asked)
