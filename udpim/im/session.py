"""The server's side of one login: what was pushed and not receipted, in memory only.

PROTOCOL §5.5. At the end of a session what is unreceipted goes to the offline queue (R10); a server
that dies loses it, and the senders' retransmissions bring it back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from udpim.config import HANDLES_MAX
from udpim.im.handles import InHandles, OutHandles
from udpim.model import Endpoint, StreamId
from udpim.ranges import Range, RangeSet
from udpim.wire.im_packets import ImPacket, MsgA, Section


class Named(NamedTuple):
    """Tag of a packet that may have carried a stream's name."""

    stream: StreamId


class Told(NamedTuple):
    """Tag of a members packet: the next one waits for its ack, as frames have no order."""

    stream: StreamId


class Relay(NamedTuple):
    """Tag of an ack:N with verdicts: once A's session has acked it, B gets its ack:A (R3)."""

    stream: StreamId
    recipient: Endpoint
    incarnation: int
    delivered: tuple[Range, ...]
    void: tuple[Range, ...]


class Round:
    """Tag of the packets of one tally: when all are acked, all its receipts are (R3)."""

    __slots__ = ("packets_left", "relays", "stream")

    def __init__(self, stream: StreamId, relays: list[Relay], packets: int) -> None:
        """Wait for the acks of so many packets."""
        self.stream = stream
        self.relays = relays
        self.packets_left = packets


class ReadRelay(NamedTuple):
    """Tag of a read:N: once A's session has acked it, B gets its read:A."""

    stream: StreamId
    recipient: Endpoint
    incarnation: int
    read: int


Tag = Named | Told | Relay | Round | ReadRelay | None


class Push:
    """What one session was sent of one stream and has not receipted."""

    __slots__ = ("base", "bytes", "cancels", "floor", "sections", "unreceipted")

    def __init__(self) -> None:
        """Start with nothing pushed."""
        self.unreceipted = RangeSet()
        self.sections: deque[Section] = deque()
        self.bytes = 0
        """Of these sections."""
        self.cancels = RangeSet()
        """Cancels that were passed on and not answered."""
        self.floor = 1
        self.base = 1

    def raise_head(self, floor: int, base: int) -> None:
        """Keep the highest floor and base that the sender told."""
        self.floor = max(self.floor, floor)
        self.base = max(self.base, base)

    def receipted(self, first: int, last: int) -> int:
        """B gave its verdict: these need no hand-over to the queue any more.

        Returns:
            How many messages were unreceipted.
        """
        count = sum(b - a + 1 for a, b in self.unreceipted.within(first, last))
        self.unreceipted.remove(first, last)
        self.cancels.remove(first, last)
        sections = self.sections
        while sections and not self.unreceipted.within(sections[0].first, sections[0].last):
            self.bytes -= len(sections.popleft().raw)
        return count

    def open_sections(self) -> list[tuple[Section, list[Range]]]:
        """Return the sections that hold unreceipted seqs, with those seqs."""
        return [
            (section, parts)
            for section in self.sections
            if (parts := self.unreceipted.within(section.first, section.last))
        ]


class Session:
    """One logged-in endpoint at the server."""

    def __init__(
        self,
        endpoint: Endpoint,
        incarnation: int,
        rtt_s: Callable[[], float],
        outgoing: dict[Session, None],
        *,
        streams_max: int = HANDLES_MAX,
        four_packets: bool = False,
    ) -> None:
        """Start a session.

        Args:
            endpoint: Who logged in.
            incarnation: With which incarnation.
            rtt_s: Tells the round trip of the session's connection, seconds.
            outgoing: Where a session that has frames to send enters itself.
            streams_max: How many streams may be named each way.
            four_packets: Whether the client does without msg:A and ack:A.
        """
        self.four_packets = four_packets
        self._outgoing = outgoing
        self.endpoint = endpoint
        self.incarnation = incarnation
        self.rtt_s = rtt_s
        self.mark = 0
        """Highest stamp that this session's messages bore."""
        self.noted = 0
        """How much of that is noted in the store."""
        self.inbound = InHandles(streams_max)
        self.outbound = OutHandles(streams_max)
        self.pushes: dict[StreamId, Push] = {}
        self.told: dict[StreamId, int] = {}
        """Number of the last change of the membership that this sender was told, per stream."""
        self.floors: dict[StreamId, int] = {}
        """Of this sender's streams, as far as all were told."""
        self.waiting: set[StreamId] = set()
        """Streams with a gap that this client asked about, and was told nothing since."""
        self.floors_told: dict[StreamId, int] = {}
        """What it was told of others' floors where it waited for them."""
        self.watching: set[StreamId] = set()
        """Streams whose sender is told of changes in their conversation."""
        self.telling: set[StreamId] = set()
        """Streams with a members packet that is not acked."""
        self.pushed_bytes = 0
        """Bytes of the pushes that are kept, of all streams."""
        self.unreceipted = 0
        """Messages pushed and not receipted, of all streams."""
        self.batches = 0
        """Answers to offline:R so far."""
        self.reading = False
        """A queue read for this session is on its way."""
        self.pull_blocked = False
        """The last answer left rows out that may be pulled once verdicts have come."""
        self.frames: list[tuple[ImPacket, Tag]] = []
        """Drained by the node into the connection."""

    def push(self, stream: StreamId) -> Push:
        """Return what was pushed of a stream."""
        push = self.pushes.get(stream)
        if push is None:
            push = self.pushes[stream] = Push()
        return push

    def pushed(self, stream: StreamId, head: tuple[int, int], section: Section) -> None:
        """Remember a push until its receipt. ``head`` is (floor, base)."""
        push = self.push(stream)
        push.raise_head(*head)
        push.unreceipted.add(section.first, section.last)
        push.sections.append(section)
        push.bytes += len(section.raw)
        self.pushed_bytes += len(section.raw)
        self.unreceipted += section.count

    def receipted(self, stream: StreamId, ranges: Sequence[Range]) -> tuple[int, int]:
        """The client gave its verdicts for ``ranges``.

        Returns:
            Messages that were unreceipted until now, and bytes that thereby left memory.
        """
        push = self.pushes.get(stream)
        if push is None:
            return 0, 0
        before = push.bytes
        count = sum([push.receipted(first, last) for first, last in ranges])
        self.unreceipted -= count
        freed = before - push.bytes
        self.pushed_bytes -= freed
        return count, freed

    def accept(self, handle: int, rtt_us: int, first: int, last: int) -> None:
        """Queue msg:A for a run; runs that follow each other within one turn share one.

        In four packets the hop's ack stands for it.
        """
        if self.four_packets:
            return
        frames = self.frames
        if frames:
            before = frames[-1][0]
            if isinstance(before, MsgA) and before.handle == handle:
                low, high = before.ranges[0]
                if high + 1 == first:
                    frames[-1] = (MsgA(handle, max(rtt_us, before.rtt_us), ((low, last),)), None)
                    return
        self.send(MsgA(handle, rtt_us, ((first, last),)))

    def send(self, packet: ImPacket, tag: Tag = None) -> None:
        """Queue one IM packet for this client."""
        self.frames.append((packet, tag))
        self._outgoing[self] = None
