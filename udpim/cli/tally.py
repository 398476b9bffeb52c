"""Counts IM packets that are sent again, by reading the plaintext datagrams that pass the relay.

It watches what the ends transmit, before the relay's faults, and shares no counter with them. An
IM packet is *re-sent* when it carries a msgid that an earlier IM packet of its kind (and, for
receipts, of its verdict) has carried before, whichever floor sends it again: the hop its frame, or
the sender its message. Kinds that carry no msgid count as re-sent when their frame comes again.
PROTOCOL §2.3, §4.3.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from udpim.errors import DecodeError
from udpim.model import StreamId
from udpim.ranges import Range, RangeSet
from udpim.wire import frames, im_codec, packet
from udpim.wire import im_packets as p

_Carried = list[tuple[str, tuple[Range, ...]]]
_ANSWERS = (p.MsgA, p.AckA, p.Refuse)
"""They speak with the handles of the packets that they answer."""


class Tally:
    """Watches datagrams; `resent` and `sent` count IM packets by kind.

    Attributes:
        sent: IM packets transmitted, by label.
        resent: Of these, those that carried something again.
        unreadable: Datagrams that are no plaintext of this version.
    """

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.sent: Counter[str] = Counter()
        self.resent: Counter[str] = Counter()
        self.unreadable = 0
        self._peers: dict[bytes, bytes] = {}
        self._streams: dict[tuple[bytes, int], StreamId] = {}
        self._seen: defaultdict[tuple[str, StreamId], RangeSet] = defaultdict(RangeSet)
        self._frames: set[tuple[bytes, int]] = set()

    def watch(self, data: bytes, up: bool) -> None:
        """Read one datagram; the direction does not matter, the ids in it say enough."""
        try:
            if packet.is_long(data):
                found = packet.parse_long(data)
                if isinstance(found, packet.Welcome):
                    self._peers[found.destination_cid] = found.source_cid
                    self._peers[found.source_cid] = found.destination_cid
                return
            flags, cid, _ = packet.parse_short_header(data)
            if flags & packet.FLAG_ENCRYPTED:
                raise DecodeError("encrypted")
            body = data[packet.SHORT_HEADER_BYTES : -packet.CHECKSUM_BYTES]
            for frame in frames.parse_frames(body):
                if frame[0] in (frames.MESSAGE, frames.BULK):
                    self._count(cid, frame[1], im_codec.decode(frame[2]), frame[2][0])
        except (DecodeError, IndexError):
            self.unreadable += 1

    def _count(self, cid: bytes, hop_seq: int, im_packet: p.ImPacket | None, kind: int) -> None:
        if im_packet is None:  # of an unknown kind that is skipped
            return
        label = p.Kind(kind).label
        self.sent[label] += 1
        stream = self._stream(cid, im_packet)
        carried = _carried(im_packet)
        again = False
        if stream is None or not carried:
            again = (cid, hop_seq) in self._frames
            self._frames.add((cid, hop_seq))
        else:
            for verdict, ranges in carried:
                seen = self._seen[label + verdict, stream]
                for first, last in ranges:
                    again |= bool(seen.within(first, last))
                    seen.add(first, last)
        self.resent[label] += again

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
    """The seqs that an IM packet carries, by verdict."""
    match im_packet:
        case p.MsgR(section=section) | p.MsgN(section=section):
            return [("", ((section.first, section.last),))]
        case p.OfflineA(section=section, void=void):
            whole = () if section is None else ((section.first, section.last),)
            return [(name, r) for name, r in (("", whole), (" void", void)) if r]
        case p.MsgA(ranges=ranges) | p.AckA(ranges=ranges) | p.Refuse(ranges=ranges):
            return [("", ranges)]
        case p.AckR() | p.AckN():
            names = ("delivered", "void", "stored", "excused")
            found = [(f" {name}", getattr(im_packet, name, ())) for name in names]
            return [(name, ranges) for name, ranges in found if ranges]
    return []
