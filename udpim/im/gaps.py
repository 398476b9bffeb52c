"""Gaps that hold messages back, and the questions about them (PROTOCOL §5.8).

A part of the receiver's machine. What closes a gap is its message, or the word that it will not
come. Who should bring either may believe it done: a newer inbox knows nothing of what was settled
before it, and a stream may have ended. So whoever waits asks at each login, and ever more rarely
while the same gap lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from udpim.config import GAP_TICK_S, GAP_TICKS_MAX
from udpim.im.handles import OutHandles
from udpim.im.in_stream import InStream
from udpim.model import StreamId
from udpim.wire.im_packets import AckR, ImPacket


class _Gap:
    """One stream's oldest gap, and the ticks until it is asked about."""

    __slots__ = ("seq", "step", "ticks")

    def __init__(self) -> None:
        self.seq = 0
        self.ticks = self.step = 1

    def is_due(self, seq: int) -> bool:
        """Count one tick. A gap that was not there at the last one begins anew."""
        if seq != self.seq:
            self.seq, self.ticks, self.step = seq, 1, 1
            return False
        self.ticks -= 1
        if self.ticks:
            return False
        self.ticks = self.step = min(GAP_TICKS_MAX, 2 * self.step)
        return True


class Gaps:
    """The streams that wait, and those to ask about now."""

    def __init__(self) -> None:
        """Start with none."""
        self._waiting: dict[InStream, _Gap] = {}
        self._questions: dict[InStream, None] = {}
        self._tick_at: float | None = None

    def session_started(self) -> None:
        """What the last session left unasked is asked when its receipts are offered."""
        self._questions.clear()
        self._tick_at = None
        self._waiting = {stream: _Gap() for stream in self._waiting}

    def released(self, stream: InStream) -> None:
        """A stream has let go of what it could."""
        if not stream.waits():
            self._waiting.pop(stream, None)
        elif stream not in self._waiting:
            self._waiting[stream] = _Gap()

    def offered(self, streams: Iterable[InStream]) -> None:
        """The receipts of these are offered in this session: now ask, if they wait."""
        self._questions |= dict.fromkeys(stream for stream in streams if stream.waits())

    def handle_timeout(self, now: float) -> None:
        """Look which gaps have lasted."""
        if self._tick_at is None or now < self._tick_at:
            return
        self._tick_at = None
        for stream, gap in self._waiting.items():
            if gap.is_due(stream.release_next):
                self._questions[stream] = None

    def next_timeout(self) -> float | None:
        """Return when `handle_timeout` has something to do."""
        return self._tick_at

    def transmit(
        self,
        emit: Callable[[ImPacket, StreamId | None], None],
        handles: OutHandles,
        *,
        room: int,
        now: float,
    ) -> None:
        """Emit the questions, ``room`` of them at most: receipts without a verdict."""
        for stream in list(islice(self._questions, max(0, room))):
            del self._questions[stream]
            handle, name = handles.of(stream.id)
            emit(AckR(handle, name, False, (), ()), stream.id)
        if self._waiting and self._tick_at is None:
            self._tick_at = now + GAP_TICK_S

    def __len__(self) -> int:
        """Return how many streams wait."""
        return len(self._waiting)
