"""One endpoint of a conversation as its sender sees it: membership and verdicts (PROTOCOL §5.3)."""

from __future__ import annotations

from collections.abc import Sequence

from udpim.im.records import OutMember
from udpim.ranges import Range, RangeSet, intersect


def common(
    views: Sequence[MemberView], first: int, last: int
) -> tuple[list[Range], list[Range], list[Range]]:
    """Return what of first..last is settled, void, and settled or STORED at each of these."""
    settled: list[Range] = [(first, last)]
    void, covered = settled, settled
    for view in views:
        settled = intersect(settled, view.confirmed)
        void = intersect(void, view.void)
        covered = [
            part
            for a, b in covered
            for part in RangeSet((*view.confirmed.within(a, b), *view.stored.within(a, b)))
        ]
    return settled, void, covered


class MemberView:
    """One endpoint of the conversation and its verdicts."""

    __slots__ = (
        "confirmed",
        "delivered",
        "device",
        "excused",
        "incarnation",
        "joined",
        "left",
        "ordinal",
        "stored",
        "void",
    )

    def __init__(self, record: OutMember) -> None:
        """Restore from a record."""
        self.device = record.device
        self.ordinal = record.ordinal
        self.incarnation = record.incarnation
        self.joined = record.joined
        self.left = record.left
        self.delivered = RangeSet(record.delivered)
        self.void = RangeSet(record.void)
        self.stored = RangeSet(record.stored)
        self.excused = RangeSet(record.excused)
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

    def due(self, epoch: int) -> bool:
        """Tell whether a message stamped with ``epoch`` is due to this endpoint."""
        return self.joined <= epoch and (self.left == 0 or epoch < self.left)

    def record(self) -> OutMember:
        """Return the durable form."""
        return OutMember(
            self.device,
            self.ordinal,
            self.incarnation,
            self.joined,
            self.left,
            tuple(self.delivered),
            tuple(self.void),
            tuple(self.stored),
            tuple(self.excused),
        )
