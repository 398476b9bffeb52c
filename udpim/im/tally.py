"""Receipts of a group, collected into a few packets (PROTOCOL §5.10, semantics §4).

Verdicts of a group's members are not passed on one by one. They wait a little for others, and more
the longer a message has been out: at most five packets in its first six seconds, then one for each
doubling interval up to ten minutes. When nobody is left who may answer soon, they leave at once.
All of it is soft: what is lost with the server, the recipients offer again (R3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from udpim.im.session import Relay, Session
from udpim.model import StreamId
from udpim.ranges import Range, RangeSet, chunked
from udpim.wire.im_packets import Tally, TallyEntry
from udpim.wire.im_schema import ORDINAL_BYTES_MAX, TALLY_ENTRIES_MAX

DELIVERED, VOID, STORED, EXCUSED = range(4)
"""Verdicts, as entries name them."""
AT_S = (0.05, 0.25, 1.0, 2.5, 7.0)
"""When the first packets of a message leave, after its first verdict …"""
INTERVAL_S_MAX = 600.0
"""… and the longest wait between later ones, each of which is twice as long as the one before."""
GAP_S_MIN = 0.02
"""No two packets of a stream are nearer to each other."""
RANGES_AN_ENTRY = 24
PACKET_BYTES = 1000
"""Entries put into one packet; names and head have room beside it."""


def _next_wait(step: int) -> float:
    waits = (AT_S[0], *(b - a for a, b in pairwise(AT_S)))
    if step < len(waits):
        return waits[step]
    return float(min(INTERVAL_S_MAX, waits[-1] * 2.0 ** min(step - len(waits) + 1, 16)))


class Pending:
    """Verdicts for one stream that its sender has not been told."""

    __slots__ = ("due_at", "relays", "sent_at", "step", "top", "verdicts")

    def __init__(self) -> None:
        """Start with nothing to tell."""
        self.verdicts: dict[int, dict[int, RangeSet]] = {}
        """By verdict and ordinal."""
        self.relays: list[Relay] = []
        """Whose receipts these are, for their ack:A."""
        self.step = 0
        self.top = 0
        """Highest seq so far: a higher one begins the schedule anew."""
        self.sent_at = -GAP_S_MIN
        self.due_at = 0.0

    def forget(self, ordinal: int) -> None:
        """The endpoint's verdicts do not hold any more; what is stored for it does."""
        for verdict in (DELIVERED, VOID, EXCUSED):
            self.verdicts.get(verdict, {}).pop(ordinal, None)


class Tallies:
    """What every session is to be told of its groups."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._pending: dict[tuple[Session, StreamId], Pending] = {}
        self._waiting: dict[tuple[Session, StreamId], Pending] = {}
        """Those with something to tell."""
        self._touched: dict[tuple[Session, StreamId], bool] = {}
        """What got verdicts since the last `flush`, and whether to tell them at once."""

    def add(
        self,
        sender: Session,
        stream: StreamId,
        ordinal: int,
        verdict: int,
        ranges: Iterable[Range],
    ) -> None:
        """One endpoint has a verdict."""
        key = (sender, stream)
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = Pending()
        by_ordinal = pending.verdicts.setdefault(verdict, {})
        known = by_ordinal.get(ordinal)
        if known is None:
            known = by_ordinal[ordinal] = RangeSet()
        known.update(ranges)
        if known.last > pending.top:
            pending.top, pending.step = known.last, 0
        self._touched.setdefault(key, False)

    def relay(self, sender: Session, relay: Relay) -> None:
        """Once the sender has them, these receipts are acknowledged."""
        self._pending[sender, relay.stream].relays.append(relay)

    def hurry(self, sender: Session, stream: StreamId) -> None:
        """Nobody else is expected to answer soon."""
        if (sender, stream) in self._pending:
            self._touched[sender, stream] = True

    def session_closed(self, sender: Session) -> list[Relay]:
        """Forget a sender; returns the receipts that it was not told."""
        relays = []
        for key in [key for key in self._pending if key[0] is sender]:
            relays += self._pending.pop(key).relays
            self._touched.pop(key, None)
            self._waiting.pop(key, None)
        return relays

    def waiting(self) -> list[tuple[StreamId, Pending]]:
        """Return all that is not told yet."""
        return [(stream, pending) for (_, stream), pending in self._pending.items()]

    # --- Time ---

    def next_timeout(self) -> float | None:
        """Return when `flush` has something to do."""
        if not self._waiting:
            return None
        return min(pending.due_at for pending in self._waiting.values())

    def flush(self, now: float) -> Iterator[tuple[Session, StreamId, Pending]]:
        """Yield what is due; the caller sends it and then calls `sent`."""
        for key, hurry in self._touched.items():
            pending = self._pending[key]
            wait = 0.0 if hurry and pending.step < len(AT_S) else _next_wait(pending.step)
            due_at = max(now + wait, pending.sent_at + GAP_S_MIN)
            if key not in self._waiting or due_at < pending.due_at:
                pending.due_at = due_at
            self._waiting[key] = pending
        self._touched.clear()
        for key, pending in list(self._waiting.items()):
            if pending.due_at <= now:
                del self._waiting[key]
                yield *key, pending

    @staticmethod
    def sent(pending: Pending, now: float) -> None:
        """What was pending has been told."""
        pending.verdicts, pending.relays = {}, []
        pending.sent_at = now
        pending.step += 1


def entries_of(pending: Pending) -> list[TallyEntry]:
    """Collect ordinals that say the same of the same seqs."""
    entries = []
    for verdict, by_ordinal in sorted(pending.verdicts.items()):
        same: dict[tuple[Range, ...], list[int]] = {}
        for ordinal, ranges in by_ordinal.items():
            for part in chunked(list(ranges), RANGES_AN_ENTRY):
                same.setdefault(part, []).append(ordinal)
        for part, ordinals in same.items():
            entries += [TallyEntry(verdict, part, *bits) for bits in _bitmaps(ordinals)]
    return entries


def _bitmaps(ordinals: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, bitmap) for ordinals; more than one where they lie far apart."""
    first = bitmap = 0
    for ordinal in sorted(ordinals):
        if bitmap and ordinal - first >= 8 * ORDINAL_BYTES_MAX:
            yield first, bitmap
            bitmap = 0
        if not bitmap:
            first = ordinal
        bitmap |= 1 << (ordinal - first)
    yield first, bitmap


def packets_of(
    pending: Pending, handle: int, name: StreamId | None, store_epoch: int, as_of: int
) -> list[Tally]:
    """Build the packets that tell all of it."""
    packets: list[Tally] = []
    part: list[TallyEntry] = []
    size = 0
    for entry in entries_of(pending):
        cost = 6 + 16 * len(entry.ranges) + (entry.bitmap.bit_length() + 7) // 8
        if part and (size + cost > PACKET_BYTES or len(part) == TALLY_ENTRIES_MAX):
            packets.append(Tally(handle, name, store_epoch, as_of, tuple(part)))
            part, size = [], 0
        part.append(entry)
        size += cost
    if part:
        packets.append(Tally(handle, name, store_epoch, as_of, tuple(part)))
    return packets
