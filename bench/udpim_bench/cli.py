"""The command line of the benchmarks: reports on standard output, progress on standard error.

Exit codes: 0 measured (whatever the figures say), 1 something did not do its work, 2 usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from udpim_bench import micro
from udpim_bench.measure import WrongCounts


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
    one.add_argument("--json", action="store_true", help="report as JSON")
    one.add_argument("--repeat", type=_positive, metavar="N", help="repetitions (default 7)")
    one.add_argument("--quick", action="store_true", help="tiny amounts: a trial, not a figure")
    one.add_argument("--no-progress", action="store_true", help="no progress on standard error")
    return main_parser


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = parser().parse_args(argv)
    if arguments.quick:
        plan = micro.quick_plan(arguments.repeat or 2)
    else:
        plan = micro.full_plan(arguments.repeat or 7)
    try:
        report = micro.run(plan, _progress(arguments.no_progress))
    except WrongCounts as error:
        print(f"udpim_bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if sys.stderr.isatty() and not arguments.no_progress:
        print(file=sys.stderr)
    report["quick"] = arguments.quick
    if arguments.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print("\n".join(micro.lines(report)))
    return 0
