"""Many schedules on all cores, and every mutant: `python -m tests.model.campaign`, or `make model`.

::

    python -m tests.model.campaign --count 20000 --first 0     the rules: no violation
    python -m tests.model.campaign --seed 4711 [--mutant NAME]  the story of one schedule
"""

import argparse
import multiprocessing
import os
import sys
import time
from typing import NamedTuple

from tests.model.mutants import MUTANTS
from tests.model.oracle import Violation
from tests.model.schedule import Rules, Schedule

COUNT = 20_000
CHUNK = 100
MUTANT_SCHEDULES_MAX = 20_000
"""A mutant that lives longer is not found."""


class Found(NamedTuple):
    """The first violation in some schedules."""

    seed: int
    schedules: int
    story: str


def search(rules, first, count):
    """Run schedules until one violates something."""
    for seed in range(first, first + count):
        try:
            Schedule(seed, rules).run()
        except Violation as violation:
            return Found(seed, seed - first + 1, str(violation))
    return None


def _search_rules(first):
    return search(Rules(), first, CHUNK)


def _search_mutant(index):
    mutant = MUTANTS[index]
    return mutant, search(mutant.rules, 0, MUTANT_SCHEDULES_MAX)


def tell(line):
    """Show progress, where somebody looks."""
    if sys.stderr.isatty():
        print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)


def try_rules(pool, first, count):
    """Run the rules as they are; print what was found.

    Returns:
        The number of chunks with a violation.
    """
    began = time.monotonic()
    chunks = range(first, first + count, CHUNK)
    found = []
    for number, result in enumerate(pool.imap_unordered(_search_rules, chunks), 1):
        if result is not None:
            found.append(result)
            print(f"seed {result.seed}: {result.story}")
        tell(f"{number * CHUNK} of {count} schedules, {len(found)} violations")
    tell("")
    passed_s = time.monotonic() - began
    print(
        f"{len(chunks) * CHUNK} schedules from seed {first}: "
        f"{len(found) or 'no'} violation{'s' * (len(found) > 1)}, {passed_s:.0f} s"
    )
    return len(found)


def try_mutants(pool):
    """Look for every mutant from seed 0 on; print after how many schedules it was found.

    Returns:
        The number of those that were not.
    """
    alive = 0
    for mutant, found in pool.imap(_search_mutant, range(len(MUTANTS))):
        if found is None:
            alive += 1
            outcome = f"NOT FOUND in {MUTANT_SCHEDULES_MAX}"
        else:
            outcome = f"after {found.schedules}: {found.story}"
        print(f"{mutant.rule:4} {mutant.name:26} {outcome[:90]}", flush=True)
    print(f"{len(MUTANTS)} mutants, {len(MUTANTS) - alive} found")
    return alive


def tell_story(seed, name):
    """Print everything that happens in one schedule."""
    rules = next((mutant.rules for mutant in MUTANTS if mutant.name == name), Rules())
    try:
        Schedule(seed, rules, print).run()
    except Violation as violation:
        print(violation)
        return 1
    return 0


def main(arguments=None):
    """Run the command."""
    parser = argparse.ArgumentParser(prog="tests.model.campaign", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--count", type=int, default=COUNT, help="schedules (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first one")
    parser.add_argument("--seed", type=int, help="tell the story of one schedule instead")
    parser.add_argument("--mutant", help="with --seed: under this mutant", metavar="NAME")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return tell_story(options.seed, options.mutant)
    with multiprocessing.Pool(len(os.sched_getaffinity(0))) as pool:
        violations = try_rules(pool, options.first, options.count)
        alive = try_mutants(pool)
    return 1 if violations or alive else 0


if __name__ == "__main__":
    sys.exit(main())
