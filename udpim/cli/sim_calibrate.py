"""``udpim sim calibrate``: known bugs are planted, and each must be found and shrunk."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from statistics import median

from udpim.cli.output import Exit, put, put_json, say
from udpim.cli.sim_output import Stopwatch, command, jobs
from udpim.testing.sim.calibrate import FAULTS_MAX, Catch, calibrate


def run(args: argparse.Namespace) -> int:
    """Hunt the bugs that were asked for."""
    watch = Stopwatch()
    sys.path.insert(0, os.getcwd())  # the bugs come with the tests of a checkout
    catches = calibrate(
        args.bugs, args.names, jobs=jobs(args), tell=lambda catch: say(words(catch))
    )
    found = [catch for catch in catches if catch.seed]
    summary = {
        "command": command(),
        "bugs": len(catches),
        "found": len(found),
        "shrunk": sum(catch.ok for catch in catches),
        "median_s": round(median([catch.found_s for catch in catches]), 1),
        "seconds": round(watch.seconds, 1),
    }
    if args.json:
        put_json({**summary, "catches": [asdict(catch) for catch in catches]})
    else:
        for catch in catches:
            put(words(catch))
        put(
            f"{len(found)} of {len(catches)} found, median {summary['median_s']} s;"
            f" {summary['shrunk']} shrunk to at most {FAULTS_MAX} faults"
        )
    return Exit.OK if all(catch.ok for catch in catches) else Exit.ERROR


def words(catch: Catch) -> str:
    """Return what became of one bug as a line."""
    if not catch.seed:
        return f"{catch.name:<40} NOT FOUND in {catch.seeds} seeds, {catch.found_s:.0f} s"
    return (
        f"{catch.name:<40} {catch.violated:<28} seed {catch.seed:>5} {catch.found_s:6.1f} s"
        f"  {catch.faults:>2} faults, {catch.messages} messages, shrunk in"
        f" {catch.shrunk_s:.0f} s{'' if catch.ok else '  TOO MANY FAULTS'}"
    )
