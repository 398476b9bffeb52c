"""A rate limit with a queue before it: a token bucket, and a tail drop when the queue is full."""

from __future__ import annotations

from collections import deque

HEADERS_BYTES = 28
"""IPv4 and UDP, which a link carries with every datagram."""
BUCKET_BYTES = 1500
"""What may pass at once after a rest: one full Ethernet frame's worth, as a plain link does."""


class Bottleneck:
    """One direction's; it remembers who waits."""

    def __init__(self, rate_bits_per_s: float, queue_packets: int) -> None:
        """Begin with a full bucket and nobody waiting."""
        self._byte_s = 8 / rate_bits_per_s
        self._queue_packets = queue_packets
        self._full_at = 0.0
        self._leaving: deque[float] = deque()

    def leaves_at(self, size_bytes: int, now: float) -> float | None:
        """Take in one datagram.

        Returns:
            When it leaves; None where the queue is full.
        """
        leaving = self._leaving
        while leaving and leaving[0] <= now:
            leaving.popleft()
        full_at = max(self._full_at, now) + (size_bytes + HEADERS_BYTES) * self._byte_s
        at = full_at - BUCKET_BYTES * self._byte_s
        if at <= now:
            self._full_at = full_at
            return now
        if len(leaving) >= self._queue_packets:
            return None
        self._full_at = full_at
        leaving.append(at)
        return at
