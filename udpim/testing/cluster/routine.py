"""Coroutines in virtual time: what waits in one process, and stands still or dies with it.

A coroutine waits with ``await nap(seconds)`` and with nothing else. It is the virtual world's event
loop, for as much of one as `udpim.cluster.role` needs.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from types import coroutine

from udpim.testing.clock import VirtualClock


class Killed(BaseException):
    """Ends the coroutines of a process that has died; no product code catches it."""


@coroutine
def nap(for_s: float) -> Generator[float, None, None]:
    """Wait in virtual time."""
    yield for_s


class Routine:
    """One coroutine at work."""

    def __init__(
        self, clock: VirtualClock, work: Callable[[], Coroutine[float, None, None]]
    ) -> None:
        """Start it in this instant."""
        self._clock = clock
        self._begin = work
        self._work: Coroutine[float, None, None] | None = None
        self._naps = 0
        """Counts them, so that a timer of one that is over is known."""
        self._running = False
        self._over = False
        self._paused = False
        self._due = False
        self._nap(0.0)

    def hurry(self) -> None:
        """End the present nap in this instant."""
        self._nap(0.0)

    def pause(self) -> None:
        """Stand still: what is due waits for `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self._paused = False
        if self._due:
            self._nap(0.0)

    def kill(self) -> None:
        """End it where it waits; where it runs, its next nap does."""
        if self._over:
            return
        self._over = True
        if self._work is not None and not self._running:
            with suppress(Killed):
                self._work.throw(Killed())

    def _nap(self, for_s: float) -> None:
        self._naps += 1
        self._clock.call_later(for_s, partial(self._wake, self._naps))

    def _wake(self, number: int) -> None:
        if number != self._naps or self._over:
            return
        self._due = self._paused
        if not self._paused:
            self._step()

    def _step(self) -> None:
        if self._work is None:
            self._work = self._begin()
        self._running = True
        try:
            for_s = self._work.send(None)
            if self._over:  # it died while it ran
                self._work.throw(Killed())
        except (StopIteration, Killed):
            self._over = True
        else:
            self._nap(for_s)
        finally:
            self._running = False
