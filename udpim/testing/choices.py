"""Every random decision of a virtual world, drawn from one seed or read from a tape.

A decision has a label and a number: the third datagram's loss on one link. Each label has a random
stream of its own, so that one more draw in one part of a world shifts no other. Zero is what
happens where nobody meddles; everything else is a *fault*, and what is remembered. So a tape is
the faults of a run, and a shorter tape is the same run with fewer of them.

::

    choices = Choices(7)
    loss = choices.stream("server > bob/phone: loss")
    if loss.decide(lambda dice: dice.random() < 0.3): ...
    again = Choices(7, choices.tape())
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

Tape = dict[str, dict[int, int]]
"""What was decided otherwise than zero, by label and number."""


class Stream:
    """The decisions under one label, in the order in which they are asked for."""

    def __init__(
        self, dice: Random, made: dict[int, int], played: Mapping[int, int] | None
    ) -> None:
        """Write into ``made``; ``played`` answers instead of dice where there is a tape."""
        self._dice = dice
        self._made = made
        self._played = played
        self._next = 0

    def decide(self, draw: Callable[[Random], int]) -> int:
        """Return the next decision.

        Args:
            draw: Draws it from the dice of this label; not asked where a tape is played.
        """
        number = self._next
        self._next = number + 1
        value = int(draw(self._dice)) if self._played is None else self._played.get(number, 0)
        if value:
            self._made[number] = value
        return value

    def chance(self, ratio: float) -> bool:
        """Decide whether what happens to a share of ``ratio`` happens now."""
        return bool(self.decide(lambda dice: dice.random() < ratio))


class Choices:
    """All streams of one run.

    Attributes:
        seed: Where the dice begin.
    """

    def __init__(self, seed: object, tape: Mapping[str, Mapping[int, int]] | None = None) -> None:
        """Draw from ``seed``; or, where there is a tape, do what it says and nothing else."""
        self.seed = seed
        self._played = tape
        self._streams: dict[str, Stream] = {}
        self._made: Tape = {}

    def stream(self, label: str) -> Stream:
        """Return the stream of a label, always the same one."""
        stream = self._streams.get(label)
        if stream is None:
            played = None if self._played is None else self._played.get(label, {})
            made = self._made.setdefault(label, {})
            stream = self._streams[label] = Stream(Random(f"{self.seed}:{label}"), made, played)
        return stream

    def tape(self) -> Tape:
        """Return what was decided otherwise than zero so far."""
        return {label: dict(made) for label, made in self._made.items() if made}
