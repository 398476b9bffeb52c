"""Receipts that the recipient offers again, once per login for every stream (R3).

A part of the receiver's machine. Where a gap holds messages back, it also asks whether the stream
still goes on (PROTOCOL §5.8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from udpim.im.handles import OutHandles
from udpim.im.in_stream import InStream
from udpim.model import StreamId
from udpim.wire.im_packets import AckR, ImPacket


class Offers:
    """The streams whose turn has not come in this session."""

    def __init__(self) -> None:
        """Start with nothing to offer."""
        self._waiting: dict[InStream, None] = {}
        self._questions: list[InStream] = []
        """Streams held back by a gap that their sender may never fill."""

    def session_started(self, streams: Iterable[InStream]) -> None:
        """Everything is offered again; whom the last session had no room for comes first."""
        self._questions.clear()
        self._waiting |= dict.fromkeys(streams)

    def take(self, room: int) -> list[InStream]:
        """Return the next streams to offer, at most so many."""
        streams = list(islice(self._waiting, max(0, room))) if self._waiting else []
        for stream in streams:
            del self._waiting[stream]
            if stream.waits():
                self._questions.append(stream)
        return streams

    def ask(self, emit: Callable[[ImPacket, StreamId | None], None], handles: OutHandles) -> None:
        """Emit the questions about streams that wait at a gap."""
        for stream in self._questions:
            handle, name = handles.of(stream.id)
            emit(AckR(handle, name, False, (), ()), stream.id)
        self._questions.clear()

    def __len__(self) -> int:
        """Return how many streams wait for their turn."""
        return len(self._waiting)
