"""``udpim sim exhaustive``: everything that can go wrong with one message."""

from __future__ import annotations

import argparse
from typing import Any

from udpim.cli.output import Exit, put, put_json, say
from udpim.cli.sim_output import STORY_CHARS, Stopwatch, command, jobs
from udpim.config import Exchange
from udpim.testing.sim.exhaustive import MODES, ROLES, Sweep, exhaust

SHOWN_FAILURES = 10
"""How many failures are told."""


def run(args: argparse.Namespace) -> int:
    """Sweep over every loss and every moment to die."""
    watch = Stopwatch()
    modes: tuple[Exchange, ...] = MODES if args.exchange == "both" else (args.exchange,)
    sweeps = exhaust(modes, jobs=jobs(args), tell=lambda sweep: say(_words(sweep)))
    failures = [failure for sweep in sweeps for failure in sweep.failures]
    summary = _summary(sweeps, modes, watch.seconds)
    if args.json:
        put_json({**summary, "failed": failures})
    else:
        put(f"{summary['cases']} cases by {summary['runs']} runs, {summary['seconds']} s")
        put(f"moments to die: {summary['moments']}")
        put(f"failed: {len(failures)}")
    for case, story in failures[:SHOWN_FAILURES]:
        say(f"{case}: {story[:STORY_CHARS]}")
    return Exit.ERROR if failures else Exit.OK


def _words(sweep: Sweep) -> str:
    who = f"{sweep.role} dies at {sweep.boundary}" if sweep.role else "nobody dies"
    return (
        f"{sweep.exchange} packets, {who}: {sweep.covered} cases by {sweep.runs} runs,"
        f" {len(sweep.failures)} failed"
    )


def _summary(sweeps: list[Sweep], modes: tuple[Exchange, ...], seconds: float) -> dict[str, Any]:
    def moments(mode: Exchange, role: str) -> int:
        return max(s.boundary for s in sweeps if (s.exchange, s.role) == (mode, role))

    return {
        "command": command(),
        "cases": sum(sweep.covered for sweep in sweeps),
        "runs": sum(sweep.runs for sweep in sweeps),
        "died": sum(sweep.reached for sweep in sweeps),
        "moments": {mode: {role: moments(mode, role) for role in ROLES} for mode in modes},
        "failures": sum(len(sweep.failures) for sweep in sweeps),
        "seconds": round(seconds, 1),
    }
