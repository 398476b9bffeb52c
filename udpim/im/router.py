"""The server's machine: route, store for who is away, relay receipts (PROTOCOL §5.5).

Per message the server keeps its unreceipted pushes in memory and its offline queue on disk, and
nothing else. It speaks in its own name only of what it did itself (ACCEPTED, STORED, REJECTED);
DELIVERED and VOID are B's, passed on (R13).

::

    msg:R ──► who is due? ──► receipt row?  ── ack:N from it
                        └───► delivery ─┬─ msg:N ──► ack:R ──► ack:N ─(A's hop ack)─► ack:A
                                        └─ queue ─(commit)─► ack:N(STORED)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from udpim import config
from udpim.config import GROUP_USERS_MAX, GROUPS_MAX, Limits
from udpim.im.answers import Answers
from udpim.im.conversations import Conversations
from udpim.im.delivery import Delivery
from udpim.im.devices import Registry, base_for, epochs_known
from udpim.im.endings import Endings
from udpim.im.expiry import given_up
from udpim.im.group_desk import GroupDesk
from udpim.im.groups import Groups
from udpim.im.ledger import Continuation, Ledger
from udpim.im.memberships import Memberships
from udpim.im.offline_queue import OfflineQueue
from udpim.im.read_marks import ReadMarks
from udpim.im.receipt_rows import ReceiptRows
from udpim.im.records import Op, PutDevice, PutMeta, ServerSnapshot
from udpim.im.relays import Relays
from udpim.im.session import Named, ReadRelay, Relay, Round, Session, Told
from udpim.im.standstills import Standstills
from udpim.model import Endpoint, RejectCode, StreamId, is_group
from udpim.ranges import Range, RangeSet, without
from udpim.wire.im_codec import (
    SECTION_ENTRY_BYTES,
    SECTION_HEAD_BYTES,
    cut_section,
    top_stamp,
)
from udpim.wire.im_packets import (
    AckR,
    CancelR,
    Member,
    MsgR,
    Refuse,
    StatusR,
)
from udpim.wire.im_schema import SECTION_BYTES_MAX

_Head = MsgR | CancelR | StatusR
CHANGES = "changes"
"""Name of the store's value that holds the highest number given to a change."""
NOTED_STAMPS = 60_000 << 16
"""How far stamps may come before it is noted that they did: a minute."""
SEEN_S = 3600
"""How exactly the server knows when it saw a device last."""


class Router:
    """Everything of the server that is about messages; connections are the node's."""

    def __init__(
        self,
        limits: Limits,
        snapshot: ServerSnapshot,
        *,
        store_epoch: int,
        durable: bool,
        known_user: Callable[[str], bool],
        wall_ms: Callable[[], int] | None = None,
    ) -> None:
        """Restore the registry, the groups, the queue's index and the receipt rows.

        Args:
            limits: What memory and queues may hold.
            snapshot: What the store holds.
            store_epoch: Identity of the store, sent with every STORED.
            durable: Whether the store survives a crash; otherwise STORED is never said.
            known_user: Whether a user without any device may still log in one day.
            wall_ms: Tells milliseconds since 1970, to refuse absurd stamps (R12); None for never.
        """
        self._wall_ms = wall_ms
        self.store_epoch = store_epoch
        self._known_user = known_user
        self.ledger = Ledger(durable=durable)
        changes = int.from_bytes(snapshot.meta.get(CHANGES, b""), "big")
        self.registry = Registry(snapshot.devices, changes)
        self.groups = Groups(snapshot.groups, snapshot.members, self.registry)
        self.conversations = Conversations(self.registry, self.groups)
        self.queue = OfflineQueue(snapshot.queue, ttl_s=limits.queue_ttl_s)
        self.receipts = ReceiptRows(snapshot.receipts, self.ledger)
        self.endings = Endings(self.registry, self.queue)
        self.answers = Answers(self.conversations, store_epoch=store_epoch, durable=durable)
        self._lone_bytes_max = SECTION_HEAD_BYTES + SECTION_ENTRY_BYTES + limits.payload_bytes_max
        self.delivery = Delivery(
            limits,
            self.queue,
            self.ledger,
            self.conversations,
            self.endings,
            durable=durable,
            stored=self._stored,
        )
        self.sessions = self.delivery.sessions
        self.relays = Relays(self)
        self.reads = ReadMarks(self)
        self.standstills = Standstills(self)
        self.memberships = Memberships(self)
        self.register = self.memberships.register
        self.desk = GroupDesk(self, users_max=GROUP_USERS_MAX, groups_max=GROUPS_MAX)
        self.stored_for_absent: list[tuple[Endpoint, StreamId, int, int]] = []
        """What the on_offline hook is told; drained by the node."""
        self.age_s = 0
        """How long the server has been running, ever, seconds; set by the node."""
        self._drops: dict[str, int] = {}
        for endpoint in self.queue.endpoints():
            self.delivery.left(endpoint)  # rows that a leave was too late for, before a crash

    @property
    def drops(self) -> dict[str, int]:
        """Why packets had no effect, counted."""
        return self._drops | self.delivery.drops

    # --- Sessions ---

    def put_change(self, ops: Sequence[Op], after: Continuation) -> None:
        """Commit operations that took numbers; nobody is told of them before."""
        changes = self.registry.changes.to_bytes(8, "big")
        for op in (PutMeta(CHANGES, changes), *ops[:-1]):
            self.ledger.put(op)
        self.ledger.put(ops[-1], after)

    def after_commits(self, after: Continuation) -> None:
        """Call back once what is on its way is durable, at once if nothing is."""
        if not self.ledger.when_durable(after):
            after(True)

    def is_user(self, name: str) -> bool:
        """Tell whether there is such a user, logged in once or to log in one day."""
        return self.registry.knows(name) or self._known_user(name)

    def session_opened(self, session: Session) -> None:
        """A login succeeded; the node has ended any other session of this endpoint before."""
        self.sessions[session.endpoint] = session
        self.reads.sender_came(session)
        self.standstills.sender_came(session)

    def session_closed(self, session: Session, unacked: Sequence[object]) -> None:
        """Hand what is unreceipted to the queue, and receipts that A may lack to rows (R10, R3)."""
        noted = self.registry.reached(session.endpoint, session.incarnation, session.mark)
        last = self.registry.latest(session.endpoint.user)[session.endpoint.device]
        if self.age_s - last.seen_s >= SEEN_S:
            noted = self.registry.seen(session.endpoint, self.age_s)
        if noted is not None:
            self.ledger.put(PutDevice(noted))
        self.delivery.session_closed(session)
        tags = [*unacked, *(tag for _, tag in session.frames)]
        self.relays.session_closed(self.answers.session_closed(session), tags)
        self.reads.session_closed(tags)
        self.standstills.session_closed(session)

    def on_acked(self, session: Session, tag: object) -> None:
        """A client's hop has acked one of our packets."""
        if isinstance(tag, Named | Told | Relay | Round | ReadRelay):
            session.outbound.confirm(tag.stream)
        if isinstance(tag, Told):
            self.answers.told(session, tag.stream)
        elif isinstance(tag, Relay | Round):
            self.relays.acked(tag)
        elif isinstance(tag, ReadRelay):
            self.reads.told(tag)

    # --- From senders ---

    def admits(self, session: Session, stream: StreamId, packet: MsgR) -> bool:
        """Tell whether a run may be routed; say it to the sender when it may not."""
        section = packet.section
        first, last = section.first, section.last
        stamp = top_stamp(section)
        if self._wall_ms is not None and stamp >> 16 > self._wall_ms() + config.SKEW_MS_MAX:
            session.send(Refuse(packet.handle, RejectCode.CLOCK, ((first, last),)))
            return False
        session.mark = max(session.mark, stamp)
        if len(section.raw) > (SECTION_BYTES_MAX if section.count > 1 else self._lone_bytes_max):
            session.send(Refuse(packet.handle, RejectCode.TOO_LARGE, ((first, last),)))
            return False
        return self._is_open(session, stream, packet, ((first, last),))

    def receive_msg_r(self, session: Session, stream: StreamId, packet: MsgR) -> bool:
        """Route a run, and say that we do: msg:A. Return whether we do."""
        section = packet.section
        first, last = section.first, section.last
        if not self.admits(session, stream, packet):
            return False
        if not self._is_stamped(session, stream, packet, ((first, last),)):
            return False
        if session.mark - session.noted >= NOTED_STAMPS:
            self._note(session)
        slowest_s = 0.0
        taken, nobody = True, last >= session.floors[stream]
        for line, head in self._due(session, stream, packet):
            base = head[1]
            if base > last:
                continue
            nobody = False
            if packet.settled >> line.ordinal & 1:
                continue
            endpoint = line.endpoint
            online = self.sessions.get(endpoint)
            if online is not None:
                slowest_s = max(slowest_s, online.rtt_s())
            part = cut_section(section, base, last)
            left = self._unanswered(session, line, stream, ((part.first, last),))
            if left and (stored := self.queue.messages_in(endpoint, stream, left)):
                self.answers.stored(session, endpoint, stream, stored)
            if not self.delivery.deliver(endpoint, stream, head, part, left):
                taken = False
                session.send(Refuse(packet.handle, RejectCode.FULL, ((part.first, last),)))
        if nobody:
            self.answers.members(session, stream, again=True)  # from which it follows
        if taken:
            due = self._due(session, stream, packet)
            over = given_up(self.queue, self.receipts, stream, due, packet)
            if len(over):
                session.send(Refuse(packet.handle, RejectCode.EXPIRED, tuple(over)))
            for low, high in over.missing(first, last):
                session.accept(packet.handle, int(slowest_s * 1e6), low, high)
        return True

    def _note(self, session: Session) -> None:
        """Keep how far a sender's stamps have come: we may die before its session ends."""
        session.noted = session.mark
        record = self.registry.reached(session.endpoint, session.incarnation, session.mark)
        if record is not None:
            self.ledger.put(PutDevice(record))

    def receive_cancel_r(self, session: Session, stream: StreamId, packet: CancelR) -> None:
        """Pass a cancel on, or leave it as void items: only B says VOID (R4)."""
        if not self._addressed(session, stream, packet, packet.ranges):
            return
        last = packet.ranges[-1][1]
        nobody = last >= session.floors[stream]
        for line, head in self._due(session, stream, packet):
            base = head[1]
            nobody = nobody and base > last
            ranges = self._unanswered(session, line, stream, packet.ranges)
            ranges = [(max(a, base), b) for a, b in ranges if b >= base]
            if ranges:
                self.delivery.cancel(line.endpoint, stream, head, ranges)
        if nobody:
            self.answers.members(session, stream, again=True)  # from which it follows

    def receive_status_r(self, session: Session, stream: StreamId, packet: StatusR) -> None:
        """Say what we know: from receipt row and queue, else ask B (R3).

        What is below its floor A does not ask; of such a packet it is the floor that counts.
        """
        floor = packet.floor
        asked = [(max(a, floor), b) for a, b in packet.ranges if b >= floor]
        if not self._addressed(session, stream, packet, asked or ((floor, floor),)):
            return
        if not asked:
            self.standstills.told_alone(stream, self.conversations.present(stream), floor)
            return
        for line, head in self._due(session, stream, packet):
            left = self._unanswered(session, line, stream, asked)
            stored = self.queue.messages_in(line.endpoint, stream, left)
            self.answers.status(session, stream, line.ordinal, asked, stored)
            if without(left, RangeSet(stored)):
                self.delivery.ask(line.endpoint, stream, head)

    def _addressed(
        self, session: Session, stream: StreamId, packet: _Head, ranges: Sequence[Range]
    ) -> bool:
        return self._is_open(session, stream, packet, ranges) and self._is_stamped(
            session, stream, packet, ranges
        )

    def _is_open(
        self, session: Session, stream: StreamId, packet: _Head, ranges: Sequence[Range]
    ) -> bool:
        """Check the recipient; answer a refusal when there is none for this sender."""
        self.answers.watch(session, stream)
        code = self.conversations.refusal(stream)
        if code is RejectCode.UNKNOWN_RECIPIENT and self._known_user(stream.conversation):
            code = RejectCode.NO_DEVICE
        if code is RejectCode.NOT_MEMBER and not isinstance(packet, MsgR):
            code = None  # who has left may still bring to an end what it began
        if code is not None:
            if self.conversations.epoch(stream):
                self.answers.members(session, stream)
            session.send(Refuse(packet.handle, code, tuple(ranges)))
        return code is None

    def _is_stamped(
        self, session: Session, stream: StreamId, packet: _Head, ranges: Sequence[Range]
    ) -> bool:
        """Check the epochs; answer the membership when they do not hold."""
        epoch = self.conversations.epoch(stream)
        known = epochs_known(packet.runs, ranges[0][0], ranges[-1][1], epoch)
        self.answers.members(session, stream, again=not known)
        if known and packet.floor > session.floors.get(stream, 0):
            session.floors[stream] = packet.floor
            for line in self.conversations.present(stream):
                self.receipts.floor_passed(stream, line.endpoint, packet.floor)
                self.delivery.floor_passed(line.endpoint, stream, packet.floor)
            self.standstills.floor_told(stream, packet.floor)
        return known

    def _due(
        self, session: Session, stream: StreamId, packet: _Head
    ) -> Iterator[tuple[Member, tuple[int, int]]]:
        """Yield the endpoints that anything from floor on is due to, with floor and base (R2).

        Packets have no order: the floor is the highest that the sender has told.
        """
        floor = session.floors[stream]
        for line in self.conversations.present(stream):
            base = base_for(packet.runs, floor, line.joined)
            if base is not None:
                yield line, (floor, base)

    def _unanswered(
        self, session: Session, line: Member, stream: StreamId, ranges: Sequence[Range]
    ) -> list[Range]:
        """Answer what a receipt row knows, and what no row waits for any more; return the rest."""
        endpoint = line.endpoint
        queued = self.queue.find(endpoint, stream)
        if queued is not None and ranges and ranges[0][0] < queued.floor:
            # The sender told that floor before its disk was lost, and B settled all below it.
            below = [(first, min(last, queued.floor - 1)) for first, last in ranges]
            self.answers.forgotten(session, stream, endpoint, [r for r in below if r[0] <= r[1]])
            ranges = without(ranges, RangeSet(((1, queued.floor - 1),)))
        row = self.receipts.find(stream, endpoint)
        if row is None or row.incarnation != line.incarnation:
            return list(ranges)
        delivered = [part for a, b in ranges for part in row.delivered.within(a, b)]
        void = [part for a, b in ranges for part in row.void.within(a, b)]
        if delivered or void:
            relay = Relay(stream, endpoint, row.incarnation, tuple(delivered), tuple(void))
            self.answers.verdicts(session, relay, kept=True)
        return [part for a, b in ranges for part in row.missing(a, b)]

    # --- From recipients ---

    def receive_ack_r(self, session: Session, stream: StreamId, packet: AckR) -> None:
        """Record B's verdicts, and relay them to A or keep them for A (R3)."""
        verdicts = packet.delivered + packet.void
        if self.conversations.line(stream, session.endpoint) is None:
            self.drop("receipt for somebody else's stream")
            if is_group(stream.conversation) and not verdicts:
                self.delivery.gone(session, stream)
            return
        if packet.settled:
            self._forgotten(session, stream, packet.settled)
        elif not verdicts:
            self.endings.tell(session, stream)
            self.standstills.asked(session, stream)
        if not verdicts:
            return
        complete = self.delivery.receipted(session, stream, verdicts)
        relay = Relay(stream, session.endpoint, session.incarnation, packet.delivered, packet.void)
        sender = self.sessions.get(Endpoint(stream.user, stream.device))
        if sender is None:
            self.relays.keep(relay)
            return
        self.answers.verdicts(sender, relay, kept=False)
        self.standstills.offered(session, stream, verdicts, sender.floors.get(stream, 0))
        if complete:
            self.answers.tallies.hurry(sender, stream)

    def _forgotten(self, session: Session, stream: StreamId, ranges: Sequence[Range]) -> None:
        """B knows a floor above these: who does not know it any more is told that nobody waits."""
        self.delivery.receipted(session, stream, ranges)
        sender = self.sessions.get(Endpoint(stream.user, stream.device))
        if sender is not None:
            floor = sender.floors.get(stream, 1)
            asked = [(max(first, floor), last) for first, last in ranges if last >= floor]
            self.answers.forgotten(sender, stream, session.endpoint, asked)

    # --- After a commit of queue rows ---

    def _stored(self, endpoint: Endpoint, stream: StreamId, ranges: list[Range]) -> None:
        if not ranges:
            return
        if endpoint not in self.sessions:
            self.stored_for_absent.append((endpoint, stream, ranges[0][0], ranges[-1][1]))
        sender = self.sessions.get(Endpoint(stream.user, stream.device))
        if sender is not None:
            self.answers.stored(sender, endpoint, stream, ranges)

    def drop(self, reason: str) -> None:
        """Count a packet without effect."""
        self._drops[reason] = self._drops.get(reason, 0) + 1
