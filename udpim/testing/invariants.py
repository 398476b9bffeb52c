"""The invariants I1 to I16, each as one function over the facts of a history (PROTOCOL §5).

A function yields a sentence for every violation. It compares what nodes claimed (frames, shown
states) with what was true at that moment (commits), and asks no node. `udpim.testing.oracle` runs
them all; those that need a condition, I14 and I15, take it as a parameter. I7 and I12 have modules
of their own, `udpim.testing.promises` and `udpim.testing.restraint`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from udpim.config import VOID_RUNS_MAX, WINDOW
from udpim.model import FINAL_STATES, Endpoint, MessageState, MsgId, StreamId, is_group
from udpim.testing.facts import SERVER, SeenFrame, endpoint_of, is_stamped
from udpim.testing.group_truth import committed_at, i3_groups
from udpim.testing.history import History
from udpim.testing.promises import NEVER, Stories, by_ordinal, tallied
from udpim.wire import im_packets as p

_S = MessageState

TRANSITIONS: dict[MessageState, set[MessageState]] = {
    _S.PENDING: set(_S),
    _S.ACCEPTED: set(_S) - {_S.PENDING},
    _S.STORED: set(_S) - {_S.ACCEPTED},
    _S.UNKNOWN: {*FINAL_STATES, _S.UNKNOWN},
    _S.DELIVERED: {_S.DELIVERED, _S.READ},
    _S.READ: {_S.READ},
    _S.VOID: {_S.VOID},
    _S.EXCUSED: {_S.EXCUSED},
    _S.REJECTED: {_S.REJECTED},
}
"""PENDING < ACCEPTED < STORED < DELIVERED; STORED may fall to PENDING; the rest is final (§5.1)."""


def _amnesty(h: History, host: str, order: int) -> bool:
    """Tell whether a host lost its disk after ``order``: what it held is not promised."""
    return h.lost_disks.get(host, 0) > order


def _host(endpoint: Endpoint) -> str:
    return f"{endpoint.user}/{endpoint.device}"


def _sender(msgid: MsgId) -> str:
    return f"{msgid.stream.user}/{msgid.stream.device}"


def _of(h: History, *types: type) -> list[SeenFrame]:
    return [f for f in h.frames if isinstance(f.packet, types) and f.stream is not None]


def _honest(h: History, *types: type) -> list[SeenFrame]:
    return [f for f in _of(h, *types) if f.source not in h.hostile]


def i1_no_loss(h: History) -> Stories:
    """An accepted message never vanishes.

    It ends, per endpoint due it, DELIVERED and delivered exactly once, VOID, EXCUSED or REJECTED,
    or stays pending or UNKNOWN.
    """
    trimmed = {msgid for _, msgid, _, _ in h.trims}
    outcomes = {*FINAL_STATES, _S.UNKNOWN}  # of a memory inbox one learns no more
    for msgid, send in h.sends.items():
        if send.accepted is None or _amnesty(h, _sender(msgid), send.accepted):
            continue
        if msgid in trimmed and not any(s.state in outcomes for s in h.shown.get(msgid, ())):
            yield f"{msgid} vanished: its outbox row is gone and no outcome was shown"
    for msgid in h.collisions:
        if _sender(msgid) not in h.lost_disks or not _hidden(h, msgid):
            yield f"{msgid} was given to two messages"
    for handover in h.handovers:
        known = [*h.replaced.get(handover.msgid, ()), h.sends.get(handover.msgid)]
        if all(send is None or send.payload != handover.payload for send in known):
            yield f"{handover.msgid} reached {handover.endpoint} with a payload nobody sent"


def _hidden(h: History, msgid: MsgId) -> bool:
    """Tell whether a sender whose disk was put back could not learn that it had used a msgid.

    Nobody had taken the message, or the server died before it noted the stamp (PROTOCOL §5.8).
    """
    again = h.sends[msgid].asked
    copies = (f for f in _of(h, p.MsgR) if f.sent > again and msgid in f.section())
    left = next((frame.sent for frame in copies), NEVER)
    died = [order for order in h.deaths[SERVER] if h.replaced[msgid][-1].asked < order < left]
    return bool(died) or _first_taken(h, msgid) > again


def _first_taken(h: History, msgid: MsgId) -> int:
    """Return when an inbox or a queue first had a message."""
    commits = [orders[0] for (_, one), orders in h.commits.items() if one == msgid]
    rows = [order for (_, _, one), order in h.stored.items() if one == msgid]
    return min([*commits, *rows], default=NEVER)


def i2_no_duplicate(h: History) -> Stories:
    """At most one commit per (msgid, incarnation of B's inbox), whatever crashes or comes again."""
    for ((endpoint, _), msgid), orders in h.commits.items():
        if len(orders) > 1:
            yield f"{msgid} was committed {len(orders)} times at {endpoint}"
    seen: set[tuple[Endpoint, int, MsgId]] = set()
    for one in h.handovers:
        key = (one.endpoint, one.life, one.msgid)
        noted = h.handled.get((one.endpoint, one.msgid), ())
        done = [order for order in noted if order < one.order]
        if key in seen or (done and not _amnesty(h, _host(one.endpoint), done[0])):
            yield f"{one.msgid} was handed to the application of {one.endpoint} again"
        seen.add(key)


def i3_receipt_truth(h: History) -> Stories:
    """DELIVERED at A ⇒ B's commit came before. STORED ⇒ the fsync under that epoch came before."""
    stored: dict[MsgId, int] = {}
    for (_, _, msgid), order in h.stored.items():
        stored[msgid] = min(order, stored.get(msgid, NEVER))
    has = {m: o for m, o in committed_at(h).items() if not is_group(m.stream.conversation)}
    truths = {_S.DELIVERED: has, _S.STORED: stored, _S.READ: has}
    yield from i3_groups(h)
    for msgid, states in h.shown.items():
        for shown in states:
            truth = truths.get(shown.state)
            if shown.state >= _S.DELIVERED and is_group(msgid.stream.conversation):
                continue
            if truth is not None and truth.get(msgid, NEVER) > shown.order:
                what = f"{shown.state.name} at {shown.at:.3f} s"
                yield f"{msgid} was shown {what}, which was not true"


def i4_lattice(h: History) -> Stories:
    """States move as in §2 only."""
    for msgid, states in h.shown.items():
        for before, after in pairwise(states):
            if after.life == before.life and after.state not in TRANSITIONS[before.state]:
                yield f"{msgid} went from {before.state.name} to {after.state.name}"
        # What an older copy of a disk did not know may turn out otherwise.
        known = [shown for shown in states if not _amnesty(h, _sender(msgid), shown.order)]
        finals = {shown.state for shown in known} & FINAL_STATES - {_S.READ}
        if len(finals) > 1:
            yield f"{msgid} was shown {sorted(state.name for state in finals)}"


def i5_definite_negative(h: History) -> Stories:
    """VOID shown ⇒ that incarnation never commits that msgid."""
    for msgid, states in h.shown.items():
        for shown in states:
            if shown.state is _S.VOID and not _left_unknown(h, msgid, shown.order):
                for inbox in shown.incarnations:
                    told = (inbox[0], msgid) in h.taken_back
                    if (inbox, msgid) in h.commits and not told:
                        yield f"{msgid} was shown VOID, and {inbox[0]} has it"
    for frame in _honest(h, p.AckR):
        for msgid in frame.ranges("void"):
            then, *since = frame.inboxes
            known = [h.commits[inbox, msgid][0] for inbox in since if (inbox, msgid) in h.commits]
            if (then, msgid) in h.commits or any(order < frame.sent for order in known):
                yield f"{frame.source} said VOID of {msgid}, which it has"


def _left_unknown(h: History, msgid: MsgId, order: int) -> bool:
    """Tell whether the sender's disk is a copy of before the message left, stamped (§5.8)."""
    copies = (f for f in _of(h, p.MsgR) if msgid in f.section() and is_stamped(f, msgid.seq))
    left = next((frame.sent for frame in copies), NEVER)
    return any(made < left < put < order for made, put in h.copies[_sender(msgid)])


def i6_bounded_exact_dedup(h: History) -> Stories:
    """B's state per stream ≤ 24 B + W/4 + capped void runs; `cum` and `floor` only rise."""
    for (inbox, stream), records in h.inboxes.items():
        cum = floor = 0
        for _, record in records:
            if record.cum < cum or record.floor < floor:
                yield f"{inbox[0]} went back in {stream}: cum {record.cum}, floor {record.floor}"
            cum, floor = record.cum, record.floor
            bits = max(record.delivered.bit_length(), record.void.bit_length())
            if bits > WINDOW or len(record.void_runs) > VOID_RUNS_MAX + WINDOW // 2:
                yield f"{inbox[0]} keeps too much of {stream}"
            if record.delivered & record.void:
                yield f"{inbox[0]} has both verdicts for one seq of {stream}"


def i8_equal_answers(h: History) -> Stories:
    """Every duplicate with seq ≥ floor gets the same verdict again."""
    said: dict[tuple[Endpoint, int, MsgId], str] = {}
    for frame in _honest(h, p.AckR):
        for verdict in ("delivered", "void"):
            for msgid in frame.ranges(verdict):
                key = (*frame.inboxes[0], msgid)
                if said.setdefault(key, verdict) != verdict:
                    yield f"{frame.source} said both DELIVERED and VOID of {msgid}"


def i9_accepted_never_disarms(h: History) -> Stories:
    """Msg:A and hop acks may slow the end-to-end timer; they never remove the row.

    A row goes only when every endpoint due it has given its verdict, or the message was refused or
    withdrawn; or when the message, of which no copy ever left, has moved to a new msgid.
    """
    heard: dict[tuple[MsgId, Endpoint], int] = {}
    for frame in _of(h, p.AckN):
        endpoint = by_ordinal(h, frame)
        if endpoint is not None and frame.arrived is not None:
            for name in ("delivered", "void", "excused"):
                for msgid in frame.ranges(name):
                    earlier = heard.get((msgid, endpoint), NEVER)
                    heard[msgid, endpoint] = min(frame.arrived, earlier)
    for frame in _of(h, p.Tally):
        for endpoint, verdict, msgid in tallied(h, frame):
            if endpoint is not None and frame.arrived is not None and verdict != "stored":
                earlier = heard.get((msgid, endpoint), NEVER)
                heard[msgid, endpoint] = min(frame.arrived, earlier)
    alone_from = _told_alone(h)
    for order, msgid, store_epoch, epoch in h.trims:
        if msgid in h.moved:
            continue
        closed = {shown.state for shown in h.shown.get(msgid, ())} & {_S.REJECTED, _S.VOID}
        lines = h.lines[store_epoch]
        whole = lines.due(msgid.stream, epoch)
        due = [line.endpoint for line in whole if not 0 < line.left_order < order]
        if epoch == 0:  # a new store: settled under its membership before it was stamped anew
            due = [e for e in lines.devices if heard.get((msgid, e), NEVER) < order]
        due = [] if _settled_before(h, msgid, store_epoch, heard) else due
        alone = epoch and (whole or is_group(msgid.stream.conversation))
        alone = alone or alone_from.get(msgid.stream, NEVER) < order
        if not due and not closed and not alone:
            yield f"the row of {msgid} was deleted before anybody could answer"
        for endpoint in due:
            if heard.get((msgid, endpoint), NEVER) > order and not closed:
                yield f"the row of {msgid} was deleted without a verdict of {endpoint}"


def _settled_before(
    h: History, msgid: MsgId, store_epoch: int, heard: Mapping[tuple[MsgId, Endpoint], int]
) -> bool:
    """Tell whether everybody whom another store knew had answered before the server lost it."""
    stamps = h.stamps.get(msgid, {})
    _, lost = stamps.get(store_epoch, (0, NEVER))
    for store, (epoch, order) in stamps.items():
        due = [line.endpoint for line in h.lines[store].due(msgid.stream, epoch)]
        if order < lost and due and all(heard.get((msgid, e), NEVER) < lost for e in due):
            return True
    return False


def _told_alone(h: History) -> dict[StreamId, int]:
    """Return when the sender of a group's stream was first told that nobody else is in it."""
    told: dict[StreamId, int] = {}
    for frame in _of(h, p.Members):
        assert isinstance(frame.packet, p.Members)
        assert frame.stream is not None
        others = [m for m in frame.packet.members if not m.left and m.endpoint != frame.stream[:2]]
        if frame.arrived is not None and is_group(frame.stream.conversation) and not others:
            told[frame.stream] = min(frame.arrived, told.get(frame.stream, NEVER))
    return told


def i10_evidence(h: History) -> Stories:
    """A retransmission flag is never evidence that an earlier copy arrived.

    What is said of a message rests on a copy that did arrive.
    """
    copies: dict[tuple[str, MsgId], int] = {}
    for frame in _of(h, p.MsgR, p.MsgN, p.OfflineA):
        if frame.arrived is not None:
            for msgid in frame.section():
                key = (frame.destination, msgid)
                copies[key] = min(frame.arrived, copies.get(key, NEVER))
    for frame in _honest(h, p.AckR, p.MsgA):
        for msgid in frame.ranges("delivered" if isinstance(frame.packet, p.AckR) else "ranges"):
            if copies.get((frame.source, msgid), NEVER) > frame.sent:
                yield f"{frame.source} spoke of {msgid} although no copy had arrived there"


def i11_order(h: History) -> Stories:
    """R9: the application gets each stream in seq order; what it got once does not count again."""
    top: dict[tuple[Endpoint, int, object], int] = {}
    known: set[tuple[Endpoint, int, MsgId]] = set()
    for one in h.handovers:
        # What a restored store had handed over, it had before it was born again.
        carried = (one.endpoint, one.msgid) in h.carried
        key = (one.endpoint, 0 if carried else one.incarnation, one.msgid)
        if key in known:
            continue
        known.add(key)
        stream = (one.endpoint, one.incarnation, one.msgid.stream)
        if one.msgid.seq < top.get(stream, 0):
            yield f"{one.msgid} was handed to {one.endpoint} after {top[stream]}"
        top[stream] = max(one.msgid.seq, top.get(stream, 0))


def i13_authority(h: History) -> Stories:
    """The sender is the session's identity; only e's session reports for e, and never S for B."""
    reported: dict[tuple[Endpoint, int, str, MsgId], int] = {}
    sent: dict[MsgId, int] = {}
    for frame in _of(h, p.AckR, p.MsgR):
        if frame.arrived is None:
            continue
        if isinstance(frame.packet, p.MsgR):
            for msgid in frame.section():
                sent[msgid] = min(frame.arrived, sent.get(msgid, NEVER))
            continue
        for verdict in ("delivered", "void"):
            for msgid in frame.ranges(verdict):
                key = (endpoint_of(frame.source), frame.incarnation, verdict, msgid)
                reported[key] = min(frame.arrived, reported.get(key, NEVER))
    spoken = by_endpoint(reported)
    for frame in _honest(h, p.Tally):
        for endpoint, verdict, msgid in tallied(h, frame):
            if verdict in ("delivered", "void") and (
                spoken.get((endpoint, verdict, msgid), NEVER) > frame.sent
            ):
                yield f"tally says {verdict} of {msgid} for {endpoint}, who had not said so"
    for frame in _honest(h, p.AckN, p.MsgN):
        if isinstance(frame.packet, p.MsgN):
            for msgid in frame.section():
                if sent.get(msgid, NEVER) > frame.sent:
                    yield f"msg:N of {msgid}, which its sender had not brought"
            continue
        assert isinstance(frame.packet, p.AckN)
        endpoint = by_ordinal(h, frame)
        for verdict in ("delivered", "void"):
            for msgid in frame.ranges(verdict):
                source = (endpoint or Endpoint("", ""), frame.packet.incarnation, verdict, msgid)
                if reported.get(source, NEVER) > frame.sent:
                    yield f"ack:N says {verdict} of {msgid} for {endpoint}, who had not said so"


def by_endpoint(
    reported: dict[tuple[Endpoint, int, str, MsgId], int],
) -> dict[tuple[Endpoint | None, str, MsgId], int]:
    """Return when an endpoint first reported a verdict, under whichever incarnation."""
    first: dict[tuple[Endpoint | None, str, MsgId], int] = {}
    for (endpoint, _, verdict, msgid), order in reported.items():
        key = (endpoint, verdict, msgid)
        first[key] = min(order, first.get(key, NEVER))
    return first


def i14_liveness(h: History, up: Sequence[str]) -> Stories:
    """From the moment links are fair and nodes stay up, everything settles.

    At the end nothing is open but what is STORED, and every commit at a running client reached its
    application.
    """
    for msgid in sorted(h.open):
        if _sender(msgid) in up and h.last_state(msgid) is not _S.STORED:
            yield f"{msgid} is still {h.last_state(msgid).name}"
    handed = {(one.endpoint, one.incarnation, one.msgid) for one in h.handovers}
    # A restored store may have handed it over before it was copied, or before it is born again.
    again = {(one.endpoint, one.msgid) for one in h.handovers} & h.carried
    for ((endpoint, incarnation), msgid), _ in h.commits.items():
        current = h.incarnations.get(endpoint) == incarnation
        if not current or _host(endpoint) not in up or (endpoint, msgid) in again:
            continue
        if (endpoint, incarnation, msgid) not in handed:
            yield f"{msgid} is in the inbox of {endpoint} and never reached the application"


def i15_quiescence(h: History, since_s: float, keepalive_s: float) -> Stories:
    """All settled ⇒ keepalives only: a PING and its ack per client and keepalive interval."""
    quiet = [crossing for crossing in h.crossings if crossing.sent_at >= since_s]
    counts: dict[str, int] = defaultdict(int)
    for crossing in quiet:
        spoken = set(crossing.content.labels) - {"PING", "ACK", "extension"}
        if spoken:
            yield f"{crossing.source[0]} sent {sorted(spoken)} at {crossing.sent_at:.3f} s"
        counts[crossing.source[0]] += 1
    clients = max(1, len(counts) - (SERVER in counts))
    intervals = (h.clock.now - since_s) / keepalive_s + 1
    for host, count in counts.items():
        if count > intervals * (clients if host == SERVER else 1):
            yield f"{host} sent {count} datagrams while there was nothing to say"


def i16_replay(h: History) -> Stories:
    """Any captured datagram, sent again at any time from anywhere, binds no address.

    That it changes no verdict and delivers nothing is I2, I3 and I8.
    """
    homes = {c.source for c in h.crossings if not c.replayed}
    for crossing in h.crossings:
        if crossing.destination not in homes and crossing.content.packets:
            yield f"IM packets were sent to {crossing.destination}, where only replays came from"
