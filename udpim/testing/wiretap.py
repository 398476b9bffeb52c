"""Reading captured plaintext datagrams: what is in them, in words and values.

The virtual network labels every datagram with it, so that a test can say "the second msg:A", and
the oracle reads from it what each node claims. Formats: PROTOCOL §2, §3 and §4.
"""

from __future__ import annotations

from dataclasses import dataclass

from udpim.errors import DecodeError
from udpim.wire import frames as hop_frames
from udpim.wire import im_codec
from udpim.wire.im_packets import ImPacket, Kind
from udpim.wire.packet import (
    CHECKSUM_BYTES,
    NO_CID,
    SHORT_HEADER_BYTES,
    LongPacket,
    destination_cid,
    is_long,
    parse_long,
    parse_short_header,
)

_FRAME_LABELS = {
    hop_frames.PING: "PING",
    hop_frames.ACK: "ACK",
    hop_frames.CLOSE: "CLOSE",
    hop_frames.PATH_CHALLENGE: "PATH_CHALLENGE",
    hop_frames.PATH_RESPONSE: "PATH_RESPONSE",
    hop_frames.FRAGMENT: "FRAGMENT",
    hop_frames.CREDIT: "CREDIT",
}
UNREADABLE = "unreadable"
"""Label of a datagram that follows no format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one datagram holds."""

    cid: bytes
    """The connection id that it is for; zero in a HELLO."""
    labels: tuple[str, ...]
    """One per frame or long packet: ``msg:R``, ``ACK``, ``HELLO``, …"""
    packets: tuple[tuple[int, ImPacket], ...] = ()
    """(low 32 bits of the hop sequence number, IM packet) of each MESSAGE frame of a known kind."""
    long: LongPacket | None = None


def read(datagram: bytes) -> Content:
    """Read one datagram; never raises."""
    cid = destination_cid(datagram) or NO_CID
    try:
        if is_long(datagram):
            packet = parse_long(datagram)
            label = type(packet).__name__.upper().removesuffix("OFFER")
            return Content(cid=cid, labels=(label,), long=packet)
        parse_short_header(datagram)
        frames = hop_frames.parse_frames(datagram[SHORT_HEADER_BYTES:-CHECKSUM_BYTES])
        return _read_frames(cid, frames)
    except (DecodeError, IndexError):
        return Content(cid=cid, labels=(UNREADABLE,))


def _read_frames(cid: bytes, frames: list[hop_frames.Frame]) -> Content:
    labels = []
    packets = []
    for frame in frames:
        if frame[0] not in (hop_frames.MESSAGE, hop_frames.BULK):
            labels.append(_FRAME_LABELS.get(frame[0], "extension"))
            continue
        packet = im_codec.decode(frame[2])
        if packet is None:
            labels.append("extension")
        else:
            labels.append(Kind(frame[2][0]).label)
            packets.append((frame[1], packet))
    return Content(cid=cid, labels=tuple(labels), packets=tuple(packets))
