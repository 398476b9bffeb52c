"""The sender's reliable frames: waiting, in flight, lost, and done.

The connection asks it to fill packets and tells it the fate of packets. What is retransmitted
is the frame, never the packet. A frame gets its number when it first leaves. Lost frames go first,
oldest first; then new ones, as far as the peer's window allows: control frames, then bulk. Bulk
bodies wait for credit in their order; of those that have it, small ones and pieces of large ones
take turns. Frames that are sent once have their own queue, and a place between. Hot module.

::

    push ─► control ──────────────────────────► packet ─► in flight ─► acked
       └──► bulk ─(credit)─┬► small ──────────►   ▲           │
                           └► large, in pieces ►  └── lost ◄──┘

Specification: PROTOCOL §3.4, §3.7 and §3.8.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import chain

from udpim.errors import LocalProtocolError
from udpim.hop.config import HopConfig
from udpim.hop.datagrams import TURN_PACKETS, DatagramQueue
from udpim.hop.stats import HopStats
from udpim.wire.frames import (
    FRAGMENT_HEADER_BYTES,
    MESSAGE_HEADER_BYTES,
    encode_bulk,
    encode_credit,
    encode_fragment,
    encode_message,
)
from udpim.wire.parameters import PeerParameters


class OutgoingFrame:
    """One reliable frame, or one that steers the connection, until its packet is acked."""

    __slots__ = ("lost", "number", "packet_number", "tag", "whole", "wire")

    def __init__(
        self, number: int, wire: bytes, tag: object | None, whole: LargeBody | None = None
    ) -> None:
        """Keep the encoded frame and whom to tell."""
        self.number = number
        """Its hop sequence number; that of a steering frame is negative and does not travel."""
        self.wire = wire
        self.tag = tag
        self.whole = whole
        """The body that it is a piece of."""
        self.packet_number = -1
        """The latest packet that carried it."""
        self.lost = False
        """Whether that packet was lost, and it waits to go again."""


class LargeBody:
    """A body that travels in pieces."""

    __slots__ = ("body", "count", "group", "index", "tag", "unacked")

    def __init__(self, group: int, body: bytes, tag: object | None, piece_bytes: int) -> None:
        """Nothing of it has left."""
        self.group = group
        self.body = body
        self.tag = tag
        self.index = 0
        """The next piece to leave."""
        self.count = self.unacked = -(-len(body) // piece_bytes)


SENT_ONCE = OutgoingFrame(-(1 << 63), b"", None)
"""Stands for the DATAGRAM frames of a packet: nobody is told of their fate, nothing goes again."""

_STEERING_FIRST = -(1 << 62)
"""Steering frames count up from here, so that all go before the reliable ones, oldest first."""


class SendQueue:
    """All reliable frames that are not acked, and the tags of those that are."""

    def __init__(
        self, config: HopConfig, parameters: PeerParameters, stats: HopStats, room: int
    ) -> None:
        """Start empty; stay within the peer's windows and our own limit.

        Args:
            config: Our limits.
            parameters: The peer's.
            stats: Where retransmissions are counted.
            room: Bytes of frames that a packet holds.
        """
        first = config.first_hop_seq
        self._next = first
        self._peer_window = min(parameters.frame_window, config.limits.window_frames)
        self._frames_max = config.limits.send_queue_frames_max
        self.datagrams = DatagramQueue(config.limits.signals_waiting_max, stats)
        """Frames that are sent once; neither windows of frames nor credit concern them."""
        self._stats = stats
        self.body_bytes_max = room - MESSAGE_HEADER_BYTES
        """The largest body that travels in one piece."""
        self._piece_bytes = room - FRAGMENT_HEADER_BYTES
        self._control: deque[tuple[bytes, object | None]] = deque()
        self._bulk: deque[tuple[bytes, object | None]] = deque()
        self._small: deque[tuple[bytes, object | None]] = deque()
        self._large: deque[LargeBody] = deque()
        self.waiting_frames = 0
        """Bodies that were not transmitted, or not as a whole."""
        self._groups = 0
        self._large_first = False
        self._bulk_left = parameters.bulk_window_bytes
        self._bulk_limit = parameters.bulk_window_bytes
        self.bulk_bytes_waiting = 0
        """Bytes of bulk bodies that were never transmitted yet."""
        self._credit: OutgoingFrame | None = None
        self._steering: list[OutgoingFrame] = []
        self._steering_number = _STEERING_FIRST
        self._unacked: dict[int, OutgoingFrame] = {}
        # The lowest unacked number. A pointer, since finding the first key of a dict that
        # loses its first keys gets slower with every key lost.
        self._lowest = first
        self._lost: list[int] = []
        self._acked_tags: list[object] = []

    def push(self, body: bytes, tag: object | None, *, bulk: bool = False) -> None:
        """Queue one body.

        Raises:
            LocalProtocolError: If the queue is full; it was not queued.
        """
        if self.waiting_frames >= self._frames_max:
            self._stats.frames_refused += 1
            raise LocalProtocolError(f"{self._frames_max} frames are waiting already")
        self.waiting_frames += 1
        if bulk:
            self.bulk_bytes_waiting += len(body)
            self._bulk.append((body, tag))
            self._admit()
            if self._bulk:
                self._stats.credit_waits += 1
        else:
            self._control.append((body, tag))

    def push_credit(self, bulk_bytes_max: int) -> None:
        """Tell the peer its new limit, instead of any older one that it may not know yet."""
        if self._credit is not None:
            self.forget(self._credit)
        self._stats.credits_sent += 1
        self._credit = self.push_steering(encode_credit(bulk_bytes_max))

    def push_steering(self, wire: bytes) -> OutgoingFrame:
        """Queue a frame that is no body of anybody: it goes first, and again until it is acked.

        Its owner sees to it that there are few.
        """
        frame = OutgoingFrame(self._steering_number, wire, None)
        self._steering_number += 1
        frame.lost = True
        self._steering.append(frame)
        self._unacked[frame.number] = frame
        heappush(self._lost, frame.number)
        return frame

    def holds(self, frame: OutgoingFrame) -> bool:
        """Whether no packet with this frame was acked so far."""
        return frame.number in self._unacked

    def forget(self, frame: OutgoingFrame) -> None:
        """A steering frame is worth nothing any more: it does not go again."""
        self._unacked.pop(frame.number, None)
        self._steering = [*filter(self.holds, self._steering)]

    def on_credit(self, bulk_bytes_max: int) -> None:
        """The peer's limit; an older one than known changes nothing."""
        if bulk_bytes_max > self._bulk_limit:
            self._bulk_left += bulk_bytes_max - self._bulk_limit
            self._bulk_limit = bulk_bytes_max
            self._admit()

    def _admit(self) -> None:
        """Let bulk bodies go that have credit, in their order; a large one has it as a whole."""
        bulk = self._bulk
        while bulk and len(bulk[0][0]) <= self._bulk_left:
            body, tag = bulk.popleft()
            self._bulk_left -= len(body)
            if len(body) <= self.body_bytes_max:
                self._small.append((body, tag))
            else:
                self._large.append(LargeBody(self._groups, body, tag, self._piece_bytes))
                self._groups += 1

    def fill(self, parts: list[bytes], room: int, packet_number: int) -> list[OutgoingFrame]:
        """Append the frames that go next and fit into ``room`` bytes.

        Returns:
            The reliable ones, and SENT_ONCE if there are others.
        """
        frames: list[OutgoingFrame] = []
        unacked, control = self._unacked, self._control
        end = self._lowest + self._peer_window
        self._large_first = not self._large_first
        datagrams_first = self.datagrams.waiting and packet_number % TURN_PACKETS == 0
        while True:
            frame = self._lost_head() if self._lost else None
            if frame is not None:
                if len(frame.wire) > room:
                    break
                heappop(self._lost)
                frame.lost = False
                self._stats.frames_retransmitted += frame.packet_number >= 0
            elif self._next >= end:
                break
            else:
                if control:
                    body, tag = control[0]
                    if len(body) + MESSAGE_HEADER_BYTES > room:
                        break
                    control.popleft()
                    frame = OutgoingFrame(self._next, encode_message(self._next, body), tag)
                    self.waiting_frames -= 1
                else:
                    if datagrams_first:
                        datagrams_first = False
                        room = self._fill_datagrams(parts, room, frames)
                    frame = self._bulk_frame(room)
                    if frame is None:
                        break
                unacked[self._next] = frame
                self._next += 1
            room -= len(frame.wire)
            frame.packet_number = packet_number
            parts.append(frame.wire)
            frames.append(frame)
        if self.datagrams.waiting:
            self._fill_datagrams(parts, room, frames)
        return frames

    def _fill_datagrams(self, parts: list[bytes], room: int, frames: list[OutgoingFrame]) -> int:
        """Append frames that are sent once; returns the room left."""
        left = self.datagrams.fill(parts, room)
        if left < room:
            frames.append(SENT_ONCE)
        return left

    def _bulk_frame(self, room: int) -> OutgoingFrame | None:
        """The next bulk frame that was never sent, under the next number, if it fits."""
        small = self._small
        if self._large and (self._large_first or not small):
            return self._piece(room)
        if not small or len(small[0][0]) + MESSAGE_HEADER_BYTES > room:
            return None
        body, tag = small.popleft()
        self.waiting_frames -= 1
        self.bulk_bytes_waiting -= len(body)
        return OutgoingFrame(self._next, encode_bulk(self._next, body), tag)

    def _piece(self, room: int) -> OutgoingFrame | None:
        """The next piece of the oldest large body, if it fits."""
        large = self._large[0]
        at = large.index * self._piece_bytes
        piece = large.body[at : at + self._piece_bytes]
        if len(piece) + FRAGMENT_HEADER_BYTES > room:
            return None
        number = self._next
        wire = encode_fragment(number, large.group, large.index, large.count, piece)
        large.index += 1
        if large.index == large.count:
            self._large.popleft()
            large.body = b""
            self.waiting_frames -= 1
        self.bulk_bytes_waiting -= len(piece)
        return OutgoingFrame(number, wire, None, large)

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
        steering = [frame.number for frame in self._steering]
        for number in chain(steering, range(self._lowest, self._next)):
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
                if unacked.pop(frame.number, None) is None:
                    continue
                tag, whole = frame.tag, frame.whole
                if whole is not None:
                    whole.unacked -= 1
                    tag = None if whole.unacked else whole.tag
                if tag is not None:
                    self._acked_tags.append(tag)
        end, lowest = self._next, self._lowest
        while lowest < end and lowest not in unacked:
            lowest += 1
        self._lowest = lowest
        if self._steering:
            self._steering = [*filter(self.holds, self._steering)]

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
        """Tags of all frames that are not acked, oldest first, then of what waits."""
        holders: dict[OutgoingFrame | LargeBody, None] = {}
        for number in sorted(self._unacked):
            frame = self._unacked[number]
            holders[frame.whole or frame] = None
        holders.update(dict.fromkeys(self._large))
        tags = [holder.tag for holder in holders]
        tags += [tag for waiting in (self._control, self._small, self._bulk) for _, tag in waiting]
        return [tag for tag in tags if tag is not None]

    @property
    def ready(self) -> bool:
        """Whether :meth:`fill` has something to send."""
        if self.datagrams.waiting or (self._lost and self._lost_head() is not None):
            return True
        waiting = self._control or self._small or self._large
        return bool(waiting) and self._next < self._lowest + self._peer_window

    @property
    def control_frames(self) -> int:
        """Bodies that wait and need no credit."""
        return len(self._control)

    @property
    def in_flight_frames(self) -> int:
        """Frames transmitted and not acked, and steering ones that the peer may not know."""
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
