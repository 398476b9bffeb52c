"""Readers and writers of what many IM packets have in common: heads, names, ranges (PROTOCOL §4).

For the ``struct`` codecs, `im_codec` and `im_session_codec`. A reader takes a body and an offset
and returns the value and the offset after it; ``struct.error`` and IndexError mean truncation.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NoReturn

from udpim.errors import DecodeError
from udpim.model import StreamId
from udpim.ranges import Range
from udpim.wire.im_packets import EpochRun, Kind, Ranges
from udpim.wire.im_schema import FLAG_NAMED, NAME_BYTES_MAX, RANGES_MAX, RUNS_MAX

U64 = struct.Struct(">Q")
TWO_U64 = struct.Struct(">QQ")
RUN = struct.Struct(">QI")
_HEAD = struct.Struct(">BBI")
_RANGES = [struct.Struct(f">{2 * n}Q") for n in range(RANGES_MAX + 1)]


def refuse(words: str) -> NoReturn:
    """Raise a DecodeError."""
    raise DecodeError(words)


def read_text(body: bytes, at: int, least: int) -> tuple[str, int]:
    """Read a text of at least ``least`` bytes."""
    end = at + 1 + body[at]
    raw = body[at + 1 : end]
    if end > len(body) or not least <= len(raw) <= NAME_BYTES_MAX or 0 in raw:
        refuse("name")
    return raw.decode(), end


def read_name(body: bytes, at: int) -> tuple[StreamId, int]:
    """Read a stream's name."""
    (incarnation,) = U64.unpack_from(body, at)
    conversation, at = read_text(body, at + 8, 1)
    user, at = read_text(body, at, 0)
    device, at = read_text(body, at, 0)
    return StreamId(user, device, incarnation, conversation), at


def read_ranges(body: bytes, at: int, least: int) -> tuple[Ranges, int]:
    """Read a list of at least ``least`` ranges."""
    count = body[at]
    at += 1
    if count == 1:
        first, last = TWO_U64.unpack_from(body, at)
        if first < 1 or last < first:
            refuse("ranges")
        return ((first, last),), at + 16
    if not least <= count <= RANGES_MAX:
        refuse("ranges")
    flat = _RANGES[count].unpack_from(body, at)
    previous = -1
    for first, last in zip(flat[::2], flat[1::2], strict=True):
        if first <= previous + 1 or first < 1 or last < first:
            refuse("ranges")
        previous = last
    return tuple(zip(flat[::2], flat[1::2], strict=True)), at + 16 * count


def read_runs(body: bytes, at: int) -> tuple[tuple[EpochRun, ...], int]:
    """Read epoch runs."""
    count = body[at]
    if not 1 <= count <= RUNS_MAX:
        refuse("epoch runs")
    runs = []
    first_before, epoch_before = 0, -1
    for index in range(count):
        first, epoch = RUN.unpack_from(body, at + 1 + 12 * index)
        if first <= first_before or epoch <= epoch_before:
            refuse("epoch runs")
        runs.append(EpochRun(first, epoch))
        first_before, epoch_before = first, epoch
    return tuple(runs), at + 1 + 12 * count


def read_head(body: bytes, flags_allowed: int) -> tuple[int, int, StreamId | None, int]:
    """Read kind, flags, handle and name; return (flags, handle, name, offset)."""
    _, flags, handle = _HEAD.unpack_from(body)
    if flags & ~flags_allowed:
        refuse("flags")
    if flags & FLAG_NAMED:
        name, at = read_name(body, 6)
        return flags, handle, name, at
    return flags, handle, None, 6


def check_end(body: bytes, at: int) -> None:
    """Refuse what goes on."""
    if at != len(body):
        refuse("bytes left over")


# --- Writers ---


def write_text(value: str) -> bytes:
    """Build a text."""
    raw = value.encode()
    return bytes((len(raw),)) + raw


def write_name(name: StreamId) -> bytes:
    """Build a stream's name."""
    return (
        U64.pack(name.incarnation)
        + write_text(name.conversation)
        + write_text(name.user)
        + write_text(name.device)
    )


def write_ranges(ranges: Sequence[Range]) -> bytes:
    """Build a list of ranges."""
    count = len(ranges)
    if count == 1:
        return b"\x01" + TWO_U64.pack(*ranges[0])
    return bytes((count,)) + _RANGES[count].pack(*(n for pair in ranges for n in pair))


def write_head(kind: Kind, handle: int, name: StreamId | None, flags: int = 0) -> bytes:
    """Build kind, flags, handle and name."""
    if name is None:
        return _HEAD.pack(kind, flags, handle)
    return _HEAD.pack(kind, flags | FLAG_NAMED, handle) + write_name(name)
