"""``udpim sim replay`` and ``udpim sim shrink``: one run again, and the little that it needs."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpim.cli.output import Exit, put, put_json, say
from udpim.cli.sim_output import Stopwatch, keep, keep_qlogs
from udpim.testing.choices import Tape
from udpim.testing.sim import shrink as shrinker
from udpim.testing.sim import swarm
from udpim.testing.sim.actions import Stage
from udpim.testing.sim.plan import Plan
from udpim.testing.sim.qlogs import Qlogs
from udpim.testing.sim.run import Result
from udpim.testing.sim.run import run as play
from udpim.testing.sim.story import tell
from udpim.testing.sim.tape import load
from udpim.testing.world import World


def _asked(what: str) -> tuple[Plan, Tape | None, str | None]:
    """Return a seed's plan, or a tape's plan, decisions and trace."""
    if what.isdecimal():
        return swarm.draw(str(int(what))), None, None
    recording = load(Path(what))
    return recording.plan, recording.tape, recording.trace


def _play(
    plan: Plan, tape: Tape | None, *, told: bool, qlog: str | None
) -> tuple[Result, list[str]]:
    """Play a run; also return its story, if it is to be told, and write its qlogs."""
    stages: list[tuple[World, Stage]] = []
    qlogs = Qlogs()

    def watch(world: World, stage: Stage) -> None:
        stages.append((world, stage))
        qlogs.watch(world, stage)

    result = play(plan, tape, watch=watch, new_trace=qlogs.new_trace if qlog else None)
    if qlog:
        keep_qlogs(qlogs, Path(qlog))
    ((world, stage),) = stages
    return result, list(tell(world.history, stage)) if told else []


def replay(args: argparse.Namespace) -> int:
    """Play one seed or one tape."""
    plan, tape, trace = _asked(args.what)
    result, story = _play(plan, tape, told=args.story, qlog=args.qlog)
    same = None if trace is None else trace == result.trace
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
                "faults": shrinker.faults_of(result),
                "messages": dict(result.account),
                "labels": sorted(result.labels),
                "told": story,
            }
        )
    else:
        for line in story:
            put(line)
        put(f"trace {result.trace}{_sameness(same)}")
        put(", ".join(result.violated) + ":" if result.violated else "the promise held")
        if result.violated:
            put(result.story)
    if args.tape:
        keep(result, Path(args.tape))
    return Exit.ERROR if result.violated else Exit.OK


def _sameness(same: bool | None) -> str:
    if same is None:
        return ""
    return ", as on the tape" if same else ", another one than on the tape: the code has changed"


def shrink(args: argparse.Namespace) -> int:
    """Find the few decisions that a failure needs, keep their tape, and tell their story."""
    plan, tape, _ = _asked(args.what)
    result = play(plan, tape)
    if not result.violated:
        if args.json:
            put_json({"violated": []})
        else:
            put("the promise held: there is nothing to shrink")
        return Exit.OK
    watch = Stopwatch()

    def progress(runs: int, atoms: int) -> None:
        if watch.due():
            say(f"{runs} runs, {atoms} decisions and actions left")

    shrunk = shrinker.shrink(
        result, enough=lambda: watch.seconds > 60 * args.minutes, tell=progress
    )
    small = shrunk.result
    path = Path(args.out or f"{result.plan.seed}.shrunk.json")
    keep(small, path)
    _, story = _play(small.plan, small.tape, told=True, qlog=args.qlog or f"{path}.qlog")
    found = {
        "violated": small.violated,
        "faults": shrunk.faults,
        "messages": small.account["attempts"],
        "runs": shrunk.runs,
        "seconds": round(watch.seconds, 1),
        "tape": str(path),
    }
    if args.json:
        put_json(found)
        return Exit.ERROR
    put(f"{shrunk.faults} faults and {found['messages']} messages left, after {shrunk.runs} runs")
    for line in story:
        put(line)
    put(small.story)
    return Exit.ERROR
