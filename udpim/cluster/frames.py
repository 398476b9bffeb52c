"""What travels on the bus: datagrams with the addresses of clients, between a gate and the home.

``version u8 | kind u8 | epoch u64 | number u64 | sender u8 + bytes`` and then, for each datagram,
``host u8 + bytes | port u16 | size u16 + bytes``. Only processes of one cluster read it, so it is
no part of the wire; what cannot be read is dropped, as a lost one would be. PROTOCOL §8.3.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from udpim.errors import DecodeError
from udpim.model import Address

VERSION = 1
FRAME_BYTES_MAX = 60_000
"""Of the datagrams in one frame: what a local socket takes at once, with room to spare."""
_HEAD = struct.Struct(">BBQQB")
_PORT_SIZE = struct.Struct(">HH")


class Kind(IntEnum):
    """Which way a frame goes."""

    INWARD = 1
    """From a gate to the home."""
    OUTWARD = 2
    """From the home to a gate."""


class BusFrame(NamedTuple):
    """Some datagrams on their way."""

    kind: Kind
    epoch: int
    """Of the home, as the sender of the frame knows it."""
    number: int
    """Counts the frames of its sender."""
    sender: str
    """Which process sends it: a gate says here whose UDP port the datagrams came from."""
    datagrams: list[tuple[bytes, Address]]


def encode(frame: BusFrame) -> bytes:
    """Return the bytes of a frame."""
    sender = frame.sender.encode()
    parts = [_HEAD.pack(VERSION, frame.kind, frame.epoch, frame.number, len(sender)), sender]
    for data, (host, port) in frame.datagrams:
        name = host.encode()
        parts += (bytes((len(name),)), name, _PORT_SIZE.pack(port, len(data)), data)
    return b"".join(parts)


def decode(raw: bytes) -> BusFrame:
    """Read a frame.

    Raises:
        DecodeError: It is none, or of another version.
    """
    try:
        version, kind, epoch, number, size = _HEAD.unpack_from(raw)
        if version != VERSION:
            raise DecodeError("bus frame of another version")
        at = _HEAD.size + size
        sender = raw[_HEAD.size : at].decode()
        datagrams = []
        while at < len(raw):
            start = at + 1 + raw[at]
            host = raw[at + 1 : start].decode()
            port, length = _PORT_SIZE.unpack_from(raw, start)
            start += _PORT_SIZE.size
            at = start + length
            if at > len(raw):
                raise DecodeError("bus frame cut short")
            datagrams.append((raw[start:at], (host, port)))
        return BusFrame(Kind(kind), epoch, number, sender, datagrams)
    except (struct.error, ValueError) as error:
        raise DecodeError("malformed bus frame") from error


def in_frames(
    kind: Kind, epoch: int, number: int, sender: str, datagrams: Sequence[tuple[bytes, Address]]
) -> list[bytes]:
    """Return the frames for a burst, numbered from ``number``; none larger than the bus takes."""
    frames: list[bytes] = []
    part: list[tuple[bytes, Address]] = []
    size = 0
    for data, address in datagrams:
        if part and size + len(data) > FRAME_BYTES_MAX:
            frames.append(encode(BusFrame(kind, epoch, number + len(frames), sender, part)))
            part, size = [], 0
        part.append((data, address))
        size += len(data) + 64
    if part:
        frames.append(encode(BusFrame(kind, epoch, number + len(frames), sender, part)))
    return frames
