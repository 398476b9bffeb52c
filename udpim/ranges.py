"""Sets of integers kept as inclusive ranges.

Receipts, acks of receipts and queue indexes are almost always one long run, so
a set of 10^6 settled messages is one pair of ints. All operations cost
O(log n) in the number of ranges plus the ranges that they touch.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

Range = tuple[int, int]
"""First and last number, both inclusive."""


def chunked(ranges: Sequence[Range], size: int) -> list[tuple[Range, ...]]:
    """Cut a list of ranges into lists of at most ``size``."""
    return [tuple(ranges[at : at + size]) for at in range(0, len(ranges), size)]


class RangeSet:
    """A mutable set of ints, stored as disjoint, non-adjacent, ascending ranges."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        """Start with the given ranges, in any order."""
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Put every number from ``first`` to ``last`` into the set."""
        firsts, lasts = self._firsts, self._lasts
        if lasts and first == lasts[-1] + 1:
            lasts[-1] = last
            return
        low = bisect_left(lasts, first - 1)
        high = bisect_right(firsts, last + 1)
        if low < high:
            first = min(first, firsts[low])
            last = max(last, lasts[high - 1])
        firsts[low:high] = [first]
        lasts[low:high] = [last]

    def remove(self, first: int, last: int) -> None:
        """Take every number from ``first`` to ``last`` out of the set."""
        firsts, lasts = self._firsts, self._lasts
        low = bisect_left(lasts, first)
        high = bisect_right(firsts, last)
        if low >= high:
            return
        new_firsts, new_lasts = [], []
        if firsts[low] < first:
            new_firsts.append(firsts[low])
            new_lasts.append(first - 1)
        if lasts[high - 1] > last:
            new_firsts.append(last + 1)
            new_lasts.append(lasts[high - 1])
        firsts[low:high] = new_firsts
        lasts[low:high] = new_lasts

    def update(self, ranges: Iterable[Range]) -> None:
        """Add many ranges."""
        for first, last in ranges:
            self.add(first, last)

    def subtract(self, ranges: Iterable[Range]) -> None:
        """Remove many ranges."""
        for first, last in ranges:
            self.remove(first, last)

    def __contains__(self, number: int) -> bool:
        """Tell whether ``number`` is in the set."""
        index = bisect_left(self._lasts, number)
        return index < len(self._firsts) and self._firsts[index] <= number

    def holds(self, first: int, last: int) -> bool:
        """Tell whether all of ``first..last`` is in the set."""
        index = bisect_left(self._lasts, last)
        return index < len(self._firsts) and self._firsts[index] <= first

    def within(self, first: int, last: int) -> list[Range]:
        """Return the parts of ``first..last`` that are in the set, ascending."""
        firsts, lasts = self._firsts, self._lasts
        low = bisect_left(lasts, first)
        high = bisect_right(firsts, last)
        return [(max(first, firsts[i]), min(last, lasts[i])) for i in range(low, high)]

    def missing(self, first: int, last: int) -> list[Range]:
        """Return the parts of ``first..last`` that are not in the set, ascending."""
        gaps: list[Range] = []
        for low, high in self.within(first, last):
            if low > first:
                gaps.append((first, low - 1))
            first = high + 1
        if first <= last:
            gaps.append((first, last))
        return gaps

    def next_missing(self, number: int) -> int:
        """Return the lowest number at or above ``number`` that is not in the set."""
        index = bisect_left(self._lasts, number)
        if index < len(self._firsts) and self._firsts[index] <= number:
            return self._lasts[index] + 1
        return number

    def copy(self) -> RangeSet:
        """Return an independent copy."""
        clone = RangeSet()
        clone._firsts = self._firsts[:]
        clone._lasts = self._lasts[:]
        return clone

    def clear(self) -> None:
        """Empty the set."""
        self._firsts.clear()
        self._lasts.clear()

    @property
    def first(self) -> int:
        """The lowest number; the set must not be empty."""
        return self._firsts[0]

    @property
    def last(self) -> int:
        """The highest number; the set must not be empty."""
        return self._lasts[-1]

    def count(self) -> int:
        """Return how many numbers are in the set."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def __iter__(self) -> Iterator[Range]:
        """Iterate over the ranges, ascending."""
        return iter(list(zip(self._firsts, self._lasts, strict=True)))

    def __len__(self) -> int:
        """Return the number of ranges."""
        return len(self._firsts)

    def __eq__(self, other: object) -> bool:
        """Compare by content."""
        return isinstance(other, RangeSet) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # mutable, so not hashable

    def __repr__(self) -> str:
        """Return e.g. ``RangeSet(1-5, 8)``."""
        parts = (f"{a}-{b}" if b > a else f"{a}" for a, b in self)
        return f"RangeSet({', '.join(parts)})"


def intersect(ranges: Iterable[Range], other: RangeSet) -> list[Range]:
    """Return the parts of ``ranges`` that are in ``other``."""
    return [part for first, last in ranges for part in other.within(first, last)]


def without(ranges: Iterable[Range], other: RangeSet) -> list[Range]:
    """Return the parts of ``ranges`` that are not in ``other``."""
    return [part for first, last in ranges for part in other.missing(first, last)]
