"""A datagram field by field, for people and for other programs (``udpim decode``).

Reads through the declarations of `hop_schema` and `im_schema`, never through the ``struct``
codecs, so it shows what the normative format says. Names of fields are those of PROTOCOL §2 to
§4. Text that a peer wrote is shown quoted, with whatever could steer a terminal escaped.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import construct as c

from udpim.errors import DecodeError
from udpim.ranges import RangeSet
from udpim.wire import frames as f
from udpim.wire import hop_schema, im_schema
from udpim.wire import packet as p
from udpim.wire.im_packets import Kind
from udpim.wire.layout import FLAG_NAMES

SHOWN_BYTES_MAX = 64
"""Longer texts and byte strings are elided in the form for people."""

_SKIPPED_KINDS_FROM = 0x80
_TEXTS = {"to", "user", "device", "conversation", "group", "names", "reason", "text"}
_VERDICTS = ("delivered", "void", "stored", "excused")

_REASONS: dict[type, str] = {
    c.StreamError: "ends too early",
    c.TerminatedError: "is followed by bytes that do not belong to it",
    c.ChecksumError: "has a wrong checksum",
    c.StringError: "is not UTF-8",
    c.ExplicitError: "is of an unknown type",
}


class InTheClear(NamedTuple):
    """What somebody with the keys has made of an encrypted short packet."""

    packet_number: int
    key_updates: int
    """How many updates its key has behind it."""
    frames: bytes


def datagram_to_dict(data: bytes, opened: InTheClear | None = None) -> dict[str, Any]:
    """Read one datagram into nested dicts and lists that JSON can hold.

    Ids, tokens and other bytes become hex; payloads become ``{"bytes": size, "text": …}``, or
    ``"hex"`` where they are not UTF-8. Of an encrypted datagram only what is in the clear is read,
    and the packet number of a short one is still masked then, unless it comes ``opened``.

    Raises:
        DecodeError: If it is not exactly one well-formed datagram; one sentence says why.
    """
    if not data:
        raise DecodeError("the datagram is empty")
    version = data[0] & p.VERSION_MASK
    if version != p.VERSION:
        raise DecodeError(f"the first byte says version {version}; only {p.VERSION} is known")
    if opened is not None:
        return _opened(data, opened)
    try:
        if data[0] & p.FLAG_ENCRYPTED:
            return _sealed(data)
        parsed = hop_schema.parse_datagram(data)
    except DecodeError as error:
        raise DecodeError(_why(data, error)) from error
    frames = parsed.pop("frames", None)
    tree: dict[str, Any] = _plain("", parsed)
    tree["flags"] = f"{data[0]:#04x}"
    if frames is not None:
        tree["frames"] = _frames(frames)
    return tree


def describe_datagram(data: bytes, opened: InTheClear | None = None) -> list[str]:
    """Return the lines that show one datagram to a person.

    Raises:
        DecodeError: As `datagram_to_dict`.
    """
    return [f"datagram of {len(data)} bytes", *_lines(datagram_to_dict(data, opened), "  ")]


# From what construct parsed to plain values.


def _sealed(data: bytes) -> dict[str, Any]:
    """What is in the clear of an encrypted datagram."""
    short = not data[0] & p.FLAG_LONG
    declaration = hop_schema.SEALED_SHORT if short else hop_schema.SECURE_DATAGRAMS.get(data[0])
    if declaration is None:
        raise DecodeError("unknown long packet")
    parsed = hop_schema.parse_strictly(declaration, data)
    hidden = "sealed" if short else "payload"
    if hidden in parsed:
        words = "encrypted: not readable without the key" if short else "of the Noise handshake"
        parsed[hidden] = f"{len(parsed[hidden])} bytes, {words}"
    if short:
        parsed["packet_number"] = f"{parsed['packet_number']:#010x}, masked"
    tree: dict[str, Any] = {
        key: value if key == hidden else _plain(key, value)
        for key, value in parsed.items()
        if key[0] != "_"
    }
    tree["flags"] = f"{data[0]:#04x}"
    return tree


def _opened(data: bytes, opened: InTheClear) -> dict[str, Any]:
    """An encrypted short packet, which somebody has opened."""
    tree = _sealed(data)
    del tree["sealed"]
    tree["packet_number"] = opened.packet_number
    tree["key_updates"] = opened.key_updates
    try:
        frames = hop_schema.parse_strictly(hop_schema.FRAMES, opened.frames)
    except DecodeError as error:
        raise DecodeError(f"its frames: {_cause(error)}") from None
    tree["frames"] = _frames(frames)
    return tree


def _plain(name: str, value: Any) -> Any:
    """Turn a parsed value into what JSON can hold; the name decides how."""
    if name in _SPECIAL:
        return _SPECIAL[name](value)
    if isinstance(value, dict):
        return {key: _plain(key, item) for key, item in value.items() if key[0] != "_"}
    if isinstance(value, list):
        return [_plain("", item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def _payload(raw: bytes) -> dict[str, Any]:
    try:
        return {"bytes": len(raw), "text": raw.decode()}
    except UnicodeDecodeError:
        return {"bytes": len(raw), "hex": raw.hex()}


def _parameters(raw: bytes) -> Any:
    try:
        return _plain("", hop_schema.parse_strictly(hop_schema.PARAMETERS, raw))
    except DecodeError as error:
        raise DecodeError(f"the handshake parameters: {_cause(error)}") from error


def _settled(value: Any) -> list[Any]:
    """What is settled: bits above a floor in msg:R, ranges in ack:R."""
    if isinstance(value, bytes):
        return _bits(int.from_bytes(value, "little"))
    return [_plain("", item) for item in value or ()]


_SPECIAL: dict[str, Any] = {
    "kind": lambda value: Kind(value).label,
    "incarnation": lambda value: f"{value:016x}",
    "store_epoch": lambda value: f"{value:016x}",
    "settled": _settled,
    "entries": lambda value: [_tally_entry(entry) for entry in value],
    "payloads": lambda value: [_payload(raw) for raw in value],
    "payload": _parameters,
    "padding": lambda value: f"{len(value)} bytes",
    "versions": list,
}


def _bits(bitmap: int) -> list[int]:
    return [index for index in range(bitmap.bit_length()) if bitmap >> index & 1]


def _tally_entry(entry: Any) -> dict[str, Any]:
    """An entry of a tally, with its bitmap as the ordinals that it stands for."""
    ordinals = [entry.first + bit for bit in _bits(int.from_bytes(entry.bitmap, "little"))]
    return {**_plain("", entry), "verdict": _VERDICTS[entry.verdict], "bitmap": ordinals}


def _frames(parsed: Any) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = []
    for frame in parsed:
        if frame.type == f.PADDING:
            if frames and frames[-1]["type"] == "PADDING":
                frames[-1]["bytes"] += 1
            else:
                frames.append({"type": "PADDING", "bytes": 1})
            continue
        tree = {"type": frame.name, **_plain("", frame.fields)}
        if frame.type == f.ACK:
            numbers = (frame.fields.largest - 1 - bit for bit in _bits(frame.fields.bitmap))
            # PROTOCOL §3.2: numbers travel as their low 32 bits.
            acked = RangeSet((n % 2**32, n % 2**32) for n in (frame.fields.largest, *numbers))
            tree["bitmap"] = f"{frame.fields.bitmap:#x}"
            tree["acked"] = [{"first": first, "last": last} for first, last in acked]
        elif frame.type in (f.MESSAGE, f.BULK):
            where = f"of hop_seq {frame.fields.hop_seq}"
            tree["im_packet"] = _im_packet(where, bytes.fromhex(tree.pop("body")))
        elif frame.type == f.DATAGRAM:
            tree["im_packet"] = _im_packet("of DATAGRAM", bytes.fromhex(tree.pop("body")))
        elif frame.type == f.FRAGMENT:
            tree["body"] = f"{len(frame.fields.body)} bytes of an IM packet"
        elif frame.type >= f.EXTENSION_MIN:
            tree["type"] = f"EXTENSION {frame.type:#04x}"
        frames.append(tree)
    return frames


def _im_packet(where: str, body: bytes) -> dict[str, Any]:
    if body and body[0] >= _SKIPPED_KINDS_FROM:
        return {"kind": f"{body[0]:#04x}, unknown and skipped", "body": body[1:].hex()}
    try:
        parsed = im_schema.parse(body)
    except DecodeError as error:
        words = f"the IM packet {where}: {error}"
        inside = isinstance(error.__cause__, c.ConstructError)
        raise DecodeError(f"{words}: {_cause(error)}" if inside else words) from error
    payload = parsed.pop("payload", None)  # of a handshake packet it would be its parameters
    tree: dict[str, Any] = _plain("", parsed)
    if payload is not None:
        tree["payload"] = _payload(payload)
    tree["flags"] = [name for bit, name in FLAG_NAMES.items() if parsed.flags & bit]
    return tree


# Why bytes are refused, in one sentence.


def _why(data: bytes, error: DecodeError) -> str:
    if len(data) > p.DATAGRAM_BYTES_MAX:
        return f"the datagram has {len(data)} bytes; the most is {p.DATAGRAM_BYTES_MAX}"
    if error.__cause__ is None:
        return f"the first byte {data[0]:#04x} has bits that are not in use"
    short = data[0] == p.PLAIN_SHORT_FLAGS
    if not data[0] & p.FLAG_LONG and len(data) < p.SHORT_BYTES_MIN:
        return f"the datagram has {len(data)} bytes; the least is {p.SHORT_BYTES_MIN}"
    if isinstance(error.__cause__, c.ChecksumError):
        return "the datagram has a wrong checksum, or is not whole"
    return _first_bad_frame(data) if short else f"the datagram: {_cause(error)}"


def _first_bad_frame(data: bytes) -> str:
    """Walk over the frames: a repeater of construct only knows that one of them was bad."""
    stream = io.BytesIO(data[: -p.CHECKSUM_BYTES])
    at = stream.seek(p.SHORT_HEADER_BYTES)
    while True:
        try:
            hop_schema.FRAME.parse_stream(stream)
        except c.ConstructError as error:
            name = hop_schema.FRAME_NAMES.get(data[at], f"of type {data[at]:#04x}")
            return f"the frame {name} at offset {at}: {_reason(error)}"
        at = stream.tell()


def _cause(error: DecodeError) -> str:
    assert isinstance(error.__cause__, c.ConstructError)
    return _reason(error.__cause__)


def _reason(error: c.ConstructError) -> str:
    steps = str(error.path).split(" -> ")
    field = ".".join(step for step in steps[1:] if step not in ("value", "list", "fields"))
    reason = _REASONS.get(type(error), "has a value that is not allowed")
    return f"field {field} {reason}" if field else f"it {reason}"


# The form for people: one field a line.


def _lines(tree: dict[str, Any], indent: str) -> Iterator[str]:
    for key, value in tree.items():
        human = _human(key, value)
        if human is not None:
            yield f"{indent}{key}: {human}"
        elif isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{key}:"
            for item in value:
                yield from _item(item, indent + "  ")


def _item(item: dict[str, Any], indent: str) -> Iterator[str]:
    mark = "- "
    for line in _lines(item, ""):
        yield f"{indent}{mark}{line}"
        mark = "  "


def _human(key: str, value: Any) -> str | None:
    """The value in one line, or None if it needs several."""
    if isinstance(value, str):
        return repr(_elided(value)) if key in _TEXTS else _elided(value, 2)
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return _human_list([repr(item) for item in value] if key in _TEXTS else value)
    if isinstance(value, dict):
        return None
    if key == "delay":
        return f"{value} ({8 * value} µs)"
    return f"{value} (low 32 bits)" if key in ("packet_number", "hop_seq", "group") else str(value)


def _human_list(items: list[Any]) -> str | None:
    if not isinstance(items[0], dict):
        return ", ".join(map(str, items))
    if {"first", "last"} == items[0].keys():
        return ", ".join(
            str(i["first"]) if i["first"] == i["last"] else f"{i['first']}-{i['last']}"
            for i in items
        )
    if {"first", "epoch"} == items[0].keys():
        return ", ".join(f"from {i['first']} epoch {i['epoch']}" for i in items)
    return None


def _elided(text: str, units_per_byte: int = 1) -> str:
    most = SHOWN_BYTES_MAX * units_per_byte
    return text if len(text) <= most else text[:most] + "…"
