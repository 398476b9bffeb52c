"""Whatever an authenticated peer says, nothing raises, and the next honest exchange works."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.node.net import SERVER, DurableStore, Net
from tests.wire.strategies import BY_KIND, KINDS, u
from udpim.model import Endpoint, GroupAction, StreamId
from udpim.store.memory import MemoryStore
from udpim.wire import im_packets as p
from udpim.wire.im_codec import encode, encode_section

MODEST = settings(
    max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
FRAME_BYTES_MAX = 1164
INC = 1 << 63
OK = p.LoginOk(77, True, True, 1000, 1024)
SEQS = st.integers(1, 12) | st.sampled_from([1024, 1025, 2048, 2**63, 2**64 - 1])


def ranges_of(points):
    ranges, before = [], -1
    for first, last in zip(points[::2], points[1::2], strict=False):
        if first > before + 1:
            ranges.append((first, last))
            before = last
    return tuple(ranges)


RANGES = st.lists(SEQS, min_size=2, max_size=9).map(sorted).map(ranges_of).filter(bool)


@st.composite
def plausible(draw, kinds, streams):
    """A packet of any kind that speaks, more often than not, of something that exists."""
    packet = draw(BY_KIND[draw(st.sampled_from(kinds))])
    if not draw(st.integers(0, 7)):
        return packet
    fields = {
        "handle": st.integers(1, 4),
        "name": st.none() | st.sampled_from(streams),
        "floor": SEQS,
        "base": SEQS,
        "ordinal": st.integers(0, 2) | u(16),
        "incarnation": st.sampled_from([0, 1, INC | 1, INC | 2]),
        "store_epoch": st.just(77) | u(64),
        "epoch": st.integers(0, 3),
        "total": st.integers(0, 3),
        "code": st.sampled_from([0, 1, 2, 16, 18, 99]),
        "settled": st.integers(0, 7),
        "read": SEQS,
        "as_of": st.integers(0, 9) | u(32),
        "request": st.integers(0, 3),
        "action": st.integers(0, 5),
        "group": st.sampled_from(["", "#g", "#h", "#", "g"]),
        "user": st.sampled_from(
            [*[""][: isinstance(packet, p.GroupR)], "zoe", "bob", "yan", "nobody", "#g"]
        ),
        "bytes_max": u(32),
    }
    changed = {k: draw(v) for k, v in fields.items() if k in packet._fields}
    for name in ("ranges", "delivered", "void", "stored", "excused", "asked"):
        if name in packet._fields:
            changed[name] = draw(RANGES)
    if isinstance(packet, p.AckR):
        changed["settled"] = draw(st.just(()) | RANGES)
    if "runs" in packet._fields:
        firsts = sorted(draw(st.sets(SEQS, min_size=1, max_size=3)))
        changed["runs"] = tuple(p.EpochRun(f, n + 1) for n, f in enumerate(firsts))
    if "members" in packet._fields:
        line = st.builds(
            p.Member,
            st.integers(0, 3) | u(16),
            st.sampled_from(["alice", "bob", "carol"]),
            st.sampled_from(["d", "e", "f"]),
            st.sampled_from([1, INC | 1, INC | 2]),
            st.integers(0, 3),
            st.integers(0, 3),
            st.integers(0, 4),
        )
        changed["members"] = tuple(draw(st.lists(line, max_size=3)))
    if "entries" in packet._fields:
        entry = st.builds(
            p.TallyEntry, st.integers(0, 3), RANGES, st.integers(0, 3) | u(16), st.integers(1, 9)
        )
        changed["entries"] = tuple(draw(st.lists(entry, min_size=1, max_size=3)))
    if getattr(packet, "section", None) is not None:
        count = draw(st.integers(1, 4))
        first = min(draw(SEQS), 2**64 - count)
        changed["section"] = encode_section(first, [0] * count, [b"x"] * count)
    if isinstance(packet, p.Login):
        del changed["user"]
    return packet._replace(**changed)


def fits(packet):
    return len(encode(packet)) <= FRAME_BYTES_MAX


FROM_SERVER = [kind for kind in KINDS if kind not in (p.Kind.LOGIN_REFUSED, p.Kind.LOGIN)]


def streams_to(user):
    others = [
        StreamId("zoe", "z", INC | 1, user),
        StreamId("yan", "y", 1, user),
        StreamId("zoe", "z", INC | 1, "#g"),
    ]
    return [*others, StreamId(user, "d", INC | 1, user)]


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("state", ["logging in", "online"])
@given(data=st.data())
@MODEST
def test_no_server_makes_a_client_raise(state, durable, data):
    net = Net()
    server = net.raw_server()
    alice = net.client("alice", store=DurableStore() if durable else MemoryStore())
    alice.connect()
    sent = [alice.send("bob", *[b"%d" % n for n in range(12)], ttl_s=5.0)[0]]
    sent.append(alice.send("carol", b"1")[0])
    sent.append(alice.send("#g", *[b"%d" % n for n in range(5)])[0])
    alice.node.groups.ask(GroupAction.LIST, "#g", "")
    net.run(0.3)
    if state == "online":
        server.send(OK)
        net.run(0.1)
        alice.node.outbox.cancel(sent[0], 11, 12)
    streams = [*(stream.id for stream in sent), *streams_to("alice")]
    for burst in data.draw(
        st.lists(st.lists(plausible(FROM_SERVER, streams), max_size=4), max_size=6)
    ):
        if not server.open:
            break
        server.send(*filter(fits, burst))
        net.run(data.draw(st.sampled_from([0.0, 0.05, 4.0])))
    net.run(12)
    alice.node.close(net.now)
    net.run(1)


FROM_CLIENT = [
    *(p.Kind.MSG_R, p.Kind.ACK_R, p.Kind.OFFLINEACK_R, p.Kind.CANCEL_R, p.Kind.STATUS_R),
    *(p.Kind.OFFLINE_R, p.Kind.MSG_N, p.Kind.LOGIN, p.Kind.NUDGE),
    *(p.Kind.GROUP_R, p.Kind.GROUP_R, p.Kind.READ_R),
]


@pytest.mark.parametrize("durable", [True, False])
@given(data=st.data())
@MODEST
def test_no_clients_make_a_server_raise_or_forget_the_others(durable, data):
    net = Net()
    server = net.server(
        DurableStore() if durable else MemoryStore(),
        queue_messages_max=50,
        send_queue_frames_max=500,
    )
    streams = [
        StreamId(u, d, INC | 1, to)
        for u, d in (("zoe", "z"), ("bob", "d"), ("yan", "y"))
        for to in ("bob", "#g")
    ]
    raws = []
    for user, device in (("zoe", "z"), ("bob", "d"), ("bob", "e")):
        raw = net.raw_client(user + device)
        net.run(0.1)
        raw.send(p.Login(user, device, b"", INC | 1, 1))
        net.run(0.1)
        raws.append(raw)
    for user in ("zoe", "bob"):
        action = GroupAction.CREATE if user == "zoe" else GroupAction.JOIN
        server.node.change_group(action, "#g", user, lambda ok: None)
        net.run(0.1)
    step = st.tuples(st.integers(0, 2), st.lists(plausible(FROM_CLIENT, streams), max_size=4))
    for who, burst in data.draw(st.lists(step, max_size=6)):
        if raws[who].open:
            raws[who].send(*filter(fits, burst))
            net.run(data.draw(st.sampled_from([0.0, 0.05, 1.0])))
    raws[2].connection.close(0, "", net.now)
    net.run(1)
    bob, alice = net.client("bob", "honest").online(), net.client("alice", "honest").online()
    alice.send("bob", b"hello")
    net.run(10)
    assert b"hello" in bob.got
    assert server.node.router.queue.count(Endpoint("bob", "e")) <= 60
    server.node.shutdown(net.now)
    net.run(1)


@pytest.mark.parametrize("node", ["client", "server"])
@given(data=st.data())
@MODEST
def test_bytes_of_strangers_raise_nothing(node, data):
    net = Net()
    net.server()
    alice = net.client("alice").online()
    target = alice if node == "client" else net.hosts[SERVER]
    seen = []
    net.drop = lambda source, to, datagram: seen.append(datagram)
    alice.send("bob", b"1")
    net.run(0.1)
    net.drop = lambda source, to, datagram: False
    for _ in range(10):
        spoilt = bytearray(data.draw(st.sampled_from(seen) | st.binary(max_size=1200)))
        for at in data.draw(st.lists(st.integers(0, 1199), max_size=3)):
            if at < len(spoilt):
                spoilt[at] ^= data.draw(st.integers(1, 255))
        target.receive(bytes(spoilt), data.draw(st.sampled_from([SERVER, alice.address, ("x", 1)])))
    net.run(1)
