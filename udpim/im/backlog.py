"""How much the inbox holds: for the store, for the application, and behind gaps (PROTOCOL §3.8).

A part of the receiver's machine. Limits look at all that the application has not finished with;
flow control looks at what is held for good reason, each message as large as it travelled, so that
empty ones are bounded, too.
"""

from __future__ import annotations

from udpim.config import WINDOW, Limits
from udpim.im.in_stream import InStream
from udpim.wire.im_codec import SECTION_ENTRY_BYTES
from udpim.wire.im_packets import Section

BEYOND, FULL, FREE, FILLS = range(4)
"""What an inbox says of a run: above its stream's window; no room; room; room or not, it fills the
gap that others wait behind."""


class Backlog:
    """Counts of messages and bytes on their way through an inbox."""

    __slots__ = (
        "_fresh_bytes",
        "_limits",
        "_shown_bytes",
        "_uncommitted_bytes",
        "bytes",
        "messages",
    )

    def __init__(self, limits: Limits) -> None:
        """Start with nothing."""
        self._limits = limits
        self.messages = 0
        """That the application has not finished with."""
        self.bytes = 0
        """Of their payloads."""
        self._shown_bytes = 0
        self._fresh_bytes = 0
        self._uncommitted_bytes = 0

    @property
    def held_bytes(self) -> int:
        """Bytes that the server gets no credit for: not durable yet, or not handled yet.

        What waits behind a gap is not among them: what fills the gap must come through.
        """
        return self._uncommitted_bytes + self._shown_bytes

    def room(self, stream: InStream | None, base: int, section: Section | None) -> int:
        """Tell whether a run may be taken.

        One above its stream's window is not. While the application has more waiting than its limit
        no message is, but with one that fills a gap: those behind it count, too.
        """
        if section is None:
            return FREE
        cum = base - 1 if stream is None else max(stream.cum, base - 1)
        if section.last > cum + WINDOW:
            return BEYOND
        if stream is not None and stream.waits_for(section.first):
            return FILLS
        return FREE if self.has_room() else FULL

    def has_room(self) -> bool:
        """Tell whether messages may be taken that fill no gap."""
        limits = self._limits
        return self.bytes < limits.inbox_bytes_max and self.messages < limits.inbox_messages_max

    def arrived(self, count: int, size_bytes: int) -> None:
        """Messages are in memory."""
        self.messages += count
        self.bytes += size_bytes

    def written(self, count: int, size_bytes: int) -> None:
        """They are part of the next commit."""
        size = size_bytes + SECTION_ENTRY_BYTES * count
        self._fresh_bytes += size
        self._uncommitted_bytes += size

    def take_batch(self) -> int:
        """Return the bytes of the commit that begins, for `committed`."""
        size, self._fresh_bytes = self._fresh_bytes, 0
        return size

    def committed(self, size: int) -> None:
        """A commit is durable."""
        self._uncommitted_bytes -= size

    def shown(self, count: int, size_bytes: int) -> None:
        """The application may see them."""
        self._shown_bytes += size_bytes + SECTION_ENTRY_BYTES * count

    def handled(self, count: int, size_bytes: int) -> None:
        """The application has finished with them."""
        self.messages -= count
        self.bytes -= size_bytes
        self._shown_bytes -= size_bytes + SECTION_ENTRY_BYTES * count

    def sizes(self) -> dict[str, int]:
        """Return how much there is now."""
        return {
            "waiting_messages": self.messages,
            "waiting_bytes": self.bytes,
            "held_bytes": self.held_bytes,
            "uncommitted_bytes": self._uncommitted_bytes,
        }
