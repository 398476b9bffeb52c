"""``udpim sim``: a world of trouble in virtual time that tries to break the promise."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from udpim.cli.output import Exit, put, put_json, say
from udpim.errors import ConfigError
from udpim.testing.sim import calibrate, campaign, exhaustive, swarm
from udpim.testing.sim.actions import Stage
from udpim.testing.sim.run import Result
from udpim.testing.sim.run import run as play
from udpim.testing.sim.shrink import faults_of, shrink
from udpim.testing.sim.story import tell
from udpim.testing.sim.tape import Recording, load
from udpim.testing.world import World

PROGRESS_S = 5.0
SHOWN_STORY = 1500
"""Characters of what is wrong with one seed."""


def run(args: argparse.Namespace) -> int:
    """Do one of the simulator's actions.

    Raises:
        ConfigError: If a tape cannot be read, or the arguments do not fit.
    """
    return _ACTIONS[args.action](args)


def _jobs(args: argparse.Namespace) -> int:
    return args.jobs or os.cpu_count() or 1


# --- Many seeds ---


def _run(args: argparse.Namespace) -> int:
    started = time.monotonic()
    minutes = args.minutes
    last = started

    def over() -> bool:
        return minutes is not None and time.monotonic() - started > 60 * minutes

    def progress(totals: campaign.Totals) -> None:
        nonlocal last
        if time.monotonic() - last > PROGRESS_S:
            last = time.monotonic()
            elapsed = last - started
            say(
                f"{totals.seeds} seeds, {totals.seeds / elapsed:.1f}/s,"
                f" {totals.virtual_s / elapsed:.0f} virtual s/s,"
                f" {totals.account['attempts']} messages, {len(totals.failures)} violations,"
                f" {len(totals.labels)} labels"
            )

    jobs = _jobs(args)
    totals = campaign.campaign(
        first=args.first, seeds=args.seeds, until=over, jobs=jobs, tell=progress
    )
    summary = totals.summary(time.monotonic() - started, jobs)
    summary = {"first": args.first, "command": _command(), **summary}
    if args.json:
        put_json(summary)
    else:
        for line in _words(summary):
            put(line)
    for failure in totals.failures:
        say(f"seed {failure.seed}: {', '.join(failure.violated)}")
        say(failure.story[:SHOWN_STORY])
        if args.tapes:
            _keep(play(swarm.draw(failure.seed)), Path(args.tapes) / f"{failure.seed}.json")
        else:
            say(f"again: udpim sim replay {failure.seed} --story")
    return Exit.ERROR if totals.failures or totals.missing() else Exit.OK


def _command() -> str:
    return " ".join(["udpim", *sys.argv[1:]])


def _words(summary: dict[str, Any]) -> list[str]:
    def counted(values: dict[str, int]) -> str:
        return ", ".join(f"{name} {count}" for name, count in values.items())

    labels = summary["labels"]
    reached = sum(1 for count in labels.values() if count)
    lines = [
        f"{summary['seeds']} seeds from {summary['first']} in {summary['seconds']:g} s:"
        f" {summary['seeds_per_s']:g} seeds/s, {summary['seeds_per_cpu_s']:g} per core;"
        f" {summary['virtual_s_per_s']} virtual seconds per second",
        f"messages: {counted(summary['messages'])}",
        f"links: {counted(summary['faults'])}",
        f"labels: {reached} of {len(labels)} reached",
    ]
    lines += [f"never reached: {label}" for label in summary["labels_missing"]]
    lines.append(f"violations: {summary['violations']}")
    return lines


# --- One run ---


def _failing(args: argparse.Namespace) -> tuple[Result, Recording | None]:
    """Play a seed, or a tape."""
    if args.what.isdecimal():
        return play(swarm.draw(args.what)), None
    recording = load(Path(args.what))
    return play(recording.plan, recording.tape), recording


def _keep(result: Result, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Recording.of(result).dump(), "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    say(f"tape: {path}")


def _replay(args: argparse.Namespace) -> int:
    stages: list[tuple[World, Stage]] = []
    watch: Callable[[World, Stage], None] = lambda world, stage: stages.append((world, stage))  # noqa: E731
    recording = None
    if args.what.isdecimal():
        result = play(swarm.draw(args.what), watch=watch)
    else:
        recording = load(Path(args.what))
        result = play(recording.plan, recording.tape, watch=watch)
    ((world, stage),) = stages
    if args.story and not args.json:
        for line in tell(world.history, stage):
            put(line)
    same = None if recording is None else recording.trace == result.trace
    if args.json:
        put_json(
            {
                "seed": result.plan.seed,
                "violated": result.violated,
                "story": result.story,
                "trace": result.trace,
                "same_trace": same,
                "virtual_s": result.virtual_s,
                "datagrams": result.datagrams,
                "faults": faults_of(result),
                "messages": dict(result.account),
                "labels": sorted(result.labels),
                "told": list(tell(world.history, stage)) if args.story else [],
            }
        )
    else:
        put(f"trace {result.trace}{_sameness(same)}")
        put(", ".join(result.violated) + ":" if result.violated else "the promise held")
        if result.violated:
            put(result.story)
    if args.tape:
        _keep(result, Path(args.tape))
    return Exit.ERROR if result.violated else Exit.OK


def _sameness(same: bool | None) -> str:
    if same is None:
        return ""
    return ", as on the tape" if same else ", another one than on the tape: the code has changed"


def _shrink(args: argparse.Namespace) -> int:
    result, _ = _failing(args)
    if not result.violated:
        put("the promise held: there is nothing to shrink")
        return Exit.OK
    started = last = time.monotonic()

    def progress(runs: int, atoms: int) -> None:
        nonlocal last
        if time.monotonic() - last > PROGRESS_S:
            last = time.monotonic()
            say(f"{runs} runs, {atoms} decisions and actions left")

    shrunk = shrink(
        result, enough=lambda: time.monotonic() - started > 60 * args.minutes, tell=progress
    )
    small = shrunk.result
    path = Path(args.out or f"{result.plan.seed}.shrunk.json")
    _keep(small, path)
    found = {
        "violated": small.violated,
        "faults": shrunk.faults,
        "messages": small.account["attempts"],
        "runs": shrunk.runs,
        "seconds": round(time.monotonic() - started, 1),
        "tape": str(path),
    }
    if args.json:
        put_json(found)
        return Exit.ERROR
    put(f"{shrunk.faults} faults and {found['messages']} messages left, after {shrunk.runs} runs")
    stages: list[tuple[World, Stage]] = []
    play(small.plan, small.tape, watch=lambda world, stage: stages.append((world, stage)))
    ((world, stage),) = stages
    for line in tell(world.history, stage):
        put(line)
    put(small.story)
    return Exit.ERROR


# --- All of it ---


def _exhaustive(args: argparse.Namespace) -> int:
    started = time.monotonic()
    modes = exhaustive.MODES if args.exchange == "both" else (args.exchange,)

    def progress(sweep: exhaustive.Sweep) -> None:
        who = f"{sweep.role} dies at {sweep.boundary}" if sweep.role else "nobody dies"
        say(
            f"{sweep.exchange} packets, {who}: {sweep.covered} cases by {sweep.runs} runs,"
            f" {len(sweep.failures)} failed"
        )

    sweeps = exhaustive.exhaust(modes, jobs=_jobs(args), tell=progress)
    failures = [failure for sweep in sweeps for failure in sweep.failures]
    covered = sum(sweep.covered for sweep in sweeps)
    summary = {
        "command": _command(),
        "cases": covered,
        "runs": sum(sweep.runs for sweep in sweeps),
        "died": sum(sweep.reached for sweep in sweeps),
        "moments": {
            mode: {
                role: max(s.boundary for s in sweeps if (s.exchange, s.role) == (mode, role))
                for role in exhaustive.ROLES
            }
            for mode in modes
        },
        "failures": len(failures),
        "seconds": round(time.monotonic() - started, 1),
    }
    if args.json:
        put_json({**summary, "failed": failures})
    else:
        put(f"{covered} cases by {summary['runs']} runs, {summary['seconds']} s")
        put(f"moments to die: {summary['moments']}")
        put(f"failed: {len(failures)}")
    for case, story in failures[:10]:
        say(f"{case}: {story[:SHOWN_STORY]}")
    return Exit.ERROR if failures else Exit.OK


def _calibrate(args: argparse.Namespace) -> int:
    started = time.monotonic()
    sys.path.insert(0, os.getcwd())  # the bugs come with the tests of a checkout

    def line(catch: calibrate.Catch) -> str:
        if not catch.seed:
            return f"{catch.name:<40} NOT FOUND in {catch.seeds} seeds, {catch.found_s:.0f} s"
        return (
            f"{catch.name:<40} {catch.violated:<28} seed {catch.seed:>5} {catch.found_s:6.1f} s"
            f"  {catch.faults:>2} faults, {catch.messages} messages, shrunk in"
            f" {catch.shrunk_s:.0f} s{'' if catch.ok else '  TOO MANY FAULTS'}"
        )

    catches = calibrate.calibrate(
        args.bugs, args.names, jobs=_jobs(args), tell=lambda catch: say(line(catch))
    )
    found = [catch for catch in catches if catch.seed]
    summary = {
        "command": _command(),
        "bugs": len(catches),
        "found": len(found),
        "shrunk": sum(catch.ok for catch in catches),
        "median_s": round(median([catch.found_s for catch in catches]), 1),
        "seconds": round(time.monotonic() - started, 1),
    }
    if args.json:
        put_json({**summary, "catches": [asdict(catch) for catch in catches]})
    else:
        for catch in catches:
            put(line(catch))
        put(
            f"{len(found)} of {len(catches)} found, median {summary['median_s']} s;"
            f" {summary['shrunk']} shrunk to at most {calibrate.FAULTS_MAX} faults"
        )
    return Exit.OK if all(catch.ok for catch in catches) else Exit.ERROR


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "replay": _replay,
    "shrink": _shrink,
    "exhaustive": _exhaustive,
    "calibrate": _calibrate,
}
