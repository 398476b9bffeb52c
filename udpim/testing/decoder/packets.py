"""What the frames of a packet say in words and values: IM packets, whole ones and in pieces.

An IM packet may only travel in some frames (PROTOCOL §3.7–§3.9); one in another frame makes its
packet unreadable, and so does a piece that contradicts earlier ones of its body.
"""

from __future__ import annotations

from udpim.errors import DecodeError
from udpim.testing.decoder.frames import (
    BULK,
    DATAGRAM,
    FRAGMENT,
    IM_PACKET_BYTES_MAX,
    LABELS,
    MESSAGE,
    Frame,
)
from udpim.testing.decoder.im import EXTENSION, SKIPPED_FIRST, parse_im
from udpim.wire.im_packets import ImPacket

PAYLOADS = (0x01, 0x03, 0x11)
"""Kinds that travel as bulk: msg:R, msg:N, offline:A."""
SIGNALS = (0x18, 0x19)
"""Kinds that are sent once: signal:R, signal:N."""
BODY_BYTES_MAX = 1_052_672

Labelled = tuple[str, ImPacket | None]


class _Body:
    """What has crossed of one body in pieces."""

    __slots__ = ("count", "last_bytes", "piece_bytes", "pieces")

    def __init__(self, count: int) -> None:
        self.count = count
        self.pieces: dict[int, tuple[int, bytes]] = {}
        self.piece_bytes = 0
        """Length of all pieces but the last one; 0 while that is not known."""
        self.last_bytes = 0

    def add(self, hop_seq: int, index: int, count: int, piece: bytes) -> None:
        """Take a piece, unless it contradicts the others (§3.7)."""
        here = self.pieces.get(index)
        is_last = index == self.count - 1
        piece_bytes = self.piece_bytes if is_last else len(piece)
        last_bytes = len(piece) if is_last else self.last_bytes
        if (
            count != self.count
            or (here is not None and here[0] != hop_seq)
            or (self.piece_bytes and piece_bytes != self.piece_bytes)
            or (self.last_bytes and last_bytes != self.last_bytes)
            or (piece_bytes and last_bytes > piece_bytes)
            or (count - 1) * piece_bytes + (last_bytes or 1) > BODY_BYTES_MAX
        ):
            raise DecodeError("a piece that contradicts its body")
        self.piece_bytes, self.last_bytes = piece_bytes, last_bytes
        self.pieces[index] = hop_seq, piece

    def whole(self) -> bytes | None:
        """Return the body, if all of it has crossed."""
        if len(self.pieces) < self.count:
            return None
        return b"".join(self.pieces[index][1] for index in range(self.count))


class Pieces:
    """The bodies that crossed in pieces.

    A body belongs to the piece that left last for the first time: whoever sees this piece again
    sees the body.
    """

    def __init__(self) -> None:
        """Nothing has crossed."""
        self._open: dict[tuple[bytes, int], _Body] = {}
        self._seen: dict[tuple[bytes, int], Labelled | None] = {}
        """By the hop_seq of each piece: what came with it."""

    def take(self, cid: bytes, frame: Frame) -> Labelled | None:
        """Return what goes with this FRAGMENT, if it is the one that has it.

        Raises:
            DecodeError: If the piece contradicts others, or what they make is malformed.
        """
        _, hop_seq, group, index, count, piece = frame
        if (cid, hop_seq) in self._seen:
            return self._seen[cid, hop_seq]
        body = self._open.get((cid, group))
        if body is None:
            body = self._open[cid, group] = _Body(count)
        body.add(hop_seq, index, count, piece)
        whole = body.whole()
        labelled = None
        if whole is not None:
            labelled = parse_im(whole)
            _check_carried(FRAGMENT, whole)
            del self._open[cid, group]
        self._seen[cid, hop_seq] = labelled
        return labelled


def read_frames(
    cid: bytes, frames: list[Frame], pieces: Pieces
) -> tuple[tuple[str, ...], tuple[tuple[int, ImPacket], ...]]:
    """Return the label of each frame, and (hop_seq, IM packet) of each reliable one.

    Args:
        cid: The end that they were sent to.
        frames: All frames of a packet.
        pieces: What crossed before.

    Raises:
        DecodeError: If there is an IM packet that makes its packet be dropped.
    """
    labels = []
    packets = []
    for frame in frames:
        kind = frame[0]
        if kind in (MESSAGE, BULK):
            label, packet = parse_im(frame[2])
            _check_carried(kind, frame[2])
        elif kind == FRAGMENT:
            labels.append("FRAGMENT")
            labelled = pieces.take(cid, frame)
            if labelled is None:
                continue
            label, packet = labelled
        elif kind == DATAGRAM:
            labels.append(parse_im(frame[1])[0])
            _check_carried(kind, frame[1])
            continue
        else:
            labels.append(LABELS.get(kind, EXTENSION))
            continue
        labels.append(label)
        if packet is not None:
            packets.append((frame[1], packet))
    return tuple(labels), tuple(packets)


def _check_carried(frame: int, body: bytes) -> None:
    """Refuse an IM packet in a frame that may not carry it."""
    kind = body[0]
    if kind >= SKIPPED_FIRST:
        return
    if kind in SIGNALS:
        allowed = frame == DATAGRAM
    elif kind in PAYLOADS:
        allowed = frame in (BULK, FRAGMENT)
    else:
        large = len(body) > IM_PACKET_BYTES_MAX
        allowed = frame == (FRAGMENT if large else MESSAGE)
    if not allowed:
        raise DecodeError("an IM packet in a frame that may not carry it")
