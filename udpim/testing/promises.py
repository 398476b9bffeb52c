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
    for msgid in frame.ranges("delivered"):
        if all(h.commits.get((i, msgid), (NEVER,))[0] > frame.sent for i in frame.inboxes):
            yield f"{frame.source} said DELIVERED of {msgid} without a durable commit"
    for msgid in frame.ranges("void"):
        if all(h.voided.get((i, msgid), NEVER) > frame.sent for i in frame.inboxes):
            yield f"{frame.source} said VOID of {msgid} without a durable promise"


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


Heard = dict[tuple[Endpoint | None, MsgId], int]


def _receipts_heard(h: History) -> Heard:
    """Return when each receipt reached the message's sender for the first time.

    An ack:N is noted for nobody in particular, a tally for whom it names.
    """
    heard: Heard = {}
    for frame in h.frames:
        if not isinstance(frame.packet, p.AckN | p.Tally) or frame.stream is None:
            continue
        if frame.arrived is None:
            continue
        if frame.destination == f"{frame.stream.user}/{frame.stream.device}":
            for key in _told(h, frame):
                heard[key] = min(frame.arrived, heard.get(key, NEVER))
    return heard


def _told(h: History, frame: SeenFrame) -> Iterator[tuple[Endpoint | None, MsgId]]:
    if isinstance(frame.packet, p.Tally):
        for endpoint, verdict, msgid in tallied(h, frame):
            if verdict in ("delivered", "void"):
                yield endpoint, msgid
        return
    for name in ("delivered", "void"):
        for msgid in frame.ranges(name):
            yield None, msgid


def _ack_a(h: History, frame: SeenFrame, heard: Heard) -> Stories:
    recipient = endpoint_of(frame.destination)
    for msgid in frame.ranges("ranges"):
        kept = h.kept.get((msgid.stream, recipient, frame.incarnation, msgid.seq), NEVER)
        at = min(heard.get((who, msgid), NEVER) for who in (None, recipient))
        if at >= frame.sent and kept > frame.sent:
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
