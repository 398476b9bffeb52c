"""One endpoint of a conversation as its sender sees it: membership and verdicts (PROTOCOL §5.3)."""

from __future__ import annotations

from udpim.im.records import OutMember
from udpim.model import Endpoint
from udpim.ranges import Range, RangeSet, without


class MemberView:
    """One endpoint of the conversation and its verdicts."""

    __slots__ = (
        "confirmed",
        "delivered",
        "endpoint",
        "excused",
        "incarnation",
        "joined",
        "left",
        "ordinal",
        "read",
        "renewed",
        "stored",
        "void",
    )

    def __init__(self, record: OutMember) -> None:
        """Restore from a record."""
        self.endpoint = Endpoint(record.user, record.device)
        self.ordinal = record.ordinal
        self.incarnation = record.incarnation
        self.renewed = record.renewed
        self.joined = record.joined
        self.left = record.left
        self.delivered = RangeSet(record.delivered)
        self.void = RangeSet(record.void)
        self.stored = RangeSet(record.stored)
        self.excused = RangeSet(record.excused)
        self.read = record.read
        self.confirmed = RangeSet((*record.delivered, *record.void, *record.excused))

    @property
    def durable(self) -> bool:
        """Whether the endpoint's inbox survives a crash: only then its "never" is one (§5.8)."""
        return bool(self.incarnation >> 63)

    def take_excused(self, first: int, last: int) -> None:
        """Record that nobody waits for this endpoint's verdict on these."""
        for low, high in self.confirmed.missing(first, last):
            self.excused.add(low, high)
            self.confirmed.add(low, high)

    def take_void(self, first: int, last: int) -> None:
        """Record that the endpoint will not deliver these, as far as it can promise that."""
        claim = self.void if self.durable else self.excused
        claim.add(first, last)
        self.confirmed.add(first, last)

    def covered_within(self, first: int, last: int) -> list[Range]:
        """Return what of first..last is settled or STORED here."""
        if not len(self.stored):
            return self.confirmed.within(first, last)
        known = RangeSet((*self.confirmed.within(first, last), *self.stored.within(first, last)))
        return list(known)

    def covers(self, first: int, last: int) -> bool:
        """Tell whether no copy of first..last is needed here."""
        return not without(self.confirmed.missing(first, last), self.stored)

    def standing(self, seq: int) -> str:
        """Return what is known of one message here, as the fields of `Progress` name it."""
        for name in ("delivered", "void", "excused", "stored"):
            if seq in getattr(self, name):
                return name
        return "missing"

    def due(self, epoch: int) -> bool:
        """Tell whether a message stamped with ``epoch`` is due to this endpoint."""
        return self.joined <= epoch and (self.left == 0 or epoch < self.left)

    def record(self) -> OutMember:
        """Return the durable form."""
        return OutMember(
            *self.endpoint,
            self.ordinal,
            self.incarnation,
            self.renewed,
            self.joined,
            self.left,
            tuple(self.delivered),
            tuple(self.void),
            tuple(self.stored),
            tuple(self.excused),
            self.read,
        )
