"""A sender's stream record as JSON text and back, for the column that keeps it (PROTOCOL §5.2)."""

from __future__ import annotations

import json
from typing import Any

from udpim.im.records import OutMember, OutStreamRecord, Ranges


def to_text(record: OutStreamRecord) -> str:
    """Turn a record into text."""
    return json.dumps(record, separators=(",", ":"))


def from_text(text: str) -> OutStreamRecord:
    """Build a record from what `to_text` made."""
    number, incarnation, conversation, next_seq, floor, store_epoch, epoch, *rest = json.loads(text)
    members, cancelled, rejected, *shown = rest
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
        *map(_pairs, shown),
    )


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
