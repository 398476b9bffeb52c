"""The invariants I1 to I16, each as one function over the facts of a history (PROTOCOL §5).

A function yields a sentence for every violation. It compares what nodes claimed (frames, shown
states) with what was true at that moment (commits), and asks no node. `udpim.testing.oracle` runs
them all; those that need a condition, I14 and I15, take it as a parameter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from udpim.config import RESEND_MESSAGES_BURST, RESEND_RATIO, VOID_RUNS_MAX, WINDOW
from udpim.model import FINAL_STATES, Endpoint, MessageState, MsgId
from udpim.testing.history import SERVER, History, SeenFrame, endpoint_of
from udpim.wire import im_packets as p

Stories = Iterator[str]
_S = MessageState
_NEVER = 1 << 62

TRANSITIONS: dict[MessageState, set[MessageState]] = {
    _S.PENDING: set(_S),
    _S.ACCEPTED: set(_S) - {_S.PENDING},
    _S.STORED: set(_S) - {_S.ACCEPTED},
    _S.UNKNOWN: {*FINAL_STATES, _S.UNKNOWN},
    _S.DELIVERED: {_S.DELIVERED},
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
    """A message accepted by `send()` ends, per endpoint due it, DELIVERED and delivered exactly
    once, VOID, EXCUSED or REJECTED, or stays pending or UNKNOWN; it never vanishes.
    """
    trimmed = {msgid for _, msgid, _, _ in h.trims}
    for msgid, send in h.sends.items():
        if send.accepted is None or _amnesty(h, _sender(msgid), send.accepted):
            continue
        if msgid in trimmed and not any(s.state in FINAL_STATES for s in h.shown.get(msgid, ())):
            yield f"{msgid} vanished: its outbox row is gone and no outcome was shown"
    for msgid in h.collisions:
        yield f"{msgid} was given to two messages"
    for handover in h.handovers:
        known = h.sends.get(handover.msgid)
        if known is None or known.payload != handover.payload:
            yield f"{handover.msgid} reached {handover.endpoint} with a payload nobody sent"


def i2_no_duplicate(h: History) -> Stories:
    """At most one commit per (msgid, incarnation of B's inbox), across any crash, replay or time."""
    for ((endpoint, _), msgid), orders in h.commits.items():
        if len(orders) > 1:
            yield f"{msgid} was committed {len(orders)} times at {endpoint}"
    seen: set[tuple[Endpoint, int, MsgId]] = set()
    for one in h.handovers:
        key = (one.endpoint, one.life, one.msgid)
        done = [order for order in h.handled.get((one.endpoint, one.msgid), ()) if order < one.order]
        if key in seen or (done and not _amnesty(h, _host(one.endpoint), done[0])):
            yield f"{one.msgid} was handed to the application of {one.endpoint} again"
        seen.add(key)


def i3_receipt_truth(h: History) -> Stories:
    """DELIVERED at A ⇒ B's commit came before. STORED ⇒ the fsync under that epoch came before."""
    committed: dict[MsgId, int] = {}
    for ((endpoint, _), msgid), orders in h.commits.items():
        if endpoint.user == msgid.stream.conversation:
            committed[msgid] = min(orders[0], committed.get(msgid, _NEVER))
    stored: dict[MsgId, int] = {}
    for (_, _, msgid), order in h.stored.items():
        stored[msgid] = min(order, stored.get(msgid, _NEVER))
    truths = {_S.DELIVERED: committed, _S.STORED: stored}
    for msgid, states in h.shown.items():
        for shown in states:
            truth = truths.get(shown.state)
            if truth is not None and truth.get(msgid, _NEVER) > shown.order:
                yield f"{msgid} was shown {shown.state.name} at {shown.at:.3f} s, which was not true"


def i4_lattice(h: History) -> Stories:
    """States move as in §2 only."""
    for msgid, states in h.shown.items():
        for before, after in zip(states, states[1:], strict=False):
            if after.life == before.life and after.state not in TRANSITIONS[before.state]:
                yield f"{msgid} went from {before.state.name} to {after.state.name}"
        finals = {shown.state for shown in states} & FINAL_STATES
        if len(finals) > 1:
            yield f"{msgid} was shown {sorted(state.name for state in finals)}"


def i5_definite_negative(h: History) -> Stories:
    """VOID shown ⇒ that incarnation never commits that msgid."""
    for msgid, states in h.shown.items():
        for shown in states:
            if shown.state is _S.VOID:
                for inbox in shown.incarnations:
                    if (inbox, msgid) in h.commits:
                        yield f"{msgid} was shown VOID, and {inbox[0]} has it"
    for frame in _honest(h, p.AckR):
        inbox = (endpoint_of(frame.source), frame.incarnation)
        for msgid in frame.ranges("void"):
            if (inbox, msgid) in h.commits:
                yield f"{inbox[0]} said VOID of {msgid}, which it has"


def i6_bounded_exact_dedup(h: History) -> Stories:
    """B's state per stream ≤ 24 B + W/4 + capped void runs; `cum` and `floor` only rise."""
    for (inbox, stream), records in h.inboxes.items():
        cum = floor = 0
        for record in records:
            if record.cum < cum or record.floor < floor:
                yield f"{inbox[0]} went back in {stream}: cum {record.cum}, floor {record.floor}"
            cum, floor = record.cum, record.floor
            bits = max(record.delivered.bit_length(), record.void.bit_length())
            if bits > WINDOW or len(record.void_runs) > VOID_RUNS_MAX + WINDOW // 2:
                yield f"{inbox[0]} keeps too much of {stream}"
            if record.delivered & record.void:
                yield f"{inbox[0]} has both verdicts for one seq of {stream}"


def i7_promise_after_durable(h: History) -> Stories:
    """Nothing that promises leaves before its transaction is durable."""
    for frame in h.frames:
        check = _PROMISES.get(type(frame.packet))
        if check is not None and frame.source not in h.hostile:
            yield from check(h, frame)
    for msgid, send in h.sends.items():
        if send.accepted is not None and h.rows.get(msgid, (_NEVER,))[0] > send.accepted:
            yield f"send() returned before the row of {msgid} was durable"


def _msg_r(h: History, frame: SeenFrame) -> Stories:
    assert isinstance(frame.packet, p.MsgR)
    assert frame.stream is not None
    for msgid in frame.section():
        if h.rows.get(msgid, (_NEVER,))[0] > frame.sent:
            yield f"msg:R of {msgid} left before its outbox row was durable"
    durable = [floor for order, floor in h.floors[frame.stream] if order < frame.sent]
    if frame.packet.floor > max(durable, default=1):
        yield f"msg:R of {frame.stream} told floor {frame.packet.floor}, which was not durable"


def _ack_r(h: History, frame: SeenFrame) -> Stories:
    inbox = (endpoint_of(frame.source), frame.incarnation)
    for msgid in frame.ranges("delivered"):
        if min(h.commits.get((inbox, msgid), (_NEVER,))) > frame.sent:
            yield f"{inbox[0]} said DELIVERED of {msgid} without a durable commit"
    for msgid in frame.ranges("void"):
        if h.voided.get((inbox, msgid), _NEVER) > frame.sent:
            yield f"{inbox[0]} said VOID of {msgid} without a durable promise"


def _ack_n(h: History, frame: SeenFrame) -> Stories:
    assert isinstance(frame.packet, p.AckN)
    epoch = frame.packet.store_epoch
    endpoint = _by_ordinal(h, frame)
    for msgid in frame.ranges("stored"):
        if endpoint is None or h.stored.get((epoch, endpoint, msgid), _NEVER) > frame.sent:
            yield f"ack:N said STORED of {msgid} for {endpoint} without a durable row"


def _ack_a(h: History, frame: SeenFrame) -> Stories:
    assert frame.stream is not None
    stream = frame.stream
    host = f"{stream.user}/{stream.device}"
    device = endpoint_of(frame.destination).device
    heard = {
        msgid.seq
        for other in h.frames
        if isinstance(other.packet, p.AckN) and other.stream == stream
        if other.destination == host and (other.arrived or _NEVER) < frame.sent
        for name in ("delivered", "void")
        for msgid in other.ranges(name)
    }
    for msgid in frame.ranges("ranges"):
        kept = h.kept.get((stream, device, frame.incarnation, msgid.seq), _NEVER)
        if msgid.seq not in heard and kept > frame.sent:
            yield f"ack:A of {msgid} left although its receipt could still get lost"


def _login(h: History, frame: SeenFrame) -> Stories:
    assert isinstance(frame.packet, p.Login)
    key = (frame.packet.incarnation, frame.packet.login_count)
    if h.logins[endpoint_of(frame.source)].get(key, _NEVER) > frame.sent:
        yield f"{frame.source} logged in before login {key[1]} was durable"


_PROMISES: dict[type, Callable[[History, SeenFrame], Stories]] = {
    p.MsgR: _msg_r,
    p.AckR: _ack_r,
    p.AckN: _ack_n,
    p.AckA: _ack_a,
    p.Login: _login,
}


def _by_ordinal(h: History, frame: SeenFrame) -> Endpoint | None:
    assert isinstance(frame.packet, p.AckN)
    assert frame.stream is not None
    for endpoint, record in h.devices[frame.packet.store_epoch].items():
        if endpoint.user == frame.stream.conversation and record.ordinal == frame.packet.ordinal:
            return endpoint
    return None


def i8_equal_answers(h: History) -> Stories:
    """Every duplicate with seq ≥ floor gets the same verdict again."""
    said: dict[tuple[Endpoint, int, MsgId], str] = {}
    for frame in _honest(h, p.AckR):
        for verdict in ("delivered", "void"):
            for msgid in frame.ranges(verdict):
                key = (endpoint_of(frame.source), frame.incarnation, msgid)
                if said.setdefault(key, verdict) != verdict:
                    yield f"{frame.source} said both DELIVERED and VOID of {msgid}"


def i9_accepted_never_disarms(h: History) -> Stories:
    """Msg:A and hop acks may slow the end-to-end timer; they never remove the row. A row goes only
    when every endpoint due it has given its verdict, or the message was refused or withdrawn.
    """
    heard: dict[tuple[MsgId, Endpoint], int] = {}
    for frame in _of(h, p.AckN):
        endpoint = _by_ordinal(h, frame)
        if endpoint is not None and frame.arrived is not None:
            for name in ("delivered", "void", "excused"):
                for msgid in frame.ranges(name):
                    earlier = heard.get((msgid, endpoint), _NEVER)
                    heard[msgid, endpoint] = min(frame.arrived, earlier)
    for order, msgid, store_epoch, epoch in h.trims:
        closed = {shown.state for shown in h.shown.get(msgid, ())} & {_S.REJECTED, _S.VOID}
        devices = h.devices[store_epoch].items()
        due = [
            e for e, d in devices if e.user == msgid.stream.conversation and d.joined <= epoch
        ]
        if not due and not closed:
            yield f"the row of {msgid} was deleted before anybody could answer"
        for endpoint in due:
            if heard.get((msgid, endpoint), _NEVER) > order and not closed:
                yield f"the row of {msgid} was deleted without a verdict of {endpoint}"


def i10_evidence(h: History) -> Stories:
    """A retransmission flag is never evidence that an earlier copy arrived: what is said of a
    message rests on a copy that did arrive.
    """
    copies: dict[tuple[str, MsgId], int] = {}
    for frame in _of(h, p.MsgR, p.MsgN, p.OfflineA):
        if frame.arrived is not None:
            for msgid in frame.section():
                key = (frame.destination, msgid)
                copies[key] = min(frame.arrived, copies.get(key, _NEVER))
    for frame in _honest(h, p.AckR, p.MsgA):
        for msgid in frame.ranges("delivered" if isinstance(frame.packet, p.AckR) else "ranges"):
            if copies.get((frame.source, msgid), _NEVER) > frame.sent:
                yield f"{frame.source} spoke of {msgid} although no copy had arrived there"


def i11_order(h: History) -> Stories:
    """R9: the application gets each stream in seq order; what it got once does not count again."""
    top: dict[tuple[Endpoint, int, object], int] = {}
    known: set[tuple[Endpoint, int, MsgId]] = set()
    for one in h.handovers:
        key = (one.endpoint, one.incarnation, one.msgid)
        if key in known:
            continue
        known.add(key)
        stream = (one.endpoint, one.incarnation, one.msgid.stream)
        if one.msgid.seq < top.get(stream, 0):
            yield f"{one.msgid} was handed to {one.endpoint} after {top[stream]}"
        top[stream] = max(one.msgid.seq, top.get(stream, 0))


def i12_restraint(h: History) -> Stories:
    """Per session, re-sent payload bytes end to end ≤ 20 % of new ones + 1 message/s averaged over
    60 s; no answer to an answer.
    """
    sessions: dict[bytes, list[SeenFrame]] = defaultdict(list)
    for frame in _of(h, p.MsgR):
        assert isinstance(frame.packet, p.MsgR)
        if frame.packet.runs[0].epoch:  # else it asks for the membership, and is not forwarded
            sessions[frame.connection].append(frame)
    for frames in sessions.values():
        known: set[MsgId] = set()
        new = again = again_messages = largest = 0
        for frame in frames:
            msgids = set(frame.section())
            mean = frame.size / len(msgids)
            repeated = len(msgids & known)
            again_messages += repeated
            again += round(mean * repeated)
            new += round(mean * (len(msgids) - repeated))
            largest = max(largest, round(mean))
            known |= msgids
            allowance = RESEND_MESSAGES_BURST + 1 + frame.at - frames[0].at
            by_bytes = (again - RESEND_RATIO * new) / max(largest, 1)
            if by_bytes > allowance and again_messages > allowance:
                yield f"{frame.source} re-sent {again} bytes of {new} within one session"
                break
    counts: dict[tuple[type, str], int] = defaultdict(int)
    for frame in h.frames:
        counts[type(frame.packet), frame.source] += 1
    for host in {frame.source for frame in h.frames if frame.source != SERVER}:
        asked = sum(f.destination == SERVER and f.source == host for f in h.frames)
        answers = sum(
            isinstance(f.packet, p.MsgA | p.AckA) and f.destination == host for f in h.frames
        )
        if answers > 2 * asked + counts[p.AckR, host]:
            yield f"{host} sent {asked} IM packets and got {answers} answers"


def i13_authority(h: History) -> Stories:
    """The sender is the session's identity. Only e's session reports for e; S says nothing for B."""
    reported: dict[tuple[Endpoint, int, str, MsgId], int] = {}
    sent: dict[MsgId, int] = {}
    for frame in _of(h, p.AckR, p.MsgR):
        if frame.arrived is None:
            continue
        if isinstance(frame.packet, p.MsgR):
            for msgid in frame.section():
                sent[msgid] = min(frame.arrived, sent.get(msgid, _NEVER))
            continue
        for verdict in ("delivered", "void"):
            for msgid in frame.ranges(verdict):
                key = (endpoint_of(frame.source), frame.incarnation, verdict, msgid)
                reported[key] = min(frame.arrived, reported.get(key, _NEVER))
    for frame in _of(h, p.AckN, p.MsgN):
        if isinstance(frame.packet, p.MsgN):
            for msgid in frame.section():
                if sent.get(msgid, _NEVER) > frame.sent:
                    yield f"msg:N of {msgid}, which its sender had not brought"
            continue
        assert isinstance(frame.packet, p.AckN)
        endpoint = _by_ordinal(h, frame)
        for verdict in ("delivered", "void"):
            for msgid in frame.ranges(verdict):
                source = (endpoint or Endpoint("", ""), frame.packet.incarnation, verdict, msgid)
                if reported.get(source, _NEVER) > frame.sent:
                    yield f"ack:N says {verdict} of {msgid} for {endpoint}, who had not said so"


def i14_liveness(h: History, up: Sequence[str]) -> Stories:
    """From the moment links are fair and nodes stay up, everything settles; at the end nothing is
    open but what is STORED, and every commit at a running client reached its application.
    """
    for msgid in sorted(h.open):
        if _sender(msgid) in up and h.last_state(msgid) is not _S.STORED:
            yield f"{msgid} is still {h.last_state(msgid).name}"
    handed = {(one.endpoint, one.incarnation, one.msgid) for one in h.handovers}
    for ((endpoint, incarnation), msgid), _ in h.commits.items():
        current = h.incarnations.get(endpoint) == incarnation
        if current and _host(endpoint) in up and (endpoint, incarnation, msgid) not in handed:
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
    """Any captured datagram, sent again at any time from anywhere, binds no address. (That it
    changes no verdict and delivers nothing is I2, I3 and I8.)
    """
    homes = {c.source for c in h.crossings if not c.replayed}
    for crossing in h.crossings:
        if crossing.destination not in homes and crossing.content.packets:
            yield f"IM packets were sent to {crossing.destination}, where only replays came from"
