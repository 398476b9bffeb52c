"""What the actions of ``udpim sim`` share: progress now and then, the command itself, and tapes."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from udpim.cli.output import say
from udpim.errors import ConfigError
from udpim.testing.sim.qlogs import Qlogs
from udpim.testing.sim.run import Result
from udpim.testing.sim.tape import Recording

PROGRESS_S = 5.0
STORY_CHARS = 1500
"""How much is said of what is wrong with one seed."""


class Stopwatch:
    """How long something takes, and when it is time to say how far it is."""

    def __init__(self) -> None:
        """Begin now."""
        self._started = self._said = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._started

    def due(self) -> bool:
        """Tell whether nothing was said for a while; true begins a new while."""
        now = time.monotonic()
        due = now - self._said > PROGRESS_S
        if due:
            self._said = now
        return due


def jobs(args: argparse.Namespace) -> int:
    """Return how many processes to use."""
    return args.jobs or os.cpu_count() or 1


def command() -> str:
    """Return what was typed, for a reader who wants to do it again."""
    return " ".join(["udpim", *sys.argv[1:]])


def keep(result: Result, path: Path) -> None:
    """Write a run's tape, and say where.

    Raises:
        ConfigError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Recording.of(result).dump(), "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    say(f"tape: {path}")


def keep_qlogs(qlogs: Qlogs, folder: Path) -> None:
    """Write a qlog of each node of a run, and say where.

    Raises:
        ConfigError: They cannot be written.
    """
    try:
        qlogs.write(folder)
    except OSError as error:
        raise ConfigError(f"cannot write {folder}: {error.strerror}") from error
    say(f"qlogs: {folder}")
