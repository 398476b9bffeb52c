"""``udpim_bench garbage``: a server under a flood of wrong datagrams, and who talks meanwhile.

Real processes on loopback: the server; two clients that write to each other; a sender of garbage
made from copies of their real datagrams. Judged are the rate, the conversation (nothing lost,
doubled, misordered or left without its receipt, no connection lost), that every datagram the
server received is accounted for by name, that answers are no more bytes than came, and the growth
of its memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from udpim_bench.loopback import Process
from udpim_bench.measure import environment, resident_bytes

RATE_PER_S = 8000
RATE_PER_S_MIN = 5000
"""What the flood has to reach, as a whole."""
TALK_PER_S = 50.0
"""Messages a second each way in the conversation."""
COLLECT_S = 1.0
"""The conversation goes on alone for so long, to have real datagrams to begin with."""
SAMPLE_S = 0.25
CALM_S = 0.3
"""After the flood: until the server has read what waits in its socket."""
GROWTH_BYTES_MAX = 32 * 1024 * 1024
"""Half-open connections are limited, and everything else forgets."""
MODULE = "udpim_bench.garbage_peer"


def run(
    datagrams: int, rate_per_s: int, seed: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Throw so many datagrams; return the report as JSON can hold it.

    Raises:
        WrongCounts: If a message was lost, doubled or misordered, or a process failed.
    """
    with ExitStack() as stack:

        def start(module: str, *words: str) -> Process:
            process = Process(words, None, module)
            stack.callback(process.kill)
            return process

        folder = stack.enter_context(TemporaryDirectory(prefix="udpim-bench-"))
        samples = f"--samples={Path(folder) / 'samples'}"
        # In plaintext garbage gets further than the tag of the first packet.
        server = start("udpim_bench.loopback_peer", "server", "--security=plain")
        port = f"--port={server.read()['port']}"
        talkers = start(MODULE, "talkers", port, samples, f"--rate={TALK_PER_S}")
        talkers.read()
        time.sleep(COLLECT_S)
        kept = talkers.ask("save")["samples"]
        memory = [resident_bytes(server.pid)]
        flood = (f"--datagrams={datagrams}", f"--rate={rate_per_s}", f"--seed={seed}")
        thrower = start(MODULE, "garbage", port, samples, *flood)
        done = 0
        while not thrower.ended:
            time.sleep(SAMPLE_S)
            memory.append(resident_bytes(server.pid))
            done += 1
            if done % 40 == 0:
                progress(f"{done * SAMPLE_S:.0f} s, server {memory[-1] >> 20} MiB")
        thrown = thrower.read()
        thrower.end()
        time.sleep(CALM_S)
        talked = talkers.ask("settle")
        told = server.ask("after")
        memory.append(resident_bytes(server.pid))
        talkers.end()
        server.end()
    return _report(thrown, talked, told, memory) | {"samples": kept, "seed": seed}


def account(stats: dict[str, Any]) -> dict[str, Any]:
    """Say what became of every datagram that the server's socket handed over."""
    groups = ("hop", "listener")
    drops = {reason: count for reason, count in stats["drops"].items() if reason.startswith(groups)}
    received = stats["endpoint"]["datagrams_received"]
    taken, answered = stats["hop"]["datagrams_received"], _answered(stats["listener"])
    return {
        "received": received,
        "taken": taken,
        "answered": answered,
        "drops": drops,
        "unaccounted": received - taken - sum(answered.values()) - sum(drops.values()),
        "lost_in_the_kernel": stats["drops"].get("endpoint: receive buffer full", 0),
    }


def _answered(listener: dict[str, int]) -> dict[str, int]:
    """Name the answers that datagrams of no known connection got."""
    answers = {
        "WELCOME": listener["connections_accepted"] + listener["hellos_repeated"],
        "RETRY": listener["retries_sent"],
        "RESET": listener["resets_sent"],
        "VERSION": listener["versions_sent"],
    }
    return {name: count for name, count in answers.items() if count}


def _report(
    thrown: dict[str, Any], talked: dict[str, Any], told: dict[str, Any], memory: list[int]
) -> dict[str, Any]:
    accounts = account(told["stats"])
    latencies = sorted(talked.pop("latencies_s"))
    rate = thrown["sent"] / thrown["seconds"]
    report = {
        "benchmark": "garbage",
        "environment": environment() | {"clock": "wall time"},
        "garbage": thrown | {"per_s": round(rate), "slowest_per_s": round(thrown["slowest_per_s"])},
        "server": accounts
        | {"cpu_s": round(told["cpu_s"], 3)}
        | {"rss_before": memory[0], "rss_most": max(memory), "rss_after": memory[-1]},
        "conversation": talked
        | {"p50_ms": _ms(latencies, 50), "p99_ms": _ms(latencies, 99), "receipts": len(latencies)},
    }
    return report | {"problems": judge(report)}


def _ms(ordered: list[float], percent: int) -> float:
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000, 3)


def judge(report: dict[str, Any]) -> list[str]:
    """Return what is wrong, in words."""
    thrown, server, talked = report["garbage"], report["server"], report["conversation"]
    problems = []
    if thrown["per_s"] < RATE_PER_S_MIN:
        problems.append(f"only {thrown['per_s']} datagrams/s, {RATE_PER_S_MIN} are wanted")
    if server["unaccounted"]:
        problems.append(f"{server['unaccounted']} datagrams are not accounted for")
    if thrown["reply_bytes"] > thrown["sent_bytes"]:
        problems.append("more bytes were answered than came")
    growth = server["rss_most"] - server["rss_before"]
    if growth > GROWTH_BYTES_MAX:
        problems.append(f"the server grew by {growth} bytes, at most {GROWTH_BYTES_MAX} expected")
    if talked["sent"] != talked["handled"] or sum(talked["sent"]) != talked["receipts"]:
        counts = f"{talked['handled']} handled, {talked['receipts']} receipts"
        problems.append(f"{talked['sent']} were sent, {counts}")
    if talked["logins"] != [1, 1]:
        problems.append(f"a connection was lost: {talked['logins']} logins")
    return problems


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    thrown, server, talked = report["garbage"], report["server"], report["conversation"]
    mib = 1024 * 1024
    return [
        f"{thrown['sent']} wrong datagrams ({thrown['sent_bytes'] // mib} MiB) in "
        f"{thrown['seconds']:.0f} s: {thrown['per_s']}/s, slowest stretch "
        f"{thrown['slowest_per_s']}/s, seed {report['seed']}",
        f"server: {server['received']} datagrams received, {server['taken']} taken, "
        f"{server['unaccounted']} not accounted for, {server['lost_in_the_kernel']} lost in the "
        "kernel",
        *(f"  answered with {name}: {n}" for name, n in sorted(server["answered"].items())),
        *(
            f"  dropped, {reason}: {count}"
            for reason, count in sorted(server["drops"].items(), key=lambda item: -item[1])
        ),
        f"  {thrown['replies']} answers to the sender of garbage, {thrown['reply_bytes']} bytes",
        f"  memory: {server['rss_before'] / mib:.1f} MiB before, {server['rss_most'] / mib:.1f} at "
        f"most, {server['rss_after'] / mib:.1f} after; {server['cpu_s']:.1f} s of CPU in all",
        f"conversation: {sum(talked['sent'])} sent, {sum(talked['handled'])} handled once and in "
        f"order, {talked['receipts']} receipts, {talked['logins']} logins; p50 "
        f"{talked['p50_ms']:.1f} ms, p99 {talked['p99_ms']:.1f} ms",
    ]
