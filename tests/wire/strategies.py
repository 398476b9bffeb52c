"""Hypothesis strategies for IM packets: valid values with their extremes, and spoilt bytes."""

from hypothesis import strategies as st

from udpim.model import StreamId
from udpim.wire import im_codec
from udpim.wire import im_packets as p

U64_MAX = 2**64 - 1
LONG_NAMES = ("a" * 32, "ü" * 16, "名" * 10, "😀" * 8)


def u(bits):
    """Unsigned numbers of so many bits; the ends of the range come often."""
    top = 2**bits - 1
    return st.sampled_from([0, 1, top - 1, top]) | st.integers(0, top)


seqs = st.sampled_from([1, 2, 2**16, 2**32 - 1, 2**32, U64_MAX]) | st.integers(1, U64_MAX)
names = st.sampled_from(LONG_NAMES) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8
)
stream_ids = st.builds(
    StreamId,
    user=st.just("") | names,
    device=st.just("") | names,
    incarnation=u(64),
    conversation=names,
)
named = st.none() | stream_ids
handles = u(32)

FULL_RANGES = (*((4 * i + 1, 4 * i + 2) for i in range(47)), (U64_MAX - 1, U64_MAX))
FULL_RUNS = (p.EpochRun(1, 0), p.EpochRun(2, 9), p.EpochRun(U64_MAX, 2**32 - 1))


def _ranges_from(points):
    ranges, previous = [], -1
    points = sorted(points)
    for first, last in zip(points[::2], points[1::2], strict=False):
        if first > previous + 1:
            ranges.append((first, last))
            previous = last
    return tuple(ranges)


ranges = st.just(()) | st.just(FULL_RANGES) | st.lists(seqs | st.integers(1, 300)).map(_ranges_from)
some_ranges = ranges.filter(bool)


def _runs_from(pairs):
    firsts = sorted({first for first, _ in pairs})
    epochs = sorted({epoch for _, epoch in pairs})
    return tuple(p.EpochRun(*run) for run in zip(firsts, epochs, strict=False))


runs = st.just(FULL_RUNS) | st.lists(st.tuples(seqs, u(32)), min_size=1, max_size=3).map(_runs_from)


@st.composite
def sections(draw):
    payloads = draw(
        st.lists(st.binary(max_size=40), min_size=1, max_size=6)
        | st.just([b""])
        | st.just([b""] * 130)
        | st.just([bytes(range(256)) * 4])
    )
    stamps = draw(st.lists(u(64), min_size=len(payloads), max_size=len(payloads)))
    first = min(draw(seqs), U64_MAX - len(payloads) + 1)
    return im_codec.encode_section(first, stamps, payloads)


settled = (
    st.sampled_from([0, 1, 2**255, 2**256 - 1, 2**4095, 2**4096 - 1])
    | st.integers(0, 2**256 - 1)
    | st.integers(0, 2**4096 - 1)
)
member_lines = st.builds(p.Member, u(16), names, names, u(64), u(32), u(32), u(32))
members = st.lists(member_lines, max_size=4).map(tuple)
entries = st.builds(p.TallyEntry, st.integers(0, 3), some_ranges, u(16), settled.filter(bool))
tallies = st.lists(entries, min_size=1, max_size=4) | st.just(
    [p.TallyEntry(number % 4, ((1, 1),), number, 1) for number in range(64)]
)
groups = names.map(lambda name: f"#{name[:7]}")
signals = st.binary(max_size=40) | st.just(bytes(1024))
devices = st.lists(st.builds(p.DeviceSeen, names, st.booleans(), u(32)), max_size=16).map(tuple)

BY_KIND = {
    p.Kind.MSG_R: st.builds(p.MsgR, handles, named, seqs, runs, settled, sections()),
    p.Kind.MSG_A: st.builds(p.MsgA, handles, u(32), some_ranges),
    p.Kind.MSG_N: st.builds(p.MsgN, handles, named, seqs, seqs, sections()),
    p.Kind.ACK_R: st.builds(p.AckR, handles, named, st.just(False), ranges, ranges, ranges),
    p.Kind.ACK_A: st.builds(p.AckA, handles, some_ranges),
    p.Kind.ACK_N: st.builds(
        p.AckN, handles, named, u(16), u(64), u(64), ranges, ranges, ranges, ranges
    ),
    p.Kind.REFUSE: st.builds(p.Refuse, handles, u(16), some_ranges, st.just("") | names),
    p.Kind.MEMBERS: st.builds(p.Members, handles, named, st.booleans(), u(64), u(32), members),
    p.Kind.CANCEL_R: st.builds(p.CancelR, handles, named, seqs, runs, some_ranges),
    p.Kind.CANCEL_N: st.builds(p.CancelN, handles, named, seqs, seqs, some_ranges),
    p.Kind.STATUS_R: st.builds(p.StatusR, handles, named, seqs, runs, some_ranges),
    p.Kind.STATUS_N: st.builds(p.StatusN, handles, named, seqs, seqs),
    p.Kind.STATUS_A: st.builds(p.StatusA, handles, named, u(16), u(64), some_ranges, ranges),
    p.Kind.TALLY: st.builds(p.Tally, handles, named, u(64), u(32), tallies.map(tuple)),
    p.Kind.GONE: st.builds(p.Gone, handles, named),
    p.Kind.OFFLINE_R: st.builds(p.OfflineR, u(32)),
    p.Kind.OFFLINE_A: st.builds(
        p.OfflineA,
        handles,
        named,
        u(32),
        u(16),
        st.booleans(),
        seqs,
        seqs,
        ranges,
        st.none() | sections(),
    ),
    p.Kind.OFFLINEACK_R: st.builds(p.AckR, handles, named, st.just(True), ranges, ranges, ranges),
    p.Kind.NUDGE: st.just(p.Nudge()),
    p.Kind.SIGNAL_R: st.builds(p.SignalR, names, signals),
    p.Kind.SIGNAL_N: st.builds(p.SignalN, names, names, names, signals),
    p.Kind.PRESENCE_R: st.builds(p.PresenceR, u(32), names),
    p.Kind.PRESENCE_A: st.builds(p.PresenceA, u(32), u(16), devices),
    p.Kind.GROUP_R: st.builds(
        p.GroupR, u(32), u(8), st.just("") | groups | names, st.just("") | names
    ),
    p.Kind.GROUP_A: st.builds(p.GroupA, u(32), u(16), st.lists(names, max_size=4).map(tuple)),
    p.Kind.READ_R: st.builds(p.ReadR, handles, named, seqs),
    p.Kind.READ_N: st.builds(p.ReadN, handles, named, u(16), u(64), seqs),
    p.Kind.READ_A: st.builds(p.ReadA, handles, seqs),
    p.Kind.LOGIN: st.builds(
        p.Login,
        names,
        names,
        st.binary(max_size=80),
        u(64),
        u(64),
        st.booleans(),
        st.booleans(),
    ),
    p.Kind.LOGIN_OK: st.builds(p.LoginOk, u(64), st.booleans(), st.booleans(), u(32), u(16)),
    p.Kind.LOGIN_REFUSED: st.builds(p.LoginRefused, u(16), st.just("") | names),
}
KINDS = sorted(BY_KIND)
packets = st.one_of([BY_KIND[kind] for kind in KINDS])

_LONG_ID = StreamId("ü" * 16, "d" * 32, U64_MAX, "名" * 10)
_LONG_SECTION = im_codec.encode_section(U64_MAX - 2, [0, 1, U64_MAX], [b"", b"x", b"yz"])
_SHORT_RANGES = ((1, 1), (3, U64_MAX))

# One value of each kind with everything in it that can be there.
EXAMPLES = {
    p.Kind.MSG_R: p.MsgR(1, _LONG_ID, 5, FULL_RUNS, 2**2050 | 1, _LONG_SECTION),
    p.Kind.MSG_A: p.MsgA(2, 3, _SHORT_RANGES),
    p.Kind.MSG_N: p.MsgN(3, _LONG_ID, 1, U64_MAX, _LONG_SECTION),
    p.Kind.ACK_R: p.AckR(4, _LONG_ID, False, _SHORT_RANGES, ((2, 2),), ((5, 6),)),
    p.Kind.ACK_A: p.AckA(5, _SHORT_RANGES),
    p.Kind.ACK_N: p.AckN(6, _LONG_ID, 7, 8, 9, ((1, 2),), (), ((4, 4),), _SHORT_RANGES),
    p.Kind.REFUSE: p.Refuse(7, 22, _SHORT_RANGES, "ü"),
    p.Kind.MEMBERS: p.Members(
        8,
        _LONG_ID,
        True,
        9,
        10,
        (p.Member(0, "bob", "phone", 1, 2, 2, 0), p.Member(1, "ü", "名", U64_MAX, 3, 1, 4)),
    ),
    p.Kind.CANCEL_R: p.CancelR(9, _LONG_ID, 1, FULL_RUNS, _SHORT_RANGES),
    p.Kind.CANCEL_N: p.CancelN(10, _LONG_ID, 1, 2, _SHORT_RANGES),
    p.Kind.STATUS_R: p.StatusR(11, _LONG_ID, 1, FULL_RUNS, _SHORT_RANGES),
    p.Kind.STATUS_N: p.StatusN(12, _LONG_ID, 1, 2),
    p.Kind.STATUS_A: p.StatusA(13, _LONG_ID, 1, 2, _SHORT_RANGES, ((1, 1),)),
    p.Kind.TALLY: p.Tally(
        16,
        _LONG_ID,
        9,
        10,
        (
            p.TallyEntry(0, ((1, 2), (4, U64_MAX)), 7, 0b1101),
            p.TallyEntry(3, ((3, 3),), 65535, 2**16 | 1),
        ),
    ),
    p.Kind.GONE: p.Gone(17, _LONG_ID),
    p.Kind.OFFLINE_R: p.OfflineR(65536),
    p.Kind.OFFLINE_A: p.OfflineA(14, _LONG_ID, 1, 2, True, 3, 4, ((1, 1),), _LONG_SECTION),
    p.Kind.OFFLINEACK_R: p.AckR(15, _LONG_ID, True, _SHORT_RANGES, ((2, 2),)),
    p.Kind.NUDGE: p.Nudge(),
    p.Kind.SIGNAL_R: p.SignalR("名" * 10, b"typing"),
    p.Kind.SIGNAL_N: p.SignalN("ü" * 16, "d" * 32, "名" * 10, b"\xff" * 1024),
    p.Kind.PRESENCE_R: p.PresenceR(1, "名" * 10),
    p.Kind.PRESENCE_A: p.PresenceA(
        2, 0, (p.DeviceSeen("phone", True, 0), p.DeviceSeen("名", False, 2**32 - 1))
    ),
    p.Kind.GROUP_R: p.GroupR(18, 2, "#café", "bob"),
    p.Kind.GROUP_A: p.GroupA(18, 0, ("ü" * 16, "bob")),
    p.Kind.READ_R: p.ReadR(19, _LONG_ID, U64_MAX),
    p.Kind.READ_N: p.ReadN(20, _LONG_ID, 65535, U64_MAX, 1),
    p.Kind.READ_A: p.ReadA(21, 5),
    p.Kind.LOGIN: p.Login("ü" * 16, "phone", b"\x00token", 1, 2, True, True),
    p.Kind.LOGIN_OK: p.LoginOk(1, True, True, 1000, 1024),
    p.Kind.LOGIN_REFUSED: p.LoginRefused(1, "wrong tökens"),
}


@st.composite
def spoilt(draw, bodies):
    """Bytes one or two small accidents away from a valid body."""
    body = bytearray(draw(bodies))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, min(len(body), 40)) | st.integers(0, len(body)))
        accident = draw(st.sampled_from(["set", "cut", "insert", "remove", "repeat"]))
        if accident == "set" and at < len(body):
            body[at] = draw(st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
        elif accident == "cut":
            del body[at:]
        elif accident == "insert":
            body[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif accident == "remove":
            del body[at : at + draw(st.integers(1, 16))]
        else:
            body[at:at] = body[at : at + draw(st.sampled_from([1, 2, 4, 8, 16]))]
    return bytes(body)


@st.composite
def garbage(draw):
    """Any bytes behind any kind, often with flags and small counts that look right."""
    kind = draw(st.sampled_from(KINDS))
    flags = draw(st.sampled_from([0, 0, 1, 2, 3, 4, 5, 8, 24, 0x60]) | st.integers(0, 255))
    tail = draw(st.lists(st.sampled_from([0, 0, 0, 1, 2, 255]), max_size=60).map(bytes))
    return bytes((kind, flags)) + tail + draw(st.binary(max_size=20))
