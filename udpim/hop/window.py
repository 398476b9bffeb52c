"""The receive window: replay protection and ack state in one int.

Bit i stands for packet number ``top - i``. A packet is checked against it before it is opened
and marked only after it was taken whole, so the same bits say what must not come again and what
we acknowledge. Hot module: ints only.

Specification: PROTOCOL §2.2; RFC 6479 has the idea of a window far larger than 64.
"""

from __future__ import annotations

REPLAY_PACKETS = 1024
"""Reach of the window: more than the packets that a peer can have in flight."""

_ALL = (1 << REPLAY_PACKETS) - 1


class ReceiveWindow:
    """Which of the last 1024 packet numbers were taken."""

    __slots__ = ("_bits", "top")

    def __init__(self, first: int) -> None:
        """Expect ``first`` as the first packet number."""
        self.top = first - 1
        self._bits = 0

    def refusal(self, number: int) -> str | None:
        """Why this packet must be dropped; None if it is new. Changes nothing."""
        age = self.top - number
        if age < 0:
            return None
        if age >= REPLAY_PACKETS:
            return "replay window"
        return "duplicate packet" if self._bits >> age & 1 else None

    def mark(self, number: int) -> None:
        """Remember a packet that :meth:`refusal` let through and that was taken."""
        ahead = number - self.top
        if ahead <= 0:
            self._bits |= 1 << -ahead
        else:
            # A long jump must not shift an int by the length of the jump.
            self._bits = (self._bits << min(ahead, REPLAY_PACKETS) & _ALL) | 1
            self.top = number

    def below_top(self, packets: int) -> int:
        """The bits of the ``packets`` numbers below top; bit 0 is ``top - 1``."""
        return self._bits >> 1 & (1 << packets) - 1
