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
VERDICTS = ("delivered", "void", "stored", "excused")
"""As a tally's entries number them."""
NEVER = 1 << 62
"""Later than every fact."""


def i7_promise_after_durable(h: History) -> Stories:
    """Nothing that promises leaves before its transaction is durable."""
    for frame in h.frames:
        check = _PROMISES.get(type(frame.packet))
        if check is not None and frame.source not in h.hostile:
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


def _tally(h: History, frame: SeenFrame) -> Stories:
    assert isinstance(frame.packet, p.Tally)
    epoch = frame.packet.store_epoch
    for endpoint, verdict, msgid in tallied(h, frame):
        untrue = endpoint is None or h.stored.get((epoch, endpoint, msgid), NEVER) > frame.sent
        if verdict == "stored" and untrue:
            yield f"tally said STORED of {msgid} for {endpoint} without a durable row"


def _ack_a(h: History, frame: SeenFrame) -> Stories:
    assert frame.stream is not None
    stream = frame.stream
    host = f"{stream.user}/{stream.device}"
    recipient = endpoint_of(frame.destination)
    heard = {
        msgid.seq
        for other in h.frames
        if isinstance(other.packet, p.Tally) and other.stream == stream
        if other.destination == host and (other.arrived or NEVER) < frame.sent
        for endpoint, verdict, msgid in tallied(h, other)
        if endpoint == recipient and verdict in ("delivered", "void")
    }
    heard |= {
        msgid.seq
        for other in h.frames
        if isinstance(other.packet, p.AckN) and other.stream == stream
        if other.destination == host and (other.arrived or NEVER) < frame.sent
        for name in ("delivered", "void")
        for msgid in other.ranges(name)
    }
    for msgid in frame.ranges("ranges"):
        kept = h.kept.get((stream, recipient, frame.incarnation, msgid.seq), NEVER)
        if msgid.seq not in heard and kept > frame.sent:
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
    p.Tally: _tally,
    p.AckA: _ack_a,
    p.Login: _login,
}


def by_ordinal(h: History, frame: SeenFrame) -> Endpoint | None:
    """Return the endpoint that an ack:N is about."""
    assert isinstance(frame.packet, p.AckN)
    assert frame.stream is not None
    return h.lines[frame.packet.store_epoch].by_ordinal(frame.stream, frame.packet.ordinal)


def tallied(h: History, frame: SeenFrame) -> Iterator[tuple[Endpoint | None, str, MsgId]]:
    """Yield (endpoint, verdict, msgid) for all that a tally says."""
    assert isinstance(frame.packet, p.Tally)
    assert frame.stream is not None
    lines = h.lines[frame.packet.store_epoch]
    for verdict, ranges, first, bitmap in frame.packet.entries:
        for place in range(bitmap.bit_length()):
            if bitmap >> place & 1:
                endpoint = lines.by_ordinal(frame.stream, first + place)
                for low, high in ranges:
                    for seq in range(low, high + 1):
                        yield endpoint, VERDICTS[verdict], MsgId(frame.stream, seq)
