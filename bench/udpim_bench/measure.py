"""How everything here is measured: process CPU time, interleaved repetitions, median and spread.

Repetitions go A B C A B C …, so a machine that slows down for a second slows all cases alike
instead of one. CPU time of the process, not wall time: what others do on the machine counts less.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from udpim.errors import Error


class WrongCounts(Error):
    """A benchmark did not do the work that it was to be timed at."""


class Case(Protocol):
    """Something that can be measured again and again."""

    name: str

    def run(self) -> int:
        """Do the work once and return how many units it was; only this is timed."""

    def check(self) -> None:
        """Verify what the last `run` did.

        Raises:
            WrongCounts: If that was not the work.
        """


def timed(case: Case) -> float:
    """Return the CPU time of one unit of one run, µs; collect garbage before, check after."""
    gc.collect()
    started = time.process_time()
    units = case.run()
    spent = time.process_time() - started
    case.check()
    return spent / units * 1e6


def interleaved(
    cases: Sequence[Case], repeat: int, progress: Callable[[str], None]
) -> dict[str, list[float]]:
    """Measure every case ``repeat`` times, one after the other; µs per unit by name."""
    costs: dict[str, list[float]] = {case.name: [] for case in cases}
    for round_ in range(repeat):
        for case in cases:
            progress(f"{round_ + 1}/{repeat} {case.name}")
            costs[case.name].append(timed(case))
    return costs


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least, most, quartiles and their distance, rounded to ns where µs came in."""
    low = high = values[0]
    if len(values) > 1:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    named = {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "q1": low,
        "q3": high,
        "iqr": high - low,
    }
    return {name: round(value, 3) for name, value in named.items()}


def resident_bytes(pid: int) -> int:
    """Return what a process has in memory (VmRSS of Linux), bytes."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise WrongCounts(f"process {pid} has no memory any more")


def spent_cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used (Linux), seconds."""
    # proc(5): the command, in parentheses, may hold anything; utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def environment() -> dict[str, Any]:
    """Say on what, and with which code, the figures were made."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "commit": _git("rev-parse", "HEAD"),
        "modified": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "clock": "process CPU time",
    }


def _cpu_model(path: Path = Path("/proc/cpuinfo")) -> str:
    if path.exists():
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _git(*words: str) -> str | None:
    """Ask git about this source tree; None outside of a repository or without git."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
