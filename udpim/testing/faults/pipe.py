"""One direction of a link, without any I/O: datagrams in, arrivals out, everything counted.

Whoever has a clock and a way to deliver (the virtual network, a relay, a middlebox) offers each
datagram and carries out what comes back. The stages, in this order: MTU, loss, outage, corruption,
truncation, copies, rate and queue, delay with jitter and reordering.

Every stage that is on asks for one decision for every datagram, also for one that an earlier stage
has stopped: so a decision's number is the datagram's in all of them, and who takes one fault away
from a tape (`udpim.testing.choices`) shifts no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

from udpim.testing.choices import Choices
from udpim.testing.faults.bottleneck import HEADERS_BYTES, Bottleneck
from udpim.testing.faults.draws import MICROSECONDS, Draws
from udpim.testing.faults.profile import Profile

Decide = Callable[[], int]


class Arrival(NamedTuple):
    """A datagram, or a copy of one, that comes out at the other end."""

    at: float
    data: bytes
    what: tuple[str, ...] = ()
    """What was done to it besides the delay, in the words of `Pipe.counters`."""


class Pipe:
    """One direction.

    Attributes:
        label: Its name, with which the labels of its decisions begin.
        counters: What was done, in datagrams: ``offered``, ``too_big``, ``lost``, ``outage``,
            ``corrupted``, ``truncated``, ``duplicated``, ``late``, ``queue_full``, ``reordered``,
            and the arrivals, ``passed``, copies included.
        stopped: Why the datagram that was offered last never arrives: ``too_big``, ``lost``,
            ``outage`` or ``queue_full``; empty where a copy of it does.
    """

    def __init__(self, profile: Profile, choices: Choices, label: str) -> None:
        """Do what the profile says, as the choices decide."""
        self.label = label
        self.counters: Counter[str] = Counter()
        self.stopped = ""
        self._choices = choices
        self._adopt(profile)

    @property
    def profile(self) -> Profile:
        """What is done from now on; may be set at any time."""
        return self._profile

    @profile.setter
    def profile(self, profile: Profile) -> None:
        if profile != self._profile:
            self._adopt(profile)

    def _adopt(self, profile: Profile) -> None:
        self._profile = profile
        self._delay_s = profile.delay_s
        self._mtu_bytes = profile.mtu_bytes
        self._draws = draws = Draws(profile)
        self._bottleneck = None
        if profile.rate_bits_per_s is not None:
            self._bottleneck = Bottleneck(profile.rate_bits_per_s, profile.queue_packets)
        lose = draws.loss if profile.loss_burst_packets is None else draws.burst_loss
        self._loss = self._stage(profile.loss_ratio, "loss", lose)
        self._outage = self._stage(profile.outage_ratio, "outage", draws.outage)
        self._corrupt = self._stage(profile.corrupt_ratio, "corrupt", draws.corruption)
        self._truncate = self._stage(profile.truncate_ratio, "truncate", draws.truncation)
        self._copy = self._stage(profile.duplicate_ratio, "duplicate", draws.copy)
        self._late = self._stage(profile.duplicate_late_ratio, "late", draws.late_copy)
        self._jitter = self._stage(profile.jitter_s, "jitter", draws.jitter)
        self._hold = self._stage(profile.reorder_ratio, "reorder", draws.hold)
        stages = (
            *(self._loss, self._outage, self._corrupt, self._truncate, self._copy, self._late),
            *(self._jitter, self._hold, self._mtu_bytes, self._bottleneck),
        )
        self._plain = all(stage is None for stage in stages)

    def _stage(self, on: float, name: str, draw: Callable[[Random], int]) -> Decide | None:
        if not on:
            return None
        return partial(self._choices.stream(f"{self.label}: {name}").decide, draw)

    def offer(self, data: bytes, now: float) -> list[Arrival]:
        """Take in one datagram.

        Returns:
            What arrives of it and when, in no order: nothing, it, and copies of it.
        """
        counters = self.counters
        counters["offered"] += 1
        self.stopped = ""
        if self._plain:
            counters["passed"] += 1
            return [Arrival(now + self._delay_s, data)]
        draws = self._draws
        draws.now, draws.size_bytes = now, len(data)
        lost = self._loss is not None and self._loss()
        outage = self._outage is not None and self._outage()
        flipped = self._corrupt() if self._corrupt is not None else 0
        cut = self._truncate() if self._truncate is not None else 0
        copy = self._copy() if self._copy is not None else 0
        late = self._late() if self._late is not None else 0
        extra_us = self._jitter() if self._jitter is not None else 0
        held_us = self._hold() if self._hold is not None else 0
        if self._mtu_bytes is not None and len(data) + HEADERS_BYTES > self._mtu_bytes:
            return self._stop("too_big")
        if lost:
            return self._stop("lost")
        if outage:
            return self._stop("outage")
        what: tuple[str, ...] = ()
        if (flipped or cut) and data:
            data, what = self._damage(data, flipped, cut)
        arrivals: list[Arrival] = []
        held = (*what, "reordered") if held_us else what
        if self._depart(arrivals, data, now, extra_us + held_us, held) and held_us:
            counters["reordered"] += 1
        if copy:
            counters["duplicated"] += 1
            self._depart(arrivals, data, now, copy - 1, (*what, "duplicated"))
        if late:  # by way of somewhere else, so it waits in no queue here
            counters["late"] += 1
            at = now + self._delay_s + (late - 1) / MICROSECONDS
            arrivals.append(Arrival(at, data, (*what, "late")))
        counters["passed"] += len(arrivals)
        if not arrivals:
            self.stopped = "queue_full"
        return arrivals

    def _stop(self, why: str) -> list[Arrival]:
        self.counters[why] += 1
        self.stopped = why
        return []

    def _damage(self, data: bytes, flipped: int, cut: int) -> tuple[bytes, tuple[str, ...]]:
        """Flip a bit and cut off the end; a tape may hold numbers for a longer datagram."""
        what: tuple[str, ...] = ()
        if flipped:
            at, bit = divmod((flipped - 1) % (8 * len(data)), 8)
            data = data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
            self.counters["corrupted"] += 1
            what = ("corrupted",)
        if cut:
            data = data[: -min(cut, len(data))]
            self.counters["truncated"] += 1
            what = (*what, "truncated")
        return data, what

    def _depart(
        self,
        arrivals: list[Arrival],
        data: bytes,
        now: float,
        extra_us: int,
        what: tuple[str, ...],
    ) -> bool:
        """Pass the rate limit, if there is room, and take the time that it takes."""
        if self._bottleneck is not None:
            at = self._bottleneck.leaves_at(len(data), now)
            if at is None:
                self.counters["queue_full"] += 1
                return False
            now = at
        arrivals.append(Arrival(now + self._delay_s + extra_us / MICROSECONDS, data, what))
        return True
