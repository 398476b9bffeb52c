"""What happened in a virtual world, in one order: the facts that the oracle judges.

The history is fed by the world (sends, hand-overs, shown states), by the disks (what became durable
and when) and by the network (every datagram). It believes no node: what a node claims is a
`SeenFrame`, what is true is a commit. ``order`` numbers all facts, for virtual time has ties.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from udpim.im import records as r
from udpim.model import FINAL_STATES, Endpoint, MessageState, MsgId, StreamId
from udpim.testing.clock import VirtualClock
from udpim.testing.crossings import Crossing
from udpim.testing.facts import (
    SERVER,
    ByIncarnation,
    Handover,
    SeenFrame,
    Send,
    Shown,
    Stamps,
    endpoint_of,
    left_since,
    msgids_in,
    store_epoch_of,
)
from udpim.testing.lines import Lines, counts
from udpim.testing.put_back import carry_over, give_back, undo
from udpim.testing.wiretap import Content
from udpim.wire import im_packets as p


class Passage(NamedTuple):
    """A datagram left its host, or reached one."""

    order: int
    kind: Literal["sent", "arrived", "damaged"]
    crossing: Crossing
    size_bytes: int


@dataclass(slots=True)
class History:
    """All facts. The lists and dicts are for reading only."""

    clock: VirtualClock
    sends: dict[MsgId, Send] = field(default_factory=dict)
    collisions: list[MsgId] = field(default_factory=list)
    """Msgids that were given to two different payloads."""
    shown: dict[MsgId, list[Shown]] = field(default_factory=lambda: defaultdict(list))
    open: set[MsgId] = field(default_factory=set)
    """Accepted, and not shown in a final state last."""
    handovers: list[Handover] = field(default_factory=list)
    commits: dict[tuple[ByIncarnation, MsgId], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """When a message became safe in an inbox."""
    voided: dict[tuple[ByIncarnation, MsgId], int] = field(default_factory=dict)
    """When an inbox durably promised never to deliver a message."""
    handled: dict[tuple[Endpoint, MsgId], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """When a durable inbox noted that the application had finished with a message."""
    inboxes: dict[tuple[ByIncarnation, StreamId], list[tuple[int, r.InStreamRecord]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """What an inbox durably knew of a stream, and since when."""
    rows: dict[MsgId, tuple[int, bytes]] = field(default_factory=dict)
    """When an outbox row became durable, and its payload."""
    epochs: dict[MsgId, int] = field(default_factory=dict)
    stamps: dict[MsgId, Stamps] = field(default_factory=lambda: defaultdict(dict))
    trims: list[tuple[int, MsgId, int, int]] = field(default_factory=list)
    """(order, msgid, store epoch, membership epoch) of each deleted outbox row."""
    floors: dict[StreamId, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    logins: dict[Endpoint, dict[tuple[int, int], int]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """When (incarnation, login count) became durable."""
    stored: dict[tuple[int, Endpoint, MsgId], int] = field(default_factory=dict)
    """When a queue row became durable under a store epoch."""
    kept: dict[tuple[StreamId, Endpoint, int, int], int] = field(default_factory=dict)
    """When a receipt row held (stream, endpoint, incarnation, seq)."""
    lines: dict[int, Lines] = field(default_factory=lambda: defaultdict(Lines))
    """Who belonged to which conversation, by store epoch."""
    incarnations: dict[Endpoint, int] = field(default_factory=dict)
    store_epoch: int = 0
    lost_disks: dict[str, int] = field(default_factory=dict)
    """When a host last lost what it had stored, or part of it."""
    deaths: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """When processes died."""
    hostile: set[str] = field(default_factory=set)
    """Hosts that a test lets lie: what they claim is no violation, what others believe is."""
    frames: list[SeenFrame] = field(default_factory=list)
    crossings: list[Crossing] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    """Every departure and arrival of a datagram."""
    times: list[float] = field(default_factory=lambda: [0.0])
    """When each fact was, by its order."""
    ops: Counter[str] = field(default_factory=Counter)
    """How many operations of each kind became durable, by the names of their classes."""
    order: int = 0
    untold: set[MsgId] = field(default_factory=set)
    """Messages that are safe although their sender died before it was told."""
    carried: set[tuple[Endpoint, MsgId]] = field(default_factory=set)
    """What an inbox had when it was copied, and has again since the copy was put back."""
    rebirths: int = 0
    """How often a restored store went on under a new incarnation."""
    moved: dict[MsgId, MsgId] = field(default_factory=dict)
    """Msgids that were given up before any copy left, and what the messages have instead."""
    restored: dict[Endpoint, int] = field(default_factory=dict)
    """When the copy was made that a device goes on from, until it is born again."""
    copies: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    """When the copies of a host's disk were made that it went on from, and when it did."""
    replaced: dict[MsgId, list[Send]] = field(default_factory=lambda: defaultdict(list))
    """The messages whose msgids were used again."""
    taken_back: set[tuple[Endpoint, MsgId]] = field(default_factory=set)
    """What an inbox durably voided before an older copy of it was put back."""
    _seen: dict[tuple[bytes, int], SeenFrame] = field(default_factory=dict)
    _names: dict[tuple[bytes, int], StreamId] = field(default_factory=dict)
    _logged_in: dict[bytes, int] = field(default_factory=dict)
    _numbers: dict[tuple[str, int], StreamId] = field(default_factory=dict)

    def tick(self) -> int:
        """Number one more fact."""
        self.order += 1
        self.times.append(self.clock.now)
        return self.order

    # --- From the applications ---

    def on_send(self, stream: StreamId, first: int, payloads: Sequence[bytes]) -> None:
        """An application asked to send; nothing is promised yet."""
        order = self.tick()
        for seq, payload in enumerate(payloads, first):
            msgid = MsgId(stream, seq)
            if msgid in self.sends and self.sends[msgid].accepted is not None:
                self.collisions.append(msgid)
                self.replaced[msgid].append(self.sends[msgid])
            self.sends[msgid] = Send(msgid=msgid, payload=payload, asked=order)

    def on_reborn(self, old: StreamId, new: StreamId, first: int, last: int) -> None:
        """A sender found its store to be an old copy and gave unsent messages new msgids."""
        for seq in range(first, last + 1):
            self._move(MsgId(old, seq), MsgId(new, seq))

    def _move(self, old: MsgId, new: MsgId) -> None:
        # A copy that is put back again gives what it holds another msgid each time.
        send = self.sends.pop(old, None) or self.sends[self.moved[old]]
        self.sends[new] = replace(send, msgid=new)
        self.moved[old] = new
        if old in self.rows:
            self.rows[new] = self.rows[old]
        if old in self.open:
            self.open.discard(old)
            self.open.add(new)
        if old in self.replaced:
            give_back(self, old)
        elif left_since(self.frames, old, 0):
            # After the disk was copied: what is lost with it may be delivered once (PROTOCOL §5.8).
            self.sends[old] = replace(send, msgid=old, accepted=None)

    def on_accepted(self, msgid: MsgId, *, untold: bool = False) -> None:
        """`send()` returned; or it never did, and its row turns out to be durable (``untold``)."""
        self.sends[msgid].accepted = self.tick()
        if untold:
            self.untold.add(msgid)
        if self.last_state(msgid) not in FINAL_STATES:
            self.open.add(msgid)

    def on_shown(self, msgid: MsgId, state: MessageState, life: int) -> None:
        """A sender's application saw a state."""
        stream = msgid.stream
        withdrawn = state is MessageState.VOID and msgid in self.replaced
        if withdrawn and not left_since(self.frames, msgid, self.sends[msgid].asked):
            give_back(self, msgid)
        due = self.lines[self.store_epoch].due(stream, self.epochs.get(msgid, 0))
        present = tuple(
            (line.endpoint, self.incarnations[line.endpoint])
            for line in due
            if counts(stream, line.endpoint)
            and not line.left
            and line.endpoint in self.incarnations
        )
        self.shown[msgid].append(
            Shown(
                order=self.tick(),
                at=self.clock.now,
                life=life,
                state=state,
                incarnations=present,
            )
        )
        if state in FINAL_STATES:
            self.open.discard(msgid)
        elif self.sends[msgid].accepted is not None:
            self.open.add(msgid)

    def on_handover(self, endpoint: Endpoint, life: int, msgid: MsgId, payload: bytes) -> None:
        """An application was given a message."""
        self.handovers.append(
            Handover(
                order=self.tick(),
                at=self.clock.now,
                endpoint=endpoint,
                incarnation=self.incarnations[endpoint],
                life=life,
                msgid=msgid,
                payload=payload,
            )
        )

    def on_handled_in_memory(self, endpoint: Endpoint, msgid: MsgId) -> None:
        """The application has finished with a message of a memory inbox: that is its commit."""
        self.commits[(endpoint, self.incarnations[endpoint]), msgid].append(self.tick())

    def last_state(self, msgid: MsgId) -> MessageState:
        """Return what the sender's application saw last."""
        seen = self.shown.get(msgid)
        return seen[-1].state if seen else MessageState.PENDING

    # --- From the disks ---

    def on_died(self, host: str) -> None:
        """A process is no more: killed, or fenced off."""
        self.deaths[host].append(self.tick())

    def on_disk_lost(self, host: str) -> None:
        """A disk was lost or replaced by an old copy, or a memory died."""
        self.lost_disks[host] = self.tick()
        sender = endpoint_of(host)
        self.open = {m for m in self.open if (m.stream.user, m.stream.device) != sender}

    def on_restored(self, host: str, taken: int) -> None:
        """A disk was replaced by a copy that was made of it at ``taken``."""
        self.on_disk_lost(host)
        self.restored[endpoint_of(host)] = taken
        self.copies[host].append((taken, self.order))
        if host != SERVER:
            undo(self, host, taken)

    def on_opened(self, endpoint: Endpoint, meta: Mapping[str, bytes]) -> None:
        """A process reads its store, which may be a copy older than its last incarnation."""
        if "incarnation" in meta:
            self.incarnations[endpoint] = int.from_bytes(meta["incarnation"], "big")

    def on_durable(self, host: str, ops: Sequence[r.Op]) -> None:
        """A transaction of a host is durable."""
        order = self.tick()
        self.ops.update(type(op).__name__ for op in ops)
        if host == SERVER:
            for op in ops:
                self._server_op(op, order)
            return
        for op in ops:
            if isinstance(op, r.PutOutStream):
                record = op.record
                stream = StreamId(*endpoint_of(host), record.incarnation, record.conversation)
                self._numbers[host, record.number] = stream
                self.floors[stream].append((order, record.floor))
        for op in ops:
            self._client_op(host, op, order, ops)

    def _client_op(self, host: str, op: r.Op, order: int, ops: Sequence[r.Op]) -> None:
        endpoint = endpoint_of(host)
        if isinstance(op, r.PutMeta):
            value = int.from_bytes(op.value, "big")
            if op.key == "incarnation":
                carry_over(self, endpoint, value)
                self.incarnations[endpoint] = value
            elif op.key == "login_count":
                login = (self.incarnations.get(endpoint, 0), value)
                self.logins[endpoint].setdefault(login, order)
        elif isinstance(op, r.PutInbox):
            for seq in op.seqs:
                key = ((endpoint, self.incarnations[endpoint]), MsgId(op.stream, seq))
                self.commits[key].append(order)
        elif isinstance(op, r.PutInStream):
            self._in_stream((endpoint, self.incarnations[endpoint]), op.record, order)
        elif isinstance(op, r.MarkHandled):
            for msgid in msgids_in(op.stream, op.ranges):
                self.handled[endpoint, msgid].append(order)
        elif isinstance(op, r.PutOutbox):
            stream = self._numbers[host, op.number]
            for seq, payload in enumerate(op.payloads, op.first_seq):
                self.rows.setdefault(MsgId(stream, seq), (order, payload))
                self._stamp(MsgId(stream, seq), op.epoch, store_epoch_of(op.number, ops), order)
        elif isinstance(op, r.StampOutbox):
            for msgid in msgids_in(self._numbers[host, op.number], [(op.first, op.last)]):
                self._stamp(msgid, op.epoch, store_epoch_of(op.number, ops), order)
        elif isinstance(op, r.TrimOutbox):
            self._trim(self._numbers[host, op.number], op, order, ops)

    def _stamp(self, msgid: MsgId, epoch: int, store: int, order: int) -> None:
        self.epochs[msgid] = epoch
        self.stamps[msgid][store] = epoch, self.stamps[msgid].get(store, (0, order))[1]

    def _trim(self, stream: StreamId, op: r.TrimOutbox, order: int, ops: Sequence[r.Op]) -> None:
        epoch = store_epoch_of(op.number, ops)
        for msgid in msgids_in(stream, [(op.first, op.last)]):
            self.trims.append((order, msgid, epoch, self.epochs.get(msgid, 0)))

    def _in_stream(self, inbox: ByIncarnation, record: r.InStreamRecord, order: int) -> None:
        self.inboxes[inbox, record.stream].append((order, record))
        for msgid in msgids_in(record.stream, record.void_runs):
            self.voided.setdefault((inbox, msgid), order)
        for bit in range(record.void.bit_length()):
            if record.void >> bit & 1:
                msgid = MsgId(record.stream, record.cum + 1 + bit)
                self.voided.setdefault((inbox, msgid), order)

    def _server_op(self, op: r.Op, order: int) -> None:
        self.lines[self.store_epoch].apply(op, order)
        if isinstance(op, r.PutMeta) and op.key == "store_epoch":
            self.store_epoch = int.from_bytes(op.value, "big")
        elif isinstance(op, r.PutQueue):
            for row in op.rows:
                if not row.void:
                    key = (self.store_epoch, op.endpoint, MsgId(op.stream, row.seq))
                    self.stored.setdefault(key, order)
        elif isinstance(op, r.PutReceipt):
            record = op.record
            for msgid in msgids_in(record.stream, record.delivered + record.void):
                key_ = (record.stream, record.endpoint, record.incarnation, msgid.seq)
                self.kept.setdefault(key_, order)

    # --- From the network ---

    def on_datagram_sent(self, crossing: Crossing) -> None:
        """A datagram left its host."""
        self.crossings.append(crossing)
        content = crossing.content
        order = self.tick()
        self.passages.append(Passage(order, "sent", crossing, len(crossing.data)))
        if crossing.replayed:
            return
        for hop_seq, packet in content.packets:
            key = (content.cid, hop_seq)
            if key not in self._seen:
                frame = self._seen[key] = self._frame(crossing, packet, order)
                self.frames.append(frame)

    def on_datagram_arrived(self, crossing: Crossing) -> None:
        """A datagram reached a host."""
        order = self.tick()
        self.passages.append(Passage(order, "arrived", crossing, len(crossing.data)))
        for hop_seq, _ in crossing.content.packets:
            frame = self._seen.get((crossing.content.cid, hop_seq))
            if frame is not None and frame.arrived is None:
                frame.arrived = order

    def on_datagram_damaged(self, crossing: Crossing, data: bytes) -> None:
        """Changed bytes reached a host, who owes them nothing: what was sent has not arrived."""
        self.passages.append(Passage(self.tick(), "damaged", crossing, len(data)))

    def _frame(self, crossing: Crossing, packet: p.ImPacket, order: int) -> SeenFrame:
        source, content = crossing.source[0], crossing.content
        section = getattr(packet, "section", None)
        size = 0
        if section is not None:
            size = len(section.raw) - 10 - 12 * section.count
        return SeenFrame(
            sent=order,
            at=self.clock.now,
            source=source,
            destination=crossing.destination[0],
            connection=content.cid,
            packet=packet,
            stream=self._stream(source, content, packet),
            incarnation=self._incarnation(content, packet),
            size=size,
        )

    def _incarnation(self, content: Content, packet: p.ImPacket) -> int:
        if isinstance(packet, p.Login):
            self._logged_in[content.cid] = packet.incarnation
        return self._logged_in.get(content.cid) or self._logged_in.get(content.peer, 0)

    def _stream(self, source: str, content: Content, packet: p.ImPacket) -> StreamId | None:
        """Resolve a packet's handle as its receiver does (PROTOCOL §4.3)."""
        handle = getattr(packet, "handle", None)
        if handle is None:
            return None
        if isinstance(packet, p.MsgA | p.AckA | p.ReadA | p.Refuse):
            return self._names.get((content.peer, handle))
        name = getattr(packet, "name", None)
        if name is not None:
            if isinstance(packet, p.MsgR | p.CancelR | p.StatusR):
                user, device = endpoint_of(source)
                name = name._replace(user=user, device=device)
            self._names[content.cid, handle] = name
        return self._names.get((content.cid, handle))
