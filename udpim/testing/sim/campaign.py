"""Many seeds side by side: what all of them did together, and the first ones that failed.

Every process plays a share of the seeds and sends back sums; a failing seed is a number, for
whoever has it can play the run again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import count
from multiprocessing import get_context
from typing import Any

from udpim.testing.sim import labels, swarm
from udpim.testing.sim.run import Result, run

BATCH_SEEDS = 20
"""Seeds that a process plays before it reports."""
AHEAD = 3
"""Batches a process that are under way: results are taken in order, and one may take long."""
FAILURES_MAX = 10
"""A campaign ends early when so many seeds have failed."""
LABELS_FROM_SEEDS = 2000
"""From how many seeds on every label is expected."""


@dataclass(slots=True, kw_only=True)
class Failure:
    """One seed that violated something."""

    seed: str
    violated: tuple[str, ...]
    story: str


@dataclass(slots=True, kw_only=True)
class Totals:
    """What some seeds did together."""

    seeds: int = 0
    datagrams: int = 0
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    account: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def count(self, result: Result) -> None:
        """Add one run."""
        self.seeds += 1
        self.datagrams += result.datagrams
        self.virtual_s += result.virtual_s
        self.account += result.account
        self.faults += result.faults
        self.labels.update(result.labels)
        self.kinds.update(result.plan.kinds)
        if result.violated:
            self.failures.append(
                Failure(seed=result.plan.seed, violated=result.violated, story=result.story)
            )

    def add(self, other: Totals) -> None:
        """Add what others did."""
        self.seeds += other.seeds
        self.datagrams += other.datagrams
        self.virtual_s += other.virtual_s
        self.cpu_s += other.cpu_s
        self.account += other.account
        self.faults += other.faults
        self.labels += other.labels
        self.kinds += other.kinds
        self.failures += other.failures

    def missing(self) -> list[str]:
        """Return the labels that nothing reached, if there were seeds enough to expect them."""
        if self.seeds < LABELS_FROM_SEEDS:
            return []
        return [label for label in labels.ALL if not self.labels[label]]

    def summary(self, seconds: float, jobs: int) -> dict[str, Any]:
        """Return the totals as plain values."""
        return {
            "seeds": self.seeds,
            "seconds": round(seconds, 1),
            "jobs": jobs,
            "seeds_per_s": round(self.seeds / max(seconds, 1e-9), 2),
            "seeds_per_cpu_s": round(self.seeds / max(self.cpu_s, 1e-9), 2),
            "virtual_s": round(self.virtual_s),
            "virtual_s_per_s": round(self.virtual_s / max(seconds, 1e-9)),
            "datagrams": self.datagrams,
            "messages": dict(self.account),
            "faults": dict(sorted(self.faults.items())),
            "labels": {label: self.labels[label] for label in labels.ALL},
            "labels_missing": self.missing(),
            "violations": len(self.failures),
            "failures": [asdict(failure) for failure in self.failures],
        }


def play(seeds: list[str]) -> Totals:
    """Play these seeds in this process."""
    totals = Totals()
    started = time.process_time()
    for seed in seeds:
        totals.count(run(swarm.draw(seed), hashed=False))
    totals.cpu_s = time.process_time() - started
    return totals


def _batches(first: int, played: int, seeds: int | None) -> Iterator[list[str]]:
    for start in count(first + played, BATCH_SEEDS):
        end = start + BATCH_SEEDS
        if seeds is not None:
            end = min(end, first + seeds)
        if start >= end:
            return
        yield [str(number) for number in range(start, end)]


def campaign(
    *,
    first: int = 0,
    seeds: int | None = None,
    until: Callable[[], bool] = lambda: False,
    jobs: int = 1,
    tell: Callable[[Totals], None] = lambda totals: None,
    totals: Totals | None = None,
) -> Totals:
    """Play seeds from ``first`` on.

    Args:
        first: The first seed.
        seeds: How many; None for as many as there is time for.
        until: Asked after each batch; true ends it.
        jobs: How many processes.
        tell: Is told the totals after each batch; they are of all seeds up to one.
        totals: What earlier sittings did with the first of them; is added to.
    """
    totals = totals or Totals()
    waiting = _batches(first, totals.seeds, seeds)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running: deque[Future[Totals]] = deque()
        while True:
            while len(running) < AHEAD * jobs and not until() and not _enough(totals):
                batch = next(waiting, None)
                if batch is None:
                    break
                running.append(pool.submit(play, batch))
            if not running:
                return totals
            totals.add(running.popleft().result())
            tell(totals)


def _enough(totals: Totals) -> bool:
    return len(totals.failures) >= FAILURES_MAX
