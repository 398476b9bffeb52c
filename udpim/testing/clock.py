"""Virtual time: a heap of callbacks, so that a year of waiting costs nothing.

Everything in `udpim.testing` that waits does it here. Callbacks of the same instant run in the
order in which they were asked for, so a run with the same seed is the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush


class VirtualClock:
    """The time of a virtual world, seconds from 0.

    Attributes:
        now: The present instant.
    """

    def __init__(self) -> None:
        """Start at 0 with nothing to do."""
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        """Call back at ``when``, or in this instant if that is over."""
        self._asked += 1
        now = self.now
        heappush(self._heap, (when if when > now else now, self._asked, callback))

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call back after ``delay_s`` seconds."""
        self.call_at(self.now + delay_s, callback)

    def next_at(self) -> float | None:
        """Return when the next callback is due; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def step(self) -> None:
        """Go to the next callback and run it; there must be one."""
        self.now, _, callback = heappop(self._heap)
        callback()

    def run_until(self, when: float) -> None:
        """Run every callback up to ``when``, and be there."""
        heap = self._heap
        while heap and heap[0][0] <= when:
            self.now, _, callback = heappop(heap)
            callback()
        self.now = max(self.now, when)
