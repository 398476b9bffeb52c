"""What the server tells senders: membership, verdicts, STORED, status (PROTOCOL §5.5).

Lists of ranges are cut so that every packet fits, whatever holes they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from udpim.im.conversations import Conversations
from udpim.im.session import Named, ReadRelay, Relay, Round, Session, Told
from udpim.im.tally import DELIVERED, EXCUSED, STORED, VOID, Tallies, packets_of
from udpim.model import Endpoint, StreamId, is_group
from udpim.ranges import Range, RangeSet, chunked, intersect
from udpim.wire.im_packets import AckN, Members, ReadN, StatusA
from udpim.wire.im_schema import RANGES_MAX

RANGES_A_PACKET = RANGES_MAX - 8
"""Ranges put into one packet, all lists together; leaves room for its fixed fields."""
ASKED_A_PACKET = 8
"""Of these, what status:A repeats of the question."""


class Answers:
    """Builds the packets to senders from what router, queue and receipt rows know."""

    def __init__(self, conversations: Conversations, *, store_epoch: int, durable: bool) -> None:
        """Speak for a store of this epoch; one that is not durable never says STORED."""
        self._conversations = conversations
        self._store_epoch = store_epoch
        self._durable = durable
        self.tallies = Tallies()
        self._watching: dict[str, dict[tuple[Session, StreamId], None]] = {}
        """By conversation, and by sending user: whom a change of their lines concerns."""

    def watch(self, sender: Session, stream: StreamId) -> None:
        """From now on this sender is told of every change in its conversation."""
        if stream not in sender.watching:
            sender.watching.add(stream)
            for name in (stream.conversation, stream.user):
                self._watching.setdefault(name, {})[sender, stream] = None

    def changed(self, name: str) -> None:
        """Lines of this conversation, or of this user's devices, are other ones now."""
        for sender, stream in list(self._watching.get(name, ())):
            if self._conversations.epoch(stream):
                self.members(sender, stream)

    def session_closed(self, sender: Session) -> list[Relay]:
        """Forget a sender; returns the receipts that it was not told."""
        for stream in sender.watching:
            for name in {stream.conversation, stream.user}:
                watching = self._watching[name]
                del watching[sender, stream]
                if not watching:
                    del self._watching[name]
        return self.tallies.session_closed(sender)

    def members(self, sender: Session, stream: StreamId, *, again: bool = False) -> None:
        """Tell the membership once per change, and whenever the sender's stamp is unknown (R2)."""
        number = self._conversations.number(stream)
        told = sender.told.get(stream)
        if stream in sender.telling or (told == number and not again):
            return
        whole, lines = self._conversations.changed_since(stream, None if again else told)
        sender.told[stream] = number
        if not (whole or lines):
            return
        sender.telling.add(stream)
        handle, name = sender.outbound.of(stream)
        epoch = self._conversations.epoch(stream)
        packet = Members(handle, name, whole, self._store_epoch, epoch, tuple(lines))
        sender.send(packet, Told(stream))

    def told(self, sender: Session, stream: StreamId) -> None:
        """The members packet was acked: tell what has changed since."""
        sender.telling.discard(stream)
        self.members(sender, stream)

    def verdicts(self, sender: Session, relay: Relay, *, kept: bool) -> None:
        """ack:N with B's verdicts. ``kept``: they stand in a row, so B has its ack:A already."""
        line = self._conversations.line(relay.stream, relay.recipient)
        if line is None:
            return
        self.members(sender, relay.stream)
        if is_group(relay.stream.conversation):
            self._collect(sender, line.ordinal, relay, kept=kept)
            return
        head = (line.ordinal, relay.incarnation, self._store_epoch)
        parts = zip_longest(
            chunked(relay.delivered, RANGES_A_PACKET // 2),
            chunked(relay.void, RANGES_A_PACKET // 2),
            fillvalue=(),
        )
        for delivered, void in parts:
            handle, name = sender.outbound.of(relay.stream)
            packet = AckN(handle, name, *head, delivered, void, (), ())
            tag = relay._replace(delivered=delivered, void=void)
            sender.send(packet, Named(relay.stream) if kept else tag)

    def question(self, sender: Session, stream: StreamId, asking: Endpoint) -> None:
        """ack:N without a verdict: an endpoint waits at a gap, and may not know the floor."""
        line = self._conversations.line(stream, asking)
        if line is not None:
            handle, name = sender.outbound.of(stream)
            packet = AckN(handle, name, line.ordinal, 0, self._store_epoch, (), (), (), ())
            sender.send(packet, Named(stream))

    def forgotten(
        self, sender: Session, stream: StreamId, endpoint: Endpoint, ranges: Sequence[Range]
    ) -> None:
        """An endpoint has these settled below a floor of the sender's, and knows no more."""
        line = self._conversations.line(stream, endpoint)
        if line is None or not ranges:
            return
        self.members(sender, stream)
        if is_group(stream.conversation):
            self.tallies.add(sender, stream, line.ordinal, EXCUSED, ranges)
            return
        head = (line.ordinal, line.incarnation, self._store_epoch)
        for part in chunked(ranges, RANGES_A_PACKET):
            handle, name = sender.outbound.of(stream)
            sender.send(AckN(handle, name, *head, (), (), (), part), Named(stream))

    def _collect(self, sender: Session, ordinal: int, relay: Relay, *, kept: bool) -> None:
        for verdict, ranges in ((DELIVERED, relay.delivered), (VOID, relay.void)):
            if ranges:
                self.tallies.add(sender, relay.stream, ordinal, verdict, ranges)
        if not kept:
            self.tallies.relay(sender, relay)

    def stored(
        self, sender: Session, endpoint: Endpoint, stream: StreamId, ranges: Sequence[Range]
    ) -> None:
        """ack:N(STORED): said after the commit, by a durable store only (I7)."""
        line = self._conversations.line(stream, endpoint)
        if line is None or not self._durable:
            return
        self.members(sender, stream)
        if is_group(stream.conversation):
            self.tallies.add(sender, stream, line.ordinal, STORED, ranges)
            return
        for part in chunked(ranges, RANGES_A_PACKET):
            handle, name = sender.outbound.of(stream)
            packet = AckN(handle, name, line.ordinal, 0, self._store_epoch, (), (), part, ())
            sender.send(packet, Named(stream))

    def renewed(self, endpoint: Endpoint) -> None:
        """What an older incarnation of it said is not told any more (R7)."""
        for stream, pending in self.tallies.waiting():
            line = self._conversations.line(stream, endpoint)
            if line is not None:
                pending.forget(line.ordinal)

    def send_tallies(self, now: float) -> None:
        """Tell what was collected and is due."""
        for sender, stream, pending in self.tallies.flush(now):
            handle, name = sender.outbound.of(stream)
            as_of = self._conversations.number(stream)
            packets = packets_of(pending, handle, name, self._store_epoch, as_of)
            round_ = Round(stream, pending.relays, len(packets))
            for packet in packets:
                sender.send(packet, round_)
            self.tallies.sent(pending, now)

    def read(self, sender: Session, relay: ReadRelay) -> None:
        """read:N: how far an endpoint has read."""
        line = self._conversations.line(relay.stream, relay.recipient)
        if line is None:
            return
        self.members(sender, relay.stream)
        handle, name = sender.outbound.of(relay.stream)
        packet = ReadN(handle, name, line.ordinal, relay.incarnation, relay.read)
        sender.send(packet, relay)

    def status(
        self,
        sender: Session,
        stream: StreamId,
        ordinal: int,
        asked: Sequence[Range],
        stored: list[Range],
    ) -> None:
        """status:A: exactly these of the asked seqs are stored, each packet for a part of them."""
        held = RangeSet(stored)
        for part in chunked(asked, ASKED_A_PACKET):
            self._status(sender, stream, ordinal, part, intersect(part, held))

    def _status(
        self,
        sender: Session,
        stream: StreamId,
        ordinal: int,
        asked: Sequence[Range],
        left: list[Range],
    ) -> None:
        first, end = asked[0][0], asked[-1][1]
        room = RANGES_A_PACKET - ASKED_A_PACKET
        while first <= end:
            part, left = left[:room], left[room:]
            last = part[-1][1] if left else end
            covered = [(max(a, first), min(b, last)) for a, b in asked]
            span = tuple((a, b) for a, b in covered if a <= b)
            handle, name = sender.outbound.of(stream)
            packet = StatusA(handle, name, ordinal, self._store_epoch, span, tuple(part))
            sender.send(packet, Named(stream))
            first = last + 1
