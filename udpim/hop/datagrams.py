"""Frames that are sent once: soon, or never.

Beside the reliable frames of :mod:`udpim.hop.sendqueue`, which asks for those that ride in the
next packet. What waits here is worth something now only (somebody is typing), so the oldest makes
room for the newest, and what has become old is not sent at all. Both are counted.

Order in a packet: after lost and control frames, for those are few, and receipts make room
everywhere. Before bulk, since behind a megabyte of messages a signal would always be late; but
only in every fourth packet, so that however many signals there are, messages keep three quarters
of what the path carries. In the others signals have the room that bulk leaves.

Specification: PROTOCOL §3.9.
"""

from __future__ import annotations

from collections import deque

from udpim.hop.stats import HopStats
from udpim.wire.frames import DATAGRAM_HEADER_BYTES, encode_datagram

WAIT_S_MAX = 2.0
"""Older ones are not sent: nobody wants to know who was typing."""
TURN_PACKETS = 4
"""In one of so many packets they go before bulk."""


class DatagramQueue:
    """DATAGRAM frames that wait for their only transmission."""

    def __init__(self, frames_max: int, stats: HopStats) -> None:
        """Start empty.

        Args:
            frames_max: How many may wait.
            stats: Where they are counted.
        """
        self._frames_max = frames_max
        self._stats = stats
        self.waiting: deque[tuple[float, bytes]] = deque()
        """When each came, and its body; the oldest first."""

    def push(self, body: bytes, now: float) -> None:
        """Queue one body; if there is no room, the oldest is dropped for it."""
        if len(self.waiting) >= self._frames_max:
            self.waiting.popleft()
            self._stats.datagram_frames_crowded += 1
        self.waiting.append((now, body))

    def expire(self, now: float) -> None:
        """Drop what has waited for too long."""
        waiting = self.waiting
        while waiting and now - waiting[0][0] > WAIT_S_MAX:
            waiting.popleft()
            self._stats.datagram_frames_late += 1

    def fill(self, parts: list[bytes], room: int) -> int:
        """Append the oldest that fit into ``room`` bytes, and forget them.

        Returns:
            The room that is left.
        """
        waiting = self.waiting
        while waiting and len(waiting[0][1]) + DATAGRAM_HEADER_BYTES <= room:
            wire = encode_datagram(waiting.popleft()[1])
            room -= len(wire)
            parts.append(wire)
            self._stats.datagram_frames_sent += 1
        return room

    def __len__(self) -> int:
        """How many wait."""
        return len(self.waiting)
