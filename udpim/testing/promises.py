"""I7: nothing that promises leaves before its transaction is durable (PROTOCOL §5.2).

What each IM packet promises when it leaves its host, and which commit must have come before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from udpim.model import Endpoint, MsgId
from udpim.testing.facts import SeenFrame, endpoint_of
from udpim.testing.history import History
from udpim.wire import im_packets as p

Stories = Iterator[str]
"""One sentence for each violation."""
NEVER = 1 << 62
"""Later than every fact."""


def i7_promise_after_durable(h: History) -> Stories:
    """Nothing that promises leaves before its transaction is durable."""
    heard = _receipts_heard(h)
    for frame in h.frames:
        if frame.source in h.hostile:
            continue
        if isinstance(frame.packet, p.AckA):
            yield from _ack_a(h, frame, heard)
        elif (check := _PROMISES.get(type(frame.packet))) is not None:
            yield from check(h, frame)
    for msgid, send in h.sends.items():
        if send.accepted is not None and h.rows.get(msgid, (NEVER,))[0] > send.accepted:
            yield f"send() returned before the row of {msgid} was durable"


def _msg_r(h: History, frame: SeenFrame) -> Stories:
    assert isinstance(frame.packet, p.MsgR)
    assert frame.stream is not None
    for msgid in frame.section():
        if h.rows.get(msgid, (NEVER,))[0] > frame.sent:
            yield f"msg:R of {msgid} left before its outbox row was durable"
    durable = [floor for order, floor in h.floors[frame.stream] if order < frame.sent]
    if frame.packet.floor > max(durable, default=1):
        yield f"msg:R of {frame.stream} told floor {frame.packet.floor}, which was not durable"


def _ack_r(h: History, frame: SeenFrame) -> Stories:
    inbox = (endpoint_of(frame.source), frame.incarnation)
    for msgid in frame.ranges("delivered"):
        if min(h.commits.get((inbox, msgid), (NEVER,))) > frame.sent:
            yield f"{inbox[0]} said DELIVERED of {msgid} without a durable commit"
    for msgid in frame.ranges("void"):
        if h.voided.get((inbox, msgid), NEVER) > frame.sent:
            yield f"{inbox[0]} said VOID of {msgid} without a durable promise"


def _ack_n(h: History, frame: SeenFrame) -> Stories:
    assert isinstance(frame.packet, p.AckN)
    epoch = frame.packet.store_epoch
    endpoint = by_ordinal(h, frame)
    for msgid in frame.ranges("stored"):
        if endpoint is None or h.stored.get((epoch, endpoint, msgid), NEVER) > frame.sent:
            yield f"ack:N said STORED of {msgid} for {endpoint} without a durable row"


def _receipts_heard(h: History) -> dict[MsgId, int]:
    """Return when each receipt reached the message's sender for the first time."""
    heard: dict[MsgId, int] = {}
    for frame in h.frames:
        if not isinstance(frame.packet, p.AckN) or frame.stream is None or frame.arrived is None:
            continue
        if frame.destination == f"{frame.stream.user}/{frame.stream.device}":
            for name in ("delivered", "void"):
                for msgid in frame.ranges(name):
                    heard[msgid] = min(frame.arrived, heard.get(msgid, NEVER))
    return heard


def _ack_a(h: History, frame: SeenFrame, heard: dict[MsgId, int]) -> Stories:
    device = endpoint_of(frame.destination).device
    for msgid in frame.ranges("ranges"):
        kept = h.kept.get((msgid.stream, device, frame.incarnation, msgid.seq), NEVER)
        if heard.get(msgid, NEVER) >= frame.sent and kept > frame.sent:
            yield f"ack:A of {msgid} left although its receipt could still get lost"


def _login(h: History, frame: SeenFrame) -> Stories:
    assert isinstance(frame.packet, p.Login)
    incarnation, count = frame.packet.incarnation, frame.packet.login_count
    marks = h.logins[endpoint_of(frame.source)].items()
    durable = [at for (of, mark), at in marks if of == incarnation and mark >= count]
    if min(durable, default=NEVER) > frame.sent:
        yield f"{frame.source} logged in before login {count} was durable"


_PROMISES: dict[type, Callable[[History, SeenFrame], Stories]] = {
    p.MsgR: _msg_r,
    p.AckR: _ack_r,
    p.AckN: _ack_n,
    p.Login: _login,
}


def by_ordinal(h: History, frame: SeenFrame) -> Endpoint | None:
    """Return the endpoint that an ack:N is about."""
    assert isinstance(frame.packet, p.AckN)
    assert frame.stream is not None
    for endpoint, record in h.devices[frame.packet.store_epoch].items():
        if endpoint.user == frame.stream.conversation and record.ordinal == frame.packet.ordinal:
            return endpoint
    return None
