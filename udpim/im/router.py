"""The server's machine: route, store for who is away, relay receipts (PROTOCOL §5.5).

Per message the server keeps its unreceipted pushes in memory and its offline queue on disk, and
nothing else. It speaks in its own name only of what it did itself (ACCEPTED, STORED, REJECTED);
DELIVERED and VOID are B's, passed on (R13).

::

    msg:R ──► receipt row?  ── ack:N from it
          ├─► queue not empty ── append a row ─(commit)─► ack:N(STORED), nudge
          ├─► endpoint online ── msg:N ──► ack:R ──► ack:N ─(A's hop ack)─► ack:A
          └─► endpoint away   ── row ─(commit)─► ack:N(STORED)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from udpim.config import Limits
from udpim.im.answers import RANGES_A_PACKET, Answers
from udpim.im.devices import Registry, base_for, epochs_known
from udpim.im.endings import Endings
from udpim.im.held import HeldBytes
from udpim.im.ledger import Continuation, Ledger
from udpim.im.offline_queue import OfflineQueue
from udpim.im.puller import nudge_blocked
from udpim.im.queue_writer import QueueWriter
from udpim.im.receipt_rows import ReceiptRows
from udpim.im.records import DeviceRecord, PutDevice, ServerSnapshot
from udpim.im.session import Named, Relay, Session, Told
from udpim.model import Endpoint, RejectCode, StreamId
from udpim.ranges import Range, RangeSet, chunked, intersect, without
from udpim.wire.im_codec import (
    SECTION_ENTRY_BYTES,
    SECTION_HEAD_BYTES,
    cut_section,
    last_stamp,
)
from udpim.wire.im_packets import (
    AckA,
    AckR,
    CancelN,
    CancelR,
    MsgN,
    MsgR,
    Nudge,
    Refuse,
    Section,
    StatusN,
    StatusR,
)
from udpim.wire.im_schema import SECTION_BYTES_MAX

_Head = MsgR | CancelR | StatusR


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
    ) -> None:
        """Restore the registry, the queue's index and the receipt rows.

        Args:
            limits: What memory and queues may hold.
            snapshot: What the store holds.
            store_epoch: Identity of the store, sent with every STORED.
            durable: Whether the store survives a crash; otherwise STORED is never said.
            known_user: Whether a user without any device may still log in one day.
        """
        self._limits = limits
        self.store_epoch = store_epoch
        self._durable = durable
        self._known_user = known_user
        self.ledger = Ledger()
        self.registry = Registry(snapshot.devices)
        self.queue = OfflineQueue(snapshot.queue)
        self.receipts = ReceiptRows(snapshot.receipts, self.ledger)
        self._endings = Endings(self.registry, self.queue)
        self._answers = Answers(self.registry, store_epoch=store_epoch, durable=durable)
        self._lone_bytes_max = SECTION_HEAD_BYTES + SECTION_ENTRY_BYTES + limits.payload_bytes_max
        self.held = HeldBytes()
        """What waits for the disk, by sender."""
        self.pushed_bytes = 0
        """What all sessions were pushed and have not receipted."""
        self._writer = QueueWriter(self.queue, self.ledger, self._stored, limits, self.held)
        self.sessions: dict[Endpoint, Session] = {}
        self.stored_for_absent: list[tuple[Endpoint, StreamId, int, int]] = []
        """What the on_offline hook is told; drained by the node."""
        self.drops: dict[str, int] = {}

    # --- Sessions ---

    def register(self, record: DeviceRecord, after: Continuation) -> None:
        """Make a login durable; nobody is told of it before.

        A new incarnation knows none of the receipts that wait (R7).
        """
        self.ledger.put(PutDevice(record), partial(self._registered, record, after))

    def _registered(self, record: DeviceRecord, after: Continuation, ok: bool) -> None:
        if ok:
            endpoint = Endpoint(record.user, record.device)
            old = self.registry.get(endpoint)
            self.registry.put(record)
            if old is not None and old.incarnation != record.incarnation:
                self.receipts.forget(endpoint)
            before = None if old is None else (old.incarnation, old.continues)
            if before != (record.incarnation, record.continues):
                self._endings.logged_in(endpoint)
                self.receipts.sender_left(endpoint, self.registry.has_ended)
        after(ok)

    def session_opened(self, session: Session) -> None:
        """A login succeeded; the node has ended any other session of this endpoint before."""
        self.sessions[session.endpoint] = session

    def session_closed(self, session: Session, unacked: Sequence[object]) -> None:
        """Hand what is unreceipted to the queue, and receipts that A may lack to rows (R10, R3)."""
        endpoint = session.endpoint
        del self.sessions[endpoint]
        marked = self.registry.reached(endpoint, session.incarnation, session.mark)
        if marked is not None:
            self.ledger.put(PutDevice(marked))
        self.queue.session_ended(endpoint)
        for stream, push in session.pushes.items():
            head = (push.floor, push.base)
            for section, parts in push.open_sections():
                self._writer.store(endpoint, stream, head, section, parts)
            self._store_voids(endpoint, stream, head, list(push.cancels))
            self.pushed_bytes -= push.bytes
        self._endings.session_closed(session)
        for tag in (*unacked, *(tag for _, tag in session.frames)):
            if isinstance(tag, Relay):
                self._keep_receipt(tag)

    def on_acked(self, session: Session, tag: object) -> None:
        """A client's hop has acked one of our packets."""
        if isinstance(tag, Named | Told | Relay):
            session.outbound.confirm(tag.stream)
        if isinstance(tag, Told):
            self._answers.told(session, tag.stream)
        if isinstance(tag, Relay):
            self._acknowledge(tag)

    # --- From senders ---

    def receive_msg_r(self, session: Session, stream: StreamId, packet: MsgR) -> None:
        """Route a run, and say that we do: msg:A."""
        section = packet.section
        first, last = section.first, section.last
        session.mark = max(session.mark, last_stamp(section))
        if len(section.raw) > (SECTION_BYTES_MAX if section.count > 1 else self._lone_bytes_max):
            session.send(Refuse(packet.handle, RejectCode.TOO_LARGE, ((first, last),)))
            return
        if not self._addressed(session, stream, packet, ((first, last),)):
            return
        slowest_s = 0.0
        taken = True
        for record, base in self._due(stream, packet):
            if packet.settled >> record.ordinal & 1 or base > last:
                continue
            endpoint = Endpoint(stream.conversation, record.device)
            online = self.sessions.get(endpoint)
            if online is not None:
                slowest_s = max(slowest_s, online.rtt_s())
            part = cut_section(section, base, last)
            if not self._deliver(session, endpoint, stream, (packet.floor, base), part):
                taken = False
                session.send(Refuse(packet.handle, RejectCode.FULL, ((part.first, last),)))
        if taken:
            session.accept(packet.handle, int(slowest_s * 1e6), first, last)

    def receive_cancel_r(self, session: Session, stream: StreamId, packet: CancelR) -> None:
        """Pass a cancel on, or leave it as void items: only B says VOID (R4)."""
        if not self._addressed(session, stream, packet, packet.ranges):
            return
        for record, base in self._due(stream, packet):
            endpoint = Endpoint(stream.conversation, record.device)
            ranges = self._unanswered(session, endpoint, stream, packet.ranges)
            ranges = [(max(a, base), b) for a, b in ranges if b >= base]
            if ranges:
                self._cancel(endpoint, stream, (packet.floor, base), ranges)

    def receive_status_r(self, session: Session, stream: StreamId, packet: StatusR) -> None:
        """Say what we know: from receipt row and queue, else ask B (R3)."""
        if not self._addressed(session, stream, packet, packet.ranges):
            return
        for record, base in self._due(stream, packet):
            endpoint = Endpoint(stream.conversation, record.device)
            left = self._unanswered(session, endpoint, stream, packet.ranges)
            queued = self.queue.find(endpoint, stream)
            stored = [] if queued is None else intersect(left, queued.messages)
            self._answers.status(session, stream, record.ordinal, packet.ranges, stored)
            online = self.sessions.get(endpoint)
            if online is not None:
                handle, name = online.outbound.of(stream)
                online.send(StatusN(handle, name, packet.floor, base), Named(stream))

    def _addressed(
        self, session: Session, stream: StreamId, packet: _Head, ranges: Sequence[Range]
    ) -> bool:
        """Check recipient and epochs; answer a refusal or the membership when they do not hold."""
        user = stream.conversation
        epoch = self.registry.epoch(user)
        if epoch == 0:
            code = RejectCode.UNKNOWN_RECIPIENT
            if self._known_user(user):
                code = RejectCode.NO_DEVICE
            session.send(Refuse(packet.handle, code, tuple(ranges)))
            return False
        known = epochs_known(packet.runs, ranges[0][0], ranges[-1][1], epoch)
        self._answers.members(session, stream, again=not known)
        if known:
            for device in self.registry.devices(user):
                endpoint = Endpoint(user, device)
                self.receipts.floor_passed(stream, device, packet.floor)
                self._writer.floor_passed(endpoint, stream, packet.floor)
                nudge_blocked(self.queue, self.sessions.get(endpoint))
        return known

    def _due(self, stream: StreamId, packet: _Head) -> Iterator[tuple[DeviceRecord, int]]:
        """Yield the endpoints that anything from floor on is due to, with their base (R2)."""
        for record in list(self.registry.devices(stream.conversation).values()):
            base = base_for(packet.runs, packet.floor, record.joined)
            if base is not None:
                yield record, base

    def _unanswered(
        self, session: Session, endpoint: Endpoint, stream: StreamId, ranges: Sequence[Range]
    ) -> list[Range]:
        """Answer what a receipt row knows; return the rest."""
        row = self.receipts.find(stream, endpoint.device)
        if row is None or row.incarnation != self._incarnation(endpoint):
            return list(ranges)
        delivered = [part for a, b in ranges for part in row.delivered.within(a, b)]
        void = [part for a, b in ranges for part in row.void.within(a, b)]
        if delivered or void:
            relay = Relay(stream, endpoint, row.incarnation, tuple(delivered), tuple(void))
            self._answers.verdicts(session, relay, kept=True)
        return [part for a, b in ranges for part in row.missing(a, b)]

    def _incarnation(self, endpoint: Endpoint) -> int:
        record = self.registry.get(endpoint)
        assert record is not None, "only registered endpoints have sessions, rows or receipts"
        return record.incarnation

    def _deliver(
        self,
        session: Session,
        endpoint: Endpoint,
        stream: StreamId,
        head: tuple[int, int],
        section: Section,
    ) -> bool:
        """Bring one endpoint a run: by push while nothing of the stream is queued, else by queue.

        What is pushed is the recipient's, and bounded by its limit, so that a slow one does not
        use up the credit that its senders need for others (PROTOCOL §3.8).

        Returns:
            False when there is no room for it.
        """
        ranges = self._unanswered(session, endpoint, stream, [(section.first, section.last)])
        queued = self.queue.find(endpoint, stream)
        online = self.sessions.get(endpoint)
        if queued is not None:
            stored = [part for a, b in ranges for part in queued.messages.within(a, b)]
            if stored:
                self._answers.stored(session, endpoint, stream, stored)
        crowded = online is not None and self._is_crowded(online)
        if online is not None and crowded:
            ranges = without(ranges, self._endings.push(online, stream).unreceipted)
        if queued is not None or online is None or crowded:
            if ranges and (self._writer.is_full(endpoint) or (crowded and not self._durable)):
                return False
            self._writer.store(endpoint, stream, head, section, ranges)
            return True
        for low, high in without(ranges, self._endings.push(online, stream).unreceipted):
            self._push(online, stream, head, cut_section(section, low, high))
        return True

    def _is_crowded(self, online: Session) -> bool:
        """Tell whether so much is pushed, to it or to all, that the rest has to be queued."""
        limits = self._limits
        room = min(limits.session_bytes_max, limits.pushed_bytes_max - self.pushed_bytes)
        return online.pushed_bytes >= room or online.unreceipted >= limits.session_messages_max

    def _push(
        self, online: Session, stream: StreamId, head: tuple[int, int], section: Section
    ) -> None:
        online.pushed(stream, head, section)
        self.pushed_bytes += len(section.raw)
        handle, name = online.outbound.of(stream)
        tag = None if name is None else Named(stream)
        online.send(MsgN(handle, name, head[0], head[1], section), tag)

    def _cancel(
        self, endpoint: Endpoint, stream: StreamId, head: tuple[int, int], ranges: list[Range]
    ) -> None:
        online = self.sessions.get(endpoint)
        if self.queue.find(endpoint, stream) is not None or online is None:
            self._store_voids(endpoint, stream, head, ranges)
        if online is None:
            return
        push = self._endings.push(online, stream)
        push.floor, push.base = head
        push.cancels.update(ranges)
        for part in chunked(ranges, RANGES_A_PACKET):
            handle, name = online.outbound.of(stream)
            online.send(CancelN(handle, name, *head, part), Named(stream))

    def _store_voids(
        self, endpoint: Endpoint, stream: StreamId, head: tuple[int, int], ranges: list[Range]
    ) -> None:
        if not self._writer.store_voids(endpoint, stream, head, ranges):
            self._drop("cancel beyond the queue's limit")

    # --- From recipients ---

    def receive_ack_r(self, session: Session, stream: StreamId, packet: AckR) -> None:
        """Record B's verdicts, and relay them to A or keep them for A (R3)."""
        endpoint = session.endpoint
        if stream.conversation != endpoint.user:
            self._drop("receipt for somebody else's stream")
            return
        verdicts = packet.delivered + packet.void
        if not verdicts:
            self._endings.tell(session, stream)
            return
        self.pushed_bytes -= session.receipted(stream, verdicts)
        self._writer.delete(endpoint, stream, verdicts)
        nudge_blocked(self.queue, session)
        relay = Relay(stream, endpoint, session.incarnation, packet.delivered, packet.void)
        sender = self.sessions.get(Endpoint(stream.user, stream.device))
        if sender is None:
            self._keep_receipt(relay)
        else:
            self._answers.verdicts(sender, relay, kept=False)

    def _keep_receipt(self, relay: Relay) -> None:
        """A is away: the row is the receipt's home until A's floor passes it."""
        if self._incarnation(relay.recipient) != relay.incarnation:
            self._drop("receipt of an older incarnation")
            return
        if self.registry.has_ended(relay.stream):
            self._drop("receipt for a stream that has ended")
            return
        if not self.registry.is_sender(relay.stream):
            self._drop("receipt for an unknown sender")
            return
        self.receipts.keep(
            relay.stream,
            relay.recipient.device,
            relay.incarnation,
            relay.delivered,
            relay.void,
            after=partial(self._receipt_kept, relay),
        )

    def _receipt_kept(self, relay: Relay, ok: bool) -> None:
        if ok and self._durable:
            self._acknowledge(relay)

    def _acknowledge(self, relay: Relay) -> None:
        """ack:A: the receipt cannot get lost any more."""
        session = self.sessions.get(relay.recipient)
        if session is None:
            return
        handle = session.inbound.number(relay.stream)
        if handle is None:
            return
        ranges = RangeSet(relay.delivered + relay.void)
        for part in chunked(list(ranges), RANGES_A_PACKET):
            session.send(AckA(handle, part))

    # --- After a commit of queue rows ---

    def _stored(self, endpoint: Endpoint, stream: StreamId, ranges: list[Range]) -> None:
        online = self.sessions.get(endpoint)
        if online is not None:
            online.send(Nudge())
        elif ranges:
            first, last = ranges[0][0], ranges[-1][1]
            self.stored_for_absent.append((endpoint, stream, first, last))
        sender = self.sessions.get(Endpoint(stream.user, stream.device))
        if sender is not None and ranges:
            self._answers.stored(sender, endpoint, stream, ranges)

    def _drop(self, reason: str) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1
