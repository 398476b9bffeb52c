"""IM packets of an exchange: messages, receipts, verdicts and questions (PROTOCOL §4.5.1–§4.5.15).

Each function reads what stands behind ``kind`` and ``flags``, and returns the value with the offset
behind it.
"""

from __future__ import annotations

import struct

from udpim.errors import DecodeError
from udpim.testing.decoder import fields as f
from udpim.wire import im_packets as p

NAMED = 0x01
WHOLE = 0x02
MORE = 0x04
SETTLED = 0x80
_PULLED = 0x12

_u16 = struct.Struct(">H").unpack_from
_u32 = struct.Struct(">I").unpack_from
_handle_rtt = struct.Struct(">II").unpack_from
_handle_code = struct.Struct(">IH").unpack_from
_ordinal_epoch = struct.Struct(">HQ").unpack_from
_ordinal_incarnation_epoch = struct.Struct(">HQQ").unpack_from
_epochs = struct.Struct(">QI").unpack_from
_batch_total = struct.Struct(">IH").unpack_from
_member_tail = struct.Struct(">QIII").unpack_from

Named = tuple[int, p.StreamId | None, int]


def handle_and_name(body: bytes) -> Named:
    """The handle, the name if there is one, and the offset behind them."""
    (handle,) = _u32(body, 2)
    if not body[1] & NAMED:
        return handle, None, 6
    name, at = f.name(body, 6)
    return handle, name, at


def msg_r(body: bytes) -> tuple[p.MsgR, int]:
    """A → S: deliver these."""
    handle, name, at = handle_and_name(body)
    floor, at = f.seq(body, at)
    runs, at = f.runs(body, at)
    settled, at = f.bitmap(body, at)
    return p.MsgR(handle, name, floor, runs, settled, f.section(body, at)), len(body)


def msg_a(body: bytes) -> tuple[p.MsgA, int]:
    """S → A: accepted."""
    handle, rtt_us = _handle_rtt(body, 2)
    ranges, at = f.some_ranges(body, 10)
    return p.MsgA(handle, rtt_us, ranges), at


def msg_n(body: bytes) -> tuple[p.MsgN, int]:
    """S → B: here they are."""
    handle, name, at = handle_and_name(body)
    floor, at = f.seq(body, at)
    base, at = f.seq(body, at)
    return p.MsgN(handle, name, floor, base, f.section(body, at)), len(body)


def ack_r(body: bytes) -> tuple[p.AckR, int]:
    """B → S: ack:R, and offlineack:R."""
    handle, name, at = handle_and_name(body)
    delivered, at = f.ranges(body, at)
    void, at = f.ranges(body, at)
    settled: p.Ranges = ()
    if body[1] & SETTLED:
        settled, at = f.some_ranges(body, at)
    return p.AckR(handle, name, body[0] == _PULLED, delivered, void, settled), at


def ack_a(body: bytes) -> tuple[p.AckA, int]:
    """S → B: the receipt is safe."""
    (handle,) = _u32(body, 2)
    ranges, at = f.some_ranges(body, 6)
    return p.AckA(handle, ranges), at


def ack_n(body: bytes) -> tuple[p.AckN, int]:
    """S → A: verdicts of one endpoint."""
    handle, name, at = handle_and_name(body)
    ordinal, incarnation, store_epoch = _ordinal_incarnation_epoch(body, at)
    delivered, at = f.ranges(body, at + 18)
    void, at = f.ranges(body, at)
    stored, at = f.ranges(body, at)
    excused, at = f.ranges(body, at)
    verdicts = (delivered, void, stored, excused)
    return p.AckN(handle, name, ordinal, incarnation, store_epoch, *verdicts), at


def refuse(body: bytes) -> tuple[p.Refuse, int]:
    """S → A: refused copies."""
    handle, code = _handle_code(body, 2)
    to, at = f.text_or_empty(body, 8)
    ranges, at = f.some_ranges(body, at)
    return p.Refuse(handle, code, ranges, to), at


def members(body: bytes) -> tuple[p.Members, int]:
    """S → A: who belongs to the conversation."""
    handle, name, at = handle_and_name(body)
    store_epoch, epoch = _epochs(body, at)
    (count,) = _u16(body, at + 12)
    at += 14
    lines = []
    for _ in range(count):
        line, at = _member(body, at)
        lines.append(line)
    whole = bool(body[1] & WHOLE)
    return p.Members(handle, name, whole, store_epoch, epoch, tuple(lines)), at


def _member(body: bytes, at: int) -> tuple[p.Member, int]:
    (ordinal,) = _u16(body, at)
    user, at = f.text(body, at + 2)
    device, at = f.text(body, at)
    return p.Member(ordinal, user, device, *_member_tail(body, at)), at + 20


def _stream_question(body: bytes) -> tuple[Named, int, tuple[p.EpochRun, ...], p.Ranges, int]:
    handle, name, at = handle_and_name(body)
    floor, at = f.seq(body, at)
    runs, at = f.runs(body, at)
    ranges, at = f.some_ranges(body, at)
    return (handle, name, at), floor, runs, ranges, at


def cancel_r(body: bytes) -> tuple[p.CancelR, int]:
    """A → S: give these up."""
    (handle, name, _), floor, runs, ranges, at = _stream_question(body)
    return p.CancelR(handle, name, floor, runs, ranges), at


def status_r(body: bytes) -> tuple[p.StatusR, int]:
    """A → S: what is known of these?"""
    (handle, name, _), floor, runs, ranges, at = _stream_question(body)
    return p.StatusR(handle, name, floor, runs, ranges), at


def cancel_n(body: bytes) -> tuple[p.CancelN, int]:
    """S → B: A has given these up."""
    handle, name, at = handle_and_name(body)
    floor, at = f.seq(body, at)
    base, at = f.seq(body, at)
    ranges, at = f.some_ranges(body, at)
    return p.CancelN(handle, name, floor, base, ranges), at


def status_n(body: bytes) -> tuple[p.StatusN, int]:
    """S → B: say your verdicts again."""
    handle, name, at = handle_and_name(body)
    floor, at = f.seq(body, at)
    base, at = f.seq(body, at)
    return p.StatusN(handle, name, floor, base), at


def status_a(body: bytes) -> tuple[p.StatusA, int]:
    """S → A: what of these is in the queue."""
    handle, name, at = handle_and_name(body)
    ordinal, store_epoch = _ordinal_epoch(body, at)
    asked, at = f.some_ranges(body, at + 10)
    stored, at = f.ranges(body, at)
    return p.StatusA(handle, name, ordinal, store_epoch, asked, stored), at


def offline_r(body: bytes) -> tuple[p.OfflineR, int]:
    """B → S: what is in my queue?"""
    return p.OfflineR(_u32(body, 2)[0]), 6


def offline_a(body: bytes) -> tuple[p.OfflineA, int]:
    """S → B: a part of the queue."""
    handle, name, at = handle_and_name(body)
    batch, total = _batch_total(body, at)
    floor, at = f.seq(body, at + 6)
    base, at = f.seq(body, at)
    void, at = f.ranges(body, at)
    has_section = body[at]
    at += 1
    section = None
    if has_section:
        if has_section > 1:
            raise DecodeError("neither with nor without a section")
        section, at = f.section(body, at), len(body)
    if not total and (handle or name is not None or floor != 1 or base != 1):
        raise DecodeError("an empty queue that speaks of a stream")
    more = bool(body[1] & MORE)
    return p.OfflineA(handle, name, batch, total, more, floor, base, void, section), at


def nudge(_body: bytes) -> tuple[p.Nudge, int]:
    """S → B: your queue is not empty."""
    return p.Nudge(), 2
