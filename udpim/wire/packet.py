"""Datagram layouts: the short header of a connection's packets, and the long packets.

Every datagram starts with a flags byte and the 8-byte id of the connection that it is for, so
an endpoint routes it with one slice. Short packets carry frames (:mod:`udpim.wire.frames`)
under a protection tag; long packets open connections, or concern none. Those of the encrypted
handshake end with a mac, or with what Noise has sealed; :mod:`udpim.crypto` looks at those.
Hot module: the short headers are read and written once per datagram.

Specification: PROTOCOL §2.1 to §2.6; :mod:`udpim.wire.hop_schema` declares the same layouts.
"""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from udpim.errors import DecodeError

VERSION = 1
CID_BYTES = 8
NO_CID = bytes(CID_BYTES)
SHORT_HEADER_BYTES = 13
CHECKSUM_BYTES = 4
MAC_BYTES = 16
RESET_TOKEN_BYTES = 16
RESET_BYTES = 1 + CID_BYTES + RESET_TOKEN_BYTES
DATAGRAM_BYTES_MAX = 1200
"""What every path is assumed to carry (RFC 9000 §14)."""
SHORT_BYTES_MIN = 32
"""Short packets are padded to this, so that each of them can earn a (smaller) RESET."""
HELLO_BYTES_MIN = 300
"""A HELLO is padded to this, so that no answer to it is larger than itself."""

FLAG_LONG = 0x80
FLAG_ENCRYPTED = 0x40
FLAG_KEY_PHASE = 0x20
VERSION_MASK = 0x07
PLAIN_SHORT_FLAGS = VERSION
SEALED_SHORT_FLAGS = FLAG_ENCRYPTED | VERSION
"""Beside the key phase, which is masked on the wire."""

_SHORT = struct.Struct(">B8sI")
_LONG = struct.Struct(">B8s8s")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")


class LongType(enum.IntEnum):
    """Bits 5-3 of a long packet's flags."""

    HELLO = 0
    """Client to server: open a connection."""
    RETRY = 1
    """Server to client: say HELLO again, with this token."""
    WELCOME = 2
    """Server to client: the connection is open."""
    RESET = 3
    """This connection id is not known here any more."""
    VERSION = 4
    """The versions that are spoken here."""
    FINISH = 5
    """Client to server: the last message of the encrypted handshake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """A client asks for a connection; ``source_cid`` is what the server shall send to."""

    source_cid: bytes
    token: bytes
    payload: bytes
    destination_cid: bytes = NO_CID


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A server wants to see its token in a second HELLO: that proves the address."""

    destination_cid: bytes
    source_cid: bytes
    token: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """A server opened the connection; ``source_cid`` is what the client shall send to."""

    destination_cid: bytes
    source_cid: bytes
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """The peer lost the connection; ``cid`` is the id that was sent to, ``token`` proves it."""

    cid: bytes
    token: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionOffer:
    """The versions a server speaks, in answer to one that it does not."""

    destination_cid: bytes
    source_cid: bytes
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureHello:
    """A client asks for an encrypted connection: the first Noise message."""

    source_cid: bytes
    pattern: int
    suite: int
    token: bytes
    payload: bytes
    mac: bytes = bytes(MAC_BYTES)
    destination_cid: bytes = NO_CID

    @property
    def clear_bytes(self) -> int:
        """How much of the datagram stands before the Noise message."""
        return _LONG.size + 3 + len(self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureRetry:
    """As :class:`Retry`; the mac says that it answers this very HELLO."""

    destination_cid: bytes
    source_cid: bytes
    token: bytes
    mac: bytes = bytes(MAC_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureWelcome:
    """The second Noise message; what is sealed in it names ``source_cid`` again."""

    destination_cid: bytes
    source_cid: bytes
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The third Noise message: who the client is, and that it is there."""

    destination_cid: bytes
    source_cid: bytes
    payload: bytes


SecurePacket = SecureHello | SecureRetry | SecureWelcome | Finish
LongPacket = Hello | Retry | Welcome | Reset | VersionOffer | SecurePacket


# Routing: what an endpoint looks at before it knows the connection.


def is_long(datagram: bytes) -> bool:
    """Whether this datagram (not empty) has the long form."""
    return datagram[0] >= FLAG_LONG


def destination_cid(datagram: bytes) -> bytes | None:
    """The connection id that a datagram is for, in either form.

    For a RESET it is the id that its receiver had sent to (the receiver's remote id).

    Returns:
        8 bytes, or None if the datagram is too short to carry an id.
    """
    return datagram[1:9] if len(datagram) > CID_BYTES else None


def foreign_version_ids(datagram: bytes) -> tuple[bytes, bytes] | None:
    """The (destination, source) ids of a long packet that deserves a VERSION answer.

    Only a packet of another version does, never a VERSION or RESET (two servers would answer
    each other for ever), and only one that is at least as long as a HELLO (no amplification).
    """
    if len(datagram) < HELLO_BYTES_MIN or not is_long(datagram):
        return None
    flags, destination, source = _LONG.unpack_from(datagram)
    kind = (flags >> 3) & 7
    if flags & VERSION_MASK == VERSION or kind in (LongType.VERSION, LongType.RESET):
        return None
    return destination, source


# Short packets.


def encode_short_header(flags: int, cid: bytes, packet_number: int) -> bytes:
    """The 13 bytes before the frames; only the low 32 bits of the number travel."""
    return _SHORT.pack(flags, cid, packet_number & 0xFFFF_FFFF)


def parse_short_header(datagram: bytes) -> tuple[int, bytes, int]:
    """Read a short packet's header.

    Returns:
        (flags, destination connection id, low 32 bits of the packet number). Which flags are
        acceptable is decided by the connection's protection.

    Raises:
        DecodeError: If the datagram is shorter or longer than any valid one.
    """
    if not SHORT_BYTES_MIN <= len(datagram) <= DATAGRAM_BYTES_MAX:
        wrong = "short" if len(datagram) < SHORT_BYTES_MIN else "long"
        raise DecodeError(f"short packet is too {wrong}")
    fields: tuple[int, bytes, int] = _SHORT.unpack_from(datagram)
    return fields


# Long packets.


def long_flags(kind: LongType, *, encrypted: bool = False) -> int:
    """The flags byte of a long packet of our version."""
    return FLAG_LONG | (FLAG_ENCRYPTED if encrypted else 0) | kind << 3 | VERSION


def encode_long(packet: LongPacket) -> bytes:
    """Build a whole long datagram; checksum and padding are added, a mac is not computed."""
    match packet:
        case SecureHello() | SecureRetry() | SecureWelcome() | Finish():
            return _encode_secure(packet)
        case Hello(destination_cid=dcid, source_cid=scid, token=token, payload=payload):
            head = _LONG.pack(long_flags(LongType.HELLO), dcid, scid)
            body = head + bytes((len(token),)) + token + _U16.pack(len(payload)) + payload
            body = body.ljust(HELLO_BYTES_MIN - CHECKSUM_BYTES, b"\0")
        case Retry(destination_cid=dcid, source_cid=scid, token=token):
            head = _LONG.pack(long_flags(LongType.RETRY), dcid, scid)
            body = head + bytes((len(token),)) + token
        case Welcome(destination_cid=dcid, source_cid=scid, payload=payload):
            head = _LONG.pack(long_flags(LongType.WELCOME), dcid, scid)
            body = head + _U16.pack(len(payload)) + payload
        case Reset(cid=cid, token=token):
            return bytes((long_flags(LongType.RESET),)) + cid + token
        case VersionOffer(destination_cid=dcid, source_cid=scid, versions=versions):
            head = _LONG.pack(long_flags(LongType.VERSION), dcid, scid)
            body = head + bytes((len(versions), *versions))
        case _:
            assert_never(packet)
    return body + _U32.pack(zlib.crc32(body))


def parse_long(datagram: bytes) -> LongPacket:
    """Read a whole long datagram of our version.

    Raises:
        DecodeError: If it is anything but exactly one well-formed long packet.
    """
    if len(datagram) > DATAGRAM_BYTES_MAX:
        raise DecodeError("long packet is too long")
    flags = datagram[0] if datagram else 0
    if flags == long_flags(LongType.RESET):
        return _parse_reset(datagram)
    if flags in _SECURE_PARSERS:
        if len(datagram) < _LONG.size:
            raise DecodeError("long packet is truncated")
        _, destination, source = _LONG.unpack_from(datagram)
        return _SECURE_PARSERS[flags](destination, source, datagram[_LONG.size :])
    parser = _PARSERS.get(flags)
    if parser is None:
        raise DecodeError("unknown long packet")
    end = len(datagram) - CHECKSUM_BYTES
    if end < _LONG.size:
        raise DecodeError("long packet is truncated")
    if zlib.crc32(datagram[:end]) != _U32.unpack_from(datagram, end)[0]:
        raise DecodeError("checksum of a long packet is wrong")
    _, destination, source = _LONG.unpack_from(datagram)
    return parser(destination, source, datagram[_LONG.size : end])


def _parse_reset(datagram: bytes) -> Reset:
    if len(datagram) != RESET_BYTES:
        raise DecodeError("RESET has a wrong length")
    return Reset(cid=datagram[1:9], token=datagram[9:])


def _parse_hello(destination: bytes, source: bytes, body: bytes) -> Hello:
    token, rest = _take(body, 1)
    payload, padding = _take(rest, 2)
    if len(body) < HELLO_BYTES_MIN - _LONG.size - CHECKSUM_BYTES or padding.strip(b"\0"):
        raise DecodeError("HELLO has wrong padding")
    return Hello(destination_cid=destination, source_cid=source, token=token, payload=payload)


def _parse_retry(destination: bytes, source: bytes, body: bytes) -> Retry:
    token = _take_last(body, 1)
    return Retry(destination_cid=destination, source_cid=source, token=token)


def _parse_welcome(destination: bytes, source: bytes, body: bytes) -> Welcome:
    payload = _take_last(body, 2)
    return Welcome(destination_cid=destination, source_cid=source, payload=payload)


def _parse_version(destination: bytes, source: bytes, body: bytes) -> VersionOffer:
    versions = tuple(_take_last(body, 1))
    return VersionOffer(destination_cid=destination, source_cid=source, versions=versions)


# Those of the encrypted handshake.

_SECURE_TYPES: dict[type[SecurePacket], LongType] = {
    SecureHello: LongType.HELLO,
    SecureRetry: LongType.RETRY,
    SecureWelcome: LongType.WELCOME,
    Finish: LongType.FINISH,
}
_SECURE = {kind: long_flags(kind, encrypted=True) for kind in _SECURE_TYPES.values()}


def _encode_secure(packet: SecurePacket) -> bytes:
    kind = _SECURE_TYPES[type(packet)]
    head = _LONG.pack(_SECURE[kind], packet.destination_cid, packet.source_cid)
    if isinstance(packet, SecureRetry):
        return head + bytes((len(packet.token),)) + packet.token + packet.mac
    payload = _U16.pack(len(packet.payload)) + packet.payload
    if not isinstance(packet, SecureHello):
        return head + payload
    head += bytes((packet.pattern, packet.suite, len(packet.token))) + packet.token + payload
    padding = max(0, HELLO_BYTES_MIN - len(head) - 2 - MAC_BYTES)
    return head + _U16.pack(padding) + bytes(padding) + packet.mac


def _parse_secure_hello(destination: bytes, source: bytes, body: bytes) -> SecureHello:
    if len(body) < HELLO_BYTES_MIN - _LONG.size:
        raise DecodeError("HELLO is too short")
    token, rest = _take(body[2:], 1)
    payload, rest = _take(rest, 2)
    padding, mac = _take(rest, 2)
    if padding.strip(b"\0"):
        raise DecodeError("HELLO has wrong padding")
    return SecureHello(
        destination_cid=destination,
        source_cid=source,
        pattern=body[0],
        suite=body[1],
        token=token,
        payload=payload,
        mac=_exactly_a_mac(mac),
    )


def _exactly_a_mac(data: bytes) -> bytes:
    if len(data) != MAC_BYTES:
        raise DecodeError("a mac has a wrong length")
    return data


def _parse_secure_retry(destination: bytes, source: bytes, body: bytes) -> SecureRetry:
    token, mac = _take(body, 1)
    mac = _exactly_a_mac(mac)
    return SecureRetry(destination_cid=destination, source_cid=source, token=token, mac=mac)


_SECURE_PARSERS: dict[int, Callable[[bytes, bytes, bytes], LongPacket]] = {
    _SECURE[LongType.HELLO]: _parse_secure_hello,
    _SECURE[LongType.RETRY]: _parse_secure_retry,
    _SECURE[LongType.WELCOME]: lambda destination, source, body: SecureWelcome(
        destination_cid=destination, source_cid=source, payload=_take_last(body, 2)
    ),
    _SECURE[LongType.FINISH]: lambda destination, source, body: Finish(
        destination_cid=destination, source_cid=source, payload=_take_last(body, 2)
    ),
}

_PARSERS: dict[int, Callable[[bytes, bytes, bytes], LongPacket]] = {
    long_flags(LongType.HELLO): _parse_hello,
    long_flags(LongType.RETRY): _parse_retry,
    long_flags(LongType.WELCOME): _parse_welcome,
    long_flags(LongType.VERSION): _parse_version,
}


def _take(data: bytes, prefix_bytes: int) -> tuple[bytes, bytes]:
    """Split off one length-prefixed field: (field, rest)."""
    end = prefix_bytes + int.from_bytes(data[:prefix_bytes], "big")
    if len(data) < end:
        raise DecodeError("long packet is truncated")
    return data[prefix_bytes:end], data[end:]


def _take_last(data: bytes, prefix_bytes: int) -> bytes:
    """The length-prefixed field that is all of ``data``."""
    field, rest = _take(data, prefix_bytes)
    if rest:
        raise DecodeError("trailing bytes in a long packet")
    return field
