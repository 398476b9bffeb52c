"""Hop frames: what stands inside a short packet, as tuples of ints and bytes.

Between the packet header and the protection tag. Hot module: no objects but tuples, the first
item of each being the frame's type.

==============  ==========================================================================
PING            ``(PING,)``
ACK             ``(ACK, largest u32, delay in 8 µs units, bitmap, bitmap_bytes)``
CLOSE           ``(CLOSE, code, reason)``
MESSAGE         ``(MESSAGE, hop_seq u32, body)``
PATH_CHALLENGE  ``(PATH_CHALLENGE, 8 bytes)``
PATH_RESPONSE   ``(PATH_RESPONSE, 8 bytes)``
FRAGMENT        ``(FRAGMENT, hop_seq u32, group u32, index, count, piece of the body)``
CREDIT          ``(CREDIT, bulk_bytes_max)``
BULK            ``(BULK, hop_seq u32, body)``
DATAGRAM        ``(DATAGRAM, body)``
NEW_CID         ``(NEW_CID, sequence u32, 8 bytes, reset token: 16 bytes or none)``
RETIRE_CID      ``(RETIRE_CID, sequence u32)``
BINDING_PROBE   ``(BINDING_PROBE, 8 bytes)``; BINDING_ASK and BINDING_ANSWER likewise
BINDING_REPORT  ``(BINDING_REPORT, 8 bytes, 1 or 0)``
extension       ``(0x40 to 0x7F, body)``, to be ignored by whoever does not know it
==============  ==========================================================================

PADDING leaves nothing. Bit k of an ACK's bitmap stands for packet number ``largest - 1 - k``;
bytes of it that are 0xFF do not travel: a mask says which ones do (PROTOCOL §3.2).

Specification: PROTOCOL §3.1; :mod:`udpim.wire.hop_schema` declares the same layouts.
"""

from __future__ import annotations

import struct
from typing import Any

from udpim import config
from udpim.errors import DecodeError
from udpim.wire.packet import RESET_TOKEN_BYTES

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
EXTENSION_MIN = 0x40
EXTENSION_MAX = 0x7F

MESSAGE_HEADER_BYTES = 7
FRAGMENT_HEADER_BYTES = 15
DATAGRAM_HEADER_BYTES = 3
BODY_BYTES_MAX = config.BODY_BYTES_MAX
"""A payload of 1 MiB and the head of its IM packet."""
FRAGMENT_BYTES_MIN = 512
"""All but the last of a body: what a receiver keeps per piece is small beside the piece."""
FRAGMENTS_MAX = BODY_BYTES_MAX // FRAGMENT_BYTES_MIN + 1
BITMAP_BYTES_MAX = 32
ACK_BYTES_MAX = 8 + 4 + BITMAP_BYTES_MAX
ACK_DELAY_UNIT_S = 8e-6
ACK_DELAY_MAX = 0xFFFF
CHALLENGE_BYTES = 8
REASON_BYTES_MAX = 255

Frame = tuple[Any, ...]
"""One frame as the table above says."""

_MESSAGES = frozenset((MESSAGE, BULK))
_MESSAGE = struct.Struct(">BIH")
_FRAGMENT = struct.Struct(">BIIHHH")
_CREDIT = struct.Struct(">BQ")
_ACK = struct.Struct(">BIHB")
_CLOSE = struct.Struct(">BHB")
_BODY = struct.Struct(">BH")
_NEW_CID = struct.Struct(">BI8sB")
_RETIRE_CID = struct.Struct(">BI")
_REPORT = struct.Struct(">B8sB")
_EIGHT_BYTES = frozenset(
    (PATH_CHALLENGE, PATH_RESPONSE, BINDING_PROBE, BINDING_ASK, BINDING_ANSWER)
)


# Building.


def encode_message(hop_seq: int, body: bytes) -> bytes:
    """A reliable frame; only the low 32 bits of its number travel."""
    return _MESSAGE.pack(MESSAGE, hop_seq & 0xFFFF_FFFF, len(body)) + body


def encode_bulk(hop_seq: int, body: bytes) -> bytes:
    """A reliable frame that counts against the receiver's credit."""
    return _MESSAGE.pack(BULK, hop_seq & 0xFFFF_FFFF, len(body)) + body


def encode_fragment(hop_seq: int, group: int, index: int, count: int, piece: bytes) -> bytes:
    """A reliable frame with piece ``index`` of the ``count`` that make one bulk body."""
    numbers = (hop_seq & 0xFFFF_FFFF, group & 0xFFFF_FFFF)
    return _FRAGMENT.pack(FRAGMENT, *numbers, index, count, len(piece)) + piece


def encode_datagram(body: bytes) -> bytes:
    """A frame that is sent once: it arrives, or is lost."""
    return _BODY.pack(DATAGRAM, len(body)) + body


def encode_credit(bulk_bytes_max: int) -> bytes:
    """A CREDIT frame: bytes of bulk that the peer may have sent in all."""
    return _CREDIT.pack(CREDIT, bulk_bytes_max)


def encode_ack(largest: int, delay: int, bitmap: int, bitmap_bytes: int) -> bytes:
    """An ACK frame.

    Args:
        largest: Largest packet number received; its low 32 bits travel.
        delay: Time since it arrived in units of 8 µs, at most 0xFFFF.
        bitmap: Bit k set = ``largest - 1 - k`` was received.
        bitmap_bytes: How far back this ACK speaks, in bytes of bitmap, 0 to 32.
    """
    raw = bitmap.to_bytes(bitmap_bytes, "little")
    mask = 0
    for index, byte in enumerate(raw):
        if byte != 0xFF:
            mask |= 1 << index
    return (
        _ACK.pack(ACK, largest & 0xFFFF_FFFF, delay, bitmap_bytes)
        + mask.to_bytes((bitmap_bytes + 7) >> 3, "little")
        + raw.replace(b"\xff", b"")
    )


def encode_close(code: int, reason: str) -> bytes:
    """A CLOSE frame; the reason is cut to 255 bytes of UTF-8."""
    raw = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore").encode()
    return _CLOSE.pack(CLOSE, code, len(raw)) + raw


def encode_path(kind: int, data: bytes) -> bytes:
    """A frame of 8 bytes of data: PATH_CHALLENGE, PATH_RESPONSE, BINDING_PROBE, _ASK, _ANSWER."""
    return bytes((kind,)) + data


def encode_new_cid(sequence: int, cid: bytes, reset_token: bytes) -> bytes:
    """A NEW_CID frame; the token is empty where its sender never sends a RESET."""
    head = _NEW_CID.pack(NEW_CID, sequence & 0xFFFF_FFFF, cid, len(reset_token))
    return head + reset_token


def encode_retire_cid(sequence: int) -> bytes:
    """A RETIRE_CID frame: the id of this number is not used any more."""
    return _RETIRE_CID.pack(RETIRE_CID, sequence & 0xFFFF_FFFF)


def encode_binding_report(data: bytes, *, sent: bool) -> bytes:
    """A BINDING_REPORT frame: whether there was a probe of this name to answer."""
    return _REPORT.pack(BINDING_REPORT, data, sent)


def encode_extension(kind: int, body: bytes) -> bytes:
    """A frame that whoever does not know it skips; ``kind`` is 0x40 to 0x7F."""
    return _BODY.pack(kind, len(body)) + body


# Reading.


def parse_frames(payload: bytes) -> list[Frame]:
    """Read all frames of a packet; all of it is well-formed or nothing is returned.

    Raises:
        DecodeError: On truncation, an unknown frame type, or an encoding that is not canonical.
    """
    frames: list[Frame] = []
    position = 0
    end = len(payload)
    while position < end:
        kind = payload[position]
        if kind in _MESSAGES:
            start = position + MESSAGE_HEADER_BYTES
            if start > end:
                raise DecodeError("MESSAGE is truncated")
            _, hop_seq, length = _MESSAGE.unpack_from(payload, position)
            position = start + length
            if position > end:
                raise DecodeError("MESSAGE is truncated")
            frames.append((kind, hop_seq, payload[start:position]))
        elif kind == PADDING:
            # One step over all of it: a full datagram of padding must not cost a loop.
            position = end - len(payload[position:].lstrip(b"\0"))
        elif kind == PING:
            frames.append((PING,))
            position += 1
        else:
            frame, position = _parse_rare(kind, payload, position)
            frames.append(frame)
    return frames


def _parse_rare(kind: int, payload: bytes, position: int) -> tuple[Frame, int]:
    """Read one frame that is not MESSAGE, BULK, PADDING or PING: (frame, position after it)."""
    try:
        if kind == ACK:
            return _parse_ack(payload, position)
        if kind == FRAGMENT:
            return _parse_fragment(payload, position)
        if kind == CREDIT:
            return _CREDIT.unpack_from(payload, position), position + _CREDIT.size
        if kind == CLOSE:
            return _parse_close(payload, position)
        if kind == DATAGRAM or EXTENSION_MIN <= kind <= EXTENSION_MAX:
            _, length = _BODY.unpack_from(payload, position)
            body, after = _slice(payload, position + _BODY.size, length)
            return (kind, body), after
        if kind == NEW_CID:
            return _parse_new_cid(payload, position)
        if kind == RETIRE_CID:
            return _RETIRE_CID.unpack_from(payload, position), position + _RETIRE_CID.size
        if kind == BINDING_REPORT:
            return _parse_report(payload, position)
    except struct.error:
        raise DecodeError("frame is truncated") from None
    if kind in _EIGHT_BYTES:
        data, after = _slice(payload, position + 1, CHALLENGE_BYTES)
        return (kind, data), after
    raise DecodeError("unknown frame type")


def _parse_new_cid(payload: bytes, position: int) -> tuple[Frame, int]:
    _, sequence, cid, length = _NEW_CID.unpack_from(payload, position)
    if length not in (0, RESET_TOKEN_BYTES):
        raise DecodeError("NEW_CID has a reset token of an impossible size")
    token, after = _slice(payload, position + _NEW_CID.size, length)
    return (NEW_CID, sequence, cid, token), after


def _parse_report(payload: bytes, position: int) -> tuple[Frame, int]:
    _, data, sent = _REPORT.unpack_from(payload, position)
    if sent > 1:
        raise DecodeError("BINDING_REPORT is neither yes nor no")
    return (BINDING_REPORT, data, sent), position + _REPORT.size


def _parse_fragment(payload: bytes, position: int) -> tuple[Frame, int]:
    _, hop_seq, group, index, count, length = _FRAGMENT.unpack_from(payload, position)
    least = FRAGMENT_BYTES_MIN if index + 1 < count else 1
    if not (1 < count <= FRAGMENTS_MAX and index < count and length >= least):
        raise DecodeError("FRAGMENT has impossible numbers")
    piece, after = _slice(payload, position + FRAGMENT_HEADER_BYTES, length)
    return (FRAGMENT, hop_seq, group, index, count, piece), after


def _parse_ack(payload: bytes, position: int) -> tuple[Frame, int]:
    _, largest, delay, count = _ACK.unpack_from(payload, position)
    if count > BITMAP_BYTES_MAX:
        raise DecodeError("ACK reaches too far")
    raw_mask, position = _slice(payload, position + _ACK.size, (count + 7) >> 3)
    mask = int.from_bytes(raw_mask, "little")
    if mask >> count:
        raise DecodeError("ACK is not canonical")
    present, after = _slice(payload, position, mask.bit_count())
    if b"\xff" in present:
        raise DecodeError("ACK is not canonical")
    raw = bytearray(b"\xff" * count)
    for byte in present:
        lowest = mask & -mask
        raw[lowest.bit_length() - 1] = byte
        mask ^= lowest
    return (ACK, largest, delay, int.from_bytes(raw, "little"), count), after


def _parse_close(payload: bytes, position: int) -> tuple[Frame, int]:
    _, code, length = _CLOSE.unpack_from(payload, position)
    raw, after = _slice(payload, position + _CLOSE.size, length)
    try:
        return (CLOSE, code, raw.decode()), after
    except UnicodeDecodeError:
        raise DecodeError("CLOSE has a reason that is not UTF-8") from None


def _slice(payload: bytes, start: int, length: int) -> tuple[bytes, int]:
    """Exactly ``length`` bytes from ``start``: (bytes, position after them)."""
    after = start + length
    if after > len(payload):
        raise DecodeError("frame is truncated")
    return payload[start:after], after
