"""``udpim sim run``: many seeds, what they did together, and those that broke the promise."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from udpim.cli.output import Exit, put, put_json, say
from udpim.cli.sim_output import STORY_CHARS, Stopwatch, command, jobs, keep, keep_qlogs
from udpim.testing.sim import swarm
from udpim.testing.sim.campaign import Failure, Totals, campaign
from udpim.testing.sim.qlogs import Qlogs
from udpim.testing.sim.run import run as play
from udpim.testing.sim.sittings import code, sit_down


def run(args: argparse.Namespace) -> int:
    """Play the seeds that were asked for.

    Raises:
        ConfigError: If a campaign's file or a tape cannot be read or written.
    """
    kept = sit_down(Path(args.resume), args.first) if args.resume else None
    totals = kept.totals if kept else Totals()
    before_s = kept.seconds if kept else 0.0
    watch = Stopwatch()

    def over() -> bool:
        return args.minutes is not None and watch.seconds > 60 * args.minutes

    def progress(totals: Totals) -> None:
        if kept is not None:
            kept.save(watch.seconds)
        if watch.due():
            say(_so_far(totals, before_s + watch.seconds))

    def tell() -> None:
        summary = {
            "first": args.first,
            "command": command(),
            **({"code": code(), "sittings": kept.count} if kept else {}),
            **totals.summary(before_s + watch.seconds, jobs(args)),
        }
        if args.json:
            put_json(summary)
        else:
            for line in words(summary):
                put(line)

    try:
        campaign(
            first=args.first,
            seeds=args.seeds,
            until=over,
            jobs=jobs(args),
            tell=progress,
            totals=totals,
        )
    except KeyboardInterrupt:
        tell()
        raise
    tell()
    for failure in totals.failures:
        _tell_of(failure, args.tapes)
    return Exit.ERROR if totals.failures or totals.missing() else Exit.OK


def _so_far(totals: Totals, seconds: float) -> str:
    return (
        f"{totals.seeds} seeds, {totals.seeds / seconds:.1f}/s,"
        f" {totals.virtual_s / seconds:.0f} virtual s/s,"
        f" {totals.account['attempts']} messages, {len(totals.failures)} violations,"
        f" {len(totals.labels)} labels"
    )


def _tell_of(failure: Failure, tapes: str | None) -> None:
    say(f"seed {failure.seed}: {', '.join(failure.violated)}")
    say(failure.story[:STORY_CHARS])
    if tapes:
        qlogs = Qlogs()
        plan = swarm.draw(failure.seed)
        result = play(plan, watch=qlogs.watch, new_trace=qlogs.new_trace)
        keep(result, Path(tapes) / f"{failure.seed}.json")
        keep_qlogs(qlogs, Path(tapes) / f"{failure.seed}.json.qlog")
    else:
        say(f"again: udpim sim replay {failure.seed} --story")


def words(summary: dict[str, Any]) -> list[str]:
    """Return a campaign's summary as lines for people."""

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
