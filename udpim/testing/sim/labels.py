"""Rare things that a campaign must have reached at least once: its `sometimes` points.

A campaign in which no crash ever fell between a commit and its receipt has proved nothing about
that moment. Each label is found in the history of a run, by what happened, not by what was asked
for; the product's code knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from udpim.model import Endpoint, MessageState, MsgId, is_group
from udpim.testing.cluster import VirtualCluster
from udpim.testing.crossings import Crossing
from udpim.testing.facts import SERVER, SeenFrame, endpoint_of
from udpim.testing.history import History
from udpim.testing.sim.actions import Stage
from udpim.testing.world import World
from udpim.wire import im_packets as p

LOSABLE = (
    "HELLO", "WELCOME", "login", "msg:R", "msg:A", "msg:N", "ack:R", "ack:A", "ack:N",
    "FRAGMENT", "PATH_CHALLENGE", "PATH_RESPONSE", "NEW_CID", "CLOSE", "offline:A", "cancel:R",
    "status:R", "members", "tally",
)  # fmt: skip
"""What is to get lost now and then."""
LINK_LABELS = {
    "corrupted": "damaged on the way",
    "truncated": "cut short on the way",
    "late": "a copy long after",
    "queue full": "a link's queue was full",
    "outage": "an outage",
    "reordered": "overtaken",
}
"""Counters of the links, and how a campaign says it."""
STATE_LABELS = {
    MessageState.STORED: "STORED shown",
    MessageState.VOID: "VOID shown",
    MessageState.EXCUSED: "EXCUSED shown",
    MessageState.REJECTED: "REJECTED shown",
    MessageState.UNKNOWN: "UNKNOWN shown",
    MessageState.READ: "READ shown",
}
OP_LABELS = {
    "StampOutbox": "stamped with an epoch after the first transmission",
    "PutReceipt": "a receipt row for a sender who is away",
    "PutQueue": "a message queued for who is away",
    "SetAside": "a message set aside",
    "DropMember": "a member left",
}
CLUSTER_LABELS = {
    "takeovers": "a takeover",
    "rivals": "two claims at once",
    "homes fenced": "a home learnt from the fence that it is none",
}
"""Counters of a cluster."""
ALL: tuple[str, ...] = (
    *(f"{label} lost" for label in LOSABLE),
    *LINK_LABELS.values(),
    *STATE_LABELS.values(),
    *OP_LABELS.values(),
    "a key update under loss",
    "a replay arrived",
    "a replay from elsewhere arrived",
    "a crash in a write",
    "a commit landed that nobody was told of",
    "a crash between commit and receipt",
    "a sender died before its outbox row",
    "a copy met its commit",
    "sent again end to end",
    "a void run",
    "UNKNOWN became DELIVERED",
    "STORED fell to PENDING",
    "a new store epoch",
    "a base was raised",
    "a stream was reborn",
    "a restored store drew a new incarnation",
    "a new incarnation of an inbox",
    "a pulled item",
    "a receipt was offered again",
    "a cancel met a commit",
    "delivered although send() never returned",
    "a group message delivered",
    "a store failed",
    "a refused copy",
    *CLUSTER_LABELS.values(),
    "a client through a gate",
    "a client changed its gate",
    "a bus frame of another epoch",
)
"""Every label."""


def reached(world: World, stage: Stage) -> Iterator[str]:
    """Yield the labels of what happened, some of them more than once."""
    h = world.history
    yield from _on_the_wire(h.crossings)
    yield from (words for name, words in LINK_LABELS.items() if world.network.counters[name])
    yield from (words for name, words in OP_LABELS.items() if h.ops[name])
    yield from _shown(h)
    yield from _frames(h)
    yield from _crashes(h, stage.crashes)
    if world.members is not None:
        yield from _cluster(world.members, h.crossings)
    if stage.store_failures:
        yield "a store failed"
    if len(h.lines) > 1:
        yield "a new store epoch"
    if h.moved:
        yield "a stream was reborn"
    if h.rebirths:
        yield "a restored store drew a new incarnation"


def _cluster(members: VirtualCluster, crossings: Iterable[Crossing]) -> Iterator[str]:
    yield from (words for name, words in CLUSTER_LABELS.items() if members.counters[name])
    if members.drops["bus frame of another epoch"]:
        yield "a bus frame of another epoch"
    gates: dict[str, set[int]] = {}
    for crossing in crossings:
        host, port = crossing.source
        if host == SERVER and crossing.arrivals and "WELCOME" in crossing.content.labels:
            gates.setdefault(crossing.destination[0], set()).add(port)
    if any(len(ports) > 1 for ports in gates.values()):
        yield "a client changed its gate"
    if members.counters["arrived"]:
        yield "a client through a gate"


def _on_the_wire(crossings: Iterable[Crossing]) -> Iterator[str]:
    lost: set[str] = set()
    for crossing in crossings:
        content = crossing.content
        if crossing.arrivals == 0:
            lost.update(content.labels)
            if content.nonce is not None and content.nonce[1]:
                yield "a key update under loss"
        elif crossing.replayed:
            yield "a replay arrived"
            if crossing.source[0] == "elsewhere":
                yield "a replay from elsewhere arrived"
    yield from (f"{label} lost" for label in LOSABLE if label in lost)


def _shown(h: History) -> Iterator[str]:
    for msgid, states in h.shown.items():
        seen = [one.state for one in states]
        yield from (STATE_LABELS[state] for state in seen if state in STATE_LABELS)
        for before, after in pairwise(seen):
            if before is MessageState.UNKNOWN and after is MessageState.DELIVERED:
                yield "UNKNOWN became DELIVERED"
            if before is MessageState.STORED and after is MessageState.PENDING:
                yield "STORED fell to PENDING"
        if is_group(msgid.stream.conversation) and MessageState.DELIVERED in seen:
            yield "a group message delivered"
    if any(s.accepted is None and m not in h.rows for m, s in h.sends.items()):
        yield "a sender died before its outbox row"
    if any(one.msgid in h.untold for one in h.handovers):
        yield "delivered although send() never returned"
    incarnations: dict[Endpoint, int] = {}
    for ((endpoint, incarnation), _), records in h.inboxes.items():
        if incarnations.setdefault(endpoint, incarnation) != incarnation < 1 << 64:
            yield "a new incarnation of an inbox"
        if any(record.void_runs for _, record in records):
            yield "a void run"


def _frames(h: History) -> Iterator[str]:
    committed: dict[tuple[Endpoint, MsgId], int] = {}
    for ((endpoint, _), msgid), orders in h.commits.items():
        committed[endpoint, msgid] = min(orders[0], committed.get((endpoint, msgid), orders[0]))
    sent: set[MsgId] = set()
    offered: set[tuple[str, MsgId]] = set()
    for frame in h.frames:
        packet = frame.packet
        if isinstance(packet, p.Refuse):
            yield "a refused copy"
        if frame.stream is None:
            continue
        if isinstance(packet, p.MsgN | p.OfflineA):
            yield from _copies(frame, packet, committed)
        elif isinstance(packet, p.MsgR):
            msgids = set(frame.section())
            if msgids & sent:
                yield "sent again end to end"
            sent |= msgids
        elif isinstance(packet, p.AckR):
            pairs = {(frame.source, msgid) for msgid in frame.ranges("delivered")}
            if pairs & offered:
                yield "a receipt was offered again"
            offered |= pairs
        elif isinstance(packet, p.CancelR) and frame.arrived is not None:
            given_up = set(frame.ranges("ranges"))
            if any(msgid in given_up for _, msgid in committed):
                yield "a cancel met a commit"


def _copies(
    frame: SeenFrame, packet: p.MsgN | p.OfflineA, committed: dict[tuple[Endpoint, MsgId], int]
) -> Iterator[str]:
    if packet.base > 1:
        yield "a base was raised"
    if frame.arrived is None:
        return
    here = endpoint_of(frame.destination)
    for msgid in frame.section():
        if isinstance(packet, p.OfflineA):
            yield "a pulled item"
        if committed.get((here, msgid), frame.arrived) < frame.arrived:
            yield "a copy met its commit"


def _crashes(h: History, crashes: list[tuple[int, str, int, int]]) -> Iterator[str]:
    reported: dict[tuple[str, MsgId], int] = {}
    for frame in h.frames:
        if isinstance(frame.packet, p.AckR) and frame.stream is not None:
            for msgid in frame.ranges("delivered"):
                reported.setdefault((frame.source, msgid), frame.sent)
    for order, host, in_flight, landed in crashes:
        if in_flight:
            yield "a crash in a write"
        if landed:
            yield "a commit landed that nobody was told of"
        if host == SERVER:
            continue
        endpoint = endpoint_of(host)
        for ((of, _), msgid), orders in h.commits.items():
            if of == endpoint and orders[0] < order < reported.get((host, msgid), order + 1):
                yield "a crash between commit and receipt"
