"""Receipts that leave the recipient: those of a turn, and those offered again (R3).

A part of the receiver's machine. Every stream is offered again once per login.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from udpim.im.handles import OutHandles
from udpim.im.in_stream import InStream
from udpim.model import StreamId
from udpim.wire.im_packets import AckR, ImPacket
from udpim.wire.im_schema import RANGES_MAX


class Offers:
    """The streams whose turn has not come in this session."""

    def __init__(self) -> None:
        """Start with nothing to offer."""
        self._waiting: dict[InStream, None] = {}

    def session_started(self, streams: Iterable[InStream]) -> None:
        """Everything is offered again; whom the last session had no room for comes first."""
        self._waiting |= dict.fromkeys(streams)

    def take(self, room: int) -> list[InStream]:
        """Return the next streams to offer, at most so many."""
        streams = list(islice(self._waiting, max(0, room))) if self._waiting else []
        for stream in streams:
            del self._waiting[stream]
        return streams

    def __len__(self) -> int:
        """Return how many streams wait for their turn."""
        return len(self._waiting)


def emit_receipts(
    emit: Callable[[ImPacket, StreamId | None], None], stream: InStream, handles: OutHandles
) -> None:
    """Emit the open verdicts of one stream."""
    for is_pulled, delivered, void, settled in stream.take_report():
        for at in range(0, max(len(delivered), len(void)), RANGES_MAX // 2):
            end = at + RANGES_MAX // 2
            handle, name = handles.of(stream.id)
            some, none = tuple(delivered[at:end]), tuple(void[at:end])
            emit(AckR(handle, name, is_pulled, some, none), stream.id)
        for at in range(0, len(settled), RANGES_MAX):
            handle, name = handles.of(stream.id)
            part = tuple(settled[at : at + RANGES_MAX])
            emit(AckR(handle, name, is_pulled, (), (), part), stream.id)
