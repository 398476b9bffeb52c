"""Meddles with every system call that matters in one exchange; prints a line for each.

``make syscalls``, or ``make syscalls ARGS="server-start-sendto --json"``. First the exchange runs
in peace, to count the calls; what is counted there, later runs may make a few of less.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kills.campaign import open_stage, side_by_side, zeros_of
from tests.kills.case import ROLES
from tests.syscalls.case import Point, run_case
from tests.syscalls.tracer import missing

PLAN = {
    "start": {
        "sendto": ("kill",),
        "sendmsg": ("kill",),
        "fdatasync": ("kill", "EIO"),
        "pwrite64": ("EIO", "ENOSPC"),
    },
    "open": {"fdatasync": ("kill", "EIO"), "pwrite64": ("EIO", "ENOSPC")},
}
"""From when on calls are counted → call → what is done to it."""
PWRITES_MAX = 12
"""Of each role the first ones: later ones write what those wrote."""
PROGRESS_S = 2.0
UNREACHED_RATIO_MAX = 0.1
"""A run makes a few packets more or less than another; more than this is a campaign of nothing."""


async def points_of(stage, folder):
    """Every point of the plan, as runs in which nothing happens make the calls."""
    points = []
    for since, calls in PLAN.items():
        outcome = await run_case(stage, None, folder, since=since)
        assert not outcome.problems, outcome.problems
        for role in ROLES:
            for call, actions in calls.items():
                most = outcome.counts[role].get(call, 0)
                if call == "pwrite64":
                    most = min(most, PWRITES_MAX)
                points += [
                    Point(role, since, call, ordinal, action)
                    for ordinal in range(1, most + 1)
                    for action in actions
                ]
    return points


async def run_points(stage, points, folder, *, done=lambda outcome: None, **options):
    """Run a case for each point, several side by side; return point → outcome."""

    def play(point):
        return run_case(stage, point, folder, **options)

    return await side_by_side(points, play, done)


def jsonable(outcome):
    """One line for machines."""
    return {
        **outcome.point._asdict(),
        "reached": outcome.reached,
        **zeros_of(outcome),
        "problems": outcome.problems,
    }


def line_of(outcome):
    """One line for people."""
    counts = " ".join(f"{fault} {count}" for fault, count in zeros_of(outcome).items())
    words = "".join(f"\n    {problem}" for problem in outcome.problems)
    reached = "" if outcome.reached else "  not reached"
    return f"{outcome.point!s:<36} {counts}{reached}{words}"


async def campaign(words, *, as_json):
    """Run the points whose names hold all the words; return the exit code."""
    began_s = last_s = time.monotonic()
    outcomes, points = [], []

    def show(outcome):
        nonlocal last_s
        outcomes.append(outcome)
        print(json.dumps(jsonable(outcome)) if as_json else line_of(outcome), flush=True)
        if time.monotonic() - last_s >= PROGRESS_S:
            last_s = time.monotonic()
            rate = len(outcomes) / (last_s - began_s)
            print(f"{len(outcomes)}/{len(points)} points, {rate:.1f}/s", file=sys.stderr)

    with TemporaryDirectory() as name:
        folder = Path(name)
        async with open_stage(folder) as stage:
            found = await points_of(stage, folder)
            points += [point for point in found if all(word in str(point) for word in words)]
            await run_points(stage, points, folder, done=show)
    failed = sum(bool(outcome.problems) for outcome in outcomes)
    unreached = sum(not outcome.reached for outcome in outcomes)
    seconds = time.monotonic() - began_s
    print(
        f"{len(points)} points, {failed} failed, {unreached} not reached; {seconds:.0f} s",
        file=sys.stderr,
    )
    if not points:
        print("no point has such a name", file=sys.stderr)
        return 2
    return int(bool(failed) or unreached > UNREACHED_RATIO_MAX * len(points) + 1)


def main():
    """Run the points whose names hold all the words that were given."""
    parser = argparse.ArgumentParser(prog="make syscalls", description=main.__doc__)
    parser.add_argument("words", nargs="*", help="of the points' names; none for all")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    args = parser.parse_args()
    if reason := missing():
        parser.error(reason)
    return asyncio.run(campaign(args.words, as_json=args.json))


if __name__ == "__main__":
    sys.exit(main())
