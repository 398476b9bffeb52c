"""What a group's tally means to its sender: verdicts by ordinal, taken with care (PROTOCOL §5.10).

A bitmap has no room for incarnations, so a tally says as of which change of the server its verdicts
hold: one for a line that was renewed later is not about the incarnation that we know (R7).
"""

from __future__ import annotations

from typing import NamedTuple

from udpim.im.member_view import MemberView
from udpim.im.out_stream import OutStream
from udpim.im.tally import DELIVERED, STORED, VOID
from udpim.ranges import Range, without
from udpim.wire.im_packets import Tally, TallyEntry


class Taken(NamedTuple):
    """What a tally brought."""

    top: int
    """Highest seq that an endpoint has spoken of."""
    touched: list[Range]


def take_tally(stream: OutStream, packet: Tally, drops: dict[str, int], *, current: bool) -> Taken:
    """Note the verdicts in the views; what they amount to is worked out by `OutStream.refresh`.

    What has no effect is counted in ``drops``, by reason. An entry about seqs that were never used
    has none in a ``current`` stream; in an older store's it is about a part that was lost, too.
    """
    top = 0
    touched: list[Range] = []
    for told in packet.entries:
        entry = told
        if entry.verdict != STORED:
            top = max(top, entry.ranges[-1][1])
        if entry.ranges[-1][1] >= stream.next_seq:
            _drop(drops, "verdict for a seq that was never used")
            if current:
                continue
            entry = told._replace(ranges=tuple(stream.used(told.ranges)))
        touched += entry.ranges
        for ordinal in _ordinals(entry):
            view = stream.audience.view(ordinal)
            if view is None or view.renewed > packet.as_of:
                _drop(drops, "verdict of an unknown incarnation")
            else:
                _take(stream, view, entry)
    return Taken(top, touched)


def _drop(drops: dict[str, int], reason: str) -> None:
    drops[reason] = drops.get(reason, 0) + 1


def _ordinals(entry: TallyEntry) -> list[int]:
    bits = bin(entry.bitmap)[:1:-1]
    return [entry.first + place for place, bit in enumerate(bits) if bit == "1"]


def _take(stream: OutStream, view: MemberView, entry: TallyEntry) -> None:
    for first, last in entry.ranges:
        if entry.verdict == DELIVERED:
            stream.take_delivered(view, first, last)
        elif entry.verdict == VOID:
            stream.take_void(view, first, last)
        elif entry.verdict == STORED:
            stream.take_stored(view, ((first, last),))
        else:
            for part in without(stream.used([(first, last)]), stream.settled):
                view.take_excused(*part)
