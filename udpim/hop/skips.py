"""Packet numbers that are never sent: a trap for peers that ack what they have not received.

Who acks numbers in advance makes a sender believe in a path that carries everything, and flood it.
A number that was never used cannot have arrived, so an ACK that names it is a lie. The gaps between
two such numbers are drawn from an exponential distribution, so having seen some says nothing about
the next. Between :mod:`udpim.hop.connection` and the numbers of its packets. Hot module.

Specification: PROTOCOL §3.2; RFC 9000 §21.4.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

SKIPS_KEPT = 8
"""Numbers that are remembered; what is below is out of reach of all ACKs that matter."""

_DRAWN_BYTES = 4


class Skips:
    """Says which number the next packet has, and whether an ACK speaks of one that none had."""

    __slots__ = ("_mean", "_next", "_random_bytes", "_skipped")

    def __init__(self, first: int, mean: int, random_bytes: Callable[[int], bytes]) -> None:
        """Skip one in ``mean`` numbers from ``first`` on; none if that is 0."""
        self._mean = mean
        self._random_bytes = random_bytes
        self._skipped: tuple[int, ...] = ()
        self._next = first + self._gap() if mean else -1

    def after(self, number: int) -> int:
        """The number of the packet that follows this one."""
        number += 1
        if number == self._next:
            self._skipped = (*self._skipped[1 - SKIPS_KEPT :], number)
            number += 1
            self._next = number + self._gap()
        return number

    def named(self, largest: int, bitmap: int) -> bool:
        """Whether an ACK names a number that was skipped (bit k: ``largest - 1 - k``)."""
        bits = bitmap << 1 | 1
        return any(number <= largest and bits >> largest - number & 1 for number in self._skipped)

    def _gap(self) -> int:
        """How many packets until the next one, at least 1."""
        drawn = int.from_bytes(self._random_bytes(_DRAWN_BYTES), "big") + 1
        return 1 + int(-self._mean * log(drawn / (1 << 8 * _DRAWN_BYTES)))
