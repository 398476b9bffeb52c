"""``udpim sim``: worlds of trouble in virtual time that try to break the promise.

Each action has a module: many seeds, one run, everything that can go wrong with one message, and
known bugs that must be found (docs/simulator.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from udpim.cli import sim_all, sim_calibrate, sim_many, sim_one

_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": sim_many.run,
    "replay": sim_one.replay,
    "shrink": sim_one.shrink,
    "exhaustive": sim_all.run,
    "calibrate": sim_calibrate.run,
}


def run(args: argparse.Namespace) -> int:
    """Do one of the simulator's actions.

    Raises:
        ConfigError: If a tape cannot be read or written, or there is no such bug.
    """
    return _ACTIONS[args.action](args)
