"""Each frame of the bus once: what a bus that doubles brings again is dropped.

The datagrams in it would only be duplicates to the hop; but a client that has not proved its
address would be answered twice, or a gate would send the answer twice, and so more would go to an
address than came from it. PROTOCOL §8.3.
"""

from __future__ import annotations

SENDERS_MAX = 64
"""Processes that are remembered; the one that was not heard for longest goes first."""
WINDOW_FRAMES = 1024
"""A frame that so many later ones of its sender have overtaken is dropped too."""


class Once:
    """Which frames came already, by sender."""

    def __init__(self) -> None:
        """Start with none."""
        self._came: dict[str, tuple[int, int]] = {}
        """The highest number of each sender, and a bitmap down from it."""

    def is_new(self, sender: str, number: int) -> bool:
        """Tell whether this frame comes for the first time, and remember it."""
        top, bits = self._came.pop(sender, (number, 0))
        if number > top:
            bits = bits << min(number - top, WINDOW_FRAMES) & (1 << WINDOW_FRAMES) - 1
            top = number
        at = top - number
        new = at < WINDOW_FRAMES and not bits >> at & 1
        self._came[sender] = top, bits | new << min(at, WINDOW_FRAMES)
        if len(self._came) > SENDERS_MAX:
            del self._came[next(iter(self._came))]
        return new
