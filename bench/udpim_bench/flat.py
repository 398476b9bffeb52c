"""``udpim_bench flat``: does an operation cost the same, however much there is beside it?

Each series does the same work at levels that differ in one thing only: messages in flight,
datagrams in flight, sessions, or the backlog of an offline queue. Levels are processes of their
own and take turns, forwards and backwards, so that a machine that gets slower does so for all.

A series is flat when each level's cost is within 20 % of the median level's: in CPU time, compared
within each repetition, and in calls of Python functions, which have no noise.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from udpim_bench.flat_meter import CallMeter, Meter
from udpim_bench.flat_traffic import BURST
from udpim_bench.flat_worker import Level, Remote
from udpim_bench.measure import environment, spread

FLATNESS = (0.8, 1.2)
"""Of the median level."""
CASES = ("in-flight", "hop", "sessions", "backlog")
MANY_STREAMS = 200
METHOD = {
    "cost": "process CPU time per unit, µs, and calls of Python functions per unit",
    "relative": "median over repetitions of a level's cost by the median level's in the same one",
    "in-flight": "A → S → B → A, all nodes: a step sends a burst of one of 200 conversations, "
    "the next one receipts the oldest; n stay in flight because B's applications are behind",
    "late": "one sender with its budget for re-sends spent; a unit is a second of its timers",
    "hop": "one connection: a frame that fills a packet leaves each round, n packets are under way",
    "sessions": "bursts of 10 between one pair beside idle sessions; between each session and "
    "one more, in turn; keepalives, whose unit is a PING and its ack",
    "backlog": "server and store: bursts of 10 into the queue of who is away, out by offline:R, "
    "and between two others beside it",
    "clock": "virtual; nothing sleeps",
}

Progress = Callable[[str], None]
Starter = Callable[[str, Mapping[str, Any]], Level]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Levels of one case that differ in one argument."""

    case: str
    name: str
    kind: str
    """Which class makes a level."""
    argument: str
    """Its argument that the levels give."""
    levels: tuple[int, ...]
    others: Mapping[str, Any] = field(default_factory=dict)


def full_plan() -> list[Series]:
    """Return the series whose figures may be quoted.

    Samples are long enough for the caches, which the collection before each has emptied.
    """
    decades = (10, 100, 1000, 10_000, 100_000)
    return [
        *(
            Series(
                case="in-flight",
                name=f"messages in flight, bursts of {burst}",
                kind="in flight",
                argument="in_flight",
                levels=tuple(level for level in decades if level >= burst),
                others={"burst": burst, "rounds": 100},
            )
            for burst in (BURST, 10 * BURST)
        ),
        Series(
            case="in-flight",
            name="messages whose receipts are late",
            kind="late",
            argument="late",
            levels=decades[2:],
            others={"rounds": 1000},
        ),
        Series(
            case="hop",
            name="datagrams in flight",
            kind="hop",
            argument="in_flight",
            levels=(1, 10, 100, 1000),
            others={"rounds": 2000},
        ),
        Series(
            case="sessions",
            name="sessions",
            kind="sessions",
            argument="sessions",
            levels=(1, 10, 100, 1000, 5000),
            others={"rounds": 150},
        ),
        *(
            Series(
                case="backlog",
                name=f"offline backlog, {streams} streams, {'SQLite' if sqlite else 'memory'}",
                kind="backlog",
                argument="backlog",
                levels=decades,
                others={"streams": streams, "cycles": 100, "sqlite": sqlite},
            )
            for sqlite in (False, True)
            for streams in (1, MANY_STREAMS)
        ),
    ]


def quick_plan() -> list[Series]:
    """Return tiny ones, which only show that everything runs."""
    small = {
        "in flight": ((10, 100), {"rounds": 3, "conversations": 20}),
        "late": ((200, 1000), {"rounds": 3}),
        "hop": ((1, 10), {"rounds": 20}),
        "sessions": ((1, 5), {"rounds": 3}),
        "backlog": ((10, 200), {"cycles": 3}),
    }
    plan = []
    for series in full_plan():
        levels, others = small[series.kind]
        if series.others.get("burst", BURST) == BURST:
            plan.append(
                Series(
                    case=series.case,
                    name=series.name,
                    kind=series.kind,
                    argument=series.argument,
                    levels=levels,
                    others={**series.others, **others},
                )
            )
    return plan


def run(
    plan: list[Series],
    repeat: int,
    progress: Progress,
    *,
    start: Starter = Remote,
    by_time: bool = True,
) -> dict[str, Any]:
    """Measure every series; return the report as JSON can hold it.

    Args:
        plan: What to measure.
        repeat: How often.
        progress: Told what is going on.
        start: Makes a level.
        by_time: Whether CPU time is judged, or calls alone.

    Raises:
        WrongCounts: If anything did not do its work.
    """
    rows = [row for series in plan for row in _measured(series, repeat, progress, start, by_time)]
    return {
        "benchmark": "flat",
        "environment": environment(),
        "method": METHOD,
        "repeat": repeat,
        "relative_min_max": FLATNESS,
        "judged_by": ["CPU time", "calls"] if by_time else ["calls"],
        "series": rows,
        "flat": all(row["flat"] for row in rows),
    }


def _measured(
    series: Series, repeat: int, progress: Progress, start: Starter, by_time: bool
) -> list[dict[str, Any]]:
    levels: dict[int, Level] = {}
    samples: list[dict[int, dict[str, float]]] = []
    try:
        for level in series.levels:
            progress(f"making {series.name}: {level}")
            levels[level] = start(series.kind, {series.argument: level, **series.others})
        calls = {level: worker.sample(CallMeter.unit) for level, worker in levels.items()}
        for turn in range(repeat):
            order = series.levels if turn % 2 == 0 else tuple(reversed(series.levels))
            progress(f"{turn + 1}/{repeat}|{series.name}")
            samples.append({level: levels[level].sample(Meter.unit) for level in order})
        counts = {level: worker.counts() for level, worker in levels.items()}
    finally:
        for worker in levels.values():
            worker.close()
    operations = list(calls[series.levels[-1]])
    measured = _Measured(series, samples, calls, counts)
    return [measured.row(operation, by_time=by_time) for operation in operations]


@dataclass(frozen=True, slots=True)
class _Measured:
    """What the levels of one series cost."""

    series: Series
    samples: list[dict[int, dict[str, float]]]
    """µs, by repetition, level and operation."""
    calls: dict[int, dict[str, float]]
    counts: dict[int, dict[str, int]]

    def row(self, operation: str, *, by_time: bool) -> dict[str, Any]:
        """Judge one operation, at the levels where there is such a thing."""
        present = [level for level in self.series.levels if operation in self.calls[level]]
        times = {level: [turn[level][operation] for turn in self.samples] for level in present}
        called = {level: [self.calls[level][operation]] for level in present}
        relative, relative_calls = relative_costs(times), relative_costs(called)
        low, high = FLATNESS
        judged = [*relative_calls.values(), *(relative.values() if by_time else ())]
        levels = [
            {
                "level": level,
                "us": spread(times[level]),
                "samples": [round(value, 3) for value in times[level]],
                "relative": round(relative[level], 3),
                "calls": round(called[level][0], 2),
                "relative_calls": round(relative_calls[level], 3),
                "counts": self.counts[level],
            }
            for level in present
        ]
        return {
            "case": self.series.case,
            "name": self.series.name,
            "operation": operation,
            "levels": levels,
            "flat": all(low <= value <= high for value in judged),
        }


def relative_costs(costs: Mapping[int, list[float]]) -> dict[int, float]:
    """Return each level's cost by that of the median level.

    They are compared within each repetition, for a machine that others use may be twice as slow in
    one repetition as in another.
    """
    middle = [statistics.median(turn) for turn in zip(*costs.values(), strict=True)]
    return {
        level: statistics.median(value / base for value, base in zip(values, middle, strict=True))
        for level, values in costs.items()
    }


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    told = report["environment"]
    out = [
        f"Python {told['python']} on {told['cpu']}, {told['cores']} cores, load "
        f"{told['load_average'][0]}; commit {told['commit']}{' (modified)' * told['modified']}",
        f"process CPU time; median of {report['repeat']} interleaved repetitions [min .. max]; "
        "× is relative to the median level",
    ]
    for row in report["series"]:
        out += ["", f"{row['name']}: {row['operation']}, {_word(row['flat'])}"]
        for level in row["levels"]:
            us = level["us"]
            span = f"[{us['min']:.2f} .. {us['max']:.2f}]"
            out.append(
                f"  {level['level']:>7}  {us['median']:8.2f} µs {span:22} × {level['relative']:.2f}"
                f"  {level['calls']:8.2f} calls × {level['relative_calls']:.2f}"
            )
    judged = " and ".join(report["judged_by"])
    low, high = report["relative_min_max"]
    out += ["", f"budget: × {low} to {high} in {judged}: {_word(report['flat'])}"]
    return out


def _word(flat: bool) -> str:
    return "flat" if flat else "NOT flat"
