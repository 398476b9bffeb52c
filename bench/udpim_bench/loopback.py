"""``udpim_bench loopback``: the whole exchange over real sockets, in two processes.

The server is one process, all clients are another: alice writes to several readers, one stream to
each, and a message counts when the reader's handler ran and alice's receipt shows DELIVERED. Every
repetition has processes of its own, which warm up first; the cases take turns. The figures are
reported; what is judged is that every message arrived once, in order, and was receipted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from udpim.runtime.endpoint import ENDPOINT_VARIABLE
from udpim_bench.measure import WrongCounts, environment, spread

GOAL_PER_S = 25_000
WARM_UP_RATIO = 5
"""One so-manieth of the messages is sent before the measurement."""
DURABLE_RATIO = 4
"""SQLite is slower: one so-manieth of the messages takes about as long."""
END_S_MAX = 30.0
METHOD = {
    "message": "counted when the reader's handler ran and the sender's receipt shows DELIVERED",
    "processes": "server; sender and all readers; new ones for each repetition, warmed up",
    "latency": "from the call of send_many to the receipt, as the sender's program sees it",
    "cpu": "process CPU time of all threads, µs per message",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way of doing it."""

    store: str
    endpoint: str | None
    messages: int
    window: int
    streams: int
    size_bytes: int
    security: str = "require"
    """Or "plain"."""

    @property
    def name(self) -> str:
        """What it is called in the report."""
        words = "encrypted" if self.security == "require" else "plaintext"
        return f"{self.store}, {words}, {self.endpoint or 'default'} endpoint"


class Process:
    """A child that answers each line with a line."""

    def __init__(
        self,
        words: Sequence[str],
        endpoint: str | None,
        module: str = "udpim_bench.loopback_peer",
    ) -> None:
        """Start ``python -m`` with this module and these words."""
        variables = dict(os.environ)
        if endpoint is not None:
            variables[ENDPOINT_VARIABLE] = endpoint
        self._child = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=variables,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself; what it said can still be read."""
        return self._child.poll() is not None

    def read(self) -> dict[str, Any]:
        """Return the next line.

        Raises:
            WrongCounts: If it says that something went wrong, or there is none.
        """
        assert self._child.stdout is not None, "a pipe"
        line = self._child.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "a process died"}
        if "error" in answer:
            raise WrongCounts(str(answer["error"]))
        return answer

    def tell(self, line: str) -> None:
        """Write a line; its answer is the next one to be read."""
        assert self._child.stdin is not None, "a pipe"
        self._child.stdin.write(f"{line}\n")
        self._child.stdin.flush()

    def ask(self, line: str) -> dict[str, Any]:
        """Write a line and return the answer."""
        self.tell(line)
        return self.read()

    def end(self) -> None:
        """Let it end by itself.

        Raises:
            WrongCounts: If it fails or hangs.
        """
        assert self._child.stdin is not None, "a pipe"
        self._child.stdin.close()
        try:
            code = self._child.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            raise WrongCounts("a process does not end") from None
        if code != 0:
            raise WrongCounts(f"a process ended with code {code}")

    def kill(self) -> None:
        """Make sure that it is gone."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()


def once(case: Case, profile: Path | None = None) -> dict[str, Any]:
    """Run one repetition and return its figures.

    Raises:
        WrongCounts: If not every message arrived once, in order, and was receipted.
    """
    with ExitStack() as stack:
        places: list[list[str]] = [[], []]
        if case.store == "sqlite":
            folder = stack.enter_context(TemporaryDirectory(prefix="udpim-bench-"))
            places = [["--folder", folder], ["--folder", folder]]
        if profile is not None:
            for name, words in zip(("server", "clients"), places, strict=True):
                words += ["--profile", str(profile / f"{case.store}-{name}.prof")]
        server = Process(["server", f"--security={case.security}", *places[0]], case.endpoint)
        stack.callback(server.kill)
        there = server.read()
        shape = {"port": there["port"], "window": case.window, "streams": case.streams}
        words = [f"--{key}={value}" for key, value in (shape | {"size": case.size_bytes}).items()]
        words += [] if there["key"] is None else [f"--key={there['key']}"]
        clients = Process(["clients", *words, *places[1]], case.endpoint)
        stack.callback(clients.kill)
        clients.read()
        warm_up = max(1, case.messages // WARM_UP_RATIO)
        clients.ask(str(warm_up))
        before = server.ask("before")
        told = clients.ask(str(case.messages))
        after = server.ask("after")
        clients.end()
        server.end()
    counts = {key: told[key] for key in ("sent", "handled", "receipted")}
    total = warm_up + case.messages
    if counts != {"sent": total, "handled": total, "receipted": case.messages}:
        raise WrongCounts(f"{case.name}: {counts} of {total}, {case.messages} measured")
    return {
        "messages_per_s": case.messages / told["wall_s"],
        "server_us": (after["cpu_s"] - before["cpu_s"]) / case.messages * 1e6,
        "clients_us": told["cpu_s"] / case.messages * 1e6,
        "receipt_p50_ms": told["receipt_p50_ms"],
        "receipt_p99_ms": told["receipt_p99_ms"],
        "counts": counts,
        "server": after["stats"],
        "sender": told["stats"],
    }


FIGURES = ("messages_per_s", "server_us", "clients_us", "receipt_p50_ms", "receipt_p99_ms")


def run(
    cases: Sequence[Case], repeat: int, progress: Callable[[str], None], profile: Path | None = None
) -> dict[str, Any]:
    """Measure the cases in turn; return the report as JSON can hold it.

    Raises:
        WrongCounts: If a message was lost, doubled, misordered or not receipted.
    """
    results: dict[str, list[dict[str, Any]]] = {case.name: [] for case in cases}
    for round_ in range(repeat):
        for case in cases:
            progress(f"{round_ + 1}/{repeat} {case.name}, {case.messages} messages")
            results[case.name].append(once(case, profile))
    rows = []
    for case in cases:
        runs = results[case.name]
        row: dict[str, Any] = {
            "name": case.name,
            "store": case.store,
            "security": case.security,
            "endpoint": case.endpoint,
            "messages": case.messages,
            "window": case.window,
            "streams": case.streams,
            "message_bytes": case.size_bytes,
        }
        row |= {figure: spread([one[figure] for one in runs]) for figure in FIGURES}
        row["samples"] = [round(one["messages_per_s"]) for one in runs]
        rows.append(row | {key: runs[-1][key] for key in ("counts", "server", "sender")})
    told = environment() | {"clock": "wall time; process CPU time where it says so"}
    return {
        "benchmark": "loopback",
        "environment": told,
        "method": METHOD,
        "repeat": repeat,
        "goal_messages_per_s": GOAL_PER_S,
        "cases": rows,
    }


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    told = report["environment"]
    out = [
        f"Python {told['python']} on {told['cpu']}, {told['cores']} cores, load "
        f"{told['load_average'][0]}; commit {told['commit']}{' (modified)' * told['modified']}",
        f"A → server → B and the receipt back, over loopback; median of {report['repeat']} "
        "repetitions [min .. max]",
    ]
    for row in report["cases"]:
        rate = row["messages_per_s"]
        out += [
            "",
            f"{row['name']}: {row['messages']} messages of {row['message_bytes']} bytes, window "
            f"{row['window']} over {row['streams']} streams",
            f"  {rate['median']:10.0f} messages/s [{rate['min']:.0f} .. {rate['max']:.0f}]",
            f"  {row['server_us']['median']:10.1f} µs CPU a message at the server",
            f"  {row['clients_us']['median']:10.1f} µs CPU a message at the clients, all together",
            f"  {row['receipt_p50_ms']['median']:10.1f} ms to the receipt, median; "
            f"p99 {row['receipt_p99_ms']['median']:.1f} ms",
        ]
    return [*out, "", f"goal, memory stores: {report['goal_messages_per_s']} messages/s"]
