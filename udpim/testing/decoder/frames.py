"""The frames of a packet (PROTOCOL §3).

A frame is a tuple: its type, then its fields in the order of its layout. PADDING is left out; an
extension frame is its type and its body. The fields of an ACK are ``largest``, ``delay``, the
bitmap as a number (elided bytes filled in), and the count of its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from udpim.errors import DecodeError

PADDING = 0x00
PING = 0x01
ACK = 0x02
CLOSE = 0x03
MESSAGE = 0x04
PATH_CHALLENGE = 0x05
PATH_RESPONSE = 0x06
FRAGMENT = 0x07
CREDIT = 0x08
BULK = 0x09
DATAGRAM = 0x0A
NEW_CID = 0x0B
RETIRE_CID = 0x0C
BINDING_PROBE = 0x0D
BINDING_ASK = 0x0E
BINDING_ANSWER = 0x0F
BINDING_REPORT = 0x10
EXTENSION_FIRST = 0x40
EXTENSION_LAST = 0x7F

LABELS = {
    PING: "PING",
    ACK: "ACK",
    CLOSE: "CLOSE",
    PATH_CHALLENGE: "PATH_CHALLENGE",
    PATH_RESPONSE: "PATH_RESPONSE",
    FRAGMENT: "FRAGMENT",
    CREDIT: "CREDIT",
    NEW_CID: "NEW_CID",
    RETIRE_CID: "RETIRE_CID",
    BINDING_PROBE: "BINDING_PROBE",
    BINDING_ASK: "BINDING_ASK",
    BINDING_ANSWER: "BINDING_ANSWER",
    BINDING_REPORT: "BINDING_REPORT",
}
"""What frames are called; those with an IM packet are called by that."""

IM_PACKET_BYTES_MAX = 1164
FRAGMENTS_MAX = 2057
FRAGMENT_BYTES_MIN = 512
ACK_BITMAP_BYTES_MAX = 32
RESET_TOKEN_BYTES = 16

Frame = tuple[Any, ...]
"""Heterogeneous by nature; the type, its first item, says what the others are."""
Read = tuple[Frame, int]

_u16 = struct.Struct(">H").unpack_from
_u32 = struct.Struct(">I").unpack_from
_u64 = struct.Struct(">Q").unpack_from
_body = struct.Struct(">IH").unpack_from
_ack = struct.Struct(">IHB").unpack_from
_fragment = struct.Struct(">IIHHH").unpack_from


def parse_frames(data: bytes) -> list[Frame]:
    """Read the frames of a packet.

    Raises:
        DecodeError: If they break a rule; then the packet is dropped whole.
    """
    found: list[Frame] = []
    at, end = 0, len(data)
    if not end:
        raise DecodeError("no frame")
    try:
        while at < end:
            kind = data[at]
            at += 1
            if kind == PADDING:
                continue
            if kind == PING:
                found.append((PING,))
            elif kind in (MESSAGE, BULK):
                hop_seq, size = _body(data, at)
                at += 6 + size
                if size > IM_PACKET_BYTES_MAX or at > end:
                    raise DecodeError("a body that is too long")
                found.append((kind, hop_seq, data[at - size : at]))
            else:
                frame, at = _READERS[kind](data, at)
                found.append(frame)
    except (KeyError, struct.error, IndexError):
        raise DecodeError("a frame is unknown, or cut") from None
    return found


def _read_ack(data: bytes, at: int) -> Read:
    largest, delay, size = _ack(data, at)
    at += 7
    if not size:
        return (ACK, largest, delay, 0, 0), at
    if size > ACK_BITMAP_BYTES_MAX:
        raise DecodeError("an ACK that reaches too far")
    mask_end = at + (size + 7) // 8
    mask = int.from_bytes(data[at:mask_end], "little")
    if mask >> size:
        raise DecodeError("a mask beyond its bitmap")
    at = mask_end + mask.bit_count()
    if at > len(data):
        raise DecodeError("a frame is cut")
    bitmap = (1 << 8 * size) - 1
    for index in range(mask_end, at):
        byte = data[index]
        if byte == 0xFF:
            raise DecodeError("a byte that should be elided")
        place = mask & -mask
        mask ^= place
        bitmap ^= (byte ^ 0xFF) << 8 * (place.bit_length() - 1)
    return (ACK, largest, delay, bitmap, size), at


def _read_close(data: bytes, at: int) -> Read:
    (code,) = _u16(data, at)
    end = at + 3 + data[at + 2]
    if end > len(data):
        raise DecodeError("a frame is cut")
    try:
        return (CLOSE, code, data[at + 3 : end].decode()), end
    except UnicodeDecodeError:
        raise DecodeError("no UTF-8") from None


def _read_fragment(data: bytes, at: int) -> Read:
    hop_seq, group, index, count, size = _fragment(data, at)
    end = at + 14 + size
    if end > len(data):
        raise DecodeError("a frame is cut")
    least = 1 if index == count - 1 else FRAGMENT_BYTES_MIN
    if not 2 <= count <= FRAGMENTS_MAX or index >= count or size < least:
        raise DecodeError("a piece that there cannot be")
    return (FRAGMENT, hop_seq, group, index, count, data[end - size : end]), end


def _read_credit(data: bytes, at: int) -> Read:
    return (CREDIT, *_u64(data, at)), at + 8


def _read_datagram(data: bytes, at: int) -> Read:
    (size,) = _u16(data, at)
    end = at + 2 + size
    if size > IM_PACKET_BYTES_MAX or end > len(data):
        raise DecodeError("a body that is too long")
    return (DATAGRAM, data[at + 2 : end]), end


def _read_new_cid(data: bytes, at: int) -> Read:
    (sequence,) = _u32(data, at)
    end = at + 13 + data[at + 12]
    if data[at + 12] not in (0, RESET_TOKEN_BYTES) or end > len(data):
        raise DecodeError("a reset token that is none")
    return (NEW_CID, sequence, data[at + 4 : at + 12], data[at + 13 : end]), end


def _read_retire_cid(data: bytes, at: int) -> Read:
    return (RETIRE_CID, *_u32(data, at)), at + 4


def _read_binding_report(data: bytes, at: int) -> Read:
    sent = data[at + 8]
    if sent > 1:
        raise DecodeError("neither sent nor unsent")
    return (BINDING_REPORT, data[at : at + 8], sent), at + 9


def _eight_bytes(kind: int) -> Callable[[bytes, int], Read]:
    def read(data: bytes, at: int) -> Read:
        end = at + 8
        if end > len(data):
            raise DecodeError("a frame is cut")
        return (kind, data[at:end]), end

    return read


def _extension(kind: int) -> Callable[[bytes, int], Read]:
    def read(data: bytes, at: int) -> Read:
        end = at + 2 + _u16(data, at)[0]
        if end > len(data):
            raise DecodeError("a frame is cut")
        return (kind, data[at + 2 : end]), end

    return read


_READERS: dict[int, Callable[[bytes, int], Read]] = {
    ACK: _read_ack,
    CLOSE: _read_close,
    FRAGMENT: _read_fragment,
    CREDIT: _read_credit,
    DATAGRAM: _read_datagram,
    NEW_CID: _read_new_cid,
    RETIRE_CID: _read_retire_cid,
    BINDING_REPORT: _read_binding_report,
    **{
        kind: _eight_bytes(kind)
        for kind in (PATH_CHALLENGE, PATH_RESPONSE, BINDING_PROBE, BINDING_ASK, BINDING_ANSWER)
    },
    **{kind: _extension(kind) for kind in range(EXTENSION_FIRST, EXTENSION_LAST + 1)},
}
