"""A run told to people: what was done, sent, lost, committed, shown and handed over, in order."""

from __future__ import annotations

from collections.abc import Iterator

from udpim.model import MsgId
from udpim.testing.crossings import Crossing
from udpim.testing.history import History
from udpim.testing.sim.actions import Stage

IDLE = {"ACK", "PING", "extension", "NEW_CID", "RETIRE_CID", "CREDIT"}
"""Datagrams with nothing else in them are told only where something happened to them."""

Line = tuple[int, str, str]
"""Its place in the order, who, and what."""


def tell(h: History, stage: Stage) -> Iterator[str]:
    """Yield one line for each thing that happened, with its time and node."""
    for order, who, words in sorted([*_doings(stage), *_wire(h), *_facts(h)]):
        yield f"{h.times[order]:12.6f}  {who:<14} {words}"


def told_by_nodes(h: History, stage: Stage) -> list[Line]:
    """Return what nodes claimed, and when they died, in order."""
    return sorted([*_deaths(stage), *_facts(h)])


def _doings(stage: Stage) -> Iterator[Line]:
    for order, words in stage.log:
        yield order, "*", words
    yield from _deaths(stage)
    if stage.world.members is not None:
        yield from stage.world.members.meeting.roles


def _deaths(stage: Stage) -> Iterator[Line]:
    for order, host, in_flight, landed in stage.crashes:
        what = f"dies, {in_flight} transactions in flight" if in_flight else "dies"
        yield order, host, what + (f", {landed} of them land" if landed else "")


def _wire(h: History) -> Iterator[Line]:
    for order, kind, crossing, _ in h.passages:
        spoken = set(crossing.content.labels) - IDLE
        what = f"#{crossing.number} {_names(crossing)}"
        if kind == "damaged":
            yield order, crossing.destination[0], f"  gets #{crossing.number}, damaged"
        elif kind == "arrived":
            if spoken:
                yield order, crossing.destination[0], f"  gets {what}"
        elif crossing.arrivals == 0 or spoken:
            fate = "" if crossing.arrivals else f" — {crossing.fate.upper()}"
            again = ", arriving more than once" if crossing.arrivals > 1 else ""
            by = "somebody" if crossing.replayed else crossing.source[0]
            yield order, by, f"→ {crossing.destination[0]} {what}{fate}{again}"


def _names(crossing: Crossing) -> str:
    content = crossing.content
    carried = [
        f" {section.first}…{section.last}" if section.last > section.first else f" {section.first}"
        for _, packet in content.packets
        if (section := getattr(packet, "section", None)) is not None
    ]
    return "+".join(content.labels) + "".join(carried)


def _facts(h: History) -> Iterator[Line]:
    for msgid, send in h.sends.items():
        sender = f"{msgid.stream.user}/{msgid.stream.device}"
        if send.accepted is not None:
            yield send.accepted, sender, f"  has accepted {msgid}"
        for shown in h.shown.get(msgid, ()):
            yield shown.order, sender, f"  shows {msgid} {shown.state.name}"
    for ((endpoint, _), msgid), orders in h.commits.items():
        for order in orders:
            yield order, str(endpoint), f"  has committed {msgid}"
    void: dict[tuple[int, str, str], list[int]] = {}
    for ((endpoint, _), (stream, seq)), order in h.voided.items():
        void.setdefault((order, str(endpoint), str(MsgId(stream, 0))), []).append(seq)
    for (order, who, first), seqs in void.items():
        span = f"{min(seqs)}…{max(seqs)}" if len(seqs) > 1 else f"{seqs[0]}"
        yield order, who, f"  has promised never to deliver {first.removesuffix('0')}{span}"
    for (_, endpoint, msgid), order in h.stored.items():
        yield order, "server", f"  has queued {msgid} for {endpoint}"
    for one in h.handovers:
        yield one.order, str(one.endpoint), f"  hands {one.msgid} to its application"
