"""Small numbers for streams on one connection (PROTOCOL §4.3).

Each side numbers the streams that it speaks of in the packets it starts. The stream's name rides
along until one packet that carried it has been acked, so frames need no order between them.

Numbers are never given back: when a connection has named as many streams as its limit allows, and
one more is wanted, it ends (TOO_MANY_STREAMS), and the next one starts counting anew. What was said
by then is said, so every connection brings both sides on.
"""

from __future__ import annotations

from udpim.config import HANDLES_MAX
from udpim.model import StreamId


class OutHandles:
    """The numbers that we chose."""

    def __init__(self, streams_max: int = HANDLES_MAX) -> None:
        """Start a connection with nothing named, and room for so many streams."""
        self._streams_max = streams_max
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

    def is_known(self, stream: StreamId) -> bool:
        """Tell whether a packet with the stream's name was acked."""
        return stream in self._known

    @property
    def overflowed(self) -> bool:
        """Whether more streams were named than this connection has room for: it has to end."""
        return len(self._numbers) > self._streams_max

    def spare_for_offers(self) -> int:
        """Return how many streams may still be named for what can wait for the next connection."""
        return max(0, self._streams_max // 2 - len(self._numbers))

    def confirm(self, stream: StreamId) -> None:
        """A packet that carried the name was acked."""
        self._known.add(stream)


class InHandles:
    """The numbers that the peer chose."""

    def __init__(self, streams_max: int = HANDLES_MAX) -> None:
        """Start a connection with nothing named, and room for so many streams."""
        self._streams_max = streams_max
        self.overflowed = False
        """A stream was named that this connection has no room for: it has to end."""
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
        if len(self._streams) >= self._streams_max:
            self.overflowed = True
            return None
        self._streams[handle] = name
        self._numbers[name] = handle
        return name
