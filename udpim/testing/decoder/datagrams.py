"""Long packets, and the outside of plaintext short ones (PROTOCOL §2.1–§2.6, §2.8)."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from udpim.errors import DecodeError

DATAGRAM_BYTES_MAX = 1200
SHORT_BYTES_MIN = 32
HELLO_BYTES_MIN = 300
SHORT_HEADER_BYTES = 13
CHECKSUM_BYTES = 4
MAC_BYTES = 16
RESET_BYTES = 25
NO_CID = bytes(8)

LONG = 0x80
ENCRYPTED = 0x40
PLAIN_SHORT_FLAGS = 0x01
RESET_FLAGS = 0x99
PATTERNS = range(1, 5)
SUITES = range(1, 3)

_u16 = struct.Struct(">H").unpack_from


class LongPacket(NamedTuple):
    """A packet of the handshake, or one without a connection. What a layout has not is empty."""

    label: str
    encrypted: bool
    destination_cid: bytes
    """Of a RESET: the id that was sent to."""
    source_cid: bytes
    token: bytes = b""
    payload: bytes = b""
    """Parameters (§2.4), or a message of Noise."""
    mac: bytes = b""
    versions: tuple[int, ...] = ()
    pattern: int = 0
    suite: int = 0


def is_long(datagram: bytes) -> bool:
    """Tell whether this is a long packet, by its first byte."""
    return bool(datagram) and datagram[0] >= LONG


def parse_long(datagram: bytes) -> LongPacket:
    """Read a long packet.

    Raises:
        DecodeError: If it follows none of the layouts.
    """
    if len(datagram) > DATAGRAM_BYTES_MAX:
        raise DecodeError("a datagram too long")
    try:
        flags = datagram[0]
        if flags == RESET_FLAGS:
            return _reset(datagram)
        read = _READERS[flags]
        if flags & ENCRYPTED:
            return read(datagram, len(datagram))
        _check(datagram)
        return read(datagram, len(datagram) - CHECKSUM_BYTES)
    except (KeyError, IndexError, struct.error):
        raise DecodeError("no long packet") from None


def plain_frames(datagram: bytes) -> bytes:
    """Return the frames of a plaintext short packet, not parsed.

    Raises:
        DecodeError: If it is none.
    """
    if not SHORT_BYTES_MIN <= len(datagram) <= DATAGRAM_BYTES_MAX:
        raise DecodeError("a datagram too short or too long")
    if datagram[0] != PLAIN_SHORT_FLAGS:
        raise DecodeError("no plaintext short packet")
    _check(datagram)
    return datagram[SHORT_HEADER_BYTES:-CHECKSUM_BYTES]


def _check(datagram: bytes) -> None:
    if zlib.crc32(datagram[:-4]) != int.from_bytes(datagram[-4:], "big"):
        raise DecodeError("a wrong checksum")


def _sized(datagram: bytes, at: int, end: int, size_bytes: int) -> tuple[bytes, int]:
    """Bytes behind their length, and the offset behind them."""
    size = datagram[at] if size_bytes == 1 else _u16(datagram, at)[0]
    at += size_bytes
    if at + size > end:
        raise DecodeError("a field is cut")
    return datagram[at : at + size], at + size


def _last(datagram: bytes, at: int, end: int, size_bytes: int) -> bytes:
    """Bytes behind their length, with nothing behind them."""
    value, at = _sized(datagram, at, end, size_bytes)
    if at != end:
        raise DecodeError("bytes left over")
    return value


def _reset(datagram: bytes) -> LongPacket:
    if len(datagram) != RESET_BYTES:
        raise DecodeError("a RESET of another length")
    return LongPacket("RESET", False, datagram[1:9], NO_CID, token=datagram[9:])


def _hello(datagram: bytes, end: int) -> LongPacket:
    token, at = _sized(datagram, 17, end, 1)
    payload, at = _sized(datagram, at, end, 2)
    if len(datagram) < HELLO_BYTES_MIN or any(datagram[at:end]):
        raise DecodeError("no HELLO")
    return LongPacket("HELLO", False, datagram[1:9], datagram[9:17], token=token, payload=payload)


def _retry(datagram: bytes, end: int) -> LongPacket:
    token = _last(datagram, 17, end, 1)
    return LongPacket("RETRY", False, datagram[1:9], datagram[9:17], token=token)


def _welcome(datagram: bytes, end: int) -> LongPacket:
    payload = _last(datagram, 17, end, 2)
    encrypted = bool(datagram[0] & ENCRYPTED)
    return LongPacket("WELCOME", encrypted, datagram[1:9], datagram[9:17], payload=payload)


def _version(datagram: bytes, end: int) -> LongPacket:
    versions = tuple(_last(datagram, 17, end, 1))
    return LongPacket("VERSION", False, datagram[1:9], datagram[9:17], versions=versions)


def _secure_hello(datagram: bytes, end: int) -> LongPacket:
    pattern, suite = datagram[17], datagram[18]
    end -= MAC_BYTES
    token, at = _sized(datagram, 19, end, 1)
    payload, at = _sized(datagram, at, end, 2)
    padding = _last(datagram, at, end, 2)
    if pattern not in PATTERNS or suite not in SUITES:
        raise DecodeError("an unknown pattern or suite")
    if len(datagram) < HELLO_BYTES_MIN or any(padding):
        raise DecodeError("no HELLO")
    return LongPacket(
        "HELLO",
        True,
        datagram[1:9],
        datagram[9:17],
        token=token,
        payload=payload,
        mac=datagram[end:],
        pattern=pattern,
        suite=suite,
    )


def _secure_retry(datagram: bytes, end: int) -> LongPacket:
    end -= MAC_BYTES
    token = _last(datagram, 17, end, 1)
    mac = datagram[end:]
    return LongPacket("RETRY", True, datagram[1:9], datagram[9:17], token=token, mac=mac)


def _finish(datagram: bytes, end: int) -> LongPacket:
    payload = _last(datagram, 17, end, 2)
    return LongPacket("FINISH", True, datagram[1:9], datagram[9:17], payload=payload)


_READERS = {
    0x81: _hello,
    0x89: _retry,
    0x91: _welcome,
    0xA1: _version,
    0xC1: _secure_hello,
    0xC9: _secure_retry,
    0xD1: _welcome,
    0xE9: _finish,
}
"""By the first byte; where a layout ends: before the checksum, if it has one."""

LONG_LABELS = ("HELLO", "WELCOME", "RETRY", "VERSION", "FINISH", "RESET")
"""What long packets are called; what is encrypted of them makes no difference."""
