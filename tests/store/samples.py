"""Operations and small helpers that the store tests share."""

import sqlite3
import threading

from hypothesis import strategies as st

from udpim.im.records import (
    DeleteQueue,
    DeviceRecord,
    DropMember,
    DropReceipt,
    GroupRecord,
    InStreamRecord,
    MarkHandled,
    MemberRecord,
    OutMember,
    OutStreamRecord,
    PutDevice,
    PutGroup,
    PutInbox,
    PutInStream,
    PutMember,
    PutMeta,
    PutOutbox,
    PutOutStream,
    PutQueue,
    PutReceipt,
    QueueRow,
    ReceiptRecord,
    Reroute,
    SetAside,
    StampOutbox,
    TakeBack,
    TrimOutbox,
)
from udpim.model import SEQ_MAX, Endpoint, StreamId

U64_MAX = 2**64 - 1
STREAM = StreamId("alice", "phone", U64_MAX, "bob")
OTHER = StreamId("alice", "phone", 1, "bob")
BOB = Endpoint("bob", "phone")
BOB_TABLET = Endpoint("bob", "tablet")


def member(device="phone", **changes):
    values = {
        "user": "bob",
        "device": device,
        "ordinal": 3,
        "incarnation": U64_MAX,
        "renewed": 4,
        "joined": 1,
        "left": 0,
        "delivered": ((1, 5), (8, 8)),
        "void": ((6, 6),),
        "stored": (),
        "excused": ((2**63, U64_MAX),),
        "read": 5,
    }
    return OutMember(**(values | changes))


def out_stream(number=1, next_seq=9):
    return OutStreamRecord(
        number=number,
        incarnation=U64_MAX,
        conversation="bob",
        next_seq=next_seq,
        floor=1,
        store_epoch=U64_MAX,
        epoch=7,
        members=(member(), member("tablet", delivered=())),
        cancelled=((4, 4),),
        rejected=((5, 6, 16),),
        delivered=((1, 2),),
        void=((3, 3),),
        doubtful=((7, 8),),
    )


def outbox(number=1, first_seq=1, count=3, epoch=1):
    seqs = range(first_seq, first_seq + count)
    return PutOutbox(
        number=number,
        first_seq=first_seq,
        epoch=epoch,
        ttl_ms=0,
        stamps=tuple(U64_MAX - seq for seq in seqs),
        payloads=tuple(b"out %d" % seq for seq in seqs),
    )


def in_stream(stream=STREAM, cum=5):
    return InStreamRecord(
        stream=stream,
        cum=cum,
        delivered=2**1023 + 1,
        void=2,
        floor=2,
        void_runs=((3, 3), (5, 5)),
        read=4,
        read_told=U64_MAX,
    )


def inbox(stream=STREAM, seqs=(1, 2, 3)):
    return PutInbox(
        stream=stream,
        seqs=tuple(seqs),
        stamps=tuple(seq % 7 for seq in seqs),
        payloads=tuple(b"in %d" % seq for seq in seqs),
    )


def device(endpoint=BOB, login_count=1):
    record = DeviceRecord(*endpoint, 2, 1, U64_MAX, (5, U64_MAX - 1), login_count)
    return record._replace(continues=True, renewed=3, left=4, seen_s=5)


def message(seq, payload=None, age_s=0):
    payload = b"queued %d" % seq if payload is None else payload
    return QueueRow(seq, False, seq % 5, payload, age_s)


def void(seq):
    return QueueRow(seq, True, 0, b"")


def queued(*rows, endpoint=BOB, stream=STREAM, floor=1, base=1):
    return PutQueue(endpoint, stream, floor, base, rows)


def receipt(endpoint=BOB, stream=STREAM, delivered=((1, 4),), read=0):
    return ReceiptRecord(stream, endpoint, U64_MAX, delivered, ((5, 5),), read)


def group(name="#g", epoch=3):
    return GroupRecord(name, "alice", epoch, 2)


def membership(group="#g", user="bob", device="phone", ordinal=1):
    return MemberRecord(group, user, device, ordinal, 3)


# --- Any operations ---

seqs = st.integers(0, 12) | st.integers(SEQ_MAX - 3, SEQ_MAX)
u64s = st.integers(0, 9) | st.integers(0, U64_MAX)
bodies = st.binary(max_size=4)
streams = st.sampled_from([STREAM, OTHER, StreamId("carol", "web", 2**63, "bob")])
endpoints = st.sampled_from([BOB, BOB_TABLET, Endpoint("eve", "phone")])
spans = st.tuples(seqs, seqs).map(lambda pair: (min(pair), max(pair)))
ranges = st.lists(spans, max_size=3).map(tuple)
ascending = st.lists(st.integers(0, 12), max_size=4, unique=True).map(sorted).map(tuple)

common_ops = st.builds(PutMeta, st.sampled_from(["incarnation", "secret"]), bodies)
numbers = st.integers(1, 2)
names = st.sampled_from(["bob", "eve"])
members = st.builds(
    OutMember,
    *(names, st.just("phone"), u64s, u64s, u64s, u64s, u64s),
    *(ranges, ranges, ranges, ranges, u64s),
)


@st.composite
def outbox_ops(draw):
    payloads = tuple(draw(st.lists(bodies, max_size=4)))
    stamps = tuple(draw(u64s) for _ in payloads)
    first = draw(st.integers(0, 12) | st.just(SEQ_MAX - 3))
    return PutOutbox(draw(numbers), first, draw(u64s), draw(st.integers(0, 9)), stamps, payloads)


@st.composite
def inbox_ops(draw):
    chosen = draw(ascending)
    return PutInbox(
        draw(streams),
        chosen,
        tuple(draw(u64s) for _ in chosen),
        tuple(draw(bodies) for _ in chosen),
    )


client_ops = st.one_of(
    common_ops,
    outbox_ops(),
    outbox_ops(),
    st.builds(
        PutOutStream,
        st.builds(
            OutStreamRecord,
            number=numbers,
            incarnation=u64s,
            conversation=st.text(max_size=3),
            next_seq=u64s,
            floor=u64s,
            store_epoch=u64s,
            epoch=u64s,
            members=st.lists(members, max_size=2).map(tuple),
            cancelled=ranges,
            rejected=st.lists(st.tuples(seqs, seqs, st.integers(1, 18)), max_size=2).map(tuple),
            delivered=ranges,
            void=ranges,
            doubtful=ranges,
            redirects=st.lists(st.tuples(seqs, seqs, names), max_size=2).map(tuple),
            hops=st.lists(st.tuples(seqs, seqs, st.integers(1, 4)), max_size=2).map(tuple),
            rerouted=st.lists(st.builds(Reroute, seqs, seqs, u64s, names, seqs), max_size=2).map(
                tuple
            ),
        ),
    ),
    st.builds(lambda n, s, e: StampOutbox(n, *s, e), numbers, spans, u64s),
    st.builds(lambda n, s: TrimOutbox(n, *s), numbers, spans),
    st.builds(
        PutInStream,
        st.builds(
            InStreamRecord,
            stream=streams,
            cum=u64s,
            delivered=st.integers(0, 2**1024 - 1),
            void=st.integers(0, 2**1024 - 1),
            floor=u64s,
            void_runs=ranges,
            read=u64s,
            read_told=u64s,
        ),
    ),
    inbox_ops(),
    inbox_ops(),
    st.builds(MarkHandled, streams, ranges),
    st.builds(SetAside, streams, st.integers(0, 12), st.text(max_size=3)),
    st.builds(TakeBack, streams, st.integers(0, 12)),
)

rows = st.builds(
    lambda seq, is_void, stamp, body, age_s: QueueRow(
        seq, is_void, stamp, b"" if is_void else body, age_s
    ),
    seqs,
    st.booleans(),
    u64s,
    bodies,
    st.integers(0, 3),
)
counts = st.integers(0, 9) | st.integers(0, 2**63 - 1)
groups = st.sampled_from(["#a", "#b"])
devices = st.sampled_from(["", "phone", "tablet"])
server_ops = st.one_of(
    common_ops,
    st.builds(
        PutDevice,
        st.builds(
            lambda endpoint, *rest: DeviceRecord(*endpoint, *rest),
            endpoints,
            u64s,
            u64s,
            u64s,
            st.lists(u64s, max_size=2).map(tuple),
            *(st.integers(0, 9), st.booleans(), u64s, u64s, u64s),
        ),
    ),
    st.builds(PutQueue, endpoints, streams, u64s, u64s, st.lists(rows, max_size=4).map(tuple)),
    st.builds(PutQueue, endpoints, streams, u64s, u64s, st.lists(rows, max_size=4).map(tuple)),
    st.builds(DeleteQueue, endpoints, streams, ranges),
    st.builds(
        PutReceipt,
        st.builds(ReceiptRecord, streams, endpoints, u64s, ranges, ranges, u64s),
    ),
    st.builds(DropReceipt, streams, endpoints),
    st.builds(PutGroup, st.builds(GroupRecord, groups, names, counts, counts)),
    st.builds(PutMember, st.builds(MemberRecord, groups, names, devices, counts, counts)),
    st.builds(DropMember, groups, names, devices),
)


# --- Driving a store ---


class Driver:
    """Gives a store transactions and waits for their verdicts."""

    def __init__(self, store):
        self.store = store
        self.tokens = 0
        self._woken = threading.Event()
        store.set_wake(self._woken.set)

    def submit(self, *ops):
        """Submit one transaction and return its token."""
        self.tokens += 1
        self.store.submit(self.tokens, ops)
        return self.tokens

    def read(self, request):
        """Ask for queue items and return the token."""
        self.tokens += 1
        self.store.read_queue(self.tokens, request)
        return self.tokens

    def wait(self, count):
        """Return the next ``count`` completions."""
        found = []
        while len(found) < count:
            self._woken.clear()
            found += self.store.completed()
            if len(found) < count:
                assert self._woken.wait(30), f"{len(found)} of {count} completions came"
        assert len(found) == count
        return found

    def commit(self, *ops):
        """Commit one transaction; return its error."""
        token = self.submit(*ops)
        ((done, error, items),) = self.wait(1)
        assert (token, ()) == (done, items)
        return error

    def items(self, request):
        """Read queue items."""
        token = self.read(request)
        ((done, error, items),) = self.wait(1)
        assert (token, None) == (done, error)
        return items


class SqlError(sqlite3.OperationalError):
    """An error of SQLite with the code that the real one carries."""

    def __init__(self, code, words):
        super().__init__(words)
        self.sqlite_errorcode = code


class FaultyConnection(sqlite3.Connection):
    """A connection that asks ``script(sql)`` before each statement; it may raise."""

    script = staticmethod(lambda sql: None)

    def execute(self, sql, *parameters):
        self.script(sql)
        return super().execute(sql, *parameters)


def faulty(script):
    """Return a connection factory whose connections ask ``script`` first."""
    made = type("Scripted", (FaultyConnection,), {"script": staticmethod(script)})
    return lambda path, **options: sqlite3.connect(path, factory=made, **options)
