"""The field types that the layouts of IM packets name (PROTOCOL §4.1, §4.3, §4.4).

Each function reads one field at an offset and returns its value with the offset behind it.
"""

from __future__ import annotations

import struct

from udpim.errors import DecodeError
from udpim.model import StreamId
from udpim.ranges import Range
from udpim.wire.im_packets import EpochRun, Ranges, Section

TEXT_BYTES_MAX = 32
RANGES_MAX = 48
RUNS_MAX = 3
BITMAP_BYTES_MAX = 512
U64_MAX = (1 << 64) - 1
_NO_RANGES: Ranges = ()

_u16 = struct.Struct(">H").unpack_from
_u64 = struct.Struct(">Q").unpack_from
_range = struct.Struct(">QQ").unpack_from
_run = struct.Struct(">QI").unpack_from
_section_head = struct.Struct(">QHI").unpack_from


def number64(body: bytes, at: int) -> tuple[int, int]:
    """A u64."""
    return _u64(body, at)[0], at + 8


def seq(body: bytes, at: int) -> tuple[int, int]:
    """The number of a message."""
    (value,) = _u64(body, at)
    if not value:
        raise DecodeError("a seq of 0")
    return value, at + 8


def short_bytes(body: bytes, at: int) -> tuple[bytes, int]:
    """Bytes behind their length of one byte."""
    end = at + 1 + body[at]
    if end > len(body):
        raise DecodeError("longer than its packet")
    return body[at + 1 : end], end


def long_bytes(body: bytes, at: int) -> tuple[bytes, int]:
    """Bytes behind their length of two bytes."""
    end = at + 2 + _u16(body, at)[0]
    if end > len(body):
        raise DecodeError("longer than its packet")
    return body[at + 2 : end], end


def words(body: bytes, at: int) -> tuple[str, int]:
    """Any UTF-8 behind a length of one byte."""
    value, at = short_bytes(body, at)
    try:
        return value.decode(), at
    except UnicodeDecodeError:
        raise DecodeError("no UTF-8") from None


def text_or_empty(body: bytes, at: int) -> tuple[str, int]:
    """A name, or the empty text."""
    size = body[at]
    end = at + 1 + size
    if size > TEXT_BYTES_MAX or end > len(body):
        raise DecodeError("a text that is too long")
    try:
        value = body[at + 1 : end].decode()
    except UnicodeDecodeError:
        raise DecodeError("no UTF-8") from None
    if "\0" in value:
        raise DecodeError("a zero byte in a text")
    return value, end


def text(body: bytes, at: int) -> tuple[str, int]:
    """A name."""
    if not body[at]:
        raise DecodeError("an empty text")
    return text_or_empty(body, at)


def ranges(body: bytes, at: int) -> tuple[Ranges, int]:
    """Ascending, disjoint ranges that do not touch."""
    count = body[at]
    at += 1
    if not count:
        return _NO_RANGES, at
    if count > RANGES_MAX:
        raise DecodeError("too many ranges")
    found: list[Range] = []
    free = 1
    for at_ in range(at, at + 16 * count, 16):
        first, last = both = _range(body, at_)
        if first < free or last < first:
            raise DecodeError("ranges that are not canonical")
        free = last + 2
        found.append(both)
    return tuple(found), at + 16 * count


def some_ranges(body: bytes, at: int) -> tuple[Ranges, int]:
    """Ranges, one at least."""
    if not body[at]:
        raise DecodeError("no range")
    return ranges(body, at)


def runs(body: bytes, at: int) -> tuple[tuple[EpochRun, ...], int]:
    """Epoch runs."""
    count = body[at]
    at += 1
    if not 1 <= count <= RUNS_MAX:
        raise DecodeError("no run, or too many")
    found = []
    before, epoch_before = 0, -1
    for at_ in range(at, at + 12 * count, 12):
        first, epoch = _run(body, at_)
        if first <= before or epoch <= epoch_before:
            raise DecodeError("runs that do not rise")
        before, epoch_before = first, epoch
        found.append(EpochRun(first, epoch))
    return tuple(found), at + 12 * count


def bitmap(body: bytes, at: int) -> tuple[int, int]:
    """A bitmap over ordinals; bit 0 is the least significant one."""
    (size,) = _u16(body, at)
    at += 2
    if not size:
        return 0, at
    end = at + size
    if size > BITMAP_BYTES_MAX or end > len(body) or not body[end - 1]:
        raise DecodeError("a bitmap that is too long, or ends in zero")
    return int.from_bytes(body[at:end], "little"), end


def name(body: bytes, at: int) -> tuple[StreamId, int]:
    """The name of a stream."""
    (incarnation,) = _u64(body, at)
    conversation, at = text(body, at + 8)
    user, at = text_or_empty(body, at)
    device, at = text_or_empty(body, at)
    return StreamId(user, device, incarnation, conversation), at


def section(body: bytes, at: int) -> Section:
    """Messages; they fill the rest of their packet."""
    first, count, size = _section_head(body, at)
    if count != 1:
        if not count:
            raise DecodeError("a section without messages")
        size = sum(struct.unpack_from(f">{count}I", body, at + 10))
    if at + 10 + 12 * count + size != len(body):
        raise DecodeError("a section that does not end with its packet")
    if not first or first + count - 1 > U64_MAX:
        raise DecodeError("seqs beyond what there are")
    return Section(first, count, body[at:])
