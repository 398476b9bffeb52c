"""What the server tells a sender of messages that its offline queues have given up (PROTOCOL §5.5).

A part of the router. A message that waited for too long is a void item now, and another copy of it
does not take its place: else it would wait anew, for ever. So the copy is refused as EXPIRED, and
its sender gives the message up as after a deadline: UNKNOWN until the recipient has spoken (R4).
"""

from __future__ import annotations

from collections.abc import Iterable

from udpim.im.offline_queue import OfflineQueue
from udpim.im.receipt_rows import ReceiptRows
from udpim.model import StreamId
from udpim.ranges import RangeSet, without
from udpim.wire.im_packets import Member, MsgR


def given_up(
    queue: OfflineQueue,
    receipts: ReceiptRows,
    stream: StreamId,
    due: Iterable[tuple[Member, tuple[int, int]]],
    packet: MsgR,
) -> RangeSet:
    """Return the seqs of a run that wait as void items, and can reach nobody else any more.

    As long as another device may get a message, its sender goes on: a cancel would be for all.

    Args:
        queue: The offline queues.
        receipts: What endpoints have said.
        stream: Whose run.
        due: The endpoints that it is due to, each with floor and base.
        packet: It.
    """
    if not queue.holds(stream):
        return RangeSet()
    void, open_ = RangeSet(), RangeSet()
    for line, (_, base) in due:
        first, last = max(base, packet.section.first), packet.section.last
        if first > last:
            continue
        queued = queue.find(line.endpoint, stream)
        voids = RangeSet([] if queued is None else queued.voids.within(first, last))
        void.update(voids)
        if not packet.settled >> line.ordinal & 1:
            row = receipts.find(stream, line.endpoint)
            told = row is not None and row.incarnation == line.incarnation
            left = row.missing(first, last) if row is not None and told else [(first, last)]
            open_.update(without(left, voids))
        elif queued is not None:
            open_.update(queued.messages.within(first, last))
    return RangeSet(without(void, open_))
