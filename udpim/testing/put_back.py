"""Disks that were replaced by an old copy: which facts of the history are true no more.

What a device did after the copy was made happened, and was seen; only the device knows nothing of
it any more. Its inbox of those days is kept under an incarnation of its own, so that it counts for
what was said then, and not against what the device does now (PROTOCOL §5.8).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from udpim.im.records import ClientSnapshot
from udpim.model import Endpoint, MsgId, StreamId
from udpim.testing.facts import ByIncarnation, endpoint_of, left_since

if TYPE_CHECKING:
    from udpim.testing.history import History


def undo(h: History, host: str, taken: int) -> None:
    """A client's disk is again as it was at ``taken``."""
    endpoint = endpoint_of(host)
    _forget_sends(h, endpoint, taken)
    number = h.order
    for frame in h.frames:
        if frame.source == host and frame.sent > taken and not frame.undone:
            frame.undone = number
    for (inbox, msgid), orders in list(h.commits.items()):
        if _is_of(inbox, endpoint) and orders[-1] > taken:
            h.commits[undone(inbox, number), msgid] = [o for o in orders if o > taken]
            orders[:] = [order for order in orders if order <= taken]
            if not orders:
                del h.commits[inbox, msgid]
    for (inbox, msgid), order in list(h.voided.items()):
        if _is_of(inbox, endpoint) and order > taken:
            h.voided[undone(inbox, number), msgid] = h.voided.pop((inbox, msgid))
            h.taken_back.add((endpoint, msgid))
    for (inbox, stream), records in list(h.inboxes.items()):
        if _is_of(inbox, endpoint):
            h.inboxes[undone(inbox, number), stream] = records
            h.inboxes[inbox, stream] = [record for record in records if record[0] <= taken]
    for index, one in enumerate(h.handovers):
        if _is_of((one.endpoint, one.incarnation), endpoint) and one.order > taken:
            _, past = undone((endpoint, one.incarnation), number)
            h.handovers[index] = replace(one, incarnation=past)


def undone(inbox: ByIncarnation, number: int) -> ByIncarnation:
    """Return under which incarnation the facts of an inbox stand that fact ``number`` undid."""
    endpoint, incarnation = inbox
    return endpoint, incarnation + (number << 64)


def _is_of(inbox: ByIncarnation, endpoint: Endpoint) -> bool:
    return inbox[0] == endpoint and inbox[1] < 1 << 64


def _forget_sends(h: History, endpoint: Endpoint, taken: int) -> None:
    """A msgid was used again after another copy was put back, and that is undone, too."""
    for msgid in list(h.collisions):
        asked = h.sends[msgid].asked
        if (
            msgid.stream[:2] == endpoint
            and asked > taken
            and not left_since(h.frames, msgid, asked)
        ):
            give_back(h, msgid)


def give_back(h: History, msgid: MsgId) -> None:
    """A restored store used a msgid again, but no copy left: it is the first message's."""
    h.sends[msgid] = h.replaced[msgid].pop()
    if not h.replaced[msgid]:
        del h.replaced[msgid]
    h.collisions.remove(msgid)


def carry_over(h: History, endpoint: Endpoint, new: int) -> None:
    """A restored store goes on under a new incarnation: what the copy held is still true."""
    taken = h.restored.pop(endpoint, None)
    old = (endpoint, h.incarnations.get(endpoint, 0))
    if taken is None:
        return
    h.rebirths += 1
    for (inbox, msgid), orders in list(h.commits.items()):
        if inbox == old and orders[0] <= taken:
            h.commits[(endpoint, new), msgid].append(h.tick())
            h.carried.add((endpoint, msgid))
    for (inbox, msgid), order in list(h.voided.items()):
        if inbox == old and order <= taken:
            h.voided[(endpoint, new), msgid] = h.tick()


def find_moved(h: History, sender: Endpoint, snapshot: ClientSnapshot) -> None:
    """A process finds rows under msgids that nobody was told of: they moved as it died."""
    streams = {
        record.number: StreamId(*sender, record.incarnation, record.conversation)
        for record in snapshot.out_streams
    }
    for row in snapshot.outbox:
        stream = streams[row.number]
        if MsgId(stream, row.seq) in h.sends:
            continue
        for old, send in reversed(list(h.sends.items())):
            same = old.stream._replace(incarnation=stream.incarnation) == stream
            if same and old.seq == row.seq and send.payload == row.payload:
                h.on_reborn(old.stream, stream, row.seq, row.seq)
                break
