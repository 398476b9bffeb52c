"""Small numbers for streams on one connection (PROTOCOL §4.3).

Each side numbers the streams that it speaks of in the packets it starts. The stream's name rides
along until one packet that carried it has been acked, so frames need no order between them.
"""

from __future__ import annotations

from udpim.config import HANDLES_MAX
from udpim.model import StreamId


class OutHandles:
    """The numbers that we chose."""

    def __init__(self) -> None:
        """Start a connection with nothing named."""
        self._numbers: dict[StreamId, int] = {}
        self._streams: dict[int, StreamId] = {}
        self._known: set[StreamId] = set()

    def of(self, stream: StreamId) -> tuple[int, StreamId | None]:
        """Return the stream's handle, and its name while the peer may not know it yet."""
        number = self._numbers.get(stream)
        if number is None:
            number = self._numbers[stream] = len(self._numbers) + 1
            self._streams[number] = stream
        return number, None if stream in self._known else stream

    def stream(self, handle: int) -> StreamId | None:
        """Return the stream that we gave this handle: answers name it by our number."""
        return self._streams.get(handle)

    def confirm(self, stream: StreamId) -> None:
        """A packet that carried the name was acked."""
        self._known.add(stream)


class InHandles:
    """The numbers that the peer chose."""

    def __init__(self) -> None:
        """Start a connection with nothing named."""
        self._streams: dict[int, StreamId] = {}
        self._numbers: dict[StreamId, int] = {}

    def number(self, stream: StreamId) -> int | None:
        """Return the peer's handle for a stream, for packets that answer the peer's."""
        return self._numbers.get(stream)

    def resolve(self, handle: int, name: StreamId | None) -> StreamId | None:
        """Return the stream that a packet speaks of.

        Returns:
            None when the handle is unknown, is claimed for a second stream, or is one too many.
        """
        known = self._streams.get(handle)
        if name is None or known is not None:
            return known if name is None or name == known else None
        if len(self._streams) >= HANDLES_MAX:
            return None
        self._streams[handle] = name
        self._numbers[name] = handle
        return name
