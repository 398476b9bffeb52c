"""``python -m udpim.testing.power``: the campaign as a command.

It ends with 0 where nothing was lost, and with 1 where something was: with ``--synchronous normal``
or ``off`` that is how it ought to end.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence

from udpim.testing.power.campaign import FAULTS, Fault, Summary, run

PROGRESS_S = 2.0
SHOWN_MAX = 10
SETTINGS = ("full", "normal", "off")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m udpim.testing.power", description=run.__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="how many (%(default)s)")
    parser.add_argument("--seed", default="1", help="where the dice begin (%(default)s)")
    parser.add_argument(
        "--synchronous", choices=SETTINGS, help="a control: in place of the store's own setting"
    )
    parser.add_argument("--json", action="store_true", help="the summary as one JSON object")
    args = parser.parse_args(argv)
    last_s = 0.0

    def progress(done: int, faults: Sequence[Fault], seconds: float) -> None:
        nonlocal last_s
        if seconds - last_s >= PROGRESS_S:
            last_s = seconds
            words = f"{done}/{args.runs} runs, {done / seconds:.0f} runs/s, {len(faults)} faults"
            print(words, file=sys.stderr, flush=True)

    summary = run(args.runs, args.seed, synchronous=args.synchronous, progress=progress)
    if args.json:
        print(json.dumps(jsonable(summary)))
    else:
        print("\n".join(lines(summary)))
    return 1 if summary.faults else 0


def jsonable(summary: Summary) -> dict[str, object]:
    """Return the summary for machines."""
    counts = Counter(fault.kind for fault in summary.faults)
    faults = [fault._asdict() for fault in summary.faults]
    return summary._asdict() | {kind: counts[kind] for kind in FAULTS} | {"faults": faults}


def lines(summary: Summary) -> list[str]:
    """Return the summary for people."""
    counts = Counter(fault.kind for fault in summary.faults)
    rate = summary.runs / max(summary.seconds, 1e-9)
    shown = [f"{f.kind}: seed {f.seed}, {f.words}" for f in summary.faults[:SHOWN_MAX]]
    return [
        *shown,
        f"{summary.runs} runs, {summary.losses} losses of power,"
        f" {summary.while_opening} of them while a store was opened; {rate:.0f} runs/s",
        f"{summary.acknowledged} transactions acknowledged,"
        f" {summary.unacknowledged} more there than anybody was told",
        ", ".join(f"{kind} {counts[kind]}" for kind in FAULTS),
    ]


if __name__ == "__main__":
    sys.exit(main())
