"""``udpim_bench micro``: codecs, a hop pair, and the whole exchange, all in memory.

Figures are reported against the budget and never judged by a test. What is judged is the work:
a run that lost, doubled or misordered anything ends with an error instead of a figure.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from udpim.crypto.security import CHACHA_BLAKE2S, SUITES
from udpim_bench import codecs
from udpim_bench.exchange import Exchange, Shape
from udpim_bench.hop_pair import HopPair
from udpim_bench.measure import Case, environment, interleaved, spread

WINDOW_MESSAGES = 1000
BUDGET_US = 40.0
"""A → S → B → A at window 1000, all nodes together."""
ENCRYPTED_MAX = 1.35
"""Cost of a message at window 1000 under the default suite, relative to plaintext."""
FLATNESS = (0.8, 1.2)
"""Cost from 10 to 10 000 in flight, relative to 1000 in flight in the same shape."""
PIPES = {10: (10, 100, 1000, 10_000), 100: (100, 1000, 10_000)}
"""Messages a round → in flight."""
STREAMS_MANY = 10
"""Streams of 1024 seqs that hold 10 000 in flight."""
METHOD = {
    "cost": "process CPU time per unit, µs; repetitions interleaved A B C A B C",
    "message": "counted when B's handler ran and A's receipt shows DELIVERED; all nodes together",
    "burst": "a round: A tops up to n in flight at once, then everything is handed over directly",
    "pipe": "a round: A sends the same few messages; n in flight come from a fixed latency",
    "clock": "virtual, 40 µs per message in every shape; nothing sleeps",
    "stores": "MemoryStore at every node; B handles each message before it is receipted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much to measure."""

    repeat: int
    codec_operations: int
    hop_bursts: int
    messages: int
    """Receipted messages a repetition, at least."""
    shapes: tuple[Shape, ...]


def full_plan(repeat: int) -> Plan:
    """Return the measurement whose figures may be quoted."""
    pipes = [
        Shape(in_flight=in_flight, streams=STREAMS_MANY, per_round=per_round)
        for per_round, numbers in PIPES.items()
        for in_flight in numbers
    ]
    return Plan(
        repeat=repeat,
        codec_operations=20_000,
        hop_bursts=40,
        messages=10_000,
        shapes=(
            Shape(in_flight=1000, streams=1),
            Shape(in_flight=1000, streams=4),
            *(Shape(in_flight=1000, streams=1, suite=suite) for suite in SUITES),
            Shape(in_flight=10, streams=1),
            Shape(in_flight=100, streams=1),
            Shape(in_flight=10_000, streams=STREAMS_MANY),
            *pipes,
        ),
    )


def quick_plan(repeat: int) -> Plan:
    """Return one that only shows that everything runs."""
    return Plan(
        repeat=repeat,
        codec_operations=100,
        hop_bursts=1,
        messages=200,
        shapes=(
            Shape(in_flight=100, streams=1),
            Shape(in_flight=100, streams=4),
            Shape(in_flight=100, streams=1, suite=CHACHA_BLAKE2S),
            Shape(in_flight=10, streams=2, per_round=10),
            Shape(in_flight=100, streams=2, per_round=10),
        ),
    )


def run(plan: Plan, progress: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything; return the report as JSON can hold it.

    Raises:
        WrongCounts: If anything did not do its work.
    """
    report: dict[str, Any] = {
        "benchmark": "micro",
        "environment": environment(),
        "method": METHOD,
        "repeat": plan.repeat,
    }
    report["codecs"] = _codecs(plan, progress)
    report["hop_pair"] = _hop_pair(plan, progress)
    report["exchange"], costs = _exchange(plan, progress)
    report["budget"] = _budget(plan, costs)
    return report


def _codecs(plan: Plan, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    costs = interleaved(codecs.cases(plan.codec_operations), plan.repeat, progress)
    rows = []
    for name, values in costs.items():
        frame, operation, codec = name.split("|")
        row: dict[str, Any] = {
            "frame": frame,
            "operation": operation,
            "codec": codec,
            "us": spread(values),
        }
        row["us_per_message"] = round(statistics.median(values) / codecs.RUN_MESSAGES, 3)
        rows.append(row)
    return rows


def _hop_pair(plan: Plan, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    pairs = [
        HopPair(size, plan.hop_bursts, suite=suite)
        for suite in (None, *SUITES)
        for size in (16, 128, 1164)
    ]
    costs = interleaved(pairs, plan.repeat, progress)
    rows = []
    for pair in pairs:
        values, counts = costs[pair.name], pair.counts()
        per_packet = counts.pop("packets_per_frame")
        rows.append(
            {
                "name": pair.name,
                "us_per_frame": spread(values),
                "us_per_packet": spread([value / per_packet for value in values]),
                "frames_per_cpu_s": round(1e6 / statistics.median(values)),
                "counts": counts,
            }
        )
    return rows


def _exchange(
    plan: Plan, progress: Callable[[str], None]
) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    exchanges: list[Exchange] = []
    for shape in plan.shapes:
        progress(f"warming up {shape.name}")
        exchanges.append(Exchange(shape, plan.messages))
    cases: list[Case] = [*exchanges]
    costs = interleaved(cases, plan.repeat, progress)
    rows = []
    for exchange in exchanges:
        steady = exchange.counts()
        exchange.drain()
        final = exchange.counts()
        shape = exchange.shape
        rows.append(
            {
                "name": shape.name,
                "shape": "burst" if shape.per_round is None else "pipe",
                "in_flight": shape.in_flight,
                "streams": shape.streams,
                "messages_per_round": shape.per_round or shape.in_flight,
                "latency_rounds": shape.latency_rounds,
                "message_bytes": shape.size_bytes,
                "us_per_message": spread(costs[shape.name]),
                "samples": [round(value, 3) for value in costs[shape.name]],
                "counts": steady | {key: final[key] for key in ("sent", "delivered", "receipted")},
            }
        )
    return rows, costs


def _budget(plan: Plan, costs: dict[str, list[float]]) -> dict[str, Any]:
    """Set the medians against design's budgets.

    Bursts of few messages cannot share datagrams and wake-ups, so their cost tells of bundling;
    what messages in flight cost is told by a pipe, whose rounds are alike.
    """
    medians = {name: round(statistics.median(values), 3) for name, values in costs.items()}
    plain = [shape for shape in plan.shapes if shape.suite is None]
    bursts = [shape for shape in plain if shape.per_round is None]
    pipes = [shape for shape in plain if shape.per_round is not None]
    window = {s.name: medians[s.name] for s in bursts if s.in_flight == WINDOW_MESSAGES}
    low, high = FLATNESS
    relative = _relative(bursts, medians), _relative(pipes, medians)
    encrypted = {
        shape: round(medians[shape.name] / medians[replace(shape, suite=None).name], 3)
        for shape in plan.shapes
        if shape.suite is not None and shape.in_flight == WINDOW_MESSAGES
    }
    return {
        "window_1000_us": window,
        "window_1000_us_max": BUDGET_US,
        "window_1000_kept": all(value <= BUDGET_US for value in window.values()),
        "encrypted_relative_to_plaintext": {s.name: value for s, value in encrypted.items()},
        "encrypted_relative_max": ENCRYPTED_MAX,
        "encrypted_kept": all(
            value <= ENCRYPTED_MAX for s, value in encrypted.items() if s.suite == CHACHA_BLAKE2S
        ),
        "relative_to_1000_min_max": FLATNESS,
        "bursts_relative_to_1000": relative[0],
        "bursts_kept": all(low <= value <= high for value in relative[0].values()),
        "pipes_relative_to_1000": relative[1],
        "pipes_kept": all(low <= value <= high for value in relative[1].values()),
    }


def _relative(shapes: Sequence[Shape], medians: dict[str, float]) -> dict[str, float]:
    """Return every median by that of the first shape with 1000 in flight and as many a round."""
    base: dict[int | None, float] = {}
    for shape in shapes:
        if shape.in_flight == WINDOW_MESSAGES:
            base.setdefault(shape.per_round, medians[shape.name])
    return {
        shape.name: round(medians[shape.name] / base[shape.per_round], 3)
        for shape in shapes
        if shape.per_round in base
    }


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    told = report["environment"]
    out = [
        f"Python {told['python']} on {told['cpu']}, {told['cores']} cores, load "
        f"{told['load_average'][0]}; commit {told['commit']}{' (modified)' * told['modified']}",
        f"process CPU time; median of {report['repeat']} interleaved repetitions [min .. max, IQR]",
        "",
        "codecs, µs a frame (a run of 8 messages of 128 bytes, or the answer to one)",
    ]
    by_frame: dict[str, dict[str, float]] = {}
    for row in report["codecs"]:
        key = f"{row['operation']} {row['codec']}"
        by_frame.setdefault(row["frame"], {})[key] = row["us"]["median"]
    columns = list(next(iter(by_frame.values())))
    out.append(f"  {'':18}" + "".join(f"{column:>18}" for column in columns))
    for frame, values in by_frame.items():
        out.append(f"  {frame:18}" + "".join(f"{values[column]:18.2f}" for column in columns))
    out += ["", "hop pair, both ends together"]
    for row in report["hop_pair"]:
        frame, packet = row["us_per_frame"], row["us_per_packet"]["median"]
        rate = row["frames_per_cpu_s"]
        out.append(f"  {row['name']:32} {_span(frame)} µs/frame {packet:7.2f} µs/packet {rate} /s")
    out += ["", "A → S → B → A, all nodes together, µs a message"]
    budget = report["budget"]
    relative = budget["bursts_relative_to_1000"] | budget["pipes_relative_to_1000"]
    encrypted = budget["encrypted_relative_to_plaintext"]
    for row in report["exchange"]:
        times = f"  × {relative[row['name']]:.2f}" if row["name"] in relative else ""
        if row["name"] in encrypted:
            times = f"  × {encrypted[row['name']]:.2f} of plaintext"
        out.append(f"  {row['name']:48} {_span(row['us_per_message'])}{times}")
    out += [
        "",
        f"budget: window 1000 at most {BUDGET_US} µs: {_word(budget['window_1000_kept'])}",
        f"budget: encrypted at most × {ENCRYPTED_MAX}: {_word(budget['encrypted_kept'])}",
        f"budget: bursts within ± 20 % of 1000 in flight: {_word(budget['bursts_kept'])}",
        f"budget: pipes within ± 20 % of 1000 in flight: {_word(budget['pipes_kept'])}",
    ]
    return out


def _span(values: dict[str, float]) -> str:
    most = f"{values['max']:.2f}, {values['iqr']:.2f}]"
    return f"{values['median']:8.2f} [{values['min']:.2f} .. {most}"


def _word(kept: bool) -> str:
    return "kept" if kept else "exceeded"
