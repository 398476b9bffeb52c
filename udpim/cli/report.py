"""What a demo run found: the numbers, whether they are good enough, and how they are shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from udpim.cli.audit import Verdict, quantile_ms
from udpim.cli.output import put, table
from udpim.cli.relay import Counters


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionReport:
    """One direction: the audit's verdict, and how long things took."""

    name: str
    """``alice → bob``."""
    verdict: Verdict
    delivery_s: list[float]
    """From the sender's call to the receiver's program, one for each message."""
    receipt_s: list[float]
    """From the sender's call to DELIVERED at the sender."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """A whole run."""

    options: dict[str, Any]
    directions: list[DirectionReport]
    up: Counters
    down: Counters
    sent: dict[str, int]
    """IM packets transmitted between clients and relay, by type."""
    resent: dict[str, int]
    """Of these, those that carried something again."""
    pids: list[int]
    """Of the server's processes."""
    killed_at: int | None
    """How many messages had been handed over when the server was killed."""
    traffic_s: float
    """From the first message to the last receipt."""
    trouble: list[str]
    """What kept the run from its end, if anything."""

    @property
    def total(self) -> Verdict:
        """Both directions together."""
        return sum((d.verdict for d in self.directions), Verdict())

    def problems(self) -> list[str]:
        """Say what is wrong with the run, its own setting included; empty means passed."""
        found = list(self.trouble)
        total = self.total
        names = (
            ("lost", "lost"),
            ("duplicated", "duplicated"),
            ("altered", "altered"),
            ("out_of_order", "out of order"),
            ("false_receipts", "with a false receipt"),
            ("unsettled", "without a final receipt"),
        )
        found += [f"{n} {words}" for key, words in names if (n := getattr(total, key))]
        if total.sent == 0:
            found.append("nothing was sent")
        elif not total.clean and not found:
            found.append(f"only {total.delivered} of {total.sent} were delivered")
        dropped = self.up.dropped, self.down.dropped
        if self.options["loss"] > 0 and not all(dropped):
            found.append(f"the relay dropped {dropped[0]} up and {dropped[1]} down: no bad network")
        if len(set(self.pids)) < 2 or self.killed_at is None:
            found.append("the server process was never replaced")
        elif not 0 < self.killed_at < total.sent:
            found.append("the server was not killed in the middle of the traffic")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything that JSON can hold."""
        problems = self.problems()
        return {
            "ok": not problems,
            "problems": problems,
            "security": "plain",
            "options": self.options,
            "directions": {
                d.name: asdict(d.verdict) | {"delivery_ms": _ms(d.delivery_s)}
                | {"receipt_ms": _ms(d.receipt_s)}
                for d in self.directions
            },
            "total": asdict(self.total)
            | {"delivery_ms": _ms([s for d in self.directions for s in d.delivery_s])}
            | {"receipt_ms": _ms([s for d in self.directions for s in d.receipt_s])},
            "relay": {"up": asdict(self.up), "down": asdict(self.down)},
            "im_packets": {
                kind: {"sent": n, "resent": self.resent.get(kind, 0)}
                for kind, n in self.sent.items()
            },
            "server_pids": self.pids,
            "killed_at": self.killed_at,
            "traffic_s": round(self.traffic_s, 2),
        }  # fmt: skip

    def print(self) -> None:
        """Print the tables and the last word."""
        columns = [asdict(d.verdict) for d in self.directions] + [asdict(self.total)]
        heads = [*(d.name for d in self.directions), "both"]
        rows = [
            (key.replace("_", " "), *(str(column[key]) for column in columns))
            for key in columns[0]
        ]  # fmt: skip
        for name, pick in (("delivery", "delivery_s"), ("receipt", "receipt_s")):
            times = [getattr(d, pick) for d in self.directions]
            times.append([s for each in times for s in each])
            for key in ("p50", "p99"):
                shown = ["–" if (ms := _ms(t)[key]) is None else f"{ms:.0f}" for t in times]
                rows.append((f"{name} {key} ms", *shown))
        table("messages", heads, rows)
        lanes = asdict(self.up), asdict(self.down)
        rows = [(key, *(str(lane[key]) for lane in lanes)) for key in lanes[0]]
        table("datagrams at the relay", ["to the server", "to the clients"], rows)
        kinds = sorted(self.sent, key=lambda kind: (":" not in kind, -self.sent[kind], kind))
        rows = [(kind, str(self.sent[kind]), str(self.resent.get(kind, 0))) for kind in kinds]
        table("IM packets", ["transmitted", "re-sent"], rows)
        if self.killed_at is not None:
            pids = " → ".join(map(str, self.pids))
            put(f"server killed after {self.killed_at} of {self.total.sent} messages: pid {pids}")
        problems = self.problems()
        if problems:
            put(f"FAILED after {self.traffic_s:.1f} s: {'; '.join(problems)}")
        else:
            put(
                f"passed in {self.traffic_s:.1f} s: every message arrived once and in order,"
                " and every receipt was true (plaintext)"
            )


def _ms(seconds: list[float]) -> dict[str, float | None]:
    return {"p50": quantile_ms(seconds, 0.5), "p99": quantile_ms(seconds, 0.99)}
