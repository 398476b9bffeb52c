"""The receiver's machine: exact dedup, order, receipts, and the pull of the offline queue.

PROTOCOL §5.4. With a durable store a message is settled by a transaction that holds its inbox row
and the stream's memory; the receipt leaves after that commit. With a memory store it is *held*
until the application has finished with it, and only then settled and receipted, for a crash before
would lose it.

::

    msg:N ─► new? ─► durable: row + memory ─(commit)─► ack:R, released in order ─► handled
                └──► memory : held ─► released in order ─► handled ─► ack:R
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from udpim import config
from udpim.config import Limits
from udpim.im.aside import Aside
from udpim.im.backlog import Backlog
from udpim.im.gaps import Gaps
from udpim.im.handles import OutHandles
from udpim.im.in_stream import InStream
from udpim.im.offers import Offers, emit_receipts
from udpim.im.pull import Pull
from udpim.im.reading import Reading
from udpim.im.records import (
    AsideRow,
    ClientSnapshot,
    InStreamRecord,
    MarkHandled,
    Op,
    PutInbox,
    PutInStream,
)
from udpim.model import StreamId
from udpim.ranges import Range, RangeSet
from udpim.wire.im_codec import section_messages
from udpim.wire.im_packets import (
    CancelN,
    Gone,
    ImPacket,
    MsgN,
    OfflineA,
    OfflineR,
    ReadA,
    Section,
    StatusN,
)


class Released(NamedTuple):
    """Messages of one stream that the application may see now: (seq, stamp, payload)."""

    stream: StreamId
    messages: list[tuple[int, int, bytes]]


class Inbox:
    """All incoming streams of one device.

    Drive: ``receive_*``, `handled`; then `take_ops` (commit them, then `on_committed`),
    `transmit` while the session is up, and `take_released`.
    """

    def __init__(self, snapshot: ClientSnapshot, *, durable: bool, limits: Limits) -> None:
        """Restore every stream; what the application has not handled is released again."""
        self._durable = durable
        self._limits = limits
        self._streams: dict[StreamId, InStream] = {}
        self._per_user: dict[str, int] = {}
        self._ops: list[Op] = []
        self._dirty: dict[InStream, None] = {}
        self._fresh: list[tuple[InStream, list[Range]]] = []
        self._committing: deque[tuple[list[tuple[InStream, list[Range]]], int]] = deque()
        self._handled: dict[InStream, RangeSet] = {}
        self._reports: dict[InStream, None] = {}
        self._offers = Offers()
        self._gaps = Gaps()
        self.handle_timeout = self._gaps.handle_timeout
        self.next_timeout = self._gaps.next_timeout
        self._released: list[Released] = []
        self._handles = OutHandles()
        self._backlog = Backlog(limits)
        self.aside = Aside(snapshot.aside, self._backlog, durable=durable, limits=limits)
        self._pull = Pull()
        self._reading = Reading()
        self._taken = 0
        self._durable_batches = 0
        self.drops: dict[str, int] = {}
        self.duplicates = 0
        for record in snapshot.in_streams:
            self._add(InStream(record))
        restored: dict[StreamId, list[tuple[int, int, bytes]]] = {}
        for row in snapshot.inbox:
            restored.setdefault(row.stream, []).append((row.seq, row.stamp, row.payload))
        for id_, messages in restored.items():
            stream = self._streams[id_]
            self._store_ready(stream, messages)
            stream.release_next = min(stream.release_next, *stream.ready)
            self._release(stream)

    def _add(self, stream: InStream) -> InStream:
        self._streams[stream.id] = stream
        user = stream.id.user
        self._per_user[user] = self._per_user.get(user, 0) + 1
        return stream

    # --- The session ---

    def session_started(self, handles: OutHandles, *, queue_waiting: bool) -> None:
        """Offer every stream's receipts once, and pull the queue if it is not empty (R3, R8)."""
        self._handles = handles
        self._pull = Pull()
        if queue_waiting:
            self._pull.ask()
        self._reading.session_started(self._streams.values())
        self._offers.session_started(self._streams.values())
        self._gaps.session_started()

    def _offer(self, stream: InStream) -> None:
        stream.report.update(stream.settled_from_floor())
        self._reports[stream] = None

    def on_acked(self, stream: StreamId) -> None:
        """The server has taken a packet that named ``stream``."""
        self._handles.confirm(stream)

    # --- Inputs ---

    @property
    def held_bytes(self) -> int:
        """Bytes that the server gets no credit for."""
        return self._backlog.held_bytes

    def room(self, id_: StreamId, base: int, section: Section | None) -> int:
        """Tell whether an IM packet may be taken, as `Backlog.room` does (R9, R10)."""
        return self._backlog.room(self._streams.get(id_), base, section)

    def receive_msg_n(self, id_: StreamId, packet: MsgN) -> None:
        """Take a pushed run."""
        stream = self._stream(id_, packet.floor, packet.base)
        if stream is not None:
            self._take(stream, packet.section, pulled=False)

    def receive_offline_a(self, id_: StreamId | None, packet: OfflineA) -> None:
        """Take one part of a pull's answer; None stands for the answer of an empty queue."""
        self._pull.received(packet.total, more=packet.more)
        if id_ is None:
            return
        stream = self._stream(id_, packet.floor, packet.base)
        if stream is None:
            return
        for part in packet.void:
            self._void(stream, part, pulled=True)
        if packet.section is not None:
            self._take(stream, packet.section, pulled=True)

    def receive_cancel_n(self, id_: StreamId, packet: CancelN) -> None:
        """Void what is not committed; answer the rest as ever (R4)."""
        stream = self._stream(id_, packet.floor, packet.base)
        if stream is not None:
            for part in packet.ranges:
                self._void(stream, part, pulled=False, asked_from=packet.floor)

    def receive_status_n(self, id_: StreamId, packet: StatusN) -> None:
        """Offer this stream's receipts again."""
        stream = self._stream(id_, packet.floor, packet.base)
        if stream is not None:
            self._offer(stream)

    def receive_gone(self, id_: StreamId, packet: Gone) -> None:
        """We are no member any more: give up what is missing, and release the rest (R5)."""
        stream = self._streams.get(id_)
        if stream is not None:
            for part in stream.gaps():
                self._void(stream, part, pulled=False)

    def receive_read_a(self, packet: ReadA) -> None:
        """The server answers for a read watermark."""
        id_ = self._handles.stream(packet.handle)
        stream = None if id_ is None else self._streams.get(id_)
        if stream is not None and self._reading.told(stream, packet.read):
            self._dirty[stream] = None

    def receive_nudge(self) -> None:
        """The offline queue is not empty."""
        self._pull.ask()

    def _stream(self, id_: StreamId, floor: int, base: int) -> InStream | None:
        """Find or create a stream and take over what the head says of it."""
        stream = self._streams.get(id_)
        if stream is None:
            if self._per_user.get(id_.user, 0) >= self._limits.streams_per_user_max:
                self._drop("too many streams of one sender")
                return None
            # What lies between floor and base is not due to us: nobody may take it for delivered.
            undue = ((floor, base - 1),) if floor < base else ()
            stream = self._add(InStream(InStreamRecord(id_, base - 1, 0, 0, floor, undue)))
            if undue:
                self._settled(stream, list(undue))
        if stream.raise_floor(floor):
            self._dirty[stream] = None
        if base > stream.cum + 1 and (voided := stream.raise_base(base)):
            self._settled(stream, voided)
        return stream

    def _settled(self, stream: InStream, ranges: list[Range]) -> None:
        """Seqs were settled in memory: answer after the commit (I7)."""
        self._dirty[stream] = None
        self._fresh.append((stream, ranges))
        if self._durable:
            stream.busy.update(ranges)

    def _take(self, stream: InStream, section: Section, *, pulled: bool) -> None:
        first, last = section.first, section.last
        stream.ask(first, last)
        new = stream.open_in(first, last)
        if sum(b - a + 1 for a, b in new) < section.count:
            self._again(stream, first, last)
        if pulled:
            stream.pulled.add(first, last)
        if not new:
            return
        stamps, payloads = section_messages(section)
        rows = list(zip(range(first, last + 1), stamps, payloads, strict=True))
        if new != [(first, last)]:
            rows = [row for a, b in new for row in rows[a - first : b - first + 1]]
        size = self._store_ready(stream, rows)
        if self._durable:
            self._backlog.written(len(rows), size)
            seqs, stamps_, payloads_ = zip(*rows, strict=True)
            self._ops.append(PutInbox(stream.id, seqs, stamps_, payloads_))
            for a, b in new:
                stream.settle_delivered(a, b)
            self._settled(stream, new)
        else:
            for a, b in new:
                stream.hold(a, b)
            self._release(stream)

    def _again(self, stream: InStream, first: int, last: int) -> None:
        """A copy of something settled: the same verdict again (I8), after any commit under way."""
        self.duplicates += 1
        stream.report.add(first, last)
        self._reports[stream] = None

    def _void(self, stream: InStream, part: Range, *, pulled: bool, asked_from: int = 1) -> None:
        open_ = stream.open_in(*part)
        if open_ and not stream.room_for_void():
            self._drop("void runs at their limit")
            return
        stream.ask(max(part[0], asked_from), part[1])
        self._again(stream, *part)
        if pulled:
            stream.pulled.add(*part)
        for low, high in open_:
            stream.settle_void(low, high)
        if open_:
            self._settled(stream, open_)

    def _drop(self, reason: str) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1

    # --- The application ---

    def handled(self, id_: StreamId, seq: int, size_bytes: int, count: int = 1) -> None:
        """The application has finished with ``count`` messages, together of this size."""
        self._backlog.handled(count, size_bytes)
        stream = self._streams[id_]
        done = self._handled.get(stream)
        if done is None:
            done = self._handled[stream] = RangeSet()
        done.add(seq, seq + count - 1)

    def read(self, id_: StreamId, seq: int) -> None:
        """The application has read this message, and every earlier one of its stream."""
        stream = self._streams[id_]
        if self._reading.mark(stream, min(seq, stream.release_next - 1)):
            self._dirty[stream] = None

    def set_aside(self, row: AsideRow) -> bool:
        """The application cannot handle a message that it was shown: let its stream go on.

        An inbox in memory, which has not said delivered yet, says void for it.

        Returns:
            Whether there was room; if not, nothing has changed.
        """
        stream = self._streams[row.stream]
        held = [] if self._durable else stream.held_in(row.seq, row.seq)
        if not self.aside.has_room() or (held and not stream.room_for_void()):
            return False
        self.aside.put(row)
        for first, last in held:
            stream.settle_void(first, last)
            self._settled(stream, held)
        return True

    def _settle_handled(self) -> None:
        for stream, done in self._handled.items():
            if self._durable:
                self._ops.append(MarkHandled(stream.id, tuple(done)))
                continue
            # What was set aside before is void, whatever became of it in the end.
            held = [part for first, last in done for part in stream.held_in(first, last)]
            for first, last in held:
                stream.settle_delivered(first, last)
            self._settled(stream, held)
        self._handled.clear()

    def take_released(self) -> list[Released]:
        """Return the messages that the application may see now."""
        released, self._released = self._released, []
        return released

    def _store_ready(self, stream: InStream, rows: list[tuple[int, int, bytes]]) -> int:
        size = 0
        for seq, stamp, payload in rows:
            stream.ready[seq] = (stamp, payload)
            size += len(payload)
        self._backlog.arrived(len(rows), size)
        return size

    def _release(self, stream: InStream) -> None:
        messages = stream.release()
        self._gaps.released(stream)
        if messages:
            size = sum([len(payload) for _, _, payload in messages])
            self._backlog.shown(len(messages), size)
            self._released.append(Released(stream.id, messages))

    def sizes(self) -> dict[str, int]:
        """Return how full the tables are now."""
        return {
            "streams": len(self._streams),
            **self._backlog.sizes(),
            **self.aside.sizes(),
            "streams_to_report": len(self._reports),
            "streams_to_offer": len(self._offers),
            "streams_waiting": len(self._gaps),
        }

    # --- Outputs: durable changes ---

    def take_ops(self) -> list[Op]:
        """Return the operations of this turn; the next `on_committed` is for them."""
        if self._handled:
            self._settle_handled()
        if not self._ops and not self._dirty and not self.aside.ops:
            return []
        ops, self._ops = [*self.aside.take_ops(), *self._ops], []
        ops += [PutInStream(stream.record()) for stream in self._dirty]
        self._dirty.clear()
        fresh, self._fresh = self._fresh, []
        self._committing.append((fresh, self._backlog.take_batch()))
        self._reading.take_batch()
        self._taken += 1
        return ops

    def on_committed(self) -> None:
        """The oldest batch of `take_ops` is durable: answer, release, and pull on."""
        fresh, size = self._committing.popleft()
        self._backlog.committed(size)
        self._reading.committed()
        self._durable_batches += 1
        for stream, ranges in fresh:
            stream.busy.subtract(ranges)
            stream.report.update(ranges)
            self._reports[stream] = None
        for stream in dict.fromkeys(stream for stream, _ in fresh):
            self._release(stream)

    # --- Outputs: packets ---

    def transmit(
        self, emit: Callable[[ImPacket, StreamId | None], None], room: int, now: float
    ) -> None:
        """Emit the receipts of this turn, of at most ``room`` streams, and the next offline:R."""
        if room <= 0:
            return
        self._pull.go_on(self._taken, self._durable_batches)
        if len(self._offers):
            offered = self._offers.take(min(room, self._handles.spare_for_offers()))
            for stream in offered:
                self._offer(stream)
            self._gaps.offered(offered)
        for stream in list(islice(self._reports, room)):
            del self._reports[stream]
            emit_receipts(emit, stream, self._handles)
        self._gaps.transmit(emit, self._handles, room=room, now=now)
        self._reading.transmit(emit, self._handles, room)
        if self._pull.take_request():
            emit(OfflineR(config.PULL_BYTES_MAX), None)
