"""What leaves a sender: msg:R, cancel:R and status:R, in the order of need (PROTOCOL §5.3).

First questions about what is STORED, then what is sent again, then new messages, streams in turn.
Every packet is a flight; its end-to-end timer runs in the waiting-ack queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from udpim import config
from udpim.im.handles import OutHandles
from udpim.im.out_stream import OutStream
from udpim.im.waiting_ack import Flight, WaitingAckQueue
from udpim.model import StreamId
from udpim.ranges import chunked
from udpim.wire.im_codec import SECTION_ENTRY_BYTES, SECTION_HEAD_BYTES, encode_section
from udpim.wire.im_packets import CancelR, EpochRun, ImPacket, MsgR, StatusR
from udpim.wire.im_schema import ORDINAL_BYTES_MAX, RANGES_MAX, SECTION_BYTES_MAX

PROBE_MESSAGES = 8
"""Sent before the membership is known: the server answers them with it and forwards none (R2)."""
SLICE = 64
"""Messages of one stream emitted before the room is looked at again …"""
SLICE_BYTES = 64 * 1024
"""… or fewer, if their payloads are more than this."""

_BITMAP = (1 << 8 * ORDINAL_BYTES_MAX) - 1
"""Endpoints beyond it get a copy too many, which they know how to drop."""

Emit = Callable[[ImPacket, Flight], None]


class Transmitter:
    """The sending half of one device's outbox."""

    def __init__(self, now: float) -> None:
        """Start without a session."""
        self.waiting = WaitingAckQueue(now)
        self.handles = OutHandles()
        self.remote_rtt_s = 0.0
        """Slowest round trip from the server to a recipient, as the last msg:A told."""
        self.resent_messages = 0
        self._session = 0
        self._flights = 0
        self._ready: dict[OutStream, None] = {}
        self._again: deque[tuple[OutStream, int, int, float]] = deque()
        self._asking: deque[tuple[OutStream, int, int]] = deque()

    # --- The session ---

    def session_started(self, handles: OutHandles) -> None:
        """A new connection: nothing of the last one counts."""
        self._session += 1
        self.handles = handles
        self.waiting.session_started()
        self._again.clear()
        self._asking.clear()

    def session_ended(self) -> None:
        """Flights of the dead connection never wake: the next login sends everything open."""
        self._session += 1

    def on_acked(self, flight: Flight, now: float) -> None:
        """The first hop has taken the flight's packet: its end-to-end timer starts (R11)."""
        if flight.session == self._session:
            self.handles.confirm(flight.stream.id)
            self.waiting.arm(flight, now + flight.interval_s)

    # --- What to send ---

    def ready(self, stream: OutStream) -> None:
        """The stream may have new messages to send."""
        self._ready[stream] = None

    def again(self, stream: OutStream, first: int, last: int) -> None:
        """Send what is open of first..last again, whatever its timer says."""
        self._again.append((stream, first, last, self._interval_s()))

    def tell_floor(self, stream: OutStream) -> None:
        """Tell the server our floor, and ask nothing: what is below it is settled."""
        self._asking.append((stream, stream.durable_floor - 1, stream.durable_floor - 1))

    def ask_open(self, stream: OutStream) -> None:
        """Ask the server what it knows of all that is open."""
        self._asking.append((stream, stream.floor, max(stream.floor, stream.next_seq - 1)))

    def ask_for_stored(self, stream: OutStream) -> None:
        """Ask whether what is STORED still is (R3)."""
        last = stream.next_seq - 1
        if any(view.stored.within(stream.floor, last) for view in stream.audience.views):
            self.ask_open(stream)

    def handle_timeout(self, now: float) -> None:
        """Wake flights: what is still open in them goes out again, as the budget allows."""
        while (flight := self.waiting.next_due(now)) is not None:
            if flight.session == self._session:
                self._wake(flight, now)

    def _wake(self, flight: Flight, now: float) -> None:
        stream = flight.stream
        open_ = flight.open_ranges()
        seqs = [seq for low, high in open_ for seq in range(low, high + 1)]
        size = 0 if flight.is_cancel else sum(len(stream.rows[seq][1]) for seq in seqs)
        allowed = self.waiting.allow(size, len(seqs), now)
        if allowed < len(seqs):
            flight.first = seqs[allowed]
            self.waiting.refused(flight, now)
            open_ = [(low, min(high, flight.first - 1)) for low, high in open_]
        interval = min(config.E2E_TIMER_S_MAX, 2 * flight.interval_s)
        self._again += [(stream, low, high, interval) for low, high in open_ if low <= high]

    def _interval_s(self) -> float:
        wanted = max(config.E2E_TIMER_S_MIN, 3 * self.remote_rtt_s)
        return min(config.E2E_TIMER_S_MAX, wanted)

    # --- Packets ---

    def transmit(self, emit: Emit, room: int) -> None:
        """Emit at most about ``room`` packets' worth of IM packets."""
        while self._asking and room > 0:
            self._emit_question(emit, *self._asking.popleft())
            room -= 1
        while self._again and room > 0:
            stream, first, last, interval = self._again.popleft()
            # What this connection has not carried yet leaves below, in its turn.
            last = min(last, stream.cursor - 1)
            until = _sendable_until(stream)
            if until < last:
                # Only what was STORED and is not any more; it leaves as the window moves on.
                last, stream.cursor = until, until + 1
                self._ready[stream] = None
            end = self._slice_end(stream, first, last) if stream.has_large else last
            if end < last:
                self._again.appendleft((stream, end + 1, last, interval))
            room -= self._emit_open(emit, stream, first, end, interval)
        for stream in list(self._ready):
            if room <= 0:
                return
            room -= self._emit_new(emit, stream, room)

    def _emit_question(self, emit: Emit, stream: OutStream, first: int, last: int) -> None:
        emit(StatusR(*self._head(stream), ((first, last),)), self._flight(stream, (1, 0), 0.0))
        # A refusal names what was asked, or else the floor: it may be about this packet.
        asked = max(first, stream.durable_floor), max(last, stream.durable_floor)
        left = max(asked[0], stream.floor), min(asked[1], stream.fresh_from - 1)
        if left[0] <= left[1]:
            stream.resent.add(*left)

    def _emit_new(self, emit: Emit, stream: OutStream, room: int) -> int:
        last = _sendable_until(stream)
        if stream.epoch == 0:
            last = min(last, _first_wanted(stream) + PROBE_MESSAGES - 1)
        emitted = 0
        while stream.cursor <= last and emitted < room:
            part_last = self._slice_end(stream, stream.cursor, last)
            emitted += self._emit_open(emit, stream, stream.cursor, part_last, self._interval_s())
            stream.cursor = part_last + 1
        del self._ready[stream]
        if stream.cursor <= last:
            self._ready[stream] = None  # behind the others: streams in turn
        return emitted

    def _slice_end(self, stream: OutStream, first: int, last: int) -> int:
        """Return where to stop for a moment on the way from first to last."""
        if not stream.has_large:
            return min(last, first + SLICE - 1)
        end, size = first - 1, 0
        while end < last and end - first + 1 < SLICE and size < SLICE_BYTES:
            end += 1
            row = stream.rows.get(end)
            size += len(row[1]) if row is not None else 0
        return end

    def _emit_open(
        self, emit: Emit, stream: OutStream, first: int, last: int, interval_s: float
    ) -> int:
        """Emit what is open of first..last: payloads as msg:R, given-up seqs as cancel:R."""
        cancels, messages = stream.open_in(first, last)
        lists = chunked(cancels, RANGES_MAX)
        for ranges in lists:
            for a, b in ranges:
                stream.repeated(self._flights + 1, a, b)
            span = (ranges[0][0], ranges[-1][1])
            flight = self._flight(stream, span, interval_s, is_cancel=True)
            emit(CancelR(*self._head(stream), ranges), flight)
        emitted = len(lists)
        for low, high in messages:
            emitted += self._emit_run(emit, stream, low, high, interval_s)
        return emitted

    def _emit_run(
        self, emit: Emit, stream: OutStream, first: int, last: int, interval_s: float
    ) -> int:
        """Emit first..last, all with payloads, in as few sections as hold them."""
        self._count_resent(stream, first, last)
        emitted = 0
        rows = stream.rows
        seq = first
        while seq <= last:
            start, size = seq, SECTION_HEAD_BYTES
            stamps: list[int] = []
            payloads: list[bytes] = []
            while seq <= last:
                stamp, payload = rows[seq]
                size += SECTION_ENTRY_BYTES + len(payload)
                if payloads and size > SECTION_BYTES_MAX:
                    break
                stamps.append(stamp)
                payloads.append(payload)
                seq += 1
            packet = MsgR(
                *self._head(stream),
                stream.audience.bitmap_of_covered(start, seq - 1) & _BITMAP,
                encode_section(start, stamps, payloads),
            )
            emit(packet, self._flight(stream, (start, seq - 1), interval_s))
            emitted += -(-len(packet.section.raw) // SECTION_BYTES_MAX)
        return emitted

    def _count_resent(self, stream: OutStream, first: int, last: int) -> None:
        """Remember of which seqs a second copy may be under way (R6)."""
        repeated = min(last, stream.fresh_from - 1)
        if first <= repeated:
            stream.resent.add(first, repeated)
            stream.repeated(self._flights + 1, first, repeated)
            self.resent_messages += repeated - first + 1
        stream.fresh_from = max(stream.fresh_from, last + 1)

    def _head(self, stream: OutStream) -> tuple[int, StreamId | None, int, tuple[EpochRun, ...]]:
        """Return what every packet begins with; the server stamps user and device itself (R13)."""
        handle, name = self.handles.of(stream.id)
        if name is not None:
            name = name._replace(user="", device="")
        stream.told_floor = stream.durable_floor
        return handle, name, stream.durable_floor, stream.head_runs()

    def _flight(
        self,
        stream: OutStream,
        span: tuple[int, int],
        interval_s: float,
        *,
        is_cancel: bool = False,
    ) -> Flight:
        self._flights += 1
        return Flight(
            stream,
            span,
            interval_s,
            session=self._session,
            number=self._flights,
            is_cancel=is_cancel,
        )


def _first_wanted(stream: OutStream) -> int:
    """Return the first message that is neither settled nor given up."""
    _, messages = stream.open_in(stream.floor, stream.next_seq - 1)
    return messages[0][0] if messages else stream.next_seq


def _sendable_until(stream: OutStream) -> int:
    """Return the last seq within W and, where payloads are large, within the window of bytes."""
    last = stream.sendable_until(config.WINDOW)
    if not stream.has_large:
        return last
    size = 0
    for low, high in stream.covered.missing(stream.floor, last):
        for seq in range(low, high + 1):
            size += len(stream.rows[seq][1])
            if size > config.WINDOW_BYTES:
                return seq - 1
    return last
