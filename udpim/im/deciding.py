"""What a message shows once its audience has spoken (PROTOCOL §5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udpim.im.audience import Judgement
from udpim.im.changes import Change
from udpim.model import MessageState
from udpim.ranges import RangeSet, intersect, without

if TYPE_CHECKING:
    from udpim.im.out_stream import OutStream


def decide(stream: OutStream, judgement: Judgement) -> list[Change]:
    """Note in a stream what a judgement says of a run of its seqs, and return what it shows."""
    changes: list[Change] = []
    if stream.audience.group:
        stored = stream.undecided(without(judgement.kept, RangeSet(judgement.decided)))
        stream.kept.update(judgement.kept)
        changes += [(a, b, MessageState.STORED) for a, b in stored]
        delivered = without(judgement.delivered, stream.delivered)
        stream.delivered.update(delivered)
        changes += [(a, b, MessageState.DELIVERED) for a, b in delivered]
    new = without(judgement.decided, stream.decided)
    stream.decided.update(new)
    open_ = without(new, stream.delivered)
    if open_:
        voided = RangeSet(without(intersect(open_, RangeSet(judgement.void)), stream.doubtful))
        stream.void.update(voided)
        shown = RangeSet((first, last) for first, last, _ in stream.rejected)
        changes += [(a, b, MessageState.VOID) for a, b in without(voided, shown)]
        excused = without(without(open_, voided), stream.cancelled)
        changes += [(a, b, MessageState.EXCUSED) for a, b in excused]
    return changes
