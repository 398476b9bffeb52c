"""Reliable frames on their way in: dedup, reassembly and credit, looked at before taken.

The connection gives it the content of an authentic packet; what comes out is a packet that may
be taken whole or refused whole. Reading changes nothing. Hot module.

Specification: PROTOCOL §3.4, §3.7 and §3.8.
"""

from __future__ import annotations

from collections.abc import Sequence

from udpim.errors import DecodeError
from udpim.hop.codes import Address
from udpim.hop.config import HopConfig
from udpim.hop.credit import CreditGiver
from udpim.hop.dedup import BEYOND_WINDOW, FrameDedup
from udpim.hop.reassembly import Fragment, Reassembly
from udpim.hop.stats import HopStats
from udpim.wire import frames as wire

_NOT_ELICITING = (wire.ACK, wire.CLOSE)
_PROBING = frozenset(
    (
        wire.PATH_CHALLENGE,
        wire.PATH_RESPONSE,
        wire.NEW_CID,
        wire.BINDING_PROBE,
        wire.BINDING_ANSWER,
    )
)
"""Frames that say nothing about where their sender wants to be answered (RFC 9000 §9.1)."""


class IncomingPacket:
    """A packet that is authentic, well-formed and new, but not taken yet."""

    __slots__ = (
        "ack_eliciting",
        "aside",
        "bulk",
        "bulk_bytes",
        "cid",
        "datagrams",
        "fragments",
        "frames",
        "hop_seqs",
        "number",
        "others",
        "path",
        "probing",
        "size",
    )

    def __init__(self, number: int, path: Address, size: int, cid: bytes = b"") -> None:
        """Start empty; :meth:`Intake.read` fills it in."""
        self.cid = cid
        """Which of our ids it was sent to."""
        self.number = number
        self.path = path
        self.size = size
        self.frames: list[bytes] = []
        """Bodies that are new, and whole with this packet: those of MESSAGE frames, then bulk
        ones, each in packet order."""
        self.bulk = 0
        """How many of ``frames``, at its end, came as bulk."""
        self.bulk_bytes = 0
        """What the packet takes from the peer's credit."""
        self.hop_seqs: list[int] = []
        self.fragments: Sequence[Fragment] = ()
        self.datagrams: list[bytes] = []
        """Bodies of frames that are sent once."""
        self.others: list[wire.Frame] = []
        self.ack_eliciting = False
        self.aside = False
        """It came to a spare port of ours (PROTOCOL §3.11); set by the owner."""
        self.probing = True
        """Whether it has no frames but those that try a path out."""


class Intake:
    """The receiving half of a connection, as far as reliable frames go."""

    def __init__(self, config: HopConfig, stats: HopStats | None = None) -> None:
        """Nothing was received; ``stats`` is where peaks are noted."""
        self._dedup = FrameDedup(config.first_hop_seq, config.limits.window_frames)
        self.reassembly = Reassembly(config.limits.reassembly_groups_max, stats)
        self.credit = CreditGiver(config.limits.bulk_window_bytes)

    def read(self, payload: bytes, packet: IncomingPacket) -> None:
        """Sort the frames of a packet into ``packet``; changes nothing else.

        Raises:
            DecodeError: If the packet must be dropped; says why.
        """
        classify = self._dedup.classify
        new: dict[int, bytes] = {}
        bulk: dict[int, wire.Frame] = {}
        for frame in wire.parse_frames(payload):
            kind = frame[0]
            if kind in _RELIABLE:
                packet.ack_eliciting = True
                packet.probing = False
                hop_seq = classify(frame[1])
                if hop_seq >= 0:
                    if kind == wire.MESSAGE:
                        new[hop_seq] = frame[2]
                    else:
                        bulk[hop_seq] = frame
                elif hop_seq == BEYOND_WINDOW:
                    raise DecodeError("frame window")
            elif kind == wire.DATAGRAM:
                packet.ack_eliciting = True
                packet.probing = False
                packet.datagrams.append(frame[1])
            else:
                packet.others.append(frame)
                if kind not in _NOT_ELICITING:
                    packet.ack_eliciting = True
                if kind not in _PROBING:
                    packet.probing = False
        packet.hop_seqs = [*new]
        packet.frames = [*new.values()]
        if bulk:
            self._read_bulk(packet, bulk)

    def _read_bulk(self, packet: IncomingPacket, bulk: dict[int, wire.Frame]) -> None:
        if not bulk.keys().isdisjoint(packet.hop_seqs):
            raise DecodeError("one number for frames of two kinds")
        packet.hop_seqs += bulk
        bodies = [frame[2] for frame in bulk.values() if frame[0] == wire.BULK]
        packet.bulk_bytes = sum(map(len, bodies))
        if len(bodies) < len(bulk):
            packet.fragments = [f[2:] for f in bulk.values() if f[0] == wire.FRAGMENT]
            packet.bulk_bytes += sum(len(piece) for _, _, _, piece in packet.fragments)
            bodies += self.reassembly.look(packet.fragments)
        packet.frames += bodies
        packet.bulk = len(bodies)
        if self.credit.received + packet.bulk_bytes > self.credit.allowed:
            raise DecodeError("beyond credit")

    def take(self, packet: IncomingPacket) -> None:
        """The owner took what :meth:`read` made."""
        for hop_seq in packet.hop_seqs:
            self._dedup.mark(hop_seq)
        if packet.bulk_bytes:
            self.reassembly.take(packet.fragments)
            self.credit.received += packet.bulk_bytes

    def credit_due(self) -> int | None:
        """The limit to tell the peer now, if any; see :meth:`CreditGiver.due`."""
        return self.credit.due(self.reassembly.bytes_kept)


_RELIABLE = frozenset((wire.MESSAGE, wire.BULK, wire.FRAGMENT))
