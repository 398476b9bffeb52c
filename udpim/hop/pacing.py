"""Pacing: a window's worth of packets leaves over a round trip, not at once.

A bucket of bytes that fills at the congestion controller's rate. It holds a burst: what 2 ms of
the rate are, so that timers and batches stay coarse, and ten packets in any case, so that short
exchanges never wait. Where the controller names no rate, nothing waits.

Source: PROTOCOL §3.6; RFC 9002 §7.7.
"""

from __future__ import annotations

BURST_PACKETS = 10
"""Leave at once whatever the rate, as the initial window does (RFC 9002 §7.2)."""
BURST_S = 0.002
"""About the grain of an event loop under load."""


class Pacer:
    """When the next packet may leave."""

    __slots__ = ("_bytes", "_filled_at", "_least", "_rate")

    def __init__(self, datagram_bytes: int) -> None:
        """Start with a full burst."""
        self._least = BURST_PACKETS * datagram_bytes
        self._bytes = float(self._least)
        self._rate: float | None = None
        self._filled_at = float("-inf")

    def fill(self, rate: float | None, now: float) -> None:
        """A turn begins: let in what came together at this rate, bytes per second."""
        self._rate = rate
        if rate is not None:
            burst = max(self._least, rate * BURST_S)
            self._bytes = min(burst, self._bytes + (now - self._filled_at) * rate)
        else:
            self._bytes = float(self._least)
        self._filled_at = now

    def on_sent(self, size: int) -> None:
        """A packet of this size left."""
        self._bytes -= size

    @property
    def open(self) -> bool:
        """Whether a packet may leave in this turn."""
        return self._bytes > 0 or self._rate is None

    def opens_at(self) -> float:
        """When a packet may leave, if none may now."""
        assert self._rate is not None, "without a rate it is open"
        # One byte more than nothing, so that the turn at this time finds it open.
        return self._filled_at + (1.0 - self._bytes) / self._rate
