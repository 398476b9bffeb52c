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
    FLAG_ENCRYPTED,
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


class Pieces:
    """The bodies that crossed in pieces (PROTOCOL §3.7).

    A body belongs to the piece that left last for the first time: whoever sees this piece again
    sees the body.
    """

    def __init__(self) -> None:
        """Nothing has crossed."""
        self._groups: dict[tuple[bytes, int], dict[int, bytes]] = {}
        self._whole: dict[tuple[bytes, int], bytes] = {}

    def body(self, cid: bytes, frame: hop_frames.Frame) -> bytes | None:
        """Return the body that goes with this FRAGMENT, if it is the one that has it."""
        _, hop_seq, group, index, count, piece = frame
        pieces = self._groups.setdefault((cid, group), {})
        if index not in pieces:
            pieces[index] = piece
            if len(pieces) == count:
                self._whole[cid, hop_seq] = b"".join(pieces[at] for at in range(count))
        return self._whole.get((cid, hop_seq))


def read(datagram: bytes, pieces: Pieces) -> Content:
    """Read one datagram, with what is known of bodies in pieces; never raises."""
    cid = destination_cid(datagram) or NO_CID
    try:
        if is_long(datagram):
            packet = parse_long(datagram)
            label = type(packet).__name__.upper().removeprefix("SECURE").removesuffix("OFFER")
            return Content(cid=cid, labels=(label,), long=packet)
        if parse_short_header(datagram)[0] & FLAG_ENCRYPTED:
            return Content(cid=cid, labels=(UNREADABLE,))
        frames = hop_frames.parse_frames(datagram[SHORT_HEADER_BYTES:-CHECKSUM_BYTES])
        return _read_frames(cid, frames, pieces)
    except (DecodeError, IndexError):
        return Content(cid=cid, labels=(UNREADABLE,))


def _read_frames(cid: bytes, frames: list[hop_frames.Frame], pieces: Pieces) -> Content:
    labels = []
    packets = []
    for frame in frames:
        if frame[0] == hop_frames.DATAGRAM:
            signal = im_codec.decode(frame[1])
            labels.append("extension" if signal is None else Kind(frame[1][0]).label)
            continue
        if frame[0] not in (hop_frames.MESSAGE, hop_frames.BULK):
            labels.append(_FRAME_LABELS.get(frame[0], "extension"))
            body = pieces.body(cid, frame) if frame[0] == hop_frames.FRAGMENT else None
            if body is None:
                continue
        else:
            body = frame[2]
        packet = im_codec.decode(body)
        if packet is None:
            labels.append("extension")
        else:
            labels.append(Kind(body[0]).label)
            packets.append((frame[1], packet))
    return Content(cid=cid, labels=tuple(labels), packets=tuple(packets))
