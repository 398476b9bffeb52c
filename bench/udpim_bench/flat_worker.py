"""A level of the flatness benchmark in a process of its own.

Levels in one process would share its heap: the garbage collector would walk over the largest level
while the smallest one is measured, and both would seem to cost the same.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, cast

from udpim.errors import Error
from udpim_bench.flat_backlog import Backlog
from udpim_bench.flat_hop import HopFlight
from udpim_bench.flat_late import Late
from udpim_bench.flat_meter import CallMeter, FlatCase, Meter
from udpim_bench.flat_traffic import InFlight, Sessions
from udpim_bench.measure import WrongCounts

CASES: dict[str, Callable[..., FlatCase]] = {
    "in flight": InFlight,
    "late": Late,
    "hop": HopFlight,
    "sessions": Sessions,
    "backlog": Backlog,
}
ANSWER_S_MAX = 600.0
"""A level that takes longer hangs."""
END_S_MAX = 10.0


class Local:
    """A level in this process."""

    def __init__(self, kind: str, arguments: Mapping[str, Any]) -> None:
        """Bring the level to its steady state."""
        self._case = CASES[kind](**arguments)

    def sample(self, unit: str) -> dict[str, float]:
        """Measure once, in µs or calls; return the cost of each operation, checked."""
        meter = CallMeter() if unit == CallMeter.unit else Meter()
        gc.collect()
        self._case.run(meter)
        self._case.check()
        return meter.costs()

    def counts(self) -> dict[str, int]:
        """Return what the level held and did."""
        return self._case.counts()

    def close(self) -> None:
        """Let go of it."""
        self._case.close()


class Remote:
    """A level in a process of its own: the same methods, carried out there."""

    def __init__(self, kind: str, arguments: Mapping[str, Any]) -> None:
        """Start the process and wait until the level has its steady state.

        Raises:
            WrongCounts: If it does not reach it.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        work = (theirs, kind, dict(arguments))
        self._process = context.Process(target=_serve, args=work, daemon=True)
        self._process.start()
        theirs.close()
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def sample(self, unit: str) -> dict[str, float]:
        """See `Local.sample`."""
        return cast(dict[str, float], self._ask("sample", unit))

    def counts(self) -> dict[str, int]:
        """See `Local.counts`."""
        return cast(dict[str, int], self._ask("counts"))

    def _ask(self, name: str, *words: str) -> object:
        # If nobody is there to read, nobody answers.
        with suppress(OSError):
            self._pipe.send((name, words))
        return self._answer()

    def _answer(self) -> object:
        try:
            if not self._pipe.poll(ANSWER_S_MAX):
                raise WrongCounts("a level does not answer")
            done, value = self._pipe.recv()
        except (EOFError, OSError):
            raise WrongCounts("the process of a level died") from None
        if not done:
            raise WrongCounts(str(value))
        return value

    def close(self) -> None:
        """See `Local.close`; the process ends."""
        self._pipe.close()
        self._process.join(END_S_MAX)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


Level = Local | Remote


def _serve(pipe: Connection, kind: str, arguments: dict[str, Any]) -> None:
    """Carry out what comes through the pipe, until its other end is closed."""
    try:
        level = Local(kind, arguments)
        pipe.send((True, None))
    except Error as error:
        pipe.send((False, str(error)))
        return
    try:
        while True:
            name, words = pipe.recv()
            try:
                pipe.send((True, getattr(level, name)(*words)))
            except Error as error:
                pipe.send((False, str(error)))
    except (EOFError, KeyboardInterrupt):
        level.close()
