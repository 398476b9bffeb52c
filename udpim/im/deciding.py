"""What a message shows once its audience has spoken (PROTOCOL §5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from udpim.im.audience import Judgement
from udpim.im.changes import Change
from udpim.model import MessageState
from udpim.ranges import Range, RangeSet, intersect, without

if TYPE_CHECKING:
    from udpim.im.member_view import MemberView
    from udpim.im.out_stream import OutStream


def decide(stream: OutStream, judgement: Judgement) -> list[Change]:
    """Note in a stream what a judgement says of a run of its seqs, and return what it shows."""
    changes: list[Change] = []
    if stream.audience.group:
        kept = without(judgement.kept, RangeSet(judgement.decided))
        stored = stream.undecided(kept)
        stream.kept.update(kept)
        changes += [(a, b, MessageState.STORED) for a, b in stored]
        delivered = without(without(judgement.delivered, stream.delivered), stream.void)
        stream.delivered.update(delivered)
        changes += delivered_changes(stream, delivered)
    new = without(judgement.decided, stream.decided)
    stream.decided.update(new)
    open_ = without(new, stream.delivered)
    if open_:
        voided = RangeSet(without(intersect(open_, RangeSet(judgement.void)), stream.doubtful))
        stream.void.update(voided)
        shown = RangeSet((first, last) for first, last, _ in stream.rejected)
        changes += [(a, b, MessageState.VOID) for a, b in without(voided, shown)]
        rest = without(without(open_, voided), shown)
        excused = without(without(rest, stream.cancelled), stream.doubtful)
        unsure = without(rest, RangeSet(excused))
        changes += [(a, b, MessageState.UNKNOWN) for a, b in unsure]
        changes += [(a, b, MessageState.EXCUSED) for a, b in excused]
    return changes


def to_give_up(stream: OutStream, first: int, last: int) -> list[Range]:
    """Return what of first..last can still be given up: open, and without a last word."""
    open_ = without(stream.settled.missing(first, last), stream.cancelled)
    return without(open_, without_a_taker(stream))


def without_a_taker(stream: OutStream) -> RangeSet:
    """Return the seqs that show a final state and not DELIVERED; perhaps own devices lack them."""
    return RangeSet(without(stream.decided, stream.delivered))


def not_excused(stream: OutStream, view: MemberView, first: int, last: int) -> list[Range]:
    """Return what of first..last is not EXCUSED for good: a verdict on the rest comes too late.

    The sender's own other devices have no say in what is shown, and are always heard.
    """
    late = stream.decided.within(first, last) if stream.audience.counts(view) else []
    for known in (stream.delivered, stream.void, stream.cancelled, stream.doubtful):
        if late:
            late = without(late, known)
    return without([(first, last)], RangeSet(late)) if late else [(first, last)]


def delivered_changes(stream: OutStream, ranges: Sequence[Range]) -> list[Change]:
    """These show DELIVERED now, and READ where a watermark was faster than the receipts."""
    read = stream.read_up_to
    changes = [(a, b, MessageState.DELIVERED) for a, b in ranges]
    return changes + [(a, min(b, read), MessageState.READ) for a, b in ranges if a <= read]


def read_changes(stream: OutStream) -> list[Change]:
    """Note up to where everybody has read; what was shown as READ stays so."""
    before = stream.read_up_to
    read = stream.audience.read_up_to()
    if read <= before:
        return []
    stream.read_up_to = read
    return [(a, b, MessageState.READ) for a, b in stream.delivered.within(before + 1, read)]
