"""The normative declarations of the IM packets (PROTOCOL §4), written with construct.

`SCHEMAS` maps each kind to the declaration of its whole IM packet. The rare packets are parsed
and built with these at run time; the hot ones have a ``struct`` twin in `im_codec`.
``parse`` refuses what construct would let pass: bytes left over, and values that only look like
the canonical encoding.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import construct as c

from udpim import config
from udpim.errors import DecodeError
from udpim.wire.im_packets import Kind
from udpim.wire.told import told

FLAG_NAMED = 0x01
"""The stream's name follows the handle."""
FLAG_WHOLE = 0x02
"""All present members, not only the lines that changed."""
FLAG_MORE = 0x04
"""The queue holds more than this batch."""
FLAG_DURABLE = 0x08
"""The server's store survives a crash."""
FLAG_WAITING = 0x10
"""The offline queue is not empty."""
FLAG_CONTINUES = 0x20
"""The client's store still has messages of an older incarnation to bring to their end."""
FLAG_FOUR = 0x40
"""The session does without msg:A and ack:A."""
FLAG_SETTLED = 0x80
"""Ranges that are settled, and no more is known of them, follow."""

RANGES_MAX = 48
"""Ranges in one list: 768 bytes, so that a list and a name always fit one packet."""
RUNS_MAX = 3
"""Epoch runs in one head; a sender holds back what would need a fourth until floor has moved."""
ORDINAL_BYTES_MAX = 512
"""4096 endpoints in a conversation's bitmap."""
TALLY_ENTRIES_MAX = 64
"""Entries of one tally."""
NAME_BYTES_MAX = 32
"""A user's or device's name, UTF-8: three of them and a full section fit one packet."""
SECTION_BYTES_MAX = 1027
"""A section of several messages: fits every packet that may carry it, with the longest names."""
SIGNAL_BYTES_MAX = config.SIGNAL_BYTES_MAX
"""Payload of a signal: with the longest names it fits one packet."""
PRESENCE_DEVICES_MAX = config.DEVICES_PER_USER_MAX
"""Devices in one answer: all that a user may have."""
NEVER_SEEN_S = 0xFFFF_FFFF
"""Nobody knows since when a device is away."""
PAYLOAD_BYTES_MAX = config.PAYLOAD_BYTES_MAX
"""One message. What does not fit a section with others is a section of its own."""


def _check(test: Callable[[Any], bool], words: str) -> c.Construct[Any, Any]:
    return c.Check(test) * words


def _flags(allowed: int) -> c.Construct[Any, Any]:
    return c.ExprValidator(c.Int8ub, lambda value, _: not value & ~allowed)


def _name_text(least: int) -> c.Construct[Any, Any]:
    text = c.ExprValidator(
        c.PascalString(c.Int8ub, "utf8"),
        lambda value, _: least <= len(value.encode()) <= NAME_BYTES_MAX and "\x00" not in value,
    )
    return told(text, "text" if least else "text, may be empty")


def _ranges(least: int) -> c.Construct[Any, Any]:
    """Ascending, disjoint, non-adjacent ranges of seqs ≥ 1."""

    def canonical(value: Any, _: Any) -> bool:
        previous = -1
        for item in value:
            if item.first <= previous + 1 or item.first < 1 or item.last < item.first:
                return False
            previous = item.last
        return least <= len(value) <= RANGES_MAX

    pair = c.Struct("first" / c.Int64ub, "last" / c.Int64ub)
    words = f"ranges, ≥ {least}" if least else "ranges"
    return told(c.ExprValidator(c.PrefixedArray(c.Int8ub, pair), canonical), words)


def _runs() -> c.Construct[Any, Any]:
    """Epoch runs: first seqs and epochs both rise (epochs never fall within a stream)."""

    def canonical(value: Any, _: Any) -> bool:
        pairs = list(itertools.pairwise(value))
        rising = all(a.first < b.first and a.epoch < b.epoch for a, b in pairs)
        return rising and 1 <= len(value) <= RUNS_MAX and value[0].first >= 1

    pair = c.Struct("first" / c.Int64ub, "epoch" / c.Int32ub)
    return told(c.ExprValidator(c.PrefixedArray(c.Int8ub, pair), canonical), "runs")


SEQ = told(c.ExprValidator(c.Int64ub, lambda value, _: value >= 1), "seq")

STREAM_NAME = c.Struct(
    "incarnation" / c.Int64ub,
    "conversation" / _name_text(1),
    "user" / _name_text(0),
    "device" / _name_text(0),
)

SECTION = c.Struct(
    "first" / SEQ,
    "count" / told(c.ExprValidator(c.Int16ub, lambda value, _: value >= 1), "≥ 1"),
    _check(lambda this: this.first + this.count - 1 < 2**64, "`first` + `count` − 1 ≤ 2⁶⁴ − 1"),
    "lengths" / c.Array(c.this.count, c.Int32ub),
    "stamps" / c.Array(c.this.count, c.Int64ub),
    "payloads" / c.Array(c.this.count, c.Bytes(lambda this: this.lengths[this._index])),
)
told(STREAM_NAME, "§4.3")
told(SECTION, "§4.4")

_STREAM_HEAD: list[Any] = [
    "handle" / c.Int32ub,
    "name" / c.If(c.this.flags & FLAG_NAMED, STREAM_NAME),
]


def _stream_packet(kind: Kind, *fields: Any, flags: int = FLAG_NAMED) -> c.Construct[Any, Any]:
    return c.Struct(
        "kind" / c.Const(int(kind), c.Int8ub),
        "flags" / _flags(flags),
        *_STREAM_HEAD,
        *fields,
        c.Terminated,
    )


def _ack_r(kind: Kind) -> c.Construct[Any, Any]:
    return _stream_packet(
        kind,
        "delivered" / _ranges(0),
        "void" / _ranges(0),
        "settled" / c.If(c.this.flags & FLAG_SETTLED, _ranges(1)),
        flags=FLAG_NAMED | FLAG_SETTLED,
    )


def _plain_packet(kind: Kind, *fields: Any, flags: int = 0) -> c.Construct[Any, Any]:
    return c.Struct(
        "kind" / c.Const(int(kind), c.Int8ub), "flags" / _flags(flags), *fields, c.Terminated
    )


_SETTLED = told(
    c.ExprValidator(
        c.Prefixed(c.Int16ub, c.GreedyBytes),
        lambda value, _: len(value) <= ORDINAL_BYTES_MAX and (not value or value[-1] != 0),
    ),
    f"*2, at most {ORDINAL_BYTES_MAX} bytes, last one not zero",
)
"""Little endian bitmap over ordinals, without trailing zero bytes."""

MEMBER = c.Struct(
    "ordinal" / c.Int16ub,
    "user" / _name_text(1),
    "device" / _name_text(1),
    "incarnation" / c.Int64ub,
    "renewed" / c.Int32ub,
    "joined" / c.Int32ub,
    "left" / c.Int32ub,
)

TALLY_ENTRY = c.Struct(
    "verdict" / told(c.ExprValidator(c.Int8ub, lambda value, _: value <= 3), "0 to 3"),
    "ranges" / _ranges(1),
    "first" / c.Int16ub,
    "bitmap"
    / told(
        c.ExprValidator(
            c.Prefixed(c.Int16ub, c.GreedyBytes),
            lambda value, _: 1 <= len(value) <= ORDINAL_BYTES_MAX and value[-1] != 0,
        ),
        f"*2, 1 to {ORDINAL_BYTES_MAX} bytes, last one not zero",
    ),
)

_SIGNAL = told(
    c.ExprValidator(
        c.Prefixed(c.Int16ub, c.GreedyBytes), lambda value, _: len(value) <= SIGNAL_BYTES_MAX
    ),
    f"*2, at most {SIGNAL_BYTES_MAX} bytes",
)

SEEN = c.Struct(
    "device" / _name_text(1),
    "online" / told(c.ExprValidator(c.Int8ub, lambda value, _: value <= 1), "0 or 1"),
    "seen_s" / c.Int32ub,
)

SCHEMAS: dict[Kind, c.Construct[Any, Any]] = {
    Kind.MSG_R: _stream_packet(
        Kind.MSG_R, "floor" / SEQ, "runs" / _runs(), "settled" / _SETTLED, "section" / SECTION
    ),
    Kind.MSG_A: _stream_packet(Kind.MSG_A, "rtt_us" / c.Int32ub, "ranges" / _ranges(1), flags=0),
    Kind.MSG_N: _stream_packet(Kind.MSG_N, "floor" / SEQ, "base" / SEQ, "section" / SECTION),
    Kind.ACK_R: _ack_r(Kind.ACK_R),
    Kind.ACK_A: _stream_packet(Kind.ACK_A, "ranges" / _ranges(1), flags=0),
    Kind.ACK_N: _stream_packet(
        Kind.ACK_N,
        "ordinal" / c.Int16ub,
        "incarnation" / c.Int64ub,
        "store_epoch" / c.Int64ub,
        "delivered" / _ranges(0),
        "void" / _ranges(0),
        "stored" / _ranges(0),
        "excused" / _ranges(0),
    ),
    Kind.REFUSE: _stream_packet(
        Kind.REFUSE, "code" / c.Int16ub, "to" / _name_text(0), "ranges" / _ranges(1), flags=0
    ),
    Kind.MEMBERS: _stream_packet(
        Kind.MEMBERS,
        "store_epoch" / c.Int64ub,
        "epoch" / c.Int32ub,
        "members" / told(c.PrefixedArray(c.Int16ub, MEMBER), "members"),
        flags=FLAG_NAMED | FLAG_WHOLE,
    ),
    Kind.TALLY: _stream_packet(
        Kind.TALLY,
        "store_epoch" / c.Int64ub,
        "as_of" / c.Int32ub,
        "entries"
        / told(
            c.ExprValidator(
                c.PrefixedArray(c.Int8ub, TALLY_ENTRY),
                lambda value, _: 1 <= len(value) <= TALLY_ENTRIES_MAX,
            ),
            f"1 to {TALLY_ENTRIES_MAX} entries",
        ),
    ),
    Kind.GONE: _stream_packet(Kind.GONE),
    Kind.READ_R: _stream_packet(Kind.READ_R, "read" / SEQ),
    Kind.READ_N: _stream_packet(
        Kind.READ_N, "ordinal" / c.Int16ub, "incarnation" / c.Int64ub, "read" / SEQ
    ),
    Kind.READ_A: _stream_packet(Kind.READ_A, "read" / SEQ, flags=0),
    Kind.CANCEL_R: _stream_packet(
        Kind.CANCEL_R, "floor" / SEQ, "runs" / _runs(), "ranges" / _ranges(1)
    ),
    Kind.CANCEL_N: _stream_packet(
        Kind.CANCEL_N, "floor" / SEQ, "base" / SEQ, "ranges" / _ranges(1)
    ),
    Kind.STATUS_R: _stream_packet(
        Kind.STATUS_R, "floor" / SEQ, "runs" / _runs(), "ranges" / _ranges(1)
    ),
    Kind.STATUS_N: _stream_packet(Kind.STATUS_N, "floor" / SEQ, "base" / SEQ),
    Kind.STATUS_A: _stream_packet(
        Kind.STATUS_A,
        "ordinal" / c.Int16ub,
        "store_epoch" / c.Int64ub,
        "asked" / _ranges(1),
        "stored" / _ranges(0),
    ),
    Kind.OFFLINE_R: _plain_packet(Kind.OFFLINE_R, "bytes_max" / c.Int32ub),
    Kind.OFFLINE_A: _stream_packet(
        Kind.OFFLINE_A,
        "batch" / c.Int32ub,
        "total" / c.Int16ub,
        "floor" / SEQ,
        "base" / SEQ,
        "void" / _ranges(0),
        "has_section" / c.ExprValidator(c.Int8ub, lambda value, _: value <= 1),
        "section" / c.If(c.this.has_section, SECTION),
        flags=FLAG_NAMED | FLAG_MORE,
    ),
    Kind.OFFLINEACK_R: _ack_r(Kind.OFFLINEACK_R),
    Kind.NUDGE: _plain_packet(Kind.NUDGE),
    Kind.GROUP_R: _plain_packet(
        Kind.GROUP_R,
        "request" / c.Int32ub,
        "action" / c.Int8ub,
        "group" / _name_text(0),
        "user" / _name_text(0),
    ),
    Kind.GROUP_A: _plain_packet(
        Kind.GROUP_A,
        "request" / c.Int32ub,
        "code" / c.Int16ub,
        "names" / told(c.PrefixedArray(c.Int16ub, _name_text(1)), "count 2 · texts"),
    ),
    Kind.SIGNAL_R: _plain_packet(
        Kind.SIGNAL_R, "conversation" / _name_text(1), "payload" / _SIGNAL
    ),
    Kind.SIGNAL_N: _plain_packet(
        Kind.SIGNAL_N,
        "user" / _name_text(1),
        "device" / _name_text(1),
        "conversation" / _name_text(1),
        "payload" / _SIGNAL,
    ),
    Kind.PRESENCE_R: _plain_packet(Kind.PRESENCE_R, "request" / c.Int32ub, "user" / _name_text(1)),
    Kind.PRESENCE_A: _plain_packet(
        Kind.PRESENCE_A,
        "request" / c.Int32ub,
        "code" / c.Int16ub,
        "devices"
        / told(
            c.ExprValidator(
                c.PrefixedArray(c.Int8ub, SEEN),
                lambda value, _: len(value) <= PRESENCE_DEVICES_MAX,
            ),
            f"at most {PRESENCE_DEVICES_MAX} devices",
        ),
    ),
    Kind.LOGIN: _plain_packet(
        Kind.LOGIN,
        "user" / _name_text(1),
        "device" / _name_text(1),
        "token" / c.Prefixed(c.Int16ub, c.GreedyBytes),
        "incarnation" / c.Int64ub,
        "login_count" / c.Int64ub,
        flags=FLAG_CONTINUES | FLAG_FOUR,
    ),
    Kind.LOGIN_OK: _plain_packet(
        Kind.LOGIN_OK,
        "store_epoch" / c.Int64ub,
        "payload_bytes_max" / c.Int32ub,
        "window" / c.Int16ub,
        flags=FLAG_DURABLE | FLAG_WAITING,
    ),
    Kind.LOGIN_REFUSED: _plain_packet(
        Kind.LOGIN_REFUSED, "code" / c.Int16ub, "reason" / c.PascalString(c.Int8ub, "utf8")
    ),
}


def parse(body: bytes) -> c.Container[Any]:
    """Parse one whole IM packet through its declaration.

    Raises:
        DecodeError: If the kind is unknown or the bytes do not follow the declaration to the end.
    """
    try:
        kind = Kind(body[0])
    except (IndexError, ValueError) as error:
        raise DecodeError("unknown IM packet kind") from error
    try:
        return SCHEMAS[kind].parse(body)
    except (c.ConstructError, UnicodeDecodeError) as error:
        raise DecodeError(f"malformed {kind.label}") from error


def build(kind: Kind, fields: dict[str, Any]) -> bytes:
    """Build one IM packet from plain values through its declaration."""
    return SCHEMAS[kind].build({"kind": int(kind), **fields})
