"""What the dice say to each stage of a pipe: decisions as numbers, zero for "leave it alone".

A number holds the whole decision, so that who plays a tape needs no dice. The states of chains
(a burst, an outage) live here and nowhere else, for the same reason.
"""

from __future__ import annotations

import math
from random import Random

from udpim.testing.faults.profile import Profile

OUTAGE_SPREAD = 600.0
"""Longest by shortest outage where they are log-uniform: 0.1 to 60 s and the like, as measured on
mobile networks, whose losses fall mostly into changes of cell and holes of coverage."""
CYCLES_MAX = 1000
"""Outages that are gone through one by one; after a longer silence the chain begins anew."""
MICROSECONDS = 1_000_000


class Draws:
    """The dice of one direction.

    Attributes:
        now: The instant of the datagram in question.
        size_bytes: Its length.
    """

    def __init__(self, profile: Profile) -> None:
        """Draw as this profile says; chains begin in their long-run state."""
        self.now = 0.0
        self.size_bytes = 0
        self._profile = profile
        self._burst: bool | None = None
        self._jitter_us = _us(profile.jitter_s)
        self._reorder_us = _us(profile.reorder_s)
        self._late_us = _us(profile.duplicate_late_s)
        self._out = False
        self._until = -math.inf
        off_s, share = profile.outage_mean_s, profile.outage_ratio
        self._on_mean_s = off_s * (1 - share) / share if share else math.inf
        self._off_min_s = off_s * math.log(OUTAGE_SPREAD) / (OUTAGE_SPREAD - 1)

    def loss(self, dice: Random) -> int:
        """1: it is lost."""
        return dice.random() < self._profile.loss_ratio

    def burst_loss(self, dice: Random) -> int:
        """1: it is lost, as the chain is in its bad state."""
        share, length = self._profile.loss_ratio, self._profile.loss_burst_packets
        assert length is not None
        roll = dice.random()
        if self._burst is None:
            self._burst = roll < share
        elif self._burst:
            self._burst = roll >= 1 / length
        else:
            self._burst = roll < share / (length * (1 - share))
        return self._burst

    def outage(self, dice: Random) -> int:
        """1: it falls into an outage."""
        share, off_s = self._profile.outage_ratio, self._profile.outage_mean_s
        if share == 1:
            return 1
        if self.now - self._until > CYCLES_MAX * (off_s + self._on_mean_s):
            self._out = dice.random() < share
            self._until = self.now + self._rest_s(dice)
        while self._until <= self.now:
            self._out = not self._out
            self._until += self._length_s(dice)
        return self._out

    def _length_s(self, dice: Random) -> float:
        """How long the state lasts that begins now."""
        if not self._out:
            return self._on_mean_s * dice.expovariate(1.0)
        if self._profile.outage_shape == "exponential":
            return self._profile.outage_mean_s * dice.expovariate(1.0)
        return float(self._off_min_s * OUTAGE_SPREAD ** dice.random())

    def _rest_s(self, dice: Random) -> float:
        """How long the state still lasts that somebody comes upon.

        Long states are come upon more often: of log-uniform lengths, every length up to the
        longest equally often, each at any point. An exponential one has always just begun.
        """
        if not self._out or self._profile.outage_shape == "exponential":
            return self._length_s(dice)
        shortest_s = self._off_min_s
        return (shortest_s + shortest_s * (OUTAGE_SPREAD - 1) * dice.random()) * dice.random()

    def corruption(self, dice: Random) -> int:
        """1 + number of the bit that is flipped."""
        if dice.random() >= self._profile.corrupt_ratio or not self.size_bytes:
            return 0
        return 1 + dice.randrange(8 * self.size_bytes)

    def truncation(self, dice: Random) -> int:
        """How many bytes are missing at the end."""
        if dice.random() >= self._profile.truncate_ratio or not self.size_bytes:
            return 0
        return 1 + dice.randrange(self.size_bytes)

    def copy(self, dice: Random) -> int:
        """1 + delay of the copy in microseconds, its own jitter and being held back included."""
        if dice.random() >= self._profile.duplicate_ratio:
            return 0
        extra_us = self.jitter(dice)
        if self._profile.reorder_ratio:
            extra_us += self.hold(dice)
        return 1 + extra_us

    def late_copy(self, dice: Random) -> int:
        """1 + delay of the late copy in microseconds."""
        if dice.random() >= self._profile.duplicate_late_ratio:
            return 0
        return 1 + int(self._late_us * (0.5 + dice.random()))

    def hold(self, dice: Random) -> int:
        """For how many microseconds it is held back."""
        if dice.random() >= self._profile.reorder_ratio:
            return 0
        return 1 + int(self._reorder_us * dice.random())

    def jitter(self, dice: Random) -> int:
        """How many microseconds longer it takes."""
        return int((self._jitter_us + 1) * dice.random())


def _us(seconds: float) -> int:
    return round(seconds * MICROSECONDS)
