"""Reading captured datagrams: what is in them, in words and values.

The virtual network labels every datagram with it, so that a test can say "the second msg:A", and
the oracle reads from it what each node claims. The bytes are read by `udpim.testing.decoder`, which
shares no code with the nodes; encrypted ones with the secrets of their connections, which the nodes
tell as to a key log. Formats: PROTOCOL §2, §3 and §4.
"""

from __future__ import annotations

from dataclasses import dataclass

from udpim.crypto.key_log import ConnectionSecrets
from udpim.errors import DecodeError
from udpim.testing.aliases import Aliases
from udpim.testing.decoder.datagrams import (
    ENCRYPTED,
    LONG_LABELS,
    NO_CID,
    LongPacket,
    is_long,
    parse_long,
    plain_frames,
)
from udpim.testing.decoder.frames import LABELS as FRAME_LABELS
from udpim.testing.decoder.frames import NEW_CID, parse_frames
from udpim.testing.decoder.im import EXTENSION, LAYOUTS
from udpim.testing.decoder.opener import Opener
from udpim.testing.decoder.packets import Pieces, read_frames
from udpim.wire.im_packets import ImPacket

UNREADABLE = "unreadable"
"""Label of a datagram that follows no format."""
_CID_END = 9

LABELS = (
    *LONG_LABELS,
    *FRAME_LABELS.values(),
    *(layout.label for layout in LAYOUTS.values()),
    EXTENSION,
    UNREADABLE,
)
"""Every label that there is."""


@dataclass(slots=True, kw_only=True)
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
    peer: bytes = b""
    """The first connection id of the end that it is from; empty where nobody can tell."""


class Wiretap:
    """Reads one datagram after the other, and remembers what the next ones need."""

    def __init__(self) -> None:
        """No secret is known, and nothing has crossed."""
        self._opener = Opener()
        self._pieces = Pieces()
        self._aliases = Aliases()

    def learn(self, secrets: ConnectionSecrets) -> None:
        """A key log: packets of this connection can be read from now on."""
        self._opener.learn(secrets)
        self._aliases.met(secrets.client_cid, secrets.server_cid)

    def read(self, datagram: bytes) -> Content:
        """Read one datagram; never raises."""
        cid = NO_CID
        if len(datagram) >= _CID_END:
            cid = self._aliases.first(datagram[1:_CID_END])
        try:
            if is_long(datagram):
                return self._long(cid, datagram)
            return self._short(cid, datagram)
        except DecodeError:
            return Content(cid=cid, labels=(UNREADABLE,))

    def _long(self, cid: bytes, datagram: bytes) -> Content:
        packet = parse_long(datagram)
        if packet.label == "WELCOME":
            self._aliases.met(packet.destination_cid, packet.source_cid)
        return Content(cid=cid, labels=(packet.label,), long=packet)

    def _short(self, cid: bytes, datagram: bytes) -> Content:
        aliases = self._aliases
        nonce = None
        if datagram and datagram[0] & ENCRYPTED:
            clear = self._opener.open(cid, datagram)
            if clear is None:
                return Content(cid=cid, labels=(UNREADABLE,))
            nonce = (cid, clear.generation, clear.number)
            frames = parse_frames(clear.frames)
        else:
            frames = parse_frames(plain_frames(datagram))
        labels, packets = read_frames(cid, frames, self._pieces)
        aliases.used(cid)
        if FRAME_LABELS[NEW_CID] in labels:
            for frame in frames:
                if frame[0] == NEW_CID:
                    aliases.given(frame[2], cid)
        return Content(cid=cid, labels=labels, packets=packets, nonce=nonce, peer=aliases.peer(cid))
