"""Runs the cases side by side; as a program it prints one line for each.

``make kills``, or ``make kills ARGS="online-server --json"``.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.kills import disk
from tests.kills.case import RECIPIENT, ROLES, SENDER, SERVER, Case
from tests.kills.judge import FAULTS, Remains, judge, read_journal
from tests.kills.nursery import Nursery
from tests.kills.points import POINTS, Point
from tests.kills.process import Process
from tests.kills.scenarios import INSPECTING, SCENARIOS

AT_ONCE = 6


class Outcome(NamedTuple):
    """What became of one case."""

    point: Point | None
    problems: list
    recovery_s: float | None
    bound_s: float | None
    counts: dict
    """Role → effects by kind, where the roles had processes of their own."""


class Stage(NamedTuple):
    """What the cases share."""

    nursery: Nursery
    processes: dict
    """A process for each role, for the cases in which that role does not die."""
    numbers: Iterator
    """Of the cases: users and servers of one process have different names."""


@asynccontextmanager
async def open_stage(folder):
    """Raise the stage, and look for complaints at the end."""
    async with Nursery() as nursery:
        processes = {role: Process(nursery, folder, f"stage-{role}") for role in ROLES}
        await asyncio.gather(*(process.start() for process in processes.values()))
        try:
            yield Stage(nursery, processes, count(1))
        finally:
            for process in processes.values():
                await process.end()
    complaints = [words for process in processes.values() if (words := process.complaints())]
    assert not complaints, complaints


async def run_case(stage, scenario, point, folder, **options):
    """Run one case and judge it."""
    case = Case(f"k{next(stage.numbers)}", folder, stage, point, **options)
    try:
        await case.start(inspects=scenario in INSPECTING)
        await SCENARIOS[scenario](case)
        await case.finish()
    except AssertionError as error:
        case.problems.append(str(error))
    finally:
        await case.end()
    case.problems += verdict(case)
    counts = {role.name: role.process.counts for role in case.roles.values()}
    return Outcome(point, case.problems, case.recovery_s, case.bound_s, counts)


def verdict(case):
    """Judge a case that is over."""
    sender, server, recipient = (case.roles[role] for role in (SENDER, SERVER, RECIPIENT))
    remains = Remains(
        sender=read_journal(sender.journal),
        recipient=read_journal(recipient.journal),
        inbox=disk.inbox(recipient.store),
        outbox=disk.outbox(sender.store),
        queue=disk.queue(server.store),
    )
    died_there = case.point is not None and case.point.role == RECIPIENT
    problems = judge(case.facts, remains, handed_again=died_there)
    if case.point is not None and case.roles[case.point.role].lives < 2:
        problems.append("the point was not reached")
    if case.recovery_s is not None and case.recovery_s > case.bound_s:
        problems.append(f"recovery took {case.recovery_s:.2f} s of {case.bound_s:.2f} s")
    return problems


async def side_by_side(points, play, done=lambda outcome: None):
    """Play a case for each point, several at once; return point → outcome."""
    outcomes = {}
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(point):
        async with gate:
            outcomes[point] = outcome = await play(point)
        done(outcome)

    await asyncio.gather(*map(one, points))
    return outcomes


async def run_points(stage, points, folder, *, done=lambda outcome: None, **options):
    """Run a case for each point, several side by side; return point → outcome."""

    def play(point):
        return run_case(stage, point.scenario, point, folder, **options)

    return await side_by_side(points, play, done)


async def record(stage, scenario, folder):
    """Run a scenario in which nobody dies, each role in a process of its own."""
    return await run_case(stage, scenario, None, folder)


# --- As a program ---


def line_of(outcome):
    """One line for people."""
    point, zeros = outcome.point, zeros_of(outcome)
    recovery = "-" if outcome.recovery_s is None else f"{outcome.recovery_s:.2f} s"
    counts = " ".join(f"{fault} {count}" for fault, count in zeros.items())
    words = "".join(f"\n    {problem}" for problem in outcome.problems)
    return (
        f"{point.role:<9} {point.effect:<17} {point.phase:<6} {point.scenario:<14}"
        f" {recovery:>7}  {counts}{words}"
    )


def zeros_of(outcome):
    """How many problems of each kind; what is of none is an error of the case itself."""
    kinds = [problem.partition(":")[0] for problem in outcome.problems]
    return {fault: kinds.count(fault) for fault in FAULTS} | {
        "errors": sum(kind not in FAULTS for kind in kinds)
    }


def jsonable(outcome):
    """One line for machines."""
    return {
        **outcome.point._asdict(),
        "recovery_s": outcome.recovery_s,
        "bound_s": outcome.bound_s,
        **zeros_of(outcome),
        "problems": outcome.problems,
    }


def slowest(outcomes):
    """Role → its slowest recovery, with the point."""
    return {
        role: max(of_role, key=lambda outcome: outcome.recovery_s)
        for role in ROLES
        if (of_role := [o for o in outcomes if o.point.role == role and o.recovery_s is not None])
    }


async def campaign(points, *, as_json):
    """Run these points and print each; tell whether all was well."""

    def show(outcome):
        print(json.dumps(jsonable(outcome)) if as_json else line_of(outcome), flush=True)

    with TemporaryDirectory() as folder:
        async with open_stage(Path(folder)) as stage:
            outcomes = await run_points(stage, points, Path(folder), done=show)
    failed = [point for point, outcome in outcomes.items() if outcome.problems]
    for role, outcome in slowest(outcomes.values()).items():
        words = f"{outcome.recovery_s:.2f} s of {outcome.bound_s:.0f} s, {outcome.point}"
        print(f"slowest recovery of the {role}: {words}", file=sys.stderr)
    print(f"{len(points)} points, {len(failed)} failed", file=sys.stderr)
    return bool(points) and not failed


def main():
    """Run the points whose names hold all the words that were given."""
    parser = argparse.ArgumentParser(prog="make kills", description=main.__doc__)
    parser.add_argument("words", nargs="*", help="of the points' names; none for all")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    args = parser.parse_args()
    points = [point for point in POINTS if all(word in str(point) for word in args.words)]
    if not points:
        parser.error("no point has such a name")
    return 0 if asyncio.run(campaign(points, as_json=args.json)) else 1


if __name__ == "__main__":
    sys.exit(main())
