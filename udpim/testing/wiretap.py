"""Reading captured datagrams: what is in them, in words and values.

The virtual network labels every datagram with it, so that a test can say "the second msg:A", and
the oracle reads from it what each node claims. Encrypted ones are read with the secrets of their
connections, which the nodes tell as to a key log. Formats: PROTOCOL §2, §3 and §4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from udpim.crypto.key_log import ConnectionSecrets
from udpim.crypto.packet_opener import PacketOpener
from udpim.errors import DecodeError
from udpim.testing.aliases import Aliases
from udpim.wire import frames as hop_frames
from udpim.wire import im_codec
from udpim.wire.im_packets import ImPacket, Kind
from udpim.wire.packet import (
    CHECKSUM_BYTES,
    FLAG_ENCRYPTED,
    NO_CID,
    SHORT_HEADER_BYTES,
    LongPacket,
    SecureWelcome,
    Welcome,
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
    hop_frames.NEW_CID: "NEW_CID",
    hop_frames.RETIRE_CID: "RETIRE_CID",
    hop_frames.BINDING_PROBE: "BINDING_PROBE",
    hop_frames.BINDING_ASK: "BINDING_ASK",
    hop_frames.BINDING_ANSWER: "BINDING_ANSWER",
    hop_frames.BINDING_REPORT: "BINDING_REPORT",
}
UNREADABLE = "unreadable"
"""Label of a datagram that follows no format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one datagram holds."""

    cid: bytes
    """The first connection id of the end that it is for; zero in a HELLO."""
    labels: tuple[str, ...]
    """One per frame or long packet: ``msg:R``, ``ACK``, ``HELLO``, …"""
    packets: tuple[tuple[int, ImPacket], ...] = ()
    """(low 32 bits of the hop sequence number, IM packet) of each MESSAGE frame of a known kind."""
    long: LongPacket | None = None
    nonce: tuple[bytes, int, int] | None = None
    """What must never come twice: connection id, how often its key was updated, packet number;
    None: it is not encrypted."""


class Pieces:
    """The bodies that crossed in pieces (PROTOCOL §3.7).

    A body belongs to the piece that left last for the first time: whoever sees this piece again
    sees the body.
    """

    def __init__(self) -> None:
        """Nothing has crossed."""
        self.aliases = Aliases()
        """Ids of the connections that crossed."""
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


class Wiretap:
    """Reads one datagram after the other, and remembers what the next ones need."""

    def __init__(self) -> None:
        """No secret is known, and nothing has crossed."""
        self._opener = PacketOpener()
        self._pieces = Pieces()

    def learn(self, secrets: ConnectionSecrets) -> None:
        """A key log: packets of this connection can be read from now on."""
        self._opener.add(secrets)

    def read(self, datagram: bytes) -> Content:
        """Read one datagram; never raises."""
        aliases = self._pieces.aliases
        cid = aliases.first(destination_cid(datagram) or NO_CID)
        try:
            if is_long(datagram):
                packet = parse_long(datagram)
                if isinstance(packet, Welcome | SecureWelcome):
                    aliases.met(packet.destination_cid, packet.source_cid)
                label = type(packet).__name__.upper().removeprefix("SECURE").removesuffix("OFFER")
                return Content(cid=cid, labels=(label,), long=packet)
            if not parse_short_header(datagram)[0] & FLAG_ENCRYPTED:
                aliases.used(cid)
                frames = hop_frames.parse_frames(datagram[SHORT_HEADER_BYTES:-CHECKSUM_BYTES])
                return _read_frames(cid, frames, self._pieces)
            opened = self._opener.open(datagram)
            if opened is None:
                return Content(cid=cid, labels=(UNREADABLE,))
            cid, generation, number, _, payload = opened
            content = _read_frames(cid, hop_frames.parse_frames(payload), self._pieces)
            return replace(content, nonce=(cid, generation, number))
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
            if frame[0] == hop_frames.NEW_CID:
                pieces.aliases.given(frame[2], cid)
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
