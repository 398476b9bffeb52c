"""Does the simulator find bugs? Known ones are planted, and it must find and shrink each.

The bugs live with whoever plants them, in tests: a module with ``BUGS``, a mapping from names to
`Bug`. Nothing in the product knows of them.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import get_context
from typing import Protocol

from udpim.errors import ConfigError
from udpim.testing.sim import swarm
from udpim.testing.sim.plan import Plan
from udpim.testing.sim.run import Result, run
from udpim.testing.sim.shrink import Shrunk, faults_of, shrink

HUNT_S = 120.0
"""How long one bug is hunted."""
FINDS_MAX = 3
"""How many seeds that find it are shrunk, if too much is left of each."""
SHRINK_S = 60.0
"""How long its failure is shrunk …"""
POLISH_S = 5.0
"""… and how long if it has no more than `FAULTS_MAX` faults by then."""
FAULTS_MAX = 10
"""A failure that needs more faults than this is not understood."""


class Bug(Protocol):
    """One planted bug."""

    @property
    def rule(self) -> str:
        """What it breaks."""

    def planted(self) -> AbstractContextManager[object]:
        """Plant it for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """What became of one bug."""

    name: str
    rule: str
    seed: str = ""
    """Which seed found it; empty: none did."""
    violated: str = ""
    seeds: int = 0
    """How many seeds were played until then."""
    found_s: float = 0.0
    shrunk_s: float = 0.0
    faults: int = 0
    """How many faults its smallest run has."""
    messages: int = 0
    """And how many messages."""

    @property
    def ok(self) -> bool:
        """Whether it was found, and shrunk to few faults."""
        return bool(self.seed) and self.faults <= FAULTS_MAX


def bugs_of(module: str) -> Mapping[str, Bug]:
    """Return the bugs of a module.

    Raises:
        ConfigError: If there is no such module, or it has none.
    """
    try:
        bugs: Mapping[str, Bug] = importlib.import_module(module).BUGS
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"there is no module {error.name}: planted bugs come with the tests, so run this in a"
            " checkout, or name a module of yours that has BUGS"
        ) from error
    except AttributeError as error:
        raise ConfigError(f"{module} has no BUGS") from error
    if not bugs:
        raise ConfigError(f"the BUGS of {module} are none")
    return bugs


def play(bug: Bug, plan: Plan, tape: Mapping[str, Mapping[int, int]] | None = None) -> Result:
    """Play a plan with a bug planted; what fails without the bug as well is not its doing."""
    with bug.planted():
        result = run(plan, tape)
    if result.violated and run(plan, tape).violated:
        return replace(result, violated=())
    return result


def hunt(module: str, name: str) -> Catch:
    """Plant one bug, play seeds until one of them finds it, and shrink that.

    If too much is left of it, the next seed that finds the bug may show it in fewer faults.
    """
    bug = bugs_of(module)[name]
    catch = Catch(name=name, rule=bug.rule)
    hunted_s, numbers = 0.0, count()
    for _ in range(FINDS_MAX):
        started = time.monotonic() - hunted_s
        result, seeds = _find(bug, numbers, started)
        hunted_s = time.monotonic() - started
        if not catch.seed:
            catch = replace(catch, seeds=seeds, found_s=hunted_s)
        if result is None:
            break
        started = time.monotonic()
        shrunk = _shrink(bug, result)
        shrunk_s = catch.shrunk_s + time.monotonic() - started
        if not catch.seed or shrunk.faults < catch.faults:
            catch = replace(
                catch,
                seed=result.plan.seed,
                violated=shrunk.result.violated[0],
                faults=shrunk.faults,
                messages=shrunk.result.account["attempts"],
            )
        catch = replace(catch, shrunk_s=shrunk_s)
        if catch.ok:
            break
    return catch


def _find(bug: Bug, numbers: Iterator[int], started: float) -> tuple[Result | None, int]:
    """Play seeds until one finds the bug; also return how many were played."""
    seeds = 0
    while time.monotonic() - started < HUNT_S:
        seeds += 1
        result = play(bug, swarm.draw(str(next(numbers))))
        if result.violated:
            return result, seeds
    return None, seeds


def _shrink(bug: Bug, result: Result) -> Shrunk:
    started = time.monotonic()
    small = faults_of(result)

    def candidate(plan: Plan, tape: Mapping[str, Mapping[int, int]]) -> Result:
        nonlocal small
        tried = play(bug, plan, tape)
        if result.violated[0] in tried.violated:
            small = faults_of(tried)
        return tried

    def enough() -> bool:
        spent_s = time.monotonic() - started
        return spent_s > SHRINK_S or (spent_s > POLISH_S and small <= FAULTS_MAX)

    return shrink(result, enough=enough, play=candidate)


def calibrate(
    module: str,
    names: Sequence[str] = (),
    *,
    jobs: int = 1,
    tell: Callable[[Catch], None] = lambda catch: None,
) -> list[Catch]:
    """Hunt the bugs of a module, side by side.

    Args:
        module: Where they are.
        names: Which ones; all if empty.
        jobs: How many processes.
        tell: Is told of each that is done.

    Raises:
        ConfigError: If there is no such module or bug.
    """
    bugs = bugs_of(module)
    unknown = sorted(set(names) - set(bugs))
    if unknown:
        raise ConfigError(f"{module} has no bug called {', '.join(unknown)}")
    catches = {}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(hunt, module, name) for name in names or bugs]
        for future in as_completed(futures):
            catch = future.result()
            catches[catch.name] = catch
            tell(catch)
    return [catches[name] for name in names or bugs]
