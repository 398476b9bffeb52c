"""Declarations of the hop's layouts: the normative format behind PROTOCOL §2 and §3.

The hot paths read and write these bytes with :mod:`udpim.wire.packet`,
:mod:`udpim.wire.frames` and :mod:`udpim.wire.parameters`; the tests prove that both return
equal values or both refuse. construct is lenient by nature (greedy repeaters swallow errors,
trailing bytes are ignored), so each entry point here ends with ``Terminated``.

Used by ``udpim decode`` and by the round-trip test of the scapy layer, never on bytes that
arrive at a running node.
"""

from __future__ import annotations

import zlib
from typing import Any

import construct as c

from udpim.errors import DecodeError
from udpim.wire import frames as f
from udpim.wire import packet as p
from udpim.wire import parameters as pm
from udpim.wire.told import told


class _Checksummed(c.Tunnel):
    """All bytes up to the end, of which the last four are the CRC-32 of the others."""

    def __init__(self, subcon: Any) -> None:
        super().__init__(subcon)
        self.docs = "CRC-32 (IEEE 802.3) over everything before it"

    def _decode(self, data: bytes, _context: Any, path: str) -> bytes:
        body, trailer = data[:-4], data[-4:]
        if len(trailer) < p.CHECKSUM_BYTES or zlib.crc32(body).to_bytes(4, "big") != trailer:
            raise c.ChecksumError("checksum is wrong", path=path)
        return body

    def _encode(self, data: bytes, _context: Any, _path: str) -> bytes:
        return data + zlib.crc32(data).to_bytes(4, "big")


class _Utf8(c.Adapter):
    """Bytes that must be UTF-8."""

    def _decode(self, obj: bytes, _context: Any, path: str) -> str:
        try:
            return obj.decode()
        except UnicodeDecodeError as error:
            raise c.StringError(str(error), path=path) from None

    def _encode(self, obj: str, _context: Any, _path: str) -> bytes:
        return obj.encode()


class _ElidedBitmap(c.Construct):
    """``count`` bytes of bitmap; a mask says which of them are sent, the others are 0xFF.

    The value is an int whose bit k stands for packet number ``largest - 1 - k``.
    """

    def _parse(self, stream: Any, context: Any, path: str) -> int:
        count = context.bitmap_bytes
        mask_bytes = (count + 7) // 8
        mask = int.from_bytes(c.stream_read(stream, mask_bytes, path), "little")
        if mask >= 1 << count:
            raise c.ValidationError("mask names bytes beyond the bitmap", path=path)
        raw = b""
        for index in range(count):
            sent = mask >> index & 1
            byte = c.stream_read(stream, 1, path) if sent else b"\xff"
            if sent and byte == b"\xff":
                raise c.ValidationError("an all-ones byte must be elided", path=path)
            raw += byte
        return int.from_bytes(raw, "little")

    def _build(self, obj: int, stream: Any, context: Any, path: str) -> int:
        count = context.bitmap_bytes
        raw = obj.to_bytes(count, "little")
        mask = sum(1 << index for index in range(count) if raw[index] != 0xFF)
        data = mask.to_bytes((count + 7) // 8, "little") + bytes(b for b in raw if b != 0xFF)
        c.stream_write(stream, data, len(data), path)
        return obj


def _within(number: Any, low: int, high: int) -> Any:
    validator = c.ExprValidator(number, lambda value, _: low <= value <= high)
    return told(validator, f"{low} to {high}")


# PROTOCOL §3.1: frames. Each is declared without its type byte.

FRAME_NAMES = {
    f.PADDING: "PADDING",
    f.PING: "PING",
    f.ACK: "ACK",
    f.CLOSE: "CLOSE",
    f.MESSAGE: "MESSAGE",
    f.PATH_CHALLENGE: "PATH_CHALLENGE",
    f.PATH_RESPONSE: "PATH_RESPONSE",
    f.FRAGMENT: "FRAGMENT",
    f.CREDIT: "CREDIT",
    f.BULK: "BULK",
    f.DATAGRAM: "DATAGRAM",
    f.NEW_CID: "NEW_CID",
    f.RETIRE_CID: "RETIRE_CID",
    f.BINDING_PROBE: "BINDING_PROBE",
    f.BINDING_ASK: "BINDING_ASK",
    f.BINDING_ANSWER: "BINDING_ANSWER",
    f.BINDING_REPORT: "BINDING_REPORT",
}

ACK = c.Struct(
    "largest" / c.Int32ub,
    "delay" / c.Int16ub,
    "bitmap_bytes" / _within(c.Int8ub, 0, f.BITMAP_BYTES_MAX),
    "bitmap" / told(_ElidedBitmap(), "a mask of ⌈*n* / 8⌉ bytes, then the bytes it names"),
)
CLOSE = c.Struct(
    "code" / c.Int16ub,
    "reason" / told(_Utf8(c.Prefixed(c.Int8ub, c.GreedyBytes)), "UTF-8"),
)
MESSAGE = c.Struct(
    "hop_seq" / c.Int32ub,
    "body" / c.Prefixed(c.Int16ub, c.GreedyBytes),
)
FRAGMENT = c.Struct(
    "hop_seq" / c.Int32ub,
    "group" / c.Int32ub,
    "index" / c.Int16ub,
    "count" / _within(c.Int16ub, 2, f.FRAGMENTS_MAX),
    "body" / c.Prefixed(c.Int16ub, c.GreedyBytes),
    told(c.Check(c.this.index < c.this.count), "`index` < `count`"),
    told(
        c.Check(
            lambda this: len(this.body) >= (1, f.FRAGMENT_BYTES_MIN)[this.index + 1 < this.count]
        ),
        f"`body` has {f.FRAGMENT_BYTES_MIN} bytes at least, that of the last piece 1",
    ),
)
CREDIT = c.Struct("bulk_bytes_max" / c.Int64ub)
PATH = c.Struct("data" / c.Bytes(f.CHALLENGE_BYTES))
DATAGRAM = EXTENSION = c.Struct("body" / c.Prefixed(c.Int16ub, c.GreedyBytes))
NEW_CID = c.Struct(
    "sequence" / c.Int32ub,
    "cid" / c.Bytes(p.CID_BYTES),
    "reset_token"
    / told(
        c.ExprValidator(
            c.Prefixed(c.Int8ub, c.GreedyBytes),
            lambda value, _: len(value) in (0, p.RESET_TOKEN_BYTES),
        ),
        f"{p.RESET_TOKEN_BYTES} bytes, or none",
    ),
)
RETIRE_CID = c.Struct("sequence" / c.Int32ub)
REPORT = c.Struct("data" / c.Bytes(f.CHALLENGE_BYTES), "sent" / _within(c.Int8ub, 0, 1))
EMPTY = c.Struct()

FRAME_FIELDS = {
    f.PADDING: EMPTY,
    f.PING: EMPTY,
    f.ACK: ACK,
    f.CLOSE: CLOSE,
    f.MESSAGE: MESSAGE,
    f.PATH_CHALLENGE: PATH,
    f.PATH_RESPONSE: PATH,
    f.FRAGMENT: FRAGMENT,
    f.CREDIT: CREDIT,
    f.BULK: MESSAGE,
    f.DATAGRAM: DATAGRAM,
    f.NEW_CID: NEW_CID,
    f.RETIRE_CID: RETIRE_CID,
    **dict.fromkeys((f.BINDING_PROBE, f.BINDING_ASK, f.BINDING_ANSWER), PATH),
    f.BINDING_REPORT: REPORT,
    **dict.fromkeys(range(f.EXTENSION_MIN, f.EXTENSION_MAX + 1), EXTENSION),
}
"""What follows the type byte."""

FRAME = c.Struct(
    "type" / c.Int8ub,
    "name" / c.Computed(lambda this: FRAME_NAMES.get(this.type, "EXTENSION")),
    "fields" / c.Switch(c.this.type, FRAME_FIELDS, default=c.Error),
)
FRAMES = c.GreedyRange(FRAME)

# PROTOCOL §2.4: handshake parameters.

PARAMETER_NAMES = {
    pm.IDLE_TIMEOUT_MS: "idle_timeout_ms",
    pm.MAX_DATAGRAM_BYTES: "max_datagram_bytes",
    pm.FRAME_WINDOW: "frame_window",
    pm.MAX_ACK_DELAY_US: "max_ack_delay_us",
    pm.RESET_TOKEN: "reset_token",
    pm.NONCE: "nonce",
    pm.BULK_WINDOW_BYTES: "bulk_window_bytes",
    pm.CONNECTION_ID: "connection_id",
}

PARAMETER = c.Struct(
    "id" / c.Int8ub,
    "name" / c.Computed(lambda this: PARAMETER_NAMES.get(this.id, "unknown")),
    "value"
    / c.Prefixed(
        c.Int8ub,
        c.FocusedSeq(
            "value",
            "value"
            / c.Switch(
                c.this._.id,
                {
                    pm.IDLE_TIMEOUT_MS: c.Int32ub,
                    pm.MAX_DATAGRAM_BYTES: c.Int16ub,
                    pm.FRAME_WINDOW: c.Int16ub,
                    pm.MAX_ACK_DELAY_US: c.Int32ub,
                    pm.RESET_TOKEN: c.Bytes(p.RESET_TOKEN_BYTES),
                    pm.NONCE: c.Bytes(pm.NONCE_BYTES),
                    pm.BULK_WINDOW_BYTES: c.Int32ub,
                    pm.CONNECTION_ID: c.Bytes(p.CID_BYTES),
                },
                default=c.GreedyBytes,
            ),
            c.Terminated,
        ),
    ),
)


def _each_once(parameters: Any, _context: Any) -> bool:
    ids = [parameter.id for parameter in parameters]
    return len(ids) == len(set(ids)) and set(ids) >= pm.MANDATORY


PARAMETERS = c.FocusedSeq(
    "list", "list" / c.ExprValidator(c.GreedyRange(PARAMETER), _each_once), c.Terminated
)

# PROTOCOL §2.2, §2.3 and §2.6: whole datagrams.

_TOKEN = c.Prefixed(c.Int8ub, c.GreedyBytes)
_PAYLOAD = c.Prefixed(c.Int16ub, c.GreedyBytes)
_CID = c.Bytes(p.CID_BYTES)
_HEAD = (
    "form" / c.Computed("long"),
    "type" / c.Computed(lambda this: p.LongType(this.flags >> 3 & 7).name),
    "version" / c.Computed(lambda this: this.flags & p.VERSION_MASK),
    "destination_cid" / _CID,
    "source_cid" / _CID,
)


def _flags(value: int) -> Any:
    return "flags" / c.Const(value, c.Int8ub)


def _zeros(value: bytes, _context: Any) -> bool:
    return not value.strip(b"\0")


HELLO = c.Struct(
    _flags(p.long_flags(p.LongType.HELLO)),
    *_HEAD,
    "token" / _TOKEN,
    "payload" / _PAYLOAD,
    "padding" / told(c.ExprValidator(c.GreedyBytes, _zeros), "zeros"),
    "_end" / c.Tell,
    told(
        c.Check(c.this._end >= p.HELLO_BYTES_MIN - p.CHECKSUM_BYTES),
        f"{p.HELLO_BYTES_MIN} bytes at least with the checksum",
    ),
)
RETRY = c.Struct(_flags(p.long_flags(p.LongType.RETRY)), *_HEAD, "token" / _TOKEN, c.Terminated)
WELCOME = c.Struct(
    _flags(p.long_flags(p.LongType.WELCOME)), *_HEAD, "payload" / _PAYLOAD, c.Terminated
)
VERSION = c.Struct(
    _flags(p.long_flags(p.LongType.VERSION)), *_HEAD, "versions" / _TOKEN, c.Terminated
)
RESET = c.Struct(
    _flags(p.long_flags(p.LongType.RESET)),
    *_HEAD[:3],
    "cid" / _CID,
    "token" / c.Bytes(p.RESET_TOKEN_BYTES),
    c.Terminated,
)
SHORT = c.Struct(
    _flags(p.PLAIN_SHORT_FLAGS),
    "form" / c.Computed("short"),
    "version" / c.Computed(lambda this: this.flags & p.VERSION_MASK),
    "destination_cid" / _CID,
    "packet_number" / c.Int32ub,
    "frames" / FRAMES,
    c.Terminated,
    "_end" / c.Tell,
    told(
        c.Check(c.this._end >= p.SHORT_BYTES_MIN - p.CHECKSUM_BYTES),
        f"{p.SHORT_BYTES_MIN} bytes at least with the checksum",
    ),
)

# The encrypted handshake, and packets whose content only their keys show.

_MAC = c.Bytes(p.MAC_BYTES)


def _secure_flags(kind: p.LongType) -> Any:
    return _flags(p.long_flags(kind, encrypted=True))


SECURE_HELLO = c.Struct(
    _secure_flags(p.LongType.HELLO),
    *_HEAD,
    "pattern" / c.Int8ub,
    "suite" / c.Int8ub,
    "token" / _TOKEN,
    "payload" / _PAYLOAD,
    "padding" / told(c.Prefixed(c.Int16ub, c.ExprValidator(c.GreedyBytes, _zeros)), "zeros"),
    "mac" / _MAC,
    c.Terminated,
    "_end" / c.Tell,
    told(c.Check(c.this._end >= p.HELLO_BYTES_MIN), f"{p.HELLO_BYTES_MIN} bytes at least"),
)
SECURE_RETRY = c.Struct(
    _secure_flags(p.LongType.RETRY), *_HEAD, "token" / _TOKEN, "mac" / _MAC, c.Terminated
)
SECURE_WELCOME = c.Struct(
    _secure_flags(p.LongType.WELCOME), *_HEAD, "payload" / _PAYLOAD, c.Terminated
)
FINISH = c.Struct(_secure_flags(p.LongType.FINISH), *_HEAD, "payload" / _PAYLOAD, c.Terminated)
SEALED_SHORT = c.Struct(
    "flags"
    / told(
        c.ExprValidator(
            c.Int8ub, lambda value, _: value & ~p.FLAG_KEY_PHASE == p.SEALED_SHORT_FLAGS
        ),
        f"0x{p.SEALED_SHORT_FLAGS:02x}; bit 5 is masked",
    ),
    "form" / c.Computed("short"),
    "version" / c.Computed(lambda this: this.flags & p.VERSION_MASK),
    "destination_cid" / _CID,
    "packet_number" / c.Int32ub,
    "sealed" / c.GreedyBytes,
    "_end" / c.Tell,
    told(c.Check(c.this._end >= p.SHORT_BYTES_MIN), f"{p.SHORT_BYTES_MIN} bytes at least"),
)

SECURE_DATAGRAMS = {
    p.long_flags(p.LongType.HELLO, encrypted=True): SECURE_HELLO,
    p.long_flags(p.LongType.RETRY, encrypted=True): SECURE_RETRY,
    p.long_flags(p.LongType.WELCOME, encrypted=True): SECURE_WELCOME,
    p.long_flags(p.LongType.FINISH, encrypted=True): FINISH,
}
"""The declaration of each packet of the encrypted handshake, by its first byte."""

DATAGRAMS = {
    p.long_flags(p.LongType.HELLO): _Checksummed(HELLO),
    p.long_flags(p.LongType.RETRY): _Checksummed(RETRY),
    p.long_flags(p.LongType.WELCOME): _Checksummed(WELCOME),
    p.long_flags(p.LongType.VERSION): _Checksummed(VERSION),
    p.long_flags(p.LongType.RESET): RESET,
    p.PLAIN_SHORT_FLAGS: _Checksummed(SHORT),
}
"""The declaration of each plaintext datagram, by its first byte."""
_ALL = DATAGRAMS | SECURE_DATAGRAMS


def parse_strictly(declaration: Any, data: bytes) -> Any:
    """Parse all of ``data`` by one declaration of this module.

    Raises:
        DecodeError: If the bytes are truncated, malformed, or followed by others.
    """
    whole = c.FocusedSeq("value", "value" / declaration, c.Terminated)
    try:
        return whole.parse(data)
    except c.ConstructError as error:
        raise DecodeError(" ".join(str(error).split())) from error


def parse_datagram(data: bytes) -> Any:
    """Parse one plaintext or handshake datagram into a nested Container; bodies stay bytes.

    Raises:
        DecodeError: If it is not exactly one well-formed datagram of those.
    """
    declaration = _ALL.get(data[0]) if 0 < len(data) <= p.DATAGRAM_BYTES_MAX else None
    if declaration is None:
        raise DecodeError("not a plaintext datagram of this version, nor a handshake")
    return parse_strictly(declaration, data)


def build_datagram(value: Any) -> bytes:
    """Build the bytes of what :func:`parse_datagram` returned, or of a dict like it."""
    data: bytes = _ALL[value["flags"]].build(value)
    return data
