"""One exchange, and one system call of one role that is its last, or that fails.

The case itself is that of `tests.kills`: who dies is started again on the same files, and the same
judge looks at journals and files. Whose disk has failed is killed soon after: its program must open
the store again, and everything that it promised in between is judged.
"""

import asyncio
import os
import signal
from contextlib import suppress
from typing import NamedTuple

from tests.kills.campaign import verdict
from tests.kills.case import RECIPIENT, SENDER, Case
from tests.syscalls.tracer import Tracer

FAILED_S = 0.3
"""How long a process goes on whose call has failed."""
ACTIONS = {"kill": "signal=SIGKILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}


class Point(NamedTuple):
    """One system call."""

    role: str
    since: str
    """From when on calls are counted: ``start``, or ``open`` for those after the opening."""
    call: str
    ordinal: int
    """Of those that one thread makes."""
    action: str
    """One of `ACTIONS`."""

    def __str__(self):
        return f"{self.role}-{self.since}-{self.call}#{self.ordinal}-{self.action}"

    @property
    def injection(self):
        """In strace's words."""
        return f"{self.call}:{ACTIONS[self.action]}:when={self.ordinal}"


class TracedCase(Case):
    """A case whose victim is traced; without a point all three are, and nothing happens to them.

    Attributes:
        tracers: Role → its tracer.
    """

    def __init__(self, *args, since="start", **options):
        super().__init__(*args, **options)
        self.tracers = {}
        self._since = since if self.point is None else self.point.since
        self._failing = None

    async def _spawn(self, role, **options):
        process = await super()._spawn(role, **options)
        if role.lives == 1 and self._since == "start":
            await self._trace(role, process)
        return process

    async def _spawn_victim(self, role):
        return await self._spawn(role, hasty=self._hasty)

    async def _trace(self, role, process):
        injection = None if self.point is None else self.point.injection
        self.tracers[role.name] = await Tracer.attach(process.pid, injection)
        if self.point is not None:
            process.last_words = {"event": "killing", "point": str(self.point)}
            self._failing = asyncio.create_task(self._fail(process))

    async def _fail(self, process):
        """Kill who goes on with a failed call."""
        await self.tracers[self.point.role].injected.wait()
        if self.point.action != "kill":
            await asyncio.sleep(FAILED_S)
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    async def open(self, role_name):
        """See `Case.open`."""
        await super().open(role_name)
        role = self.roles[role_name]
        if self._since == "open" and role.lives == 1 and role_name not in self.tracers:
            await self._trace(role, role.process)

    def _heard(self, line):
        if line["event"] == "failed" and self.point is not None:
            role = self.roles[self.point.role]
            if line["who"] == role.who and role.lives == 1:
                return  # it is told the truth: its disk has failed
        super()._heard(line)

    async def end(self):
        """See `Case.end`."""
        if self._failing is not None:
            self._failing.cancel()
        await super().end()
        for tracer in self.tracers.values():
            await tracer.end()
        if self.point is not None and self.point.action != "kill" and self.injected:
            # Whose disk fails while it closes the store says so, and rightly.
            told = f"{self.roles[self.point.role].who} complained: "
            self.problems = [words for words in self.problems if not words.startswith(told)]

    @property
    def injected(self):
        """Whether the call was meddled with, as far as strace could still tell."""
        tracer = self.tracers.get(self.point.role)
        return tracer is not None and tracer.injected.is_set()


class Outcome(NamedTuple):
    """What became of one case."""

    point: Point | None
    problems: list
    reached: bool
    counts: dict
    """Role → call → the most that one thread made of them."""


async def exchange(case):
    """Both come, and two messages are sent and receipted."""
    await case.open(RECIPIENT)
    await case.open(SENDER)
    await case.send(2)
    await case.settled()


async def run_case(stage, point, folder, **options):
    """Run the exchange with one point, or with none to count the calls, and judge it.

    ``since`` says from when on they are counted; the other options are those of `Case`.
    """
    case = TracedCase(f"s{next(stage.numbers)}", folder, stage, point, **options)
    try:
        await case.start()
        await exchange(case)
        await case.finish()
    except AssertionError as error:
        case.problems.append(str(error))
    finally:
        await case.end()
    reached = point is None or case.roles[point.role].lives > 1 or case.injected
    unreached = "the point was not reached"
    problems = case.problems + [words for words in verdict(case) if words != unreached]
    counts = {
        role: {call: tracer.most(call) for _, call in tracer.counts}
        for role, tracer in case.tracers.items()
    }
    return Outcome(point, problems, reached, counts)
