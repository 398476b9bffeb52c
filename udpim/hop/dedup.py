"""Exactly-once for reliable frames: a floor and a bitmap above it.

Every number below the floor was accepted; bit i stands for ``floor + i``. Exact for ever, since
the sender never goes further beyond its lowest unacked frame than the window that we advertised.
Hot module: ints only. Specification: PROTOCOL §3.4.
"""

from __future__ import annotations

from udpim.wire.packet_number import MASK

_HALF = 1 << 31

BEYOND_WINDOW = -2
DUPLICATE = -1


class FrameDedup:
    """Which reliable frames were accepted."""

    __slots__ = ("_bits", "_window", "floor")

    def __init__(self, first: int, window: int) -> None:
        """Expect ``first`` first, and nothing at or beyond floor + ``window``."""
        self.floor = first
        self._bits = 0
        self._window = window

    def classify(self, hop_seq: int) -> int:
        """Look at a frame's number (low 32 bits) without changing anything.

        Returns:
            The whole number if the frame is new, else DUPLICATE or BEYOND_WINDOW.
        """
        offset = (hop_seq - self.floor) & MASK
        if offset < self._window:
            return DUPLICATE if self._bits >> offset & 1 else self.floor + offset
        return DUPLICATE if offset >= _HALF else BEYOND_WINDOW

    def mark(self, number: int) -> None:
        """Remember a frame that :meth:`classify` called new and that was accepted."""
        bits = self._bits | 1 << number - self.floor
        if bits & 1:
            run = (~bits & bits + 1).bit_length() - 1
            bits >>= run
            self.floor += run
        self._bits = bits
