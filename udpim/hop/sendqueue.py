"""The sender's reliable frames: waiting, in flight, lost, and done.

The connection asks it to fill packets and tells it the fate of packets. What is retransmitted
is the frame, never the packet. Lost frames go first, oldest first; then new ones, as far as the
peer's window allows. Hot module.

Specification: PROTOCOL §3.4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush

from udpim.errors import LocalProtocolError
from udpim.hop.config import HopConfig
from udpim.hop.stats import HopStats
from udpim.wire.frames import encode_message


class OutgoingFrame:
    """One reliable frame until a packet that carried it is acked."""

    __slots__ = ("lost", "number", "packet_number", "tag", "wire")

    def __init__(self, number: int, wire: bytes, tag: object | None) -> None:
        """Keep the encoded frame and whom to tell."""
        self.number = number
        self.wire = wire
        self.tag = tag
        self.packet_number = -1
        """The latest packet that carried it."""
        self.lost = False
        """Whether that packet was lost, and it waits to go again."""


class SendQueue:
    """All reliable frames that are not acked, and the tags of those that are."""

    def __init__(self, config: HopConfig, peer_window: int, stats: HopStats) -> None:
        """Start empty; stay within the peer's window and our own limit."""
        first = config.first_hop_seq
        self._next = first
        self._peer_window = peer_window
        self._frames_max = config.send_queue_frames_max
        self._stats = stats
        self._waiting: deque[OutgoingFrame] = deque()
        self._unacked: dict[int, OutgoingFrame] = {}
        # The lowest unacked number. A pointer, since finding the first key of a dict that
        # loses its first keys gets slower with every key lost.
        self._lowest = first
        self._lost: list[int] = []
        self._acked_tags: list[object] = []

    def push(self, body: bytes, tag: object | None) -> None:
        """Queue one frame.

        Raises:
            LocalProtocolError: If the queue is full; it was not queued.
        """
        if len(self._waiting) >= self._frames_max:
            raise LocalProtocolError(f"{self._frames_max} frames are waiting already")
        self._waiting.append(OutgoingFrame(self._next, encode_message(self._next, body), tag))
        self._next += 1

    def fill(self, parts: list[bytes], room: int, packet_number: int) -> list[OutgoingFrame]:
        """Append the frames that go next and fit into ``room`` bytes; returns them."""
        frames = []
        waiting, unacked = self._waiting, self._unacked
        while True:
            lost = self._lost_head()
            if lost is not None:
                frame = lost
            elif waiting and waiting[0].number < self._lowest + self._peer_window:
                frame = waiting[0]
            else:
                break
            room -= len(frame.wire)
            if room < 0:
                break
            if lost is not None:
                heappop(self._lost)
                frame.lost = False
                self._stats.frames_retransmitted += 1
            else:
                waiting.popleft()
                unacked[frame.number] = frame
            frame.packet_number = packet_number
            parts.append(frame.wire)
            frames.append(frame)
        return frames

    def fill_probe(
        self, parts: list[bytes], room: int, packet_number: int, *, since: int
    ) -> list[OutgoingFrame]:
        """Append the oldest frames in flight once more, as many as fit; returns them.

        Args:
            parts: Where the encoded frames go.
            room: Bytes left in the packet.
            packet_number: The packet that will carry them.
            since: Frames that rode in this packet or a later one are left out: the second
                probe carries what the first one had no room for.
        """
        frames = []
        for number in range(self._lowest, self._next - len(self._waiting)):
            frame = self._unacked.get(number)
            if frame is None or frame.packet_number >= since:
                continue
            room -= len(frame.wire)
            if room < 0:
                break
            frame.packet_number = packet_number
            frame.lost = False
            parts.append(frame.wire)
            frames.append(frame)
        self._stats.frames_retransmitted += len(frames)
        return frames

    def on_acked(self, packets: Iterable[list[OutgoingFrame]]) -> None:
        """Packets were acked, each with these frames: they are done."""
        unacked = self._unacked
        for frames in packets:
            for frame in frames:
                if unacked.pop(frame.number, None) is not None and frame.tag is not None:
                    self._acked_tags.append(frame.tag)
        end = self._next - len(self._waiting)
        lowest = self._lowest
        while lowest < end and lowest not in unacked:
            lowest += 1
        self._lowest = lowest

    def on_lost(self, packet_number: int, frames: Iterable[OutgoingFrame]) -> None:
        """A packet with these frames was lost: send again those with no later copy."""
        for frame in frames:
            if frame.packet_number == packet_number and frame.number in self._unacked:
                frame.lost = True
                heappush(self._lost, frame.number)

    def acked_tags(self) -> list[object]:
        """Tags of the frames acked since the last call, in the order of acking."""
        tags, self._acked_tags = self._acked_tags, []
        return tags

    def unacked_tags(self) -> list[object]:
        """Tags of all frames that are not acked, oldest first."""
        in_flight = [self._unacked[number] for number in sorted(self._unacked)]
        return [f.tag for f in (*in_flight, *self._waiting) if f.tag is not None]

    @property
    def ready(self) -> bool:
        """Whether :meth:`fill` has something to send."""
        if self._lost_head() is not None:
            return True
        waiting = self._waiting
        return bool(waiting) and waiting[0].number < self._lowest + self._peer_window

    @property
    def waiting_frames(self) -> int:
        """Frames never transmitted yet."""
        return len(self._waiting)

    @property
    def in_flight_frames(self) -> int:
        """Frames transmitted and not acked."""
        return len(self._unacked)

    def _lost_head(self) -> OutgoingFrame | None:
        """The oldest lost frame that was neither acked after all nor carried by a probe."""
        lost = self._lost
        while lost:
            frame = self._unacked.get(lost[0])
            if frame is not None and frame.lost:
                return frame
            heappop(lost)
        return None
