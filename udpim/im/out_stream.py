"""One outgoing stream: what its sender knows of every seq, per endpoint and in all (PROTOCOL §5.3).

Everything is kept as ranges, so a receipt is a view and a burst costs one operation. Definitions
(semantics R1, R9): a seq is *settled* when every endpoint due it reported DELIVERED or VOID or was
excused; *covered* when every endpoint due it is settled or STORED; ``floor`` is the lowest seq that
is not settled, ``g`` the lowest that is not covered.
"""

from __future__ import annotations

from collections.abc import Sequence

from udpim.im.audience import Audience
from udpim.im.changes import Change
from udpim.im.deciding import decide, delivered_changes, not_excused, read_changes
from udpim.im.epoch_runs import epoch_at, segments
from udpim.im.history import forget_oldest
from udpim.im.member_view import MemberView
from udpim.im.records import OutStreamRecord
from udpim.im.refusals import Onward, decide_redirects
from udpim.model import FINAL_STATES, SEQ_MAX, MessageState, RejectCode, StreamId
from udpim.ranges import Range, RangeSet, intersect, without
from udpim.wire.im_packets import EpochRun
from udpim.wire.im_schema import RUNS_MAX, SECTION_BYTES_MAX

REPEATS_MAX = 1024
"""Ranges sent again that are remembered; beyond, an old flight may repeat once more."""
WITHDRAWN = 0
"""Stands in a record's ``rejected`` for seqs that were given up before any copy left."""


class OutStream:
    """The state of one stream at its sender. Payloads are in ``rows`` until floor passes them."""

    renewed = False
    """The last membership brought a new incarnation of an endpoint that we knew (R7)."""
    reopened: Sequence[Range] = ()
    """What the older ones had given verdicts on, and the new one may have to get."""
    restamped_from: int | None = None
    """From here on the last membership gave rows another epoch."""

    def __init__(self, id_: StreamId, record: OutStreamRecord) -> None:
        """Restore from a record (a fresh one for a new stream)."""
        self.restore(id_, record)

    def restore(self, id_: StreamId, record: OutStreamRecord) -> None:
        """Become the stream of this record, without its rows."""
        self.id = id_
        self.number = record.number
        self.next_seq = record.next_seq
        self.floor = record.floor
        self.durable_floor = record.floor
        """What we may tell others: a crash cannot take it back."""
        self.trimmed_floor = record.floor
        """Rows below it have been handed over for deletion."""
        self.stamps_wanted = 0
        """Restamps asked for; nothing is transmitted until the last one is durable."""
        self.store_epoch = record.store_epoch
        self.epoch = record.epoch
        self.audience = Audience(id_, record.members)
        self.cancelled = RangeSet(record.cancelled)
        self.rejected = list(record.rejected)
        self.rows: dict[int, tuple[int, bytes]] = {}
        """seq → (stamp, payload)."""
        self.runs: list[EpochRun] = []
        self.committed = record.next_seq - 1
        """Rows up to here are durable and may be transmitted."""
        self.cursor = record.next_seq
        """Lowest seq that was not transmitted on this connection."""
        self.fresh_from = record.next_seq
        """No copy of this seq or a later one ever left."""
        self.open_bytes = 0
        """Payload bytes of the rows."""
        self.counted_bytes = 0
        """What the outbox's sum holds of them."""
        self.has_large = False
        """Some payload had a section of its own."""
        known = [(record.floor, record.next_seq - 1)] if record.next_seq > record.floor else []
        self.resent = RangeSet(known)
        """Seqs whose refusal need not be about the only copy: sent again, or asked about (R6)."""
        self.repeats: list[tuple[int, int, int]] = []
        """(number of a flight, first, last): sent again in it, so earlier flights rest."""
        self.told_floor = 1
        """The last one that this session told, or is about to."""
        self.unread_verdicts = False
        """Some came that the membership known then has no endpoint for (§5.8)."""
        self.accepted = RangeSet()
        self._restore_outcomes(record)

    def _restore_outcomes(self, record: OutStreamRecord) -> None:
        self.delivered = RangeSet(record.delivered)
        self.void = RangeSet(record.void)
        self.unsaved = RangeSet()
        """Given up in this memory, not yet durable: no cancel leaves before (I7)."""
        self.closing = RangeSet()
        """Their end is known in this memory, not yet durable: not shown before the commit."""
        self.settled = RangeSet([(1, record.floor - 1)] if record.floor > 1 else [])
        self.close_rejected()
        self.covered = self.settled.copy()
        self.decided = self.settled.copy()
        """What is shown of these will not change."""
        self.kept = RangeSet()
        """In a group: everybody has these, or is settled, or has them STORED."""
        self.doubtful = RangeSet(record.doubtful)
        """No void of these is believed: an inbox in memory said it (§5.1), or an endpoint that the
        server has forgotten may hold a copy (§5.8)."""
        self.read_up_to = self.audience.read_up_to()
        self.onward = Onward(record)

    def repeated(self, number: int, first: int, last: int) -> None:
        """Flights from ``number`` on carry first..last again."""
        if len(self.repeats) >= REPEATS_MAX:
            self.repeats = [part for part in self.repeats if part[2] >= self.floor][1:]
        self.repeats.append((number, first, last))

    # --- Rows and epochs ---

    def append(self, stamps: Sequence[int], payloads: Sequence[bytes]) -> int:
        """Burn seqs for new messages and return the first one."""
        first = self.next_seq
        seqs = range(first, first + len(payloads))
        sizes = [*map(len, payloads)]
        self.open_bytes += sum(sizes)
        self.has_large = self.has_large or max(sizes) > SECTION_BYTES_MAX
        self.rows.update(zip(seqs, zip(stamps, payloads, strict=True), strict=True))
        self.next_seq += len(payloads)
        if not self.runs or self.runs[-1].epoch != self.epoch:
            self.runs.append(EpochRun(first, self.epoch))
        return first

    def restore_row(
        self, seq: int, epoch: int, stamp: int, payload: bytes, *, mark: int = SEQ_MAX
    ) -> None:
        """Bring back one row from the store, ascending; one stamped above the mark never left."""
        if stamp > mark and seq < self.fresh_from:
            self.fresh_from = seq
            self.resent.remove(seq, self.next_seq)
        self.rows[seq] = (stamp, payload)
        self.open_bytes += len(payload)
        self.has_large = self.has_large or len(payload) > SECTION_BYTES_MAX
        if not self.runs or self.runs[-1].epoch != epoch:
            self.runs.append(EpochRun(seq, epoch))

    def epoch_of(self, seq: int) -> int:
        """Return the membership epoch that ``seq`` is stamped with."""
        return epoch_at(self.runs, seq)

    def head_runs(self) -> tuple[EpochRun, ...]:
        """Return the epoch runs from the durable floor on, as heads carry them."""
        while len(self.runs) > 1 and self.runs[1].first <= self.durable_floor:
            del self.runs[0]
        return tuple(self.runs[:RUNS_MAX]) or (EpochRun(self.durable_floor, self.epoch),)

    def sendable_until(self, window: int) -> int:
        """Return the last seq that may be transmitted now (R9; and what a head can stamp)."""
        last = min(self.committed, self.covered.next_missing(self.floor) + window - 1)
        if len(self.runs) > RUNS_MAX:
            self.head_runs()
            if len(self.runs) > RUNS_MAX:
                last = min(last, self.runs[RUNS_MAX].first - 1)
        return last

    def close_rejected(self) -> None:
        """What was refused or withdrawn, and closed nowhere else, is settled."""
        closed = [(first, last) for first, last, _ in self.rejected]
        self.settled.update(without(closed, self.cancelled))

    # --- Verdicts ---

    def used(self, ranges: Sequence[Range]) -> list[Range]:
        """Return the parts of ``ranges`` whose seqs were used."""
        top = self.next_seq - 1
        return [(first, min(last, top)) for first, last in ranges if first <= top]

    def open_in(self, first: int, last: int) -> tuple[list[Range], list[Range]]:
        """Return what of first..last needs another packet: given-up seqs, and messages.

        STORED covers a message, but not a cancel: only the endpoints answer that (R4).
        """
        messages = self.covered.missing(first, last)
        if not len(self.cancelled):
            return [], messages
        cancels = intersect(self.settled.missing(first, last), self.cancelled)
        return without(cancels, self.unsaved), without(messages, self.cancelled)

    def take_accepted(self, ranges: Sequence[Range]) -> list[Change]:
        """The server routes these."""
        fresh = without(without(self.used(ranges), self.settled), self.accepted)
        self.accepted.update(fresh)
        return [(a, b, MessageState.ACCEPTED) for a, b in self.undecided(fresh)]

    def take_stored(self, view: MemberView, ranges: Sequence[Range]) -> list[Change]:
        """An endpoint's queue has these; of a group, `refresh` tells what that amounts to."""
        fresh = without(self.used(ranges), self.settled)
        shown: list[Range] = []
        if self.audience.counts(view) and not self.audience.group:
            shown = self.undecided(fresh)
        view.stored.update(fresh)
        return [(a, b, MessageState.STORED) for a, b in shown]

    def take_delivered(self, view: MemberView, first: int, last: int) -> list[Change]:
        """An endpoint has first..last; of a group, `refresh` tells what that amounts to."""
        new: list[Range] = []
        for low, high in not_excused(self, view, first, last):
            view.delivered.add(low, high)
            view.confirmed.add(low, high)
            new += without(self.delivered.missing(low, high), self.void)
        if self.audience.group or not self.audience.counts(view):
            return []
        self.delivered.update(new)
        return delivered_changes(self, new)

    def take_void(self, view: MemberView, first: int, last: int) -> None:
        """An endpoint will not deliver these; of an inbox in memory that is no promise (§5.1)."""
        for low, high in without(not_excused(self, view, first, last), view.delivered):
            view.take_void(low, high)
            if self.audience.counts(view) and not view.durable:
                self.doubtful.add(low, high)

    def take_read(self, view: MemberView, read: int) -> list[Change]:
        """An endpoint's application has read everything up to here."""
        view.read = max(view.read, min(read, self.next_seq - 1))
        return read_changes(self)

    def lapse_stored(
        self, view: MemberView, asked: Sequence[Range], stored: Sequence[Range]
    ) -> tuple[list[Range], list[Change]]:
        """Of the asked seqs only ``stored`` is still in an endpoint's queue.

        Returns:
            What fell out, and what thereby shows PENDING.
        """
        held = intersect(self.used(asked), view.stored)
        lapsed = without(without(held, view.confirmed), RangeSet(stored))
        shown = self.shows_stored(lapsed)
        view.stored.subtract(lapsed)
        self.covered.subtract(lapsed)
        self.kept.subtract(lapsed)
        return lapsed, self.fall(shown)

    def fall(self, ranges: Sequence[Range]) -> list[Change]:
        """These showed STORED: show PENDING what is not so any more (I4)."""
        fallen = self.undecided(ranges)
        self.accepted.subtract(fallen)
        return [(a, b, MessageState.PENDING) for a, b in fallen]

    def shows_stored(self, ranges: Sequence[Range]) -> list[Range]:
        """Return the parts of ``ranges`` that are STORED for who has a say."""
        return list(RangeSet(part for s in self._stored() for part in intersect(ranges, s)))

    def _stored(self) -> list[RangeSet]:
        if self.audience.group:
            return [self.kept]
        return [view.stored for view in self.audience.views if self.audience.counts(view)]

    def undecided(self, ranges: Sequence[Range]) -> list[Range]:
        """Return the parts that show no more than ACCEPTED (I4)."""
        for known in (self.decided, self.delivered, self.cancelled, *self._stored()):
            ranges = without(ranges, known)
        return list(ranges)

    def give_up(self, first: int, last: int) -> None:
        """A cancel closes first..last at the endpoints, once that is durable."""
        self.unsaved.update(self.cancelled.missing(first, last))
        self.cancelled.add(first, last)

    def saved(self, ranges: Sequence[Range]) -> list[Range]:
        """What was given up is durable; return whose cancels may leave for the first time."""
        fresh = intersect(ranges, self.unsaved)
        self.unsaved.subtract(fresh)
        return fresh

    def close(self, first: int, last: int, code: int) -> list[Change]:
        """Show first..last as refused for good, or as withdrawn before any copy was routed.

        A cancel closes them at the endpoints, for these wait for every seq between two others.

        Args:
            first: First seq.
            last: Last seq.
            code: A reject code, or `WITHDRAWN`.

        Returns:
            What they show; what was given up before shows that for good.
        """
        new = self.cancelled.missing(first, last)
        for low, high in new:
            if self.rejected and self.rejected[-1][1:] == (low - 1, code):
                self.rejected.append((self.rejected.pop()[0], high, code))
            else:
                self.rejected.append((low, high, code))
        self.give_up(first, last)
        if self.store_epoch == 0:
            self._settle_unheard()
        return [(low, high, _closed_state(code)) for low, high in new]

    def _settle_unheard(self) -> None:
        """Nobody has heard of the stream: for those that it will not begin with nobody waits."""
        end = self.floor
        for first, last in self.cancelled.within(self.floor, self.next_seq - 1):
            if first > end:
                break
            end = last + 1
            for known in (self.settled, self.covered, self.decided):
                known.add(first, last)
        self._advance()

    def refresh(self, first: int, last: int) -> list[Change]:
        """Work out anew, from the endpoints' verdicts, what first..last show.

        Returns:
            The ranges whose state changed to a final one.
        """
        changes: list[Change] = []
        for low, high, epoch in segments(self.runs, first, last):
            judgement = self.audience.judge(epoch, low, high)
            if judgement is not None:
                changes += decide(self, judgement)
                self.settled.update(judgement.settled)
                self.covered.update(judgement.covered)
        if self.onward.pending:
            decide_redirects(self)
        self._advance()
        return changes

    def _advance(self) -> None:
        floor = min(self.settled.next_missing(self.floor), self.next_seq)
        if floor > self.floor:
            gone = [self.rows.pop(seq, (0, b"")) for seq in range(self.floor, floor)]
            self.open_bytes -= sum([len(payload) for _, payload in gone])
            self.floor = floor
            self.onward.floor_passed(floor)
            self.resent.remove(1, floor - 1)
            shown = self.durable_floor - 1  # above, an end may not be shown yet
            for known in (self.accepted, self.kept, *[view.stored for view in self.audience.views]):
                known.remove(1, shown)
            self.audience.forget_below(floor)
            forget_oldest(self)

    # --- What the application sees ---

    def state(self, seq: int) -> MessageState:
        """Return the state that ``seq`` shows now (PROTOCOL §5.1)."""
        if seq in self.delivered:
            return MessageState.READ if seq <= self.read_up_to else MessageState.DELIVERED
        if seq not in self.closing:
            for first, last, code in self.rejected:
                if first <= seq <= last:
                    return _closed_state(code)
            if seq in self.void:
                return MessageState.VOID
            if seq in self.cancelled and seq not in self.onward.pending:
                return MessageState.UNKNOWN
            if seq in self.decided:
                doubtful = seq in self.doubtful
                return MessageState.UNKNOWN if doubtful else MessageState.EXCUSED
        if seq in self.kept or (not self.audience.group and self._is_stored(seq)):
            return MessageState.STORED
        return MessageState.ACCEPTED if seq in self.accepted else MessageState.PENDING

    def _is_stored(self, seq: int) -> bool:
        epoch = self.epoch_of(seq)
        return any(
            seq in view.stored and self.audience.counts(view)
            for view in self.audience.views
            if view.due(epoch)
        )

    def final(self, seq: int) -> bool:
        """Tell whether what ``seq`` shows is final, or UNKNOWN while nobody is asked any more."""
        state = self.state(seq)
        return state in FINAL_STATES or (state is MessageState.UNKNOWN and seq in self.decided)

    def reject_code(self, seq: int) -> RejectCode:
        """Return why ``seq``, whose state is REJECTED, was refused."""
        return next(RejectCode(c) for first, last, c in self.rejected if first <= seq <= last)

    def record(self) -> OutStreamRecord:
        """Return the durable form."""
        return OutStreamRecord(
            self.number,
            self.id.incarnation,
            self.id.conversation,
            self.next_seq,
            self.floor,
            self.store_epoch,
            self.epoch,
            self.audience.record(),
            tuple(self.cancelled),
            tuple(self.rejected),
            tuple(self.delivered),
            tuple(self.void),
            tuple(self.doubtful),
            *self.onward.record(),
        )


def _closed_state(code: int) -> MessageState:
    return MessageState.VOID if code == WITHDRAWN else MessageState.REJECTED
