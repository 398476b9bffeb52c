"""The command line of the benchmarks: reports on standard output, progress on standard error.

Exit codes: 0 measured (whatever the figures of `micro` and `loopback` say), 1 something did not do
its work or, where figures are judged, did it badly, 2 usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from udpim.config import GROUP_USERS_MAX
from udpim.wire.im_schema import PAYLOAD_BYTES_MAX
from udpim_bench import dedup, flat, garbage, group, handshakes, loopback, micro, slow
from udpim_bench.loopback_peer import NUMBER_BYTES
from udpim_bench.measure import WrongCounts

SECONDS_MAX = 3600
"""Of a phase: everything here ends by itself."""
LOSS_MAX = 0.5


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    main_parser = argparse.ArgumentParser(prog="udpim_bench", description="Benchmarks of udpim.")
    commands = main_parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("micro", help="codecs, a hop pair, the whole exchange, in memory")
    two = commands.add_parser("loopback", help="the whole exchange over sockets, in two processes")
    three = commands.add_parser("slow", help="a recipient that stops reading, and who notices")
    three.add_argument("--seconds", type=_seconds, default=60.0, help="stopped for so long")
    names = [case.name for case in slow.CASES]
    three.add_argument("--case", choices=names, action="append", help="only this; may be repeated")
    four = commands.add_parser("garbage", help="a flood of wrong datagrams, and who gets through")
    four.add_argument("--datagrams", type=_positive, metavar="N", default=1_000_000)
    four.add_argument("--rate", type=_positive, metavar="N", default=garbage.RATE_PER_S)
    four.add_argument("--seed", type=int, default=1, help="of the garbage")
    five = commands.add_parser("flat", help="cost of an operation as state grows, in memory")
    six = commands.add_parser("group", help="receipts, copies and memory of a message to a group")
    six.add_argument("--members", type=_members, metavar="N", default=1000, help="all online")
    six.add_argument("--loss", type=_ratio, metavar="P", default=0.1, help="while copies count")
    six.add_argument("--seed", type=int, default=1, help="of the network")
    seven = commands.add_parser("dedup", help="what a recipient keeps of one long stream")
    seven.add_argument("--messages", type=_long, metavar="N", default=1_000_000)
    seven.add_argument("--seed", type=int, default=1, help="of order, copies and cancels")
    eight = commands.add_parser("handshakes", help="encrypted handshakes a second, both ends")
    for command in (one, two, three, four, five, six, seven, eight):
        command.add_argument("--json", action="store_true", help="report as JSON")
        command.add_argument("--no-progress", action="store_true", help="silent standard error")
    for command in (one, two, five, eight):
        command.add_argument("--repeat", type=_positive, metavar="N", help="repetitions")
        command.add_argument("--quick", action="store_true", help="tiny: a trial, not a figure")
    two.add_argument("--messages", type=_positive, metavar="N", help="a repetition (SQLite: N/4)")
    two.add_argument("--security", choices=("require", "plain"), default="require")
    two.add_argument("--window", type=_positive, metavar="N", default=1000, help="unreceipted")
    two.add_argument("--streams", type=_positive, metavar="N", default=4, help="recipients")
    two.add_argument("--size", type=_size, metavar="BYTES", default=128, help="of a message")
    two.add_argument("--store", choices=("memory", "sqlite"), help="one of them only")
    two.add_argument("--endpoint", choices=("linux", "portable"), help="force this kind")
    two.add_argument("--profile", type=Path, metavar="FOLDER", help="cProfile of each process")
    five.add_argument("--case", choices=flat.CASES, help="one of them only")
    return main_parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"must be more than 0 and at most {SECONDS_MAX}")
    return seconds


def _members(text: str) -> int:
    number = int(text)
    if not 1 <= number < GROUP_USERS_MAX:
        raise argparse.ArgumentTypeError(f"must be 1 to {GROUP_USERS_MAX - 1}")
    return number


def _long(text: str) -> int:
    number = int(text)
    if number < dedup.SHORT:
        raise argparse.ArgumentTypeError(f"must be at least {dedup.SHORT}")
    return number


def _ratio(text: str) -> float:
    ratio = float(text)
    if not 0 <= ratio <= LOSS_MAX:
        raise argparse.ArgumentTypeError(f"must be 0 to {LOSS_MAX}")
    return ratio


def _size(text: str) -> int:
    number = int(text)
    if not NUMBER_BYTES <= number <= PAYLOAD_BYTES_MAX:
        raise argparse.ArgumentTypeError(f"must be {NUMBER_BYTES} to {PAYLOAD_BYTES_MAX}")
    return number


def _progress(quiet: bool) -> Callable[[str], None]:
    def silent(line: str) -> None:
        """Nobody wants to know."""

    def told(line: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{line}")
        elif "|" not in line:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    return silent if quiet else told


def _run_micro(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    if arguments.quick:
        plan = micro.quick_plan(arguments.repeat or 2)
    else:
        plan = micro.full_plan(arguments.repeat or 7)
    report = micro.run(plan, _progress(arguments.no_progress))
    return report, micro.lines(report)


def _run_loopback(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    messages = arguments.messages or (200 if arguments.quick else 60_000)
    cases = [
        loopback.Case(
            store=store,
            endpoint=arguments.endpoint,
            messages=max(1, messages // share),
            window=arguments.window,
            streams=arguments.streams,
            size_bytes=arguments.size,
            security=arguments.security,
        )
        for store, share in (("memory", 1), ("sqlite", loopback.DURABLE_RATIO))
        if arguments.store in (None, store)
    ]
    if arguments.profile is not None:
        arguments.profile.mkdir(parents=True, exist_ok=True)
    repeat = arguments.repeat or (1 if arguments.quick else 5)
    progress = _progress(arguments.no_progress)
    report = loopback.run(cases, repeat, progress, arguments.profile)
    return report, loopback.lines(report)


def _run_flat(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    plan = flat.quick_plan() if arguments.quick else flat.full_plan()
    report = flat.run(
        [series for series in plan if arguments.case in (None, series.case)],
        arguments.repeat or (1 if arguments.quick else 9),
        _progress(arguments.no_progress),
        # A trial is too short for its CPU time to say anything.
        by_time=not arguments.quick,
    )
    return report, flat.lines(report)


def _run_slow(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    cases = [case for case in slow.CASES if arguments.case is None or case.name in arguments.case]
    report = slow.run(cases, arguments.seconds, _progress(arguments.no_progress))
    return report, slow.lines(report)


def _run_garbage(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    progress = _progress(arguments.no_progress)
    report = garbage.run(arguments.datagrams, arguments.rate, arguments.seed, progress)
    return report, garbage.lines(report)


def _run_group(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    progress = _progress(arguments.no_progress)
    report = group.run(arguments.members, arguments.loss, arguments.seed, progress)
    return report, group.lines(report)


def _run_dedup(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    progress = _progress(arguments.no_progress)
    report = dedup.run(arguments.messages, arguments.seed, progress)
    return report, dedup.lines(report)


def _run_handshakes(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    quick = arguments.quick
    plan = handshakes.Plan(
        handshakes=20 if quick else handshakes.HANDSHAKES,
        repeat=arguments.repeat or (2 if quick else 9),
        judged=not quick,
    )
    report = handshakes.run(plan, _progress(arguments.no_progress))
    return report, handshakes.lines(report)


_RUNS = {
    "micro": _run_micro,
    "loopback": _run_loopback,
    "slow": _run_slow,
    "garbage": _run_garbage,
    "flat": _run_flat,
    "group": _run_group,
    "dedup": _run_dedup,
    "handshakes": _run_handshakes,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        report, told = _RUNS[arguments.command](arguments)
    except WrongCounts as error:
        print(f"udpim_bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if sys.stderr.isatty() and not arguments.no_progress:
        print(file=sys.stderr)
    report["quick"] = getattr(arguments, "quick", False)
    if arguments.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print("\n".join(told))
    problems = report.get("problems", [])
    for problem in problems:
        print(f"udpim_bench: {problem}", file=sys.stderr)
    return 0 if report.get("flat", True) and not problems else 1
