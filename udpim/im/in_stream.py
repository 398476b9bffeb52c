"""One incoming stream at B: the exact, bounded, clock-free memory that is the receipt.

PROTOCOL §5.4. ``cum`` says that everything up to it is settled; two bitmaps of W bits say what is
delivered or void above it. A seq at or below ``cum`` is void if it is in a void run, else
delivered. Nothing here expires, so a copy that comes a year late gets the same verdict as the first
one (I8).
"""

from __future__ import annotations

from typing import NamedTuple

from udpim.config import VOID_RUNS_MAX, WINDOW
from udpim.im.records import InStreamRecord
from udpim.model import StreamId
from udpim.ranges import Range, RangeSet, without


def bit_ranges(bits: int, offset: int) -> list[Range]:
    """Return the runs of ones in ``bits`` as ranges, bit 0 standing for ``offset``."""
    ranges = []
    while bits:
        low = (bits & -bits).bit_length() - 1
        bits >>= low
        run = (~bits & (bits + 1)).bit_length() - 1
        ranges.append((offset + low, offset + low + run - 1))
        bits >>= run
        offset += low + run
    return ranges


def _mask(cum: int, first: int, last: int) -> int:
    return ((1 << (last - first + 1)) - 1) << (first - cum - 1)


class Report(NamedTuple):
    """What an ack:R has to say."""

    pulled: bool
    delivered: list[Range]
    void: list[Range]
    settled: list[Range]
    """Below the floor that the sender has told, so nothing more is known of them."""


class InStream:
    """B's memory of one stream. Bits are relative to ``cum + 1``."""

    __slots__ = (
        "asked",
        "busy",
        "cum",
        "delivered",
        "floor",
        "held",
        "id",
        "pulled",
        "read",
        "read_told",
        "ready",
        "release_next",
        "report",
        "void",
        "void_runs",
    )

    def __init__(self, record: InStreamRecord) -> None:
        """Restore from a record; a new stream starts at cum = base - 1."""
        self.id: StreamId = record.stream
        self.cum = record.cum
        self.delivered = record.delivered
        self.void = record.void
        self.floor = record.floor
        self.void_runs = RangeSet(record.void_runs)
        self.read = record.read
        """The application has read everything up to here."""
        self.read_told = record.read_told
        """What of it the server has answered for."""
        self.held = 0
        """Bits of messages that a memory inbox holds until the application is done with them."""
        self.busy = RangeSet()
        """Settled in this memory, not yet durable: no answer leaves before the commit (I7)."""
        self.asked = RangeSet()
        """Below floor, with copies that came of them since the last report."""
        self.report = RangeSet()
        """Verdicts to send at the end of this turn."""
        self.pulled = RangeSet()
        """Of the open verdicts, those for items of the offline queue."""
        self.ready: dict[int, tuple[int, bytes]] = {}
        """seq → (stamp, payload), durable or held, not yet released."""
        self.release_next = record.cum + 1

    def open_in(self, first: int, last: int) -> list[Range]:
        """Return the parts of first..last, up to cum + W, that are neither settled nor held."""
        first = max(first, self.cum + 1)
        last = min(last, self.cum + WINDOW)
        if first > last:
            return []
        known = self.delivered | self.void | self.held
        if not known:
            return [(first, last)]
        return bit_ranges(_mask(self.cum, first, last) & ~known, self.cum + 1)

    def settle_delivered(self, first: int, last: int) -> None:
        """Mark first..last (all above cum) as delivered."""
        mask = _mask(self.cum, first, last)
        self.delivered |= mask
        self.held &= ~mask
        self._advance()

    def settle_void(self, first: int, last: int) -> None:
        """Mark first..last (all above cum) as void for ever."""
        mask = _mask(self.cum, first, last)
        self.void |= mask
        self.held &= ~mask
        self._advance()

    def hold(self, first: int, last: int) -> None:
        """A memory inbox has these, the application is not done with them."""
        self.held |= _mask(self.cum, first, last)

    def held_in(self, first: int, last: int) -> list[Range]:
        """Return the parts of first..last that a memory inbox holds and has not settled."""
        first = max(first, self.cum + 1)
        if first > last:
            return []
        return bit_ranges(_mask(self.cum, first, last) & self.held, self.cum + 1)

    def _advance(self) -> None:
        """Move cum over what is settled and keep the void runs that floor has not passed."""
        settled = self.delivered | self.void
        steps = (~settled & (settled + 1)).bit_length() - 1
        if not steps:
            return
        passed = self.void & ((1 << steps) - 1)
        for first, last in bit_ranges(passed, self.cum + 1):
            self.void_runs.add(first, last)
        self.cum += steps
        self.delivered >>= steps
        self.void >>= steps
        self.held >>= steps
        self._forget_below_floor()

    def _forget_below_floor(self) -> None:
        if len(self.void_runs):
            self.void_runs.remove(1, self.floor - 1)

    def raise_floor(self, floor: int) -> bool:
        """Learn the sender's floor; it never falls, and it never moves cum.

        Returns:
            Whether it rose.
        """
        if floor <= self.floor:
            return False
        self.floor = floor
        self._forget_below_floor()
        return True

    def raise_base(self, base: int) -> list[Range]:
        """Void what is open below ``base``: it is not due to us, or was never sent.

        Returns:
            The ranges that became void. Held ones stay: a commit wins. Nothing while the void
            runs are at their limit.
        """
        if not self.room_for_void():
            return []
        open_ = self.open_in(self.cum + 1, base - 1)
        for first, last in open_:
            self.settle_void(first, last)
        first = self.cum + 1
        if base - 1 > self.cum and not self.held and not self.delivered | self.void:
            self.void_runs.add(first, base - 1)
            self.cum = base - 1
            self._forget_below_floor()
            open_.append((first, base - 1))
        return open_

    def room_for_void(self) -> bool:
        """Tell whether another void run may be kept (I6)."""
        return len(self.void_runs) < VOID_RUNS_MAX

    def verdicts(self, ranges: list[Range]) -> tuple[list[Range], list[Range]]:
        """Split settled ``ranges`` into delivered and void ones; below floor nothing is said."""
        delivered, void = [], []
        for first, last in ranges:
            low, high = max(first, self.floor), min(last, self.cum)
            if low <= high:
                void += self.void_runs.within(low, high)
                delivered += self.void_runs.missing(low, high)
            low = max(first, self.cum + 1)
            high = min(last, self.cum + WINDOW)
            if low <= high:
                mask = _mask(self.cum, low, high)
                delivered += bit_ranges(self.delivered & mask, self.cum + 1)
                void += bit_ranges(self.void & mask, self.cum + 1)
        return delivered, void

    def ask(self, first: int, last: int) -> None:
        """A copy of first..last came; one below floor is of a sender that does not know it."""
        if first < self.floor and first <= last:
            self.asked.add(first, min(last, self.floor - 1))

    def _forgotten(self, ranges: list[Range]) -> list[Range]:
        """Return what of ``ranges`` somebody asks for, and is below floor: no verdict is known."""
        found = []
        for first, last in ranges if len(self.asked) else ():
            if first <= self.cum:
                found += self.asked.within(first, min(last, self.cum))
        self.asked.subtract(ranges)
        return found

    def take_report(self) -> list[Report]:
        """Return the open verdicts, of what was pushed and of the offline queue's items.

        What is not durable yet is reported after its commit (I7).
        """
        ranges = without(self.report, self.busy)
        self.report.clear()
        pulled = [part for a, b in ranges for part in self.pulled.within(a, b)]
        pushed = [part for a, b in ranges for part in self.pulled.missing(a, b)]
        self.pulled.subtract(pulled)
        return [
            Report(is_pulled, *self.verdicts(parts), self._forgotten(parts))
            for is_pulled, parts in ((False, pushed), (True, pulled))
        ]

    def settled_from_floor(self) -> list[Range]:
        """Return everything that a login offers again: settled, durable, not below floor."""
        above = bit_ranges(self.delivered | self.void, self.cum + 1)
        ranges = [(self.floor, self.cum)] if self.floor <= self.cum else []
        return [part for a, b in (*ranges, *above) for part in self.busy.missing(a, b)]

    def release(self) -> list[tuple[int, int, bytes]]:
        """Return what the application may see now, in seq order: (seq, stamp, payload).

        A gap holds back what is above it; a void seq fills the gap (R9).
        """
        released = []
        ready, cum = self.ready, self.cum
        # Not yet durable, so not yet to be shown; nothing below it is left to release then.
        end = self.busy.first if len(self.busy) else cum + WINDOW + 1
        seq = self.release_next
        while seq < end:
            row = ready.pop(seq, None)
            if row is not None:
                released.append((seq, *row))
                seq += 1
            elif seq <= cum:
                seq = min(n for n in (cum + 1, end, *ready) if n > seq)
            elif self.void >> (seq - cum - 1) & 1:
                seq += 1
            else:
                break
        self.release_next = seq
        return released

    def waits(self) -> bool:
        """Tell whether a gap holds messages back."""
        return bool(self.ready) and self.release_next not in self.ready

    def gaps(self) -> list[Range]:
        """Return what is open below the messages that wait: the gaps that hold them back."""
        return self.open_in(self.release_next, max(self.ready)) if self.ready else []

    def waits_for(self, first: int) -> bool:
        """Tell whether a run from ``first`` may fill a gap that holds messages back."""
        return first <= self.release_next and self.waits()

    def record(self) -> InStreamRecord:
        """Return the durable form: about 280 bytes."""
        return InStreamRecord(
            self.id,
            self.cum,
            self.delivered,
            self.void,
            self.floor,
            tuple(self.void_runs),
            self.read,
            self.read_told,
        )
