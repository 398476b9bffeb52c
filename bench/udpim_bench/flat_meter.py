"""What one sample costs: CPU time, or calls of Python functions.

CPU time is the figure that counts, and it is noisy. Calls are the same on every machine and in
every run, so a test can hold them to a limit; what they do not show is time spent within one call.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


class Meter:
    """Adds up the cost of measured sections, by the name of what was done there."""

    unit = "µs"
    _per_reading = 1e-3

    def __init__(self) -> None:
        """Start with nothing measured."""
        self._spent: dict[str, int] = {}
        self._units: dict[str, int] = {}

    @contextmanager
    def section(self, name: str, units: int) -> Iterator[None]:
        """Measure what is done inside, as ``units`` times ``name``."""
        started = self._begin()
        try:
            yield
        finally:
            spent = self._end() - started
        self._spent[name] = self._spent.get(name, 0) + spent
        self._units[name] = self._units.get(name, 0) + units

    def costs(self) -> dict[str, float]:
        """Return the cost of one unit, by name."""
        return {
            name: spent * self._per_reading / self._units[name]
            for name, spent in self._spent.items()
        }

    def _begin(self) -> int:
        return time.process_time_ns()

    def _end(self) -> int:
        return time.process_time_ns()


class CallMeter(Meter):
    """Counts the Python functions that are called in this thread."""

    unit = "calls"
    _per_reading = 1

    def __init__(self) -> None:
        """Start with nothing counted."""
        super().__init__()
        self._calls = 0

    def _begin(self) -> int:
        sys.setprofile(self._on_event)
        return self._calls

    def _end(self) -> int:
        sys.setprofile(None)
        return self._calls

    def _on_event(self, frame: FrameType, event: str, argument: object) -> None:
        self._calls += event == "call"


class FlatCase(Protocol):
    """One level of one series, brought to its steady state when it is made."""

    def run(self, meter: Meter) -> None:
        """Take one sample: the same work at every level."""

    def check(self) -> None:
        """Verify what was done since the last check.

        Raises:
            WrongCounts: If that was not the work.
        """

    def counts(self) -> dict[str, int]:
        """Return what was held and done, for the report."""

    def close(self) -> None:
        """Let go of files and threads."""
