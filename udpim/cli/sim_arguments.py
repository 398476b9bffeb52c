"""The arguments of ``udpim sim``; `udpim.cli.sim` carries it out."""

from __future__ import annotations

import argparse
from argparse import _SubParsersAction as Subparsers
from typing import TypeVar

from udpim.cli.arguments import count, seconds, seed
from udpim.cli.output import EXIT_WORDS
from udpim.config import Exchange

WORDS = "try to break the promise: worlds of trouble in virtual time, each from one number"
P = TypeVar("P", bound=argparse.ArgumentParser)
BUGS = "tests.sim.bugs"
"""Where a checkout has its planted bugs."""


def add_sim(commands: Subparsers[P], exchanges: tuple[Exchange, ...]) -> None:
    """Add the command with its actions.

    Args:
        commands: The subparsers of the whole command line.
        exchanges: Names of the exchange's variants.
    """
    parser = commands.add_parser(
        "sim", help=WORDS, description=WORDS.capitalize() + ".", epilog=EXIT_WORDS
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def action(name: str, words: str, *, jobs: bool = False) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(
            name, help=words, description=words.capitalize() + ".", epilog=EXIT_WORDS
        )
        made.set_defaults(module="sim", action=name)
        made.add_argument("--json", action="store_true", help="print one JSON object")
        if jobs:
            made.add_argument(
                "--jobs", type=count, metavar="J", help="processes (default: as many as cores)"
            )
        return made

    _run(action("run", "play many seeds; exit 1 if one of them breaks the promise", jobs=True))
    replay = action("replay", "play one seed, or one tape")
    replay.add_argument("what", metavar="SEED|TAPE", help="a number, or a file of decisions")
    replay.add_argument("--story", action="store_true", help="tell all that happens, in order")
    replay.add_argument("--tape", metavar="FILE", help="keep the run's decisions in this file")
    replay.add_argument("--qlog", metavar="DIR", help="write a qlog of each node into this folder")
    shrink = action("shrink", "find the few decisions that a failure needs, and tell its story")
    shrink.add_argument("what", metavar="SEED|TAPE", help="a number, or a file of decisions")
    shrink.add_argument("--out", metavar="FILE", help="the tape (default: SEED.shrunk.json)")
    shrink.add_argument(
        "--qlog", metavar="DIR", help="folder for a qlog of each node (default: TAPE.qlog)"
    )
    shrink.add_argument(
        "--minutes", type=seconds, default=10, metavar="M", help="time limit (default: 10)"
    )
    words = "one message: every loss among its first datagrams, every moment to die, every role"
    exhaustive = action("exhaustive", words, jobs=True)
    exhaustive.add_argument(
        "--exchange", choices=(*exchanges, "both"), default="both", help="packets (default: both)"
    )
    calibrate = action("calibrate", "plant known bugs, find each and shrink it", jobs=True)
    calibrate.add_argument(
        "--bugs", default=BUGS, metavar="MODULE", help=f"where they are (default: {BUGS})"
    )
    calibrate.add_argument("names", nargs="*", metavar="NAME", help="only these bugs")


def _run(parser: argparse.ArgumentParser) -> None:
    much = parser.add_mutually_exclusive_group(required=True)
    much.add_argument("--seeds", type=count, metavar="N", help="how many")
    much.add_argument("--minutes", type=seconds, metavar="M", help="how long")
    parser.add_argument(
        "--first", type=seed, default=0, metavar="SEED", help="the first seed (default: 0)"
    )
    parser.add_argument(
        "--resume", metavar="FILE", help="keep the campaign here, and go on with it next time"
    )
    parser.add_argument(
        "--tapes", metavar="DIR", help="keep tapes and qlogs of seeds that fail here"
    )
