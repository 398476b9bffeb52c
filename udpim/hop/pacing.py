"""Pacing: a window's worth of packets leaves over a round trip, not at once.

A bucket of bytes that fills at the congestion controller's rate. It holds a burst: what 2 ms of
the rate are, so that timers and batches stay coarse, and ten packets in any case, so that short
exchanges never wait. Once empty it stays shut until a whole burst is saved up: a timer for every
packet would cost more than the packet. Where the controller names no rate, nothing waits.

Source: PROTOCOL §3.6; RFC 9002 §7.7.
"""

from __future__ import annotations

from math import inf

BURST_PACKETS = 10
"""Leave at once whatever the rate, as the initial window does (RFC 9002 §7.2)."""
BURST_S = 0.002
"""About the grain of an event loop under load."""
RTT_S_MIN = 0.0001
"""Between processes of one machine the estimate may be next to nothing."""


class Pacer:
    """When the next packets may leave."""

    __slots__ = ("_burst", "_filled_at", "_least", "_rate", "left")

    def __init__(self, datagram_bytes: int) -> None:
        """Start with a full burst."""
        self._least = BURST_PACKETS * datagram_bytes
        self._burst = 0.0
        self.left = inf
        """Bytes that may leave in this turn, which take them off; the last packet may overdraw."""
        self._rate = inf
        self._filled_at = 0.0

    def fill(self, rate: float | None, now: float) -> None:
        """A turn begins: let in what came together at this rate, bytes per second."""
        if rate is None:
            self.left = inf
            self._filled_at = now
            return
        self._rate = rate
        self._burst = max(self._least, rate * BURST_S)
        left = min(self._burst, self.left + (now - self._filled_at) * rate)
        # One byte less than a burst will do, for times are rounded.
        if self.left > 0 or left >= self._burst - 1:
            self.left = left
            self._filled_at = now

    def opens_at(self) -> float:
        """When packets may leave again, if none may now."""
        return self._filled_at + (self._burst - self.left) / self._rate
