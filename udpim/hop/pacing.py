"""Pacing: a window's worth of packets leaves over a round trip, not at once.

A bucket of bytes that fills at the congestion controller's rate. It holds a burst: what 2 ms of
the rate are, so that timers and batches stay coarse, and ten packets in any case, so that short
exchanges never wait. Where the controller names no rate, nothing waits.

Source: PROTOCOL §3.6; RFC 9002 §7.7.
"""

from __future__ import annotations

from math import inf

BURST_PACKETS = 10
"""Leave at once whatever the rate, as the initial window does (RFC 9002 §7.2)."""
BURST_S = 0.002
"""About the grain of an event loop under load."""


class Pacer:
    """When the next packet may leave."""

    __slots__ = ("_filled_at", "_least", "_rate", "left")

    def __init__(self, datagram_bytes: int) -> None:
        """Start with a full burst."""
        self._least = BURST_PACKETS * datagram_bytes
        self.left = inf
        """Bytes that may leave in this turn, which take them off; the last packet may overdraw."""
        self._rate: float | None = None
        self._filled_at = 0.0

    def fill(self, rate: float | None, now: float) -> None:
        """A turn begins: let in what came together at this rate, bytes per second."""
        self._rate = rate
        if rate is not None:
            burst = max(self._least, rate * BURST_S)
            self.left = min(burst, self.left + (now - self._filled_at) * rate)
        else:
            self.left = inf
        self._filled_at = now

    def opens_at(self) -> float:
        """When a packet may leave, if none may now."""
        assert self._rate is not None, "without a rate nothing waits"
        # One byte more than nothing, so that the turn at this time finds it open.
        return self._filled_at + (1.0 - self.left) / self._rate
