"""What the recipient's application has read, on its way to the senders (PROTOCOL §5.11).

A part of the receiver's machine. The watermark is a fact of the stream's memory: it leaves once it
is durable, and again after every login until the server has said that it cannot get lost any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from udpim.im.handles import OutHandles
from udpim.im.in_stream import InStream
from udpim.model import StreamId
from udpim.wire.im_packets import ImPacket, ReadR


class Reading:
    """The read watermarks of one inbox."""

    def __init__(self) -> None:
        """Start with nothing to say."""
        self._marked: dict[InStream, None] = {}
        self._committing: deque[list[tuple[InStream, int]]] = deque()
        self._durable: dict[InStream, int] = {}
        """What may be said now."""

    def mark(self, stream: InStream, seq: int) -> bool:
        """The application has read everything up to ``seq``; tells whether that is news."""
        if seq <= stream.read:
            return False
        stream.read = seq
        self._marked[stream] = None
        return True

    def take_batch(self) -> None:
        """What is marked is part of the next commit."""
        self._committing.append([(stream, stream.read) for stream in self._marked])
        self._marked.clear()

    def committed(self) -> None:
        """The oldest commit is durable."""
        self._durable.update(self._committing.popleft())

    def session_started(self, streams: Iterable[InStream]) -> None:
        """Say again what the server has not answered for."""
        unsaid = {s: s.read for s in streams if s.read > s.read_told and s not in self._marked}
        self._durable = unsaid | self._durable

    def told(self, stream: InStream, read: int) -> bool:
        """read:A has come; tells whether it was news."""
        if not stream.read_told < read <= stream.read:
            return False
        stream.read_told = read
        return True

    def transmit(
        self,
        emit: Callable[[ImPacket, StreamId | None], None],
        handles: OutHandles,
        room: int,
    ) -> None:
        """Emit what is durable, of at most ``room`` streams."""
        for stream in list(islice(self._durable, room)):
            read = self._durable.pop(stream)
            handle, name = handles.of(stream.id)
            emit(ReadR(handle, name, read), stream.id)
