"""``struct`` codec of the IM packets that carry messages and receipts (hot path).

`decode` and `encode` serve every kind; the rare ones go through the declarations of `im_schema`
(PROTOCOL §4), the hot ones through the hand-written readers below and those of `im_session_codec`,
which the tests prove equal to the declarations on every input. Values are those of `im_packets`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from udpim.errors import DecodeError
from udpim.wire import im_rare, im_session_codec
from udpim.wire.im_fields import (
    RUN,
    TWO_U64,
    U64,
    check_end,
    read_head,
    read_ranges,
    read_runs,
    refuse,
    write_head,
    write_ranges,
)
from udpim.wire.im_packets import (
    AckA,
    AckN,
    AckR,
    ImPacket,
    Kind,
    MsgA,
    MsgN,
    MsgR,
    OfflineA,
    Ranges,
    Section,
)
from udpim.wire.im_schema import FLAG_MORE, FLAG_NAMED, FLAG_SETTLED, ORDINAL_BYTES_MAX

SECTION_HEAD_BYTES = 10
"""First seq and count."""
SECTION_ENTRY_BYTES = 12
"""Length and stamp of one message."""

_MSG_A = struct.Struct(">BBII")
_SECTION_HEAD = struct.Struct(">QH")
_ACK_N = struct.Struct(">HQQ")
_OFFLINE_A = struct.Struct(">IHQQ")
_SECTION_ENTRIES = [struct.Struct(f">{n}I{n}Q") for n in range(128)]

_SKIPPED_KINDS_FROM = 0x80


def _section_entries(count: int) -> struct.Struct:
    if count < len(_SECTION_ENTRIES):
        return _SECTION_ENTRIES[count]
    return struct.Struct(f">{count}I{count}Q")


def _read_section(body: bytes, at: int) -> Section:
    """Read the section that fills the rest of ``body``."""
    first, count = _SECTION_HEAD.unpack_from(body, at)
    if count < 1 or first < 1 or first + count - 1 >= 2**64:
        refuse("section")
    lengths = _section_entries(count).unpack_from(body, at + SECTION_HEAD_BYTES)[:count]
    end = at + SECTION_HEAD_BYTES + SECTION_ENTRY_BYTES * count + sum(lengths)
    if end != len(body):
        refuse("section length")
    return Section(first, count, body[at:])


def _read_seq_pair(body: bytes, at: int) -> tuple[int, int]:
    one, two = TWO_U64.unpack_from(body, at)
    if one < 1 or two < 1:
        refuse("seq 0")
    return one, two


def _decode_msg_r(body: bytes) -> MsgR:
    _, handle, name, at = read_head(body, FLAG_NAMED)
    (floor,) = U64.unpack_from(body, at)
    if floor < 1:
        refuse("seq 0")
    runs, at = read_runs(body, at + 8)
    size = body[at] << 8 | body[at + 1]
    raw = body[at + 2 : at + 2 + size]
    if size > ORDINAL_BYTES_MAX or (size and (len(raw) != size or raw[-1] == 0)):
        refuse("settled bitmap")
    section = _read_section(body, at + 2 + size)
    return MsgR(handle, name, floor, runs, int.from_bytes(raw, "little"), section)


def _decode_msg_a(body: bytes) -> MsgA:
    _, flags, handle, rtt_us = _MSG_A.unpack_from(body)
    if flags:
        refuse("flags")
    ranges, at = read_ranges(body, 10, 1)
    check_end(body, at)
    return MsgA(handle, rtt_us, ranges)


def _decode_msg_n(body: bytes) -> MsgN:
    _, handle, name, at = read_head(body, FLAG_NAMED)
    floor, base = _read_seq_pair(body, at)
    return MsgN(handle, name, floor, base, _read_section(body, at + 16))


def _decode_ack_r(body: bytes) -> AckR:
    flags, handle, name, at = read_head(body, FLAG_NAMED | FLAG_SETTLED)
    delivered, at = read_ranges(body, at, 0)
    void, at = read_ranges(body, at, 0)
    settled: Ranges = ()
    if flags & FLAG_SETTLED:
        settled, at = read_ranges(body, at, 1)
    check_end(body, at)
    return AckR(handle, name, body[0] == Kind.OFFLINEACK_R, delivered, void, settled)


def _decode_ack_a(body: bytes) -> AckA:
    _, handle, _, at = read_head(body, 0)
    ranges, at = read_ranges(body, at, 1)
    check_end(body, at)
    return AckA(handle, ranges)


def _decode_ack_n(body: bytes) -> AckN:
    _, handle, name, at = read_head(body, FLAG_NAMED)
    ordinal, incarnation, store_epoch = _ACK_N.unpack_from(body, at)
    delivered, at = read_ranges(body, at + 18, 0)
    void, at = read_ranges(body, at, 0)
    stored, at = read_ranges(body, at, 0)
    excused, at = read_ranges(body, at, 0)
    check_end(body, at)
    return AckN(handle, name, ordinal, incarnation, store_epoch, delivered, void, stored, excused)


def _decode_offline_a(body: bytes) -> OfflineA:
    flags, handle, name, at = read_head(body, FLAG_NAMED | FLAG_MORE)
    batch, total, floor, base = _OFFLINE_A.unpack_from(body, at)
    if floor < 1 or base < 1:
        refuse("seq 0")
    void, at = read_ranges(body, at + 22, 0)
    section = None
    if body[at] == 1:
        section = _read_section(body, at + 1)
    elif body[at] == 0:
        check_end(body, at + 1)
    else:
        refuse("section mark")
    more = bool(flags & FLAG_MORE)
    return OfflineA(handle, name, batch, total, more, floor, base, void, section)


_HOT: dict[int, Callable[[bytes], ImPacket]] = {
    Kind.MSG_R: _decode_msg_r,
    Kind.MSG_A: _decode_msg_a,
    Kind.MSG_N: _decode_msg_n,
    Kind.ACK_R: _decode_ack_r,
    Kind.OFFLINEACK_R: _decode_ack_r,
    Kind.ACK_A: _decode_ack_a,
    Kind.ACK_N: _decode_ack_n,
    Kind.OFFLINE_A: _decode_offline_a,
    **im_session_codec.READERS,
}


def decode(body: bytes) -> ImPacket | None:
    """Read one whole IM packet.

    Returns:
        The value, or None for an unknown kind that may be skipped (PROTOCOL §4.1).

    Raises:
        DecodeError: If the bytes are not exactly one IM packet of a known kind.
    """
    if not body:
        refuse("empty IM packet")
    reader = _HOT.get(body[0])
    if reader is None:
        if body[0] >= _SKIPPED_KINDS_FROM:
            return None
        return im_rare.decode(body)
    try:
        return reader(body)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise DecodeError(f"truncated {Kind(body[0]).label}") from error


# --- Writers ---


def encode_section(first: int, stamps: Sequence[int], payloads: Sequence[bytes]) -> Section:
    """Build the section of a run: one stamp and one payload per message, count ≥ 1."""
    count = len(payloads)
    entries = _section_entries(count).pack(*map(len, payloads), *stamps)
    raw = b"".join((_SECTION_HEAD.pack(first, count), entries, *payloads))
    return Section(first, count, raw)


def section_messages(section: Section) -> tuple[tuple[int, ...], list[bytes]]:
    """Return the stamps and the payloads of a section that `decode` or this codec made."""
    count, raw = section.count, section.raw
    entries = _section_entries(count).unpack_from(raw, SECTION_HEAD_BYTES)
    at = SECTION_HEAD_BYTES + SECTION_ENTRY_BYTES * count
    payloads = []
    for length in entries[:count]:
        payloads.append(raw[at : at + length])
        at += length
    return entries[count:], payloads


def top_stamp(section: Section) -> int:
    """Return the highest stamp in a section."""
    entries = _section_entries(section.count).unpack_from(section.raw, SECTION_HEAD_BYTES)
    return int(max(entries[section.count :]))


def cut_section(section: Section, first: int, last: int) -> Section:
    """Return the part first..last of a section; the section itself when that is all of it."""
    if first <= section.first and last >= section.last:
        return section
    stamps, payloads = section_messages(section)
    low, high = first - section.first, last - section.first + 1
    return encode_section(first, stamps[low:high], payloads[low:high])


def _encode_msg_r(packet: MsgR) -> bytes:
    runs = bytes((len(packet.runs),)) + b"".join(RUN.pack(*run) for run in packet.runs)
    size = (packet.settled.bit_length() + 7) // 8
    return b"".join(
        (
            write_head(Kind.MSG_R, packet.handle, packet.name),
            U64.pack(packet.floor),
            runs,
            size.to_bytes(2, "big") + packet.settled.to_bytes(size, "little"),
            packet.section.raw,
        )
    )


def _encode_msg_a(packet: MsgA) -> bytes:
    return _MSG_A.pack(Kind.MSG_A, 0, packet.handle, packet.rtt_us) + write_ranges(packet.ranges)


def _encode_msg_n(packet: MsgN) -> bytes:
    head = write_head(Kind.MSG_N, packet.handle, packet.name)
    return head + TWO_U64.pack(packet.floor, packet.base) + packet.section.raw


def _encode_ack_r(packet: AckR) -> bytes:
    kind = Kind.OFFLINEACK_R if packet.pulled else Kind.ACK_R
    flags = FLAG_SETTLED if packet.settled else 0
    head = write_head(kind, packet.handle, packet.name, flags)
    verdicts = head + write_ranges(packet.delivered) + write_ranges(packet.void)
    return verdicts + write_ranges(packet.settled) if packet.settled else verdicts


def _encode_ack_a(packet: AckA) -> bytes:
    return write_head(Kind.ACK_A, packet.handle, None) + write_ranges(packet.ranges)


def _encode_ack_n(packet: AckN) -> bytes:
    return b"".join(
        (
            write_head(Kind.ACK_N, packet.handle, packet.name),
            _ACK_N.pack(packet.ordinal, packet.incarnation, packet.store_epoch),
            write_ranges(packet.delivered),
            write_ranges(packet.void),
            write_ranges(packet.stored),
            write_ranges(packet.excused),
        )
    )


def _encode_offline_a(packet: OfflineA) -> bytes:
    return b"".join(
        (
            write_head(Kind.OFFLINE_A, packet.handle, packet.name, FLAG_MORE if packet.more else 0),
            _OFFLINE_A.pack(packet.batch, packet.total, packet.floor, packet.base),
            write_ranges(packet.void),
            b"\x00" if packet.section is None else b"\x01" + packet.section.raw,
        )
    )


_WRITERS: dict[type, Callable[[Any], bytes]] = {
    MsgR: _encode_msg_r,
    MsgA: _encode_msg_a,
    MsgN: _encode_msg_n,
    AckR: _encode_ack_r,
    AckA: _encode_ack_a,
    AckN: _encode_ack_n,
    OfflineA: _encode_offline_a,
    **im_session_codec.WRITERS,
}


def encode(packet: ImPacket) -> bytes:
    """Build one IM packet. The values must already be within the limits of `im_schema`."""
    writer = _WRITERS.get(type(packet))
    return writer(packet) if writer is not None else im_rare.encode(packet)
