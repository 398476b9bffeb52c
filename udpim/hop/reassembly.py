"""Bodies that arrive in pieces: put together, within limits, and never half taken.

Between the frames of a packet (:mod:`udpim.hop.intake`) and the bodies that the owner sees. A
piece is kept from the moment its packet is taken, and acked because of it, until its body is
whole; nothing is evicted. What finds no room is not taken, and so comes again.

Memory: the pieces' bytes are bounded by the credit that the peer was given, what is kept beside
them by the least size of a piece and by the number of groups. Specification: PROTOCOL §3.7.
"""

from __future__ import annotations

from collections.abc import Sequence

from udpim.errors import DecodeError
from udpim.hop.stats import HopStats
from udpim.wire.frames import BODY_BYTES_MAX

Fragment = tuple[int, int, int, bytes]
"""Group, index, count, piece."""


class _Group:
    """The pieces of one body so far."""

    __slots__ = ("count", "missing", "pieces", "size")

    def __init__(self, count: int) -> None:
        self.count = count
        self.missing = count
        self.size = 0
        """Bytes of every piece but the last; 0 while none of them is here."""
        self.pieces: dict[int, bytes] = {}

    def add(self, index: int, piece: bytes) -> None:
        self.pieces[index] = piece
        self.missing -= 1
        if index < self.count - 1:
            self.size = len(piece)

    def copy(self) -> _Group:
        twin = _Group(self.count)
        twin.missing, twin.size, twin.pieces = self.missing, self.size, self.pieces.copy()
        return twin

    def check(self, index: int, count: int, piece: bytes) -> None:
        """Refuse a piece that does not go with the others (PROTOCOL §3.7)."""
        end = count - 1
        size = self.size or (len(piece) if index < end else 0)
        last = piece if index == end else self.pieces.get(end, b"")
        if (
            count != self.count
            or index in self.pieces
            or (index < end and len(piece) != size)
            or (size and len(last) > size)
            or size * end + len(last) > BODY_BYTES_MAX
        ):
            raise DecodeError("contradictory fragment")


class Reassembly:
    """The open groups of one connection."""

    def __init__(self, groups_max: int, stats: HopStats | None = None) -> None:
        """Keep at most so many bodies that are not whole; note the peaks in ``stats``."""
        self._stats = stats or HopStats()
        self._groups_max = groups_max
        self._groups: dict[int, _Group] = {}
        self.bytes_kept = 0
        """Bytes of the pieces that are kept."""

    @property
    def groups(self) -> int:
        """Bodies that are not whole yet."""
        return len(self._groups)

    def look(self, fragments: Sequence[Fragment]) -> list[bytes]:
        """The bodies that these pieces would complete; changes nothing.

        Raises:
            DecodeError: If a piece contradicts another, or there is no room for its group.
        """
        whole = []
        twins: dict[int, _Group] = {}
        opened = len(self._groups)
        for group_id, index, count, piece in fragments:
            group = twins.get(group_id) or self._groups.get(group_id)
            if group is None:
                group = twins[group_id] = _Group(count)
                opened += 1
            group.check(index, count, piece)
            if group.missing == 1:
                pieces = {**group.pieces, index: piece}
                whole.append(b"".join([pieces[at] for at in range(count)]))
                opened -= 1
            if len(fragments) > 1:
                # Rare: what comes later in this packet must be judged as if this one was here.
                if group_id not in twins:
                    group = twins[group_id] = group.copy()
                group.add(index, piece)
        if opened > self._groups_max:
            raise DecodeError("too many bodies in pieces")
        return whole

    def take(self, fragments: Sequence[Fragment]) -> None:
        """Keep pieces that :meth:`look` has let pass; forget the bodies that they complete."""
        for group_id, index, count, piece in fragments:
            group = self._groups.get(group_id)
            if group is None:
                group = self._groups[group_id] = _Group(count)
            group.add(index, piece)
            self.bytes_kept += len(piece)
            if not group.missing:
                del self._groups[group_id]
                self.bytes_kept -= sum(map(len, group.pieces.values()))
        stats = self._stats
        stats.reassembly_bytes_peak = max(stats.reassembly_bytes_peak, self.bytes_kept)
        stats.reassembly_groups_peak = max(stats.reassembly_groups_peak, len(self._groups))
