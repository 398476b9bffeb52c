"""``udpim_bench slow``: a recipient stops reading, and nobody else notices.

Real processes on loopback: the server; everybody who talks; the slow recipient. First the others
talk at a steady rate, then the recipient stops (its program, or its whole process) while a sender
pushes to it as fast as ``send`` lets it, then it goes on and everything has to arrive once, in
order. Judged are the counts, what the server keeps in memory against its limits, that the sender
was held back, and the others' p99 of send to receipt: at most twice that of before.

A second server with as many talkers of its own runs beside it, where nobody is slow: the control.
If its p99 rises, the machine has got other work, and the judged ratio is divided by that rise.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from tempfile import TemporaryDirectory
from typing import Any

from udpim.config import WINDOW, WINDOW_BYTES, Limits
from udpim.wire.im_schema import PAYLOAD_BYTES_MAX
from udpim_bench.loopback import Process
from udpim_bench.measure import environment, resident_bytes, spent_cpu_s, spread
from udpim_bench.slow_peer import PUSH_BYTES_MAX

RATE_PER_S = 50.0
"""Of each of the other conversations."""
BEFORE_SHARE = 4
"""The phase before takes one so-manieth of the time stopped …"""
WINDOWS = 3
"""… and has so many windows, each with a p99 of its own."""
FEW = 8
RATIO_MAX = 2.0
CONTROL = "control"
SAMPLE_S = 0.25
KIB, MIB = 1024, 1024 * 1024
SLACK_BYTES = 32 * MIB
"""Of resident memory, beside what the limits allow: the allocator, SQLite's cache, the frames' own
overhead."""
MODULE = "udpim_bench.slow_peer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way of not reading."""

    name: str
    store: str
    size_bytes: int
    frozen: bool = False
    """The whole process is stopped, and not its program only."""


CASES = (
    Case(name="memory-small", store="memory", size_bytes=128),
    Case(name="sqlite-small", store="sqlite", size_bytes=128),
    Case(name="memory-64k", store="memory", size_bytes=64 * KIB),
    Case(name="sqlite-64k", store="sqlite", size_bytes=64 * KIB),
    Case(name="sqlite-1m", store="sqlite", size_bytes=MIB),
    Case(name="frozen-memory-64k", store="memory", size_bytes=64 * KIB, frozen=True),
    Case(name="frozen-sqlite-small", store="sqlite", size_bytes=128, frozen=True),
    Case(name="frozen-sqlite-64k", store="sqlite", size_bytes=64 * KIB, frozen=True),
)


class Watch:
    """The server's memory over time."""

    def __init__(self, server: Process) -> None:
        """Watch this process."""
        self._server = server
        self.rss = [resident_bytes(server.pid)]
        self.most = self.look()["memory"]

    def look(self) -> dict[str, Any]:
        """Take one sample of what the server counts."""
        return self._server.ask("look")

    def wait(self, seconds: float) -> None:
        """Let time pass, and look now and then."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            time.sleep(min(SAMPLE_S, left))
            self.rss.append(resident_bytes(self._server.pid))
            memory = self.look()["memory"]
            self.most = {key: max(value, memory[key]) for key, value in self.most.items()}


class Stopped:
    """The recipient, stopped until the end of the block."""

    def __init__(self, slow: Process, *, frozen: bool) -> None:
        """Name it."""
        self._slow = slow
        self._frozen = frozen

    def __enter__(self) -> None:
        """Stop it."""
        if self._frozen:
            os.kill(self._slow.pid, signal.SIGSTOP)
        else:
            self._slow.ask("pause")

    def __exit__(self, *_: object) -> None:
        """Let it go on."""
        if self._frozen:
            os.kill(self._slow.pid, signal.SIGCONT)
        else:
            self._slow.ask("resume")


def once(case: Case, seconds: float, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run one case and return its figures.

    Raises:
        WrongCounts: If a message was lost, doubled or misordered, or a process failed.
    """
    with ExitStack() as stack:

        def start(role: str, *words: str) -> Process:
            process = Process([role, *place, *words], None, MODULE)
            stack.callback(process.kill)
            return process

        place: list[str] = []
        if case.store == "sqlite":
            folder = stack.enter_context(TemporaryDirectory(prefix="udpim-bench-"))
            place = ["--folder", folder]
        server = start("server")
        port = f"--port={server.read()['port']}"
        slow = start("slow", port)
        slow.read()
        traffic = (f"--size={case.size_bytes}", f"--rate={RATE_PER_S}")
        talkers = start("talkers", port, f"--few={FEW}", *traffic)
        talkers.read()
        # After the others, so that no file of theirs is touched: its users have the same names.
        place = [*place, "--prefix=control-"] if place else place
        other = start("server")
        control = start("talkers", f"--port={other.read()['port']}", "--few=0", *traffic)
        control.read()
        phases = _phases(case, seconds, (server, slow, talkers, control), progress)
        control.ask("settle")
        end = talkers.ask("settle")
        count = slow.ask("count")
        for process in (talkers, slow, server, control, other):
            process.end()
    phases["after"] |= {"handled": count["handled"], "logins": count["logins"]}
    phases["after"] |= {"states": end["states"], "others_sent": end["sent"]}
    return phases


def _phases(
    case: Case,
    seconds: float,
    processes: tuple[Process, Process, Process, Process],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    server, slow, talkers, control = processes
    window_s = seconds / BEFORE_SHARE / WINDOWS
    watch = Watch(server)
    watch.wait(window_s)  # caches are warm, and timers spread
    talkers.ask("window")
    control.ask("window")

    cpu: dict[str, list[dict[str, float]]] = {}

    def windows(count: int, name: str) -> dict[str, list[dict[str, float]]]:
        found: dict[str, list[dict[str, float]]] = {}
        for n in range(count):
            progress(f"{case.name}: {name}, window {n + 1}/{count}")
            spent = spent_cpu_s(server.pid), spent_cpu_s(talkers.pid)
            watch.wait(window_s)
            cpu.setdefault(name, []).append(
                {
                    "server": round(spent_cpu_s(server.pid) - spent[0], 2),
                    "talkers": round(spent_cpu_s(talkers.pid) - spent[1], 2),
                }
            )
            alone = control.ask("window")["latencies_s"].values()
            groups = talkers.ask("window")["latencies_s"] | {CONTROL: [*chain(*alone)]}
            for group, latencies in groups.items():
                found.setdefault(group, []).append(_percentiles(latencies))
        return found

    before = windows(WINDOWS, "before")
    rss_before = watch.rss[-1]
    with Stopped(slow, frozen=case.frozen):
        talkers.ask("push")
        during = windows(WINDOWS * BEFORE_SHARE, "stopped")
        pushed = talkers.ask("stop")
    rss_most = max(watch.rss)
    progress(f"{case.name}: it reads again")
    return {
        "before": before,
        "during": during,
        "pushed": pushed["pushed"],
        "states_stopped": pushed["states"],
        "memory_most": watch.most,
        "window_s": window_s,
        "cpu_s": cpu,
        "rss_before": rss_before,
        "rss_most": rss_most,
        "after": {"rss": resident_bytes(server.pid)},
    }


def _percentiles(latencies: Sequence[float]) -> dict[str, float]:
    ordered = sorted(latencies)
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "p50_ms": round(ordered[min(last, len(ordered) // 2)] * 1000, 3) if ordered else 0.0,
        "p99_ms": round(ordered[min(last, len(ordered) * 99 // 100)] * 1000, 3) if ordered else 0.0,
    }


def judge(case: Case, found: dict[str, Any]) -> dict[str, Any]:
    """Compare figures with limits; return the report's row, with what is wrong under "problems"."""
    limits, size = Limits(), case.size_bytes
    groups = {name: _ratio(found, name) for name in found["before"]}
    calm = max(1.0, groups[CONTROL]["ratio"])
    states, memory = found["states_stopped"], found["memory_most"]
    # A message is as large in memory as its section: its payload, and some 30 bytes.
    under_way_max = min(WINDOW * (size + 64), WINDOW_BYTES + PAYLOAD_BYTES_MAX)
    others = int(RATE_PER_S) * KIB  # what the other conversations have under way, generously
    inbox_max = limits.bulk_window_bytes + size + FEW * size
    queue_max = limits.queue_bytes_max + under_way_max
    stored = states.get("STORED", 0) * size
    bounds = {
        "pushed and not receipted": (
            memory["pushed_bytes"],
            min(under_way_max, limits.session_bytes_max) + others,
        ),
        "waiting at the server for a window": (memory["waiting_bytes"], under_way_max + others),
        "transmitted, neither settled nor stored": (
            states.get("ACCEPTED", 0) * size,
            under_way_max,
        ),
        "delivered to who does not read": (states.get("DELIVERED", 0) * size, inbox_max),
        "stored for who is gone": (stored, queue_max),
        "growth of the server's resident memory": (
            found["rss_most"] - found["rss_before"],
            3 * under_way_max + SLACK_BYTES,  # as pushes, as frames, and in the queue
        ),
    }
    problems = [
        f"{name}: {value} bytes, at most {limit} expected"
        for name, (value, limit) in bounds.items()
        if value > limit
    ]
    pushed, end = found["pushed"], found["after"]
    if pushed * size >= PUSH_BYTES_MAX:
        problems.append("the sender was never held back")
    if end["states"] != {"DELIVERED": pushed} or end["handled"] < pushed:
        problems.append(f"{end['handled']} of {pushed} were handled, shown {end['states']}")
    problems += [
        f"{name}: p99 is {group['ratio']:.2f} times that of before, the control's {calm:.2f} times"
        for name, group in groups.items()
        if name != CONTROL and group["ratio"] / calm > RATIO_MAX
    ]
    return {
        "name": case.name,
        "store": case.store,
        "message_bytes": size,
        "frozen": case.frozen,
        "groups": groups,
        "bounds": {name: {"found": value, "limit": most} for name, (value, most) in bounds.items()},
        "found": found,
        "problems": problems,
    }


def _ratio(found: dict[str, Any], group: str) -> dict[str, Any]:
    """Return the medians of the windows' p99, and their ratio."""
    told: dict[str, Any] = {}
    for phase in ("before", "during"):
        windows = found[phase][group]
        told[phase] = spread([window["p99_ms"] for window in windows])
        told[f"{phase}_count"] = sum(window["count"] for window in windows)
    least_ms = 0.001  # of a phase in which nothing was sent
    told["ratio"] = told["during"]["median"] / max(least_ms, told["before"]["median"])
    return told


def _share(found: dict[str, Any], phase: str, who: str) -> float:
    """Return the median of the windows' CPU, percent of one core."""
    spent = [window[who] for window in found["cpu_s"][phase]]
    return 100 * spread(spent)["median"] / float(found["window_s"])


def run(cases: Sequence[Case], seconds: float, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run the cases one after the other; return the report as JSON can hold it.

    Raises:
        WrongCounts: If a message was lost, doubled or misordered, or a process failed.
    """
    rows = [judge(case, once(case, seconds, progress)) for case in cases]
    return {
        "benchmark": "slow",
        "environment": environment() | {"clock": "wall time"},
        "seconds": seconds,
        "rate_per_s": RATE_PER_S,
        "ratio_max": RATIO_MAX,
        "cases": rows,
        "problems": [f"{row['name']}: {text}" for row in rows for text in row["problems"]],
    }


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    out = [
        f"one recipient does not read for {report['seconds']:g} s while a sender pushes to it; "
        f"the others talk at {report['rate_per_s']:g} messages/s each",
    ]
    for row in report["cases"]:
        found, after = row["found"], row["found"]["after"]
        out += [
            "",
            f"{row['name']}: {row['message_bytes']} bytes a message, store: {row['store']}; "
            f"{'its process is stopped' if row['frozen'] else 'its program does not go on'}",
            f"  server memory: {found['rss_before'] / MIB:.1f} MiB before, "
            f"{found['rss_most'] / MIB:.1f} at most, {after['rss'] / MIB:.1f} after",
            f"  send() took {found['pushed']} messages; shown when it went on: "
            + ", ".join(f"{n} {state}" for state, n in sorted(found["states_stopped"].items())),
            *(
                f"  {name}: {bound['found']} bytes, limit {bound['limit']}"
                for name, bound in row["bounds"].items()
            ),
            *(
                f"  {name}: p99 of send to receipt {group['before']['median']:.1f} ms before "
                f"[{group['before']['min']:.1f} .. {group['before']['max']:.1f}], "
                f"{group['during']['median']:.1f} ms meanwhile "
                f"[{group['during']['min']:.1f} .. {group['during']['max']:.1f}], "
                f"ratio {group['ratio']:.2f}"
                for name, group in row["groups"].items()
            ),
            *(
                f"  CPU of the {who}: {_share(found, 'before', who):.0f} % before, "
                f"{_share(found, 'stopped', who):.0f} % meanwhile"
                for who in ("server", "talkers")
            ),
            f"  afterwards: {after['handled']} handled once and in order, {after['logins']} logins",
        ]
    verdict = "held back, bounded, and nobody else noticed"
    return [*out, *([] if report["problems"] else ["", verdict])]
