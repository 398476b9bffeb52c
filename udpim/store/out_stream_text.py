"""A sender's stream record as JSON text and back, for the column that keeps it (PROTOCOL §5.2)."""

from __future__ import annotations

import json
from typing import Any

from udpim.im.records import OutMember, OutStreamRecord, Ranges, Reroute
from udpim.ranges import RangeSet, without

_SHOWN_1 = ("delivered", "doubtful")
"""What stood behind the rejected ones in version 1."""


def to_text(record: OutStreamRecord) -> str:
    """Turn a record into text."""
    return json.dumps(record, separators=(",", ":"))


def from_text(text: str) -> OutStreamRecord:
    """Build a record from what `to_text` made."""
    number, incarnation, conversation, next_seq, floor, store_epoch, epoch, *rest = json.loads(text)
    members, cancelled, rejected, *shown = rest
    if len(shown) == len(_SHOWN_1):
        members, shown = _of_version_1(conversation, floor, members, *shown)
    delivered, void, doubtful, *onward = shown
    redirects, hops, rerouted = onward or ((), (), ())
    return OutStreamRecord(
        number,
        incarnation,
        conversation,
        next_seq,
        floor,
        store_epoch,
        epoch,
        tuple(map(_member, members)),
        _pairs(cancelled),
        tuple((first, last, code) for first, last, code in rejected),
        _pairs(delivered),
        _pairs(void),
        _pairs(doubtful),
        tuple((first, last, to) for first, last, to in redirects),
        tuple((first, last, count) for first, last, count in hops),
        tuple(Reroute(*one) for one in rerouted),
    )


def _of_version_1(
    conversation: str, floor: int, members: list[Any], delivered: list[Any], doubtful: list[Any]
) -> tuple[list[Any], list[Any]]:
    """Bring members and what was shown to the present form.

    There were direct conversations only, whose ordinals counted the recipient's devices; what was
    shown as VOID followed from the members.
    """
    unsure = RangeSet((*_pairs(delivered), *_pairs(doubtful)))
    for *_, excused in members:
        unsure.update(_pairs(excused))
    void = RangeSet()
    for member in members:
        below = RangeSet(_pairs(member[6])).within(1, floor - 1)
        void.update(without(below, unsure))
    lines = [
        [conversation, device, 2 * ordinal, incarnation, 0, *rest, 0]
        for device, ordinal, incarnation, *rest in members
    ]
    return lines, [delivered, list(void), doubtful]


def _member(values: list[Any]) -> OutMember:
    delivered, void, stored, excused, read = values[7:]
    user, device, ordinal, incarnation, renewed, joined, left = values[:7]
    return OutMember(
        user,
        device,
        ordinal,
        incarnation,
        renewed,
        joined,
        left,
        _pairs(delivered),
        _pairs(void),
        _pairs(stored),
        _pairs(excused),
        read,
    )


def _pairs(items: list[list[int]]) -> Ranges:
    return tuple((first, last) for first, last in items)
