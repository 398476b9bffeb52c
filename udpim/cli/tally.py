"""Counts IM packets that are sent again, by reading the datagrams that pass the relay.

It watches what the ends transmit, before the relay's faults, and shares no counter with them. An
IM packet is *re-sent* when it carries a msgid that an earlier IM packet of its kind, to or from the
same device, has carried before (of receipts: for the same verdict and endpoint), whichever floor
sends it again: the hop its frame, or the sender its message. Kinds that carry no msgid count as
re-sent when their frame comes again. One that travels in pieces is counted once it is whole.
PROTOCOL §2.3, §3.7, §4.3.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from udpim.crypto.key_log import ConnectionSecrets
from udpim.crypto.packet_opener import PacketOpener
from udpim.errors import DecodeError
from udpim.model import Endpoint, StreamId
from udpim.ranges import Range, RangeSet
from udpim.wire import frames, im_codec, packet
from udpim.wire import im_packets as p

_Carried = list[tuple[str, tuple[Range, ...]]]
_ANSWERS = (p.MsgA, p.AckA, p.Refuse, p.ReadA)
"""They speak with the handles of the packets that they answer."""
_BARE = (p.Kind.STATUS_N, p.Kind.STATUS_A)
"""Kinds with no msgid that a large group has very many of: read only for their stream's name."""
_HANDLE = slice(2, 6)
"""Where every IM packet with a handle has it (PROTOCOL §4.2)."""
_VERDICTS = ("delivered", "void", "stored", "excused")


class Tally:
    """Watches datagrams; `resent` and `sent` count IM packets by kind.

    Attributes:
        sent: IM packets transmitted, by label.
        resent: Of these, those that carried something again.
        unreadable: Datagrams that follow no format, or are encrypted with unknown keys.
    """

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.sent: Counter[str] = Counter()
        self.resent: Counter[str] = Counter()
        self.unreadable = 0
        self._opener = PacketOpener()
        self._peers: dict[bytes, bytes] = {}
        self._devices: dict[bytes, Endpoint] = {}
        """Who is logged in on a connection, by the ids of both ends."""
        self._streams: dict[tuple[bytes, int], StreamId] = {}
        self._seen: defaultdict[tuple[Endpoint | None, str, StreamId], RangeSet]
        self._seen = defaultdict(RangeSet)
        self._told: defaultdict[tuple[Endpoint | None, int, StreamId], dict[int, int]]
        self._told = defaultdict(dict)
        """The ordinals, as bits, of which tallies had a verdict, by seq."""
        self._frames: defaultdict[bytes, dict[int, str]] = defaultdict(dict)
        """Label of the IM packet in each frame; empty for those that are skipped."""
        self._pieces: dict[tuple[bytes, int], dict[int, bytes]] = {}

    def learn(self, secrets: ConnectionSecrets) -> None:
        """A key log: packets of this connection can be read from now on."""
        self._opener.add(secrets)

    def watch(self, data: bytes, up: bool) -> None:
        """Read one datagram; the direction does not matter, the ids in it say enough."""
        try:
            if packet.is_long(data):
                found = packet.parse_long(data)
                if isinstance(found, packet.Welcome | packet.SecureWelcome):
                    self._peers[found.destination_cid] = found.source_cid
                    self._peers[found.source_cid] = found.destination_cid
                return
            flags, cid, _ = packet.parse_short_header(data)
            body = data[packet.SHORT_HEADER_BYTES : -packet.CHECKSUM_BYTES]
            if flags & packet.FLAG_ENCRYPTED:
                opened = self._opener.open(data)
                if opened is None:
                    raise DecodeError("encrypted with unknown keys")
                cid, body = opened.cid, opened.payload
            for frame in frames.parse_frames(body):
                if frame[0] in (frames.MESSAGE, frames.BULK):
                    self._frame(cid, frame[1], frame[2])
                elif frame[0] == frames.FRAGMENT:
                    self._piece(cid, frame)
                elif frame[0] == frames.DATAGRAM:
                    self._count(cid, frame[1])
        except (DecodeError, IndexError):
            self.unreadable += 1

    def _piece(self, cid: bytes, frame: frames.Frame) -> None:
        """One of an IM packet's pieces; the packet stands in the frame of the last that came."""
        _, hop_seq, group, index, count, piece = frame
        pieces = self._pieces.setdefault((cid, group), {})
        fresh = index not in pieces
        pieces[index] = piece
        if len(pieces) == count and (fresh or hop_seq in self._frames[cid]):
            self._frame(cid, hop_seq, b"".join(pieces[at] for at in range(count)))

    def _frame(self, cid: bytes, hop_seq: int, body: bytes) -> None:
        known = self._frames[cid]
        if hop_seq not in known:
            known[hop_seq] = self._count(cid, body)
        elif known[hop_seq]:  # read before: the hop sends it again, as it is
            self.sent[known[hop_seq]] += 1
            self.resent[known[hop_seq]] += 1

    def _count(self, cid: bytes, body: bytes) -> str:
        if body[:1] and body[0] in _BARE and self._is_named(cid, body):
            label = p.Kind(body[0]).label
            self.sent[label] += 1
            return label
        im_packet = im_codec.decode(body)
        if im_packet is None:  # of an unknown kind that is skipped
            return ""
        label = p.Kind(body[0]).label
        self.sent[label] += 1
        if isinstance(im_packet, p.Login):
            device = Endpoint(im_packet.user, im_packet.device)
            self._devices[cid] = self._devices[self._peers.get(cid, cid)] = device
        stream = self._stream(cid, im_packet)
        if stream is not None:
            self.resent[label] += self._again(self._devices.get(cid), label, stream, im_packet)
        return label

    def _is_named(self, cid: bytes, body: bytes) -> bool:
        return (cid, int.from_bytes(body[_HANDLE], "big")) in self._streams

    def _again(
        self, device: Endpoint | None, label: str, stream: StreamId, im_packet: p.ImPacket
    ) -> bool:
        """Tell whether a packet carries what was carried before; now it has been."""
        again = False
        for what, ranges in _carried(im_packet):
            seen = self._seen[device, label + what, stream]
            for first, last in ranges:
                again |= bool(seen.within(first, last))
                seen.add(first, last)
        if isinstance(im_packet, p.Tally):
            for verdict, ranges, low, bitmap in im_packet.entries:
                told = self._told[device, verdict, stream]
                for seq in (seq for first, last in ranges for seq in range(first, last + 1)):
                    again |= bool(told.get(seq, 0) & bitmap << low)
                    told[seq] = told.get(seq, 0) | bitmap << low
        return again

    def _stream(self, cid: bytes, im_packet: p.ImPacket) -> StreamId | None:
        handle = getattr(im_packet, "handle", None)
        if handle is None:
            return None
        if isinstance(im_packet, _ANSWERS):
            return self._streams.get((self._peers.get(cid, b""), handle))
        name: StreamId | None = getattr(im_packet, "name", None)
        if name is not None:
            self._streams[cid, handle] = name
        return self._streams.get((cid, handle))


def _carried(im_packet: p.ImPacket) -> _Carried:
    """The seqs that an IM packet carries, by verdict and endpoint."""
    match im_packet:
        case p.MsgR(section=section) | p.MsgN(section=section):
            return [("", ((section.first, section.last),))]
        case p.OfflineA(section=section, void=void):
            whole = () if section is None else ((section.first, section.last),)
            return [(name, r) for name, r in (("", whole), (" void", void)) if r]
        case p.MsgA(ranges=ranges) | p.AckA(ranges=ranges) | p.Refuse(ranges=ranges):
            return [("", ranges)]
        case p.AckR() | p.AckN():
            whose = f" of {im_packet.ordinal}" if isinstance(im_packet, p.AckN) else ""
            found = [(f" {name}{whose}", getattr(im_packet, name, ())) for name in _VERDICTS]
            return [(name, ranges) for name, ranges in found if ranges]
        case p.ReadR(read=read) | p.ReadA(read=read):
            return [("", ((read, read),))]
        case p.ReadN(read=read, ordinal=ordinal):
            return [(f" of {ordinal}", ((read, read),))]
    return []
