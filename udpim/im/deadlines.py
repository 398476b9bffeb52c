"""When messages are given up: runs of seqs by deadline (PROTOCOL §5.7).

A part of the sender's machine. A settled run stays until its time has come, or until more than
half of all runs may be settled: then the settled ones are forgotten, so that a week's deadline does
not remember a week's messages.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from udpim.im.out_stream import OutStream

SPARE = 1024
"""Runs that are kept without looking whether they are settled."""


class Deadlines:
    """Runs of seqs, the earliest deadline first."""

    def __init__(self) -> None:
        """Start with none."""
        self._heap: list[tuple[float, int, OutStream, int, int]] = []
        self._counter = 0
        self._full = SPARE

    def set(self, stream: OutStream, first: int, last: int, when: float) -> None:
        """Give up on what is open of first..last at ``when``."""
        if len(self._heap) >= self._full:
            self._heap = [entry for entry in self._heap if entry[4] >= entry[2].floor]
            heapify(self._heap)
            self._full = 2 * len(self._heap) + SPARE
        self._counter += 1
        heappush(self._heap, (when, self._counter, stream, first, last))

    def due(self, now: float) -> list[tuple[OutStream, int, int]]:
        """Return and forget the runs whose time has come."""
        runs = []
        while self._heap and self._heap[0][0] <= now:
            runs.append(heappop(self._heap)[2:])
        return runs

    def split(self, stream: OutStream, fresh: int, legacy: OutStream) -> dict[int, float]:
        """The runs of ``stream`` below ``fresh`` are the ``legacy``'s now.

        Returns:
            The deadlines that stay with the stream, by seq.
        """
        kept: dict[int, float] = {}
        for index, (when, count, owner, first, last) in enumerate(self._heap):
            if owner is stream and first < fresh:
                self._heap[index] = (when, count, legacy, first, last)
            elif owner is stream:
                kept.update(dict.fromkeys(range(first, last + 1), when))
        return kept

    def of(self, stream: OutStream, seq: int) -> float | None:
        """Return the deadline of one message; looks at all of them, for what is rare."""
        return next(
            (
                when
                for when, _, owner, first, last in self._heap
                if owner is stream and first <= seq <= last
            ),
            None,
        )

    def next_timeout(self) -> float | None:
        """Return the earliest deadline."""
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        """Return how many runs are remembered."""
        return len(self._heap)
