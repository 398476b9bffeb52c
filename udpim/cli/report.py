"""What a demo run found: the numbers, whether they are good enough, and how they are shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from udpim.cli.audit import Verdict, quantile_ms
from udpim.cli.output import printable, put, table
from udpim.cli.relay import Counters

COLUMNS_MAX = 2
"""Pairs that are shown side by side; of more, the sum."""
NAMED_MAX = 5
"""Pairs in trouble that are named."""
RECEIPTS = ("ack:N", "tally")
"""IM packets that bring a sender the verdicts of recipients."""
TROUBLES = {
    "lost": "lost",
    "duplicated": "duplicated",
    "altered": "altered",
    "out_of_order": "out of order",
    "false_receipts": "with a false receipt",
    "unsettled": "without a final receipt",
}
"""What a verdict may count, and how that is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReport:
    """From one client to another: the audit's verdict, and how long things took."""

    sender: str
    recipient: str
    verdict: Verdict
    delivery_s: list[float]
    """From the sender's call to the recipient's program, one for each message."""
    receipt_s: list[float]
    """From the sender's call to DELIVERED at the sender."""

    @property
    def name(self) -> str:
        """Who to whom, ``alice → bob``."""
        return f"{self.sender} → {self.recipient}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """A whole run."""

    options: dict[str, Any]
    facts: dict[str, Any]
    """What the log held that was replayed; empty without one."""
    messages: int
    """How many the script holds."""
    expected: int
    """How many of them were due to somebody, counted for each recipient."""
    pairs: list[PairReport]
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
    login_s: float
    """Until everybody was logged in."""
    gather_s: float
    """Until everybody was a member of the group, if there is one."""
    traffic_s: float
    """From the first message to the last receipt."""
    trouble: list[str]
    """What kept the run from its end, if anything."""

    @property
    def total(self) -> Verdict:
        """All pairs together."""
        return sum((pair.verdict for pair in self.pairs), Verdict())

    @property
    def receipts_per_message(self) -> float:
        """Packets with receipts for the sender, re-sent ones included, for each message."""
        packets = sum(self.sent.get(kind, 0) for kind in RECEIPTS)
        return round(packets / max(1, self.messages), 3)

    def problems(self) -> list[str]:
        """Say what is wrong with the run, its own setting included; empty means passed."""
        found = list(self.trouble)
        total = self.total
        found += [f"{n} {words}" for key, words in TROUBLES.items() if (n := getattr(total, key))]
        if total.sent == 0:
            found.append("nothing was sent")
        elif total.sent != self.expected:
            found.append(f"{total.sent} of {self.expected} {self._what} were sent")
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
            "security": self.options["security"],
            "options": self.options,
            "replay": self.facts or None,
            "directions": {
                pair.name: asdict(pair.verdict) | {"delivery_ms": _ms(pair.delivery_s)}
                | {"receipt_ms": _ms(pair.receipt_s)}
                for pair in self.pairs
            },
            "total": asdict(self.total)
            | {"delivery_ms": _ms([s for pair in self.pairs for s in pair.delivery_s])}
            | {"receipt_ms": _ms([s for pair in self.pairs for s in pair.receipt_s])},
            "relay": {"up": asdict(self.up), "down": asdict(self.down)},
            "im_packets": {
                kind: {"sent": n, "resent": self.resent.get(kind, 0)}
                for kind, n in self.sent.items()
            },
            "server_pids": self.pids,
            "killed_at": self.killed_at,
            "messages": self.messages,
            "deliveries": self.total.delivered,
            "receipt_packets_per_message": self.receipts_per_message,
            "login_s": round(self.login_s, 2),
            "gather_s": round(self.gather_s, 2),
            "traffic_s": round(self.traffic_s, 2),
        }  # fmt: skip

    def print(self) -> None:
        """Print the tables and the last word."""
        self._print_messages()
        lanes = asdict(self.up), asdict(self.down)
        rows = [(key, *(str(lane[key]) for lane in lanes)) for key in lanes[0]]
        table("datagrams at the relay", ["to the server", "to the clients"], rows)
        kinds = sorted(self.sent, key=lambda kind: (":" not in kind, -self.sent[kind], kind))
        rows = [(kind, str(self.sent[kind]), str(self.resent.get(kind, 0))) for kind in kinds]
        table("IM packets", ["transmitted", "re-sent"], rows)
        if self.killed_at is not None:
            pids = " → ".join(map(str, self.pids))
            when = f"{self.killed_at} of {self.total.sent} {self._what}"
            put(f"server killed after {when}: pid {pids}")
        if self.options.get("group"):
            put(
                f"{self.messages} messages to a group, {self.total.delivered} deliveries;"
                f" {self.receipts_per_message:g} receipt packets for each message;"
                f" everybody was a member after {self.gather_s:.1f} s"
            )
        problems = self.problems()
        if problems:
            put(f"FAILED after {self.traffic_s:.1f} s: {'; '.join(problems)}")
        else:
            put(
                f"passed in {self.traffic_s:.1f} s: every message arrived once and in order,"
                f" and every receipt was true ({self._protection})"
            )

    @property
    def _protection(self) -> str:
        return "plaintext" if self.options["security"] == "plain" else "encrypted"

    @property
    def _what(self) -> str:
        return "deliveries" if self.options.get("group") else "messages"

    def _print_messages(self) -> None:
        """What became of the messages, pair by pair where these are few."""
        few = self.pairs if len(self.pairs) <= COLUMNS_MAX else []
        heads = [*(printable(pair.name) for pair in few), "both" if few else "all"]
        columns = [asdict(pair.verdict) for pair in few] + [asdict(self.total)]
        rows = [
            (key.replace("_", " "), *(str(column[key]) for column in columns))
            for key in columns[0]
        ]  # fmt: skip
        for name, pick in (("delivery", "delivery_s"), ("receipt", "receipt_s")):
            times = [getattr(pair, pick) for pair in few]
            times.append([s for pair in self.pairs for s in getattr(pair, pick)])
            for key in ("p50", "p99"):
                shown = ["–" if (ms := _ms(t)[key]) is None else f"{ms:.0f}" for t in times]
                rows.append((f"{name} {key} ms", *shown))
        table(self._what, heads, rows)
        if self.facts:
            self._print_facts()
        if not few:
            self._name_troubled()

    def _print_facts(self) -> None:
        """What the log held."""
        facts = self.facts
        kinds = ", ".join(f"{n} {kind}" for kind, n in facts["skipped"].items())
        put(
            f"{printable(facts['file'])}: {facts['message_lines']} messages of {facts['nicks']}"
            f" nicks to each other, {facts['pairs']} pairs;"
            f" {facts['skipped_lines']} other lines skipped ({kinds})"
        )
        put("")

    def _name_troubled(self) -> None:
        """The first few pairs that something happened to."""
        troubled = [pair for pair in self.pairs if not pair.verdict.clean]
        for pair in troubled[:NAMED_MAX]:
            counts = asdict(pair.verdict)
            words = [f"{counts[key]} {words}" for key, words in TROUBLES.items() if counts[key]]
            put(f"{printable(pair.name)}: {', '.join(words)}")
        if len(troubled) > NAMED_MAX:
            put(f"… and {len(troubled) - NAMED_MAX} more")


def _ms(seconds: list[float]) -> dict[str, float | None]:
    return {"p50": quantile_ms(seconds, 0.5), "p99": quantile_ms(seconds, 0.99)}
