"""One machine each of the im layer, its store in memory, and commits that a test can hold back."""

from tests.settings import settings
from udpim.config import ClientConfig, Limits
from udpim.im.backlog import FREE
from udpim.im.handles import OutHandles
from udpim.im.out_membership import learn_members
from udpim.im.out_stream import OutStream
from udpim.im.receiver import Inbox
from udpim.im.records import OutStreamRecord
from udpim.im.router import Router
from udpim.im.sender import Outbox
from udpim.im.session import Session
from udpim.model import Endpoint, GroupAction, StreamId
from udpim.store.state import StoreState
from udpim.wire import im_packets as p
from udpim.wire.im_codec import decode, encode, encode_section, section_messages

EPOCH = 77
"""Store epoch of the server."""
DURABLE = 1 << 63
"""Set in the incarnation of a device whose inbox survives a crash."""
INC = DURABLE | 5
STREAM = StreamId("alice", "a", INC, "bob")
PHONE = Endpoint("bob", "phone")
LAPTOP = Endpoint("bob", "laptop")
ALICE = Endpoint("alice", "a")
TABLET = Endpoint("alice", "tablet")
CAROL = Endpoint("carol", "c")
GROUP = STREAM._replace(conversation="#g")
"""Of the same sender, to a group."""


def section(first, *payloads):
    return encode_section(first, [0] * len(payloads), list(payloads))


def run_of(first, last):
    return section(first, *[b"m%d" % seq for seq in range(first, last + 1)])


def member(ordinal, device="phone", incarnation=DURABLE | 1, joined=1, left=0, *, user="bob"):
    """A line whose incarnation is as old as its membership."""
    return p.Member(ordinal, user, device, incarnation, joined, joined, left)


ONE = (member(0),)
TWO = (*ONE, member(1, "laptop", DURABLE | 2, joined=2))


FRESH = OutStreamRecord(1, STREAM.incarnation, "bob", 1, 1, 0, 0, (), (), ())
"""A stream before its first message."""


def out_stream(count=9, *members):
    """An outgoing stream with so many messages, all durable, and a known membership."""
    s = OutStream(STREAM, FRESH)
    s.append([0] * count, [b"x"] * count)
    s.committed = count
    learn_members(s, p.Members(1, None, True, EPOCH, len(members or TWO), tuple(members or TWO)))
    return s


def settle(s, ordinal, first, last):
    """One endpoint has delivered first..last."""
    view = s.audience.view(ordinal)
    view.delivered.add(first, last)
    view.confirmed.add(first, last)
    s.delivered.add(first, last)
    s.refresh(first, last)


def line(changes):
    """Changes as text: ``1-3 DELIVERED``."""
    return [f"{c.first}-{c.last} {c.state.name}" for c in changes]


class Sender:
    """An outbox."""

    def __init__(self, state=None, now=0.0, incarnation=INC, **config):
        self.state = state or StoreState()
        self.config = settings(ClientConfig, user="alice", device="a", **config)
        self.outbox = Outbox(self.config, incarnation, self.state.client_snapshot(), now)
        self.pending = []
        self.now = now

    def send(self, *payloads, to="bob", **more):
        more.setdefault("now", self.now)
        stream, first = self.outbox.send(to, payloads, wall_ms=0, **more)
        return stream, first

    def begin(self):
        ops = self.outbox.take_ops()
        if ops:
            self.pending.append(ops)
        return ops

    def finish(self):
        self.state.apply(self.pending.pop(0))
        return self.outbox.on_committed()

    def commit(self):
        self.begin()
        while self.pending:
            self.finish()

    def login(self, store_epoch=EPOCH):
        self.outbox.session_started(OutHandles(), store_epoch, self.now)
        self.commit()

    def packets(self, room=100):
        """Packets that leave now; every one survives its encoding."""
        out = []
        self.outbox.transmit(lambda packet, flight: out.append((packet, flight)), room)
        for packet, _ in out:
            assert packet == decode(encode(packet))
        return out

    def told(self):
        """What left, as text: kind and seqs."""
        return self.told_of(100)

    def told_of(self, room):
        """The same, with so much room."""
        words = []
        for packet, _ in self.packets(room):
            if isinstance(packet, p.MsgR):
                words.append(f"msg {packet.section.first}-{packet.section.last}")
            else:
                kind = "cancel" if isinstance(packet, p.CancelR) else "status"
                words += [f"{kind} {a}-{b}" for a, b in packet.ranges]
        return words

    def members(self, stream, *members, epoch=None, store_epoch=EPOCH, whole=True):
        epoch = len(members) if epoch is None else epoch
        packet = p.Members(1, None, whole, store_epoch, epoch, members)
        self.outbox.receive_members(stream, packet)
        self.commit()

    def met(self, *payloads, members=ONE, **more):
        """A logged-in sender whose first messages went out with a known membership."""
        stream, _ = self.send(*(payloads or (b"hi",)), **more)
        self.commit()
        self.login()
        self.packets()
        self.members(stream, *members)
        self.packets()
        self.changes()
        return stream

    def verdict(self, stream, ordinal=0, incarnation=None, store_epoch=EPOCH, **lists):
        if incarnation is None:
            incarnation = DURABLE | (ordinal + 1)
        ranges = [tuple(lists.get(k, ())) for k in ("delivered", "void", "stored", "excused")]
        packet = p.AckN(1, None, ordinal, incarnation, store_epoch, *ranges)
        self.outbox.receive_ack_n(stream, packet)

    def stored(self, stream, *ranges, ordinal=0, store_epoch=EPOCH):
        self.verdict(stream, ordinal, 0, store_epoch, stored=ranges)

    def refuse(self, code, *ranges, handle=1, to=""):
        self.outbox.receive_refuse(p.Refuse(handle, code, ranges, to))

    def accept(self, *ranges, handle=1, rtt_us=0):
        self.outbox.receive_msg_a(p.MsgA(handle, rtt_us, ranges))

    def changes(self):
        self.commit()
        return line(self.outbox.take_changes())

    def restart(self, **more):
        """The process dies and comes back with what was committed."""
        return Sender(self.state, self.now, **more)


class Receiver:
    """An inbox."""

    def __init__(self, state=None, *, durable=True, **limits):
        self.state = state or StoreState()
        self.durable = durable
        snapshot = self.state.client_snapshot()
        self.inbox = Inbox(snapshot, durable=durable, limits=Limits(**limits))
        self.now = 0.0
        self.pending = []

    def push(self, message, floor=1, base=1, stream=STREAM):
        self.inbox.receive_msg_n(stream, p.MsgN(1, None, floor, base, message))

    def takes(self, *run):
        return self.inbox.room(*run) >= FREE

    def cancel(self, *ranges, floor=1, base=1, stream=STREAM):
        self.inbox.receive_cancel_n(stream, p.CancelN(1, None, floor, base, ranges))

    def status(self, floor=1, base=1, stream=STREAM):
        self.inbox.receive_status_n(stream, p.StatusN(1, None, floor, base))

    def pulled(self, message=None, void=(), total=1, *, more=False, floor=1, base=1):
        packet = p.OfflineA(1, None, 1, total, more, floor, base, void, message)
        self.inbox.receive_offline_a(STREAM if total else None, packet)

    def begin(self):
        ops = self.inbox.take_ops()
        if ops:
            self.pending.append(ops)
        return ops

    def finish(self):
        self.state.apply(self.pending.pop(0))
        self.inbox.on_committed()

    def commit(self):
        self.begin()
        while self.pending:
            self.finish()

    def packets(self, room=1000):
        out = []
        self.inbox.transmit(lambda packet, stream: out.append(packet), room, self.now)
        for packet in out:
            assert packet == decode(encode(packet))
        return out

    def receipts(self):
        """What left, as (delivered, void) lists of all ack:R together."""
        acks = [packet for packet in self.packets() if isinstance(packet, p.AckR)]
        return (
            [r for ack in acks for r in ack.delivered],
            [r for ack in acks for r in ack.void],
        )

    def asks(self):
        return any(isinstance(packet, p.OfflineR) for packet in self.packets())

    def released(self):
        return [seq for run in self.inbox.take_released() for seq, _, _ in run.messages]

    def login(self, *, queue_waiting=False):
        self.inbox.session_started(OutHandles(), queue_waiting=queue_waiting)

    def restart(self):
        return Receiver(self.state, durable=self.durable)


class Server:
    """A router with sessions that send nowhere."""

    def __init__(
        self, state=None, *, durable=True, known=(), store_epoch=EPOCH, wall_ms=None, **config
    ):
        self.state = state or StoreState()
        self.router = Router(
            Limits(**config),
            self.state.server_snapshot(),
            store_epoch=store_epoch,
            durable=durable,
            known_user=lambda user: user in known,
            wall_ms=None if wall_ms is None else lambda: wall_ms,
        )
        self.durable = durable
        self.pending = []
        self.logins = 0

    def begin(self):
        ops = self.router.ledger.take_ops()
        if ops:
            self.pending.append(ops)
        return ops

    def finish(self, *, ok=True):
        ops = self.pending.pop(0)
        if ok:
            self.state.apply(ops)
        self.router.ledger.on_committed(ok=ok)

    def commit(self):
        self.begin()
        while self.pending:
            self.finish()
            self.begin()

    def login(self, endpoint, incarnation=None, rtt_s=0.05, *, continues=False):
        self.logins += 1
        incarnation = incarnation or (INC if endpoint == ALICE else DURABLE | 1)
        record = self.router.registry.logged_in(
            endpoint,
            incarnation,
            self.logins,
            continues=continues,
            age_s=self.router.age_s,
        )
        self.router.register(record, lambda ok: None)
        self.commit()
        session = Session(endpoint, incarnation, lambda: rtt_s, {})
        self.router.session_opened(session)
        return session

    def change(self, action, group, user):
        """Change a group; returns the code, and what was said of its durability so far."""
        said = []
        return self.router.desk.change(action, group, user, said.append), said

    def group(self, *users, name="#g"):
        """Make a group of these; whoever is in it already stays."""
        for user in users:
            there = self.router.groups.exists(name)
            self.change(GroupAction.JOIN if there else GroupAction.CREATE, name, user)
        self.commit()

    def leave(self, user, name="#g"):
        self.change(GroupAction.LEAVE, name, user)
        self.commit()

    def tallied(self, session):
        """Let all collected receipts leave; returns what they say, acked by the client's hop."""
        for now in (0.0, 1e6):
            self.router.answers.send_tallies(now)
        packets = of(p.Tally, self.hop_acks(session))
        return [
            (entry.verdict, entry.first + bit, part)
            for packet in packets
            for entry in packet.entries
            for bit in range(entry.bitmap.bit_length())
            if entry.bitmap >> bit & 1
            for part in entry.ranges
        ]

    def logout(self, session, *unacked):
        self.router.session_closed(session, unacked)
        self.commit()

    def hop_acks(self, session):
        """The client's hop acks everything sent so far; returns the packets."""
        frames, session.frames = session.frames, []
        for packet, _ in frames:
            assert packet == decode(encode(packet))
        for _, tag in frames:
            self.router.on_acked(session, tag)
        return [packet for packet, _ in frames]

    def epoch(self, stream=STREAM):
        """The membership epoch that a sender is told."""
        return self.router.conversations.epoch(stream)

    def runs(self, stream, runs):
        """Runs as heads carry them; by default all seqs have the present epoch."""
        return tuple(p.EpochRun(*run) for run in runs or ((1, self.epoch(stream)),))

    def msg(self, session, message, floor=1, runs=None, *, settled=0, stream=STREAM):
        epochs = self.runs(stream, runs)
        session.inbound.resolve(1, stream)
        packet = p.MsgR(1, None, floor, epochs, settled, message)
        self.router.receive_msg_r(session, stream, packet)

    def cancel(self, session, *ranges, floor=1, runs=None, stream=STREAM):
        epochs = self.runs(stream, runs)
        packet = p.CancelR(1, None, floor, epochs, ranges)
        self.router.receive_cancel_r(session, stream, packet)

    def status(self, session, *ranges, floor=1, runs=None, stream=STREAM):
        epochs = self.runs(stream, runs)
        packet = p.StatusR(1, None, floor, epochs, ranges)
        self.router.receive_status_r(session, stream, packet)

    def ack(self, session, *delivered, void=(), settled=(), stream=STREAM, pulled=False):
        session.inbound.resolve(9, stream)
        packet = p.AckR(9, None, pulled, delivered, tuple(void), tuple(settled))
        self.router.receive_ack_r(session, stream, packet)

    def restart(self, **more):
        more.setdefault("durable", self.durable)
        return Server(self.state, **more)


def of(kind, packets):
    return [packet for packet in packets if isinstance(packet, kind)]


def bodies(packet):
    return section_messages(packet.section)[1]
