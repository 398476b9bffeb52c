"""The sender's machine: outbox, waiting-ack queue and the end-to-end timer (PROTOCOL §5.3).

A message is a row (durable before the first transmission), then a member of one or more *flights*:
ranges of seqs that left in one IM packet. A flight sleeps while its packet is queued or in flight on
the first hop (R11), then waits in the waiting-ack queue; when it wakes, what is still open in it is
sent again, with doubled interval. Nothing but verdicts empties a row: neither msg:A nor a hop ack
does (I9).

::

    send ─► row ─(commit)─► msg:R ─(hop ack)─► armed ─(timer)─► msg:R …
                                │                 ▲
         verdicts from ack:N ───┴── settled ──► floor ──► row gone
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from udpim import config
from udpim.config import ClientConfig
from udpim.im.handles import OutHandles
from udpim.im.out_stream import WITHDRAWN, Change, OutStream, without
from udpim.im.records import (
    ClientSnapshot,
    Op,
    OutStreamRecord,
    PutOutbox,
    PutOutStream,
    StampOutbox,
    TrimOutbox,
)
from udpim.model import MessageState, RejectCode, StreamId
from udpim.ranges import Range, RangeSet
from udpim.wire.im_codec import SECTION_ENTRY_BYTES, SECTION_HEAD_BYTES, encode_section
from udpim.wire.im_packets import (
    AckN,
    CancelR,
    ImPacket,
    Members,
    MsgA,
    MsgR,
    Refuse,
    StatusA,
    StatusR,
)
from udpim.wire.im_schema import RANGES_MAX, SECTION_BYTES_MAX


PROBE_MESSAGES = 8
"""Sent before the membership is known: the server answers them with it and forwards none (R2)."""


class StreamChanged(NamedTuple):
    """The messages first..last of a stream show a new state."""

    stream: OutStream
    first: int
    last: int
    state: MessageState


class Flight:
    """Seqs that left in one IM packet; the tag of its frame."""

    __slots__ = ("first", "interval_s", "last", "session", "stream")

    def __init__(
        self, stream: OutStream, first: int, last: int, interval_s: float, session: int
    ) -> None:
        """Remember what left; the timer starts with the hop's ack."""
        self.stream = stream
        self.first = first
        self.last = last
        self.interval_s = interval_s
        self.session = session


class Outbox:
    """All outgoing streams of one device.

    Drive: commands and ``receive_*`` / ``handle_timeout``, then `take_ops` (commit them, then
    `on_committed`), `transmit` while the session is up, and `take_changes`.
    """

    def __init__(
        self, config_: ClientConfig, incarnation: int, snapshot: ClientSnapshot, now: float
    ) -> None:
        """Restore every stream of the snapshot."""
        self._config = config_
        self.incarnation = incarnation
        self._streams: dict[StreamId, OutStream] = {}
        self._by_conversation: dict[str, OutStream] = {}
        self._numbers = 0
        self._ops: list[Op] = []
        self._dirty: dict[OutStream, None] = {}
        self._changes: list[StreamChanged] = []
        self._committing: deque[list[tuple[OutStream, int, int, int]]] = deque()
        self._ready: dict[OutStream, None] = {}
        self._again: deque[tuple[OutStream, int, int, float]] = deque()
        self._asking: deque[tuple[OutStream, list[Range]]] = deque()
        self._timers: list[tuple[float, int, Flight]] = []
        self._deadlines: list[tuple[float, int, OutStream, int]] = []
        self._counter = 0
        self._session = 0
        self._online = False
        self._handles = OutHandles()
        self._credit_bytes = 0.0
        self._credit_messages = config.RESEND_MESSAGES_BURST
        self._credit_at = now
        self._lease_at: float | None = None
        self._stamp = 0
        self.remote_rtt_s = 0.0
        self.rolled_back = False
        """A verdict proved that this store was restored from an old copy (R7)."""
        self.drops: dict[str, int] = {}
        self.resent_messages = 0
        self.open_messages = 0
        """Messages that are not settled, as of the last `take_ops`."""
        self._restore(snapshot, now)

    def _restore(self, snapshot: ClientSnapshot, now: float) -> None:
        numbered = {}
        for record in snapshot.out_streams:
            numbered[record.number] = self._add_stream(record)
        for row in snapshot.outbox:
            stream = numbered[row.number]
            stream.restore_row(row.seq, row.epoch, row.stamp, row.payload)
            self._stamp = max(self._stamp, row.stamp)
            if row.ttl_ms:
                self._set_deadline(stream, row.seq, now + row.ttl_ms / 1000)
        for stream in numbered.values():
            self.open_messages += stream.next_seq - stream.floor
            stream.refresh(stream.floor, stream.next_seq - 1)

    def _add_stream(self, record: OutStreamRecord) -> OutStream:
        self._numbers = max(self._numbers, record.number)
        id_ = StreamId(
            self._config.user, self._config.device, record.incarnation, record.conversation
        )
        stream = OutStream(id_, record)
        self._streams[id_] = stream
        if record.incarnation == self.incarnation:
            self._by_conversation[record.conversation] = stream
        return stream

    # --- Commands ---

    def send(
        self,
        conversation: str,
        payloads: Sequence[bytes],
        *,
        now: float,
        wall_ms: int,
        ttl_s: float | None = None,
    ) -> tuple[OutStream, int]:
        """Put messages into the outbox; they leave after the commit.

        Args:
            conversation: The recipient's user name.
            payloads: One or more payloads, each within the limit.
            now: Monotonic time, seconds.
            wall_ms: Wall clock, milliseconds since 1970, for the stamp (R12).
            ttl_s: Give up after this time, seconds; None for never.

        Returns:
            The stream and the seq of the first message.
        """
        stream = self._by_conversation.get(conversation)
        if stream is None:
            stream = self._add_stream(
                OutStreamRecord(
                    self._numbers + 1, self.incarnation, conversation, 1, 1, 0, 0, (), (), ()
                )
            )
        count = len(payloads)
        base = max(self._stamp + 1, wall_ms << 16)
        stamps = tuple(range(base, base + count))
        self._stamp = base + count - 1
        first = stream.append(stamps, payloads)
        ttl_ms = 0 if ttl_s is None else max(1, int(ttl_s * 1000))
        if ttl_s is not None:
            for seq in range(first, first + count):
                self._set_deadline(stream, seq, now + ttl_s)
        self._ops.append(
            PutOutbox(stream.number, first, stream.epoch, ttl_ms, stamps, tuple(payloads))
        )
        self._dirty[stream] = None
        self.open_messages += count
        self._credit_bytes += config.RESEND_RATIO * sum(map(len, payloads))
        return stream, first

    def cancel(self, stream: OutStream, first: int, last: int) -> None:
        """Give up on first..last as far as they are open (R4)."""
        for low, high in without(stream.settled.missing(first, last), stream.cancelled):
            untouched = max(low, stream.fresh_from if stream.store_epoch else low)
            if untouched <= high:
                changes = stream.close(untouched, high, WITHDRAWN, at_once=False)
                self._changed(stream, changes)
            if low < untouched:
                last_sent = min(high, untouched - 1)
                stream.cancelled.add(low, last_sent)
                self._changed(stream, [(low, last_sent, MessageState.UNKNOWN)])
            self._again.append((stream, low, high, self._interval_s()))
        self._dirty[stream] = None

    def resend(self, stream: OutStream, seq: int) -> None:
        """Send one open message again now, under its msgid."""
        self._again.append((stream, seq, seq, self._interval_s()))

    def new_incarnation(self, incarnation: int) -> None:
        """Use new streams from now on; the old ones are brought to their end (R7)."""
        self.incarnation = incarnation
        self._by_conversation.clear()
        self.rolled_back = False

    def _set_deadline(self, stream: OutStream, seq: int, when: float) -> None:
        self._counter += 1
        heappush(self._deadlines, (when, self._counter, stream, seq))

    # --- The session ---

    def session_started(self, handles: OutHandles, store_epoch: int, now: float) -> None:
        """The login succeeded: everything that is open and not STORED goes out again."""
        self._session += 1
        self._online = True
        self._handles = handles
        self._again.clear()
        self._asking.clear()
        self._lease_at = now + config.STATUS_LEASE_S
        for stream in self._streams.values():
            if stream.forget_membership(store_epoch):
                self._stamp_rows(stream)
                self._dirty[stream] = None
            if stream.floor < stream.next_seq:
                stream.cursor = stream.floor
                self._ready[stream] = None
                self._ask_for_stored(stream)

    def session_ended(self) -> None:
        """The connection is gone; the next session starts over."""
        self._online = False
        self._session += 1

    def on_acked(self, flight: Flight, now: float) -> None:
        """The first hop has taken the flight's packet: arm its end-to-end timer."""
        self._handles.confirm(flight.stream.id)
        if flight.session == self._session:
            self._arm(flight, now + flight.interval_s)

    def _arm(self, flight: Flight, when: float) -> None:
        self._counter += 1
        heappush(self._timers, (when, self._counter, flight))

    def _ask_for_stored(self, stream: OutStream) -> None:
        stored: list[Range] = []
        for view in stream.members:
            stored += view.stored.within(stream.floor, stream.next_seq)
        if stored:
            self._asking.append((stream, [(stream.floor, stream.next_seq - 1)]))

    # --- Inputs ---

    def stream(self, id_: StreamId) -> OutStream | None:
        """Return the stream with this identity, if it is ours and known."""
        return self._streams.get(id_)

    def by_handle(self, handle: int) -> OutStream | None:
        """Return the stream that we gave this number on the present connection."""
        id_ = self._handles.stream(handle)
        return None if id_ is None else self._streams.get(id_)

    def receive_msg_a(self, packet: MsgA) -> None:
        """ACCEPTED: shown, and nothing else (I9)."""
        stream = self.by_handle(packet.handle)
        if stream is None:
            self._drop("msg:A for an unknown handle")
            return
        self.remote_rtt_s = packet.rtt_us / 1e6
        for first, last in packet.ranges:
            last = min(last, stream.next_seq - 1)
            for low, high in stream.covered.missing(first, last):
                fresh = stream.accepted.missing(low, high)
                stream.accepted.add(low, high)
                self._changed(stream, [(a, b, MessageState.ACCEPTED) for a, b in fresh])

    def receive_refuse(self, packet: Refuse) -> None:
        """A refusal is about a copy (R6): final only when no other copy can have been forwarded."""
        stream = self.by_handle(packet.handle)
        if stream is None or packet.code not in set(RejectCode):
            self._drop("refusal of an unknown kind")
            return
        if RejectCode(packet.code).transient:
            return
        for first, last in packet.ranges:
            for low, high in stream.settled.missing(first, min(last, stream.next_seq - 1)):
                self._refused(stream, low, high, packet.code)
        self._refresh(stream, ())

    def _refused(self, stream: OutStream, first: int, last: int, code: int) -> None:
        if stream.store_epoch == 0:
            self._changed(stream, stream.close(first, last, code, at_once=True))
            return
        open_ = without([(first, last)], stream.cancelled)
        for low, high in without(open_, stream.resent):
            self._changed(stream, stream.close(low, high, code, at_once=False))
            self._again.append((stream, low, high, self._interval_s()))
        for low, high in open_:
            self.cancel(stream, low, high)

    def receive_members(self, stream: OutStream, packet: Members) -> None:
        """Stamp anew what was stamped with an epoch that the server does not know (R2)."""
        if stream.store_epoch == packet.store_epoch and packet.epoch < stream.epoch:
            self._drop("membership older than known")
            return
        unknown = stream.epoch == 0
        self._changed(
            stream, stream.learn_members(packet.store_epoch, packet.epoch, packet.members)
        )
        if unknown:
            self._stamp_rows(stream)
            stream.cursor = stream.floor
        elif stream.renewed:
            again = (stream, stream.floor, stream.cursor - 1, self._interval_s())
            self._again.append(again)
        self._dirty[stream] = None
        self._ready[stream] = None

    def _stamp_rows(self, stream: OutStream) -> None:
        """Make the new stamp durable before any further transmission."""
        if stream.floor < stream.next_seq:
            epoch = stream.runs[0].epoch
            last = stream.runs[1].first - 1 if len(stream.runs) > 1 else stream.next_seq - 1
            self._ops.append(StampOutbox(stream.number, stream.floor, last, epoch))
            stream.committed = stream.floor - 1
            stream.stamps_wanted += 1

    def receive_ack_n(self, stream: OutStream, packet: AckN) -> None:
        """Record verdicts: the waiting-ack queue loses this endpoint."""
        top = max((last for _, last in packet.delivered + packet.void), default=0)
        if top >= stream.next_seq:
            self.rolled_back = True
            self._drop("verdict for a seq that was never used")
            return
        view = stream.member(packet.ordinal)
        if view is None or packet.incarnation not in (0, view.incarnation):
            self._drop("verdict of an unknown incarnation")
            return
        for first, last in packet.delivered:
            new = stream.delivered.missing(first, last)
            stream.delivered.add(first, last)
            view.delivered.add(first, last)
            view.confirmed.add(first, last)
            self._changed(stream, [(a, b, MessageState.DELIVERED) for a, b in new])
        for first, last in packet.void:
            for low, high in view.delivered.missing(first, last):
                view.take_void(low, high)
        for first, last in packet.excused:
            view.excused.add(first, last)
            view.confirmed.add(first, last)
        if packet.store_epoch == stream.store_epoch:
            for first, last in packet.stored:
                self._stored(stream, view.stored, first, last)
        touched = packet.delivered + packet.void + packet.stored + packet.excused
        self._refresh(stream, touched)

    def _stored(self, stream: OutStream, stored: RangeSet, first: int, last: int) -> None:
        last = min(last, stream.next_seq - 1)
        fresh = without(stream.settled.missing(first, last), stored)
        stored.add(first, last)
        self._changed(stream, [(a, b, MessageState.STORED) for a, b in fresh])

    def receive_status_a(self, stream: OutStream, packet: StatusA) -> None:
        """Exactly these are STORED: the lease is renewed, or over (R3)."""
        view = stream.member(packet.ordinal)
        if view is None or packet.store_epoch != stream.store_epoch:
            self._drop("status of an unknown endpoint")
            return
        for first, last in packet.asked:
            last = min(last, stream.next_seq - 1)
            lapsed = without(view.stored.within(first, last), view.confirmed)
            for low, high in packet.stored:
                lapsed = [
                    part
                    for a, b in lapsed
                    for part in ((a, min(b, low - 1)), (max(a, high + 1), b))
                    if part[0] <= part[1]
                ]
            for low, high in lapsed:
                view.stored.remove(low, high)
                stream.covered.remove(low, high)
                self._changed(stream, [(low, high, MessageState.PENDING)])
                self._again.append((stream, low, high, self._interval_s()))
        for first, last in packet.stored:
            self._stored(stream, view.stored, first, last)
        self._refresh(stream, packet.asked)

    def _refresh(self, stream: OutStream, ranges: Sequence[Range]) -> None:
        for first, last in ranges:
            self._changed(stream, stream.refresh(max(first, stream.floor), last))
        self._dirty[stream] = None
        if stream.cursor <= stream.committed:
            self._ready[stream] = None

    def _changed(self, stream: OutStream, changes: list[Change]) -> None:
        self._changes += [StreamChanged(stream, *change) for change in changes]

    def _drop(self, reason: str) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1

    # --- Time ---

    def handle_timeout(self, now: float) -> None:
        """Wake flights whose receipts are late, deadlines, and the STORED lease."""
        self._accrue(now)
        timers = self._timers
        while timers and timers[0][0] <= now:
            self._wake(heappop(timers)[2], now)
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, stream, seq = heappop(self._deadlines)
            if not stream.final(seq):
                stream.expired.add(seq, seq)
                self.cancel(stream, seq, seq)
        if self._online and self._lease_at is not None and self._lease_at <= now:
            self._lease_at = now + config.STATUS_LEASE_S
            for stream in self._streams.values():
                self._ask_for_stored(stream)

    def _accrue(self, now: float) -> None:
        earned = (now - self._credit_at) * config.RESEND_MESSAGES_PER_S
        self._credit_messages = min(config.RESEND_MESSAGES_BURST, self._credit_messages + earned)
        self._credit_at = now

    def _wake(self, flight: Flight, now: float) -> None:
        stream = flight.stream
        if flight.session != self._session:
            return
        open_ = stream.covered.missing(flight.first, flight.last)
        if not open_:
            return
        rows = [stream.rows[seq][1] for a, b in open_ for seq in range(a, b + 1)]
        size = sum(map(len, rows))
        if size <= self._credit_bytes:
            self._credit_bytes -= size
        elif len(rows) <= self._credit_messages:
            self._credit_messages -= len(rows)
        else:
            self._arm(flight, now + 1.0)
            return
        interval = min(config.E2E_TIMER_S_MAX, 2 * flight.interval_s)
        for low, high in open_:
            self._again.append((stream, low, high, interval))

    def _interval_s(self) -> float:
        return max(config.E2E_TIMER_S_MIN, 3 * self.remote_rtt_s)

    def next_timeout(self) -> float | None:
        """Return when `handle_timeout` has something to do."""
        times = [heap[0][0] for heap in (self._timers, self._deadlines) if heap]
        if self._online and self._lease_at is not None:
            times.append(self._lease_at)
        return min(times, default=None)

    # --- Outputs: durable changes ---

    def take_ops(self) -> list[Op]:
        """Return the operations of this turn; the next `on_committed` is for them.

        Rows below a floor that moved are trimmed in the same transaction.
        """
        ops, self._ops = self._ops, []
        if not ops and not self._dirty:
            return []
        batch = []
        for stream in self._dirty:
            if stream.floor > stream.trimmed_floor:
                ops.append(TrimOutbox(stream.number, stream.trimmed_floor, stream.floor - 1))
                self.open_messages -= stream.floor - stream.trimmed_floor
                stream.trimmed_floor = stream.floor
            ops.append(PutOutStream(stream.record()))
            batch.append((stream, stream.next_seq - 1, stream.floor, stream.stamps_wanted))
        self._dirty.clear()
        self._committing.append(batch)
        return ops

    def on_committed(self) -> list[tuple[OutStream, int]]:
        """The oldest batch of `take_ops` is durable: its rows may leave, its floors be told.

        Returns:
            Per stream the last seq that is now durable.
        """
        batch = self._committing.popleft()
        for stream, last, floor, stamps in batch:
            stream.durable_floor = floor
            stream.stamps_durable = stamps
            if stamps == stream.stamps_wanted:
                stream.committed = last
                self._ready[stream] = None
        return [(stream, last) for stream, last, _, _ in batch]

    def take_changes(self) -> list[StreamChanged]:
        """Return what changed for the application, in order."""
        changes, self._changes = self._changes, []
        return changes

    # --- Outputs: packets ---

    def transmit(self, emit: Callable[[ImPacket, Flight], None], room: int) -> None:
        """Emit at most about ``room`` IM packets: first what is asked again, then new messages."""
        while self._asking and room > 0:
            stream, ranges = self._asking.popleft()
            handle, name = self._name(stream)
            packet = StatusR(
                handle, name, stream.durable_floor, stream.head_runs(), tuple(ranges)
            )
            emit(packet, self._flight(stream, 1, 0, 0.0))
            room -= 1
        while self._again and room > 0:
            stream, first, last, interval = self._again.popleft()
            last = min(last, stream.sendable_until(config.WINDOW))
            room -= self._emit_open(emit, stream, first, last, interval)
        for stream in list(self._ready):
            if room <= 0:
                return
            last = stream.sendable_until(config.WINDOW)
            if stream.epoch == 0:
                last = min(last, stream.floor + PROBE_MESSAGES - 1)
            if stream.cursor > last:
                del self._ready[stream]
                continue
            room -= self._emit_new(emit, stream, last, room)

    def _emit_new(
        self, emit: Callable[[ImPacket, Flight], None], stream: OutStream, last: int, room: int
    ) -> int:
        emitted = 0
        while stream.cursor <= last and emitted < room:
            part_last = min(last, stream.cursor + 63)
            emitted += self._emit_open(
                emit, stream, stream.cursor, part_last, self._interval_s()
            )
            stream.cursor = part_last + 1
        return emitted

    def _emit_open(
        self,
        emit: Callable[[ImPacket, Flight], None],
        stream: OutStream,
        first: int,
        last: int,
        interval_s: float,
    ) -> int:
        """Emit what is open of first..last: payloads as msg:R, given-up seqs as cancel:R."""
        emitted = 0
        open_ = stream.covered.missing(first, last)
        cancelled = [part for a, b in open_ for part in stream.cancelled.within(a, b)]
        for at in range(0, len(cancelled), RANGES_MAX):
            ranges = tuple(cancelled[at : at + RANGES_MAX])
            handle, name = self._name(stream)
            head = (handle, name, stream.durable_floor, stream.head_runs())
            flight = self._flight(stream, ranges[0][0], ranges[-1][1], interval_s)
            emit(CancelR(*head, ranges), flight)
            emitted += 1
        for low, high in without(open_, stream.cancelled):
            emitted += self._emit_run(emit, stream, low, high, interval_s)
        return emitted

    def _emit_run(
        self,
        emit: Callable[[ImPacket, Flight], None],
        stream: OutStream,
        first: int,
        last: int,
        interval_s: float,
    ) -> int:
        emitted = 0
        rows = stream.rows
        repeated = min(last, stream.fresh_from - 1)
        if first <= repeated:
            stream.resent.add(first, repeated)
            self.resent_messages += repeated - first + 1
        stream.fresh_from = max(stream.fresh_from, last + 1)
        seq = first
        while seq <= last:
            start, size = seq, SECTION_HEAD_BYTES
            stamps, payloads = [], []
            while seq <= last:
                stamp, payload = rows[seq]
                size += SECTION_ENTRY_BYTES + len(payload)
                if size > SECTION_BYTES_MAX:
                    break
                stamps.append(stamp)
                payloads.append(payload)
                seq += 1
            handle, name = self._name(stream)
            packet = MsgR(
                handle,
                name,
                stream.durable_floor,
                stream.head_runs(),
                self._settled_bitmap(stream, start, seq - 1),
                encode_section(start, stamps, payloads),
            )
            emit(packet, self._flight(stream, start, seq - 1, interval_s))
            emitted += 1
        return emitted

    def _settled_bitmap(self, stream: OutStream, first: int, last: int) -> int:
        """Endpoints that need no copy of any of first..last."""
        bitmap = 0
        if len(stream.members) > 1:
            for view in stream.members:
                covered = without(view.confirmed.missing(first, last), view.stored)
                if not covered:
                    bitmap |= 1 << view.ordinal
        return bitmap

    def _name(self, stream: OutStream) -> tuple[int, StreamId | None]:
        """Return handle and name; the server stamps user and device itself (R13)."""
        handle, name = self._handles.of(stream.id)
        return handle, None if name is None else name._replace(user="", device="")

    def _flight(self, stream: OutStream, first: int, last: int, interval_s: float) -> Flight:
        return Flight(stream, first, last, interval_s, self._session)
