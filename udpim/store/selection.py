"""Which rows an operation or a read means: keys in ranges, and how much a read may bring."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any

from udpim.im.records import Ranges


def present(rows: Mapping[int, object], first: int, last: int) -> list[int]:
    """Return the keys between ``first`` and ``last``, ascending.

    Costs the length of the range or the number of rows, whichever is less.
    """
    if last - first < len(rows):
        return [seq for seq in range(first, last + 1) if seq in rows]
    return sorted(seq for seq in rows if first <= seq <= last)


def remove(rows: dict[int, Any], first: int, last: int) -> None:
    """Delete the keys between ``first`` and ``last``, at the cost of `present`."""
    if last - first < len(rows):
        deque(map(rows.pop, range(first, last + 1), repeat(None)), maxlen=0)
        return
    for seq in present(rows, first, last):
        del rows[seq]


def runs(numbers: Iterable[int]) -> Ranges:
    """Join ascending numbers into ranges."""
    joined: list[tuple[int, int]] = []
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = number
        elif number != last + 1:
            joined.append((first, last))
            first = number
        last = number
    if first is not None and last is not None:
        joined.append((first, last))
    return tuple(joined)


def age_runs(rows: Iterable[tuple[int, int]]) -> tuple[tuple[int, int, int], ...]:
    """Join rows, each with its age and its key, into (age, first key, last key), oldest first."""
    by_age: dict[int, list[int]] = {}
    for age_s, seq in sorted(rows):
        by_age.setdefault(age_s, []).append(seq)
    return tuple((age_s, *part) for age_s, seqs in by_age.items() for part in runs(seqs))


class ReadBudget:
    """How many more rows a `ReadQueue` may bring."""

    __slots__ = ("_left_bytes", "_started")

    def __init__(self, bytes_max: int) -> None:
        self._left_bytes = bytes_max
        self._started = False

    def take(self, payload_bytes: int) -> bool:
        """Take one row, unless it is too much; the first one never is."""
        self._left_bytes -= payload_bytes
        if self._started and self._left_bytes < 0:
            return False
        self._started = True
        return True
