"""What the server tells senders: membership, verdicts, STORED, status (PROTOCOL §5.5).

Lists of ranges are cut so that every packet fits, whatever holes they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from udpim.im.devices import Registry
from udpim.im.session import Named, Relay, Session, Told
from udpim.model import Endpoint, StreamId
from udpim.ranges import Range, RangeSet, chunked, intersect
from udpim.wire.im_packets import AckN, Members, StatusA
from udpim.wire.im_schema import RANGES_MAX

RANGES_A_PACKET = RANGES_MAX - 8
"""Ranges put into one packet, all lists together; leaves room for its fixed fields."""
ASKED_A_PACKET = 8
"""Of these, what status:A repeats of the question."""


class Answers:
    """Builds the packets to senders from what router, queue and receipt rows know."""

    def __init__(self, registry: Registry, *, store_epoch: int, durable: bool) -> None:
        """Speak for a store of this epoch; one that is not durable never says STORED."""
        self._registry = registry
        self._store_epoch = store_epoch
        self._durable = durable

    def members(self, sender: Session, stream: StreamId, *, again: bool = False) -> None:
        """Tell the membership once per change, and whenever the sender's stamp is unknown (R2)."""
        user = stream.conversation
        version = self._registry.versions[user]
        if stream in sender.telling or (sender.told.get(stream) == version and not again):
            return
        sender.told[stream] = version
        sender.telling.add(stream)
        handle, name = sender.outbound.of(stream)
        members = self._registry.members(user)
        epoch = self._registry.epoch(user)
        sender.send(Members(handle, name, self._store_epoch, epoch, members), Told(stream))

    def told(self, sender: Session, stream: StreamId) -> None:
        """The members packet was acked: tell what has changed since."""
        sender.telling.discard(stream)
        self.members(sender, stream)

    def verdicts(self, sender: Session, relay: Relay, *, kept: bool) -> None:
        """ack:N with B's verdicts. ``kept``: they stand in a row, so B has its ack:A already."""
        self.members(sender, relay.stream)
        head = (self._ordinal(relay.recipient), relay.incarnation, self._store_epoch)
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

    def stored(
        self, sender: Session, endpoint: Endpoint, stream: StreamId, ranges: Sequence[Range]
    ) -> None:
        """ack:N(STORED): said after the commit, by a durable store only (I7)."""
        if not self._durable:
            return
        self.members(sender, stream)
        ordinal = self._ordinal(endpoint)
        for part in chunked(ranges, RANGES_A_PACKET):
            handle, name = sender.outbound.of(stream)
            packet = AckN(handle, name, ordinal, 0, self._store_epoch, (), (), part, ())
            sender.send(packet, Named(stream))

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

    def _ordinal(self, endpoint: Endpoint) -> int:
        record = self._registry.get(endpoint)
        assert record is not None, "only registered endpoints have sessions, rows or receipts"
        return record.ordinal
