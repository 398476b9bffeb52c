"""The sender's machine: outbox, waiting-ack queue and the end-to-end timer (PROTOCOL §5.3).

A message is a row (durable before the first transmission), then a member of one or more *flights*:
ranges of seqs that left in one IM packet. A flight sleeps while its packet is on the first hop
(R11), then waits in the waiting-ack queue; when it wakes, what is still open in it is sent again,
with doubled interval. Nothing but verdicts empties a row: neither msg:A nor a hop ack does (I9).

::

    send ─► row ─(commit)─► msg:R ─(hop ack)─► armed ─(timer)─► msg:R …
                                │                 ▲
         verdicts from ack:N ───┴── settled ──► floor ──► row gone
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from udpim import config
from udpim.config import ClientConfig
from udpim.im.changes import Change, Rerouted, StreamChanged, StreamReborn
from udpim.im.deadlines import Deadlines
from udpim.im.deciding import to_give_up
from udpim.im.handles import OutHandles
from udpim.im.out_membership import forget_membership, learn_members
from udpim.im.out_stream import WITHDRAWN, OutStream
from udpim.im.rebirth import any_under_way, mark_of, split_stream
from udpim.im.records import (
    ClientSnapshot,
    Op,
    OutStreamRecord,
    PutOutbox,
    PutOutStream,
    StampOutbox,
    TrimOutbox,
)
from udpim.im.refusals import end_redirects, retarget, send_on, take_refusal
from udpim.im.stamps import next_stamp
from udpim.im.tally_intake import take_tally
from udpim.im.transmitter import Transmitter
from udpim.im.unshown import Unshown
from udpim.model import MessageState, RejectCode, StreamId
from udpim.ranges import Range, RangeSet, without
from udpim.wire.im_packets import AckN, Members, MsgA, ReadN, Refuse, StatusA, Tally

_Batch = list[tuple[OutStream, int, int, int, list[Range]]]
"""Per stream the last seq, floor, restamps and cancels of a transaction."""


class Outbox:
    """All outgoing streams of one device.

    Drive: commands and inputs, then `take_ops` (commit, then `on_committed`), `transmit` while the
    session is up, and `take_changes`.
    """

    def __init__(
        self, config_: ClientConfig, incarnation: int, snapshot: ClientSnapshot, now: float
    ) -> None:
        """Restore every stream of the snapshot."""
        self._config = config_
        self.incarnation = incarnation
        self._streams: dict[StreamId, OutStream] = {}
        self.stream = self._streams.get
        self._by_conversation: dict[str, OutStream] = {}
        self._numbers = 0
        self._ops: list[Op] = []
        self._dirty: dict[OutStream, None] = {}
        self._changes: list[StreamChanged] = []
        self._unshown = Unshown()
        self._committing: deque[_Batch] = deque()
        self._transmitter = Transmitter(now)
        self.transmit = self._transmitter.transmit
        self.on_acked = self._transmitter.on_acked
        self._deadlines = Deadlines()
        self._store_epoch = 0
        self._lease_at: float | None = None
        """When to ask again what is STORED; None without a session."""
        self.heard = 0
        """Highest stamp received (R12)."""
        self.stamp = 0
        """The last one given; only rises."""
        self.touched: list[tuple[OutStream, list[Range]]] = []
        """What endpoints of groups gave verdicts for; drained by the node."""
        self.reborn: list[StreamReborn] = []
        """Drained by the node."""
        self.rerouted: list[Rerouted] = []
        """Likewise."""
        self.now = now
        """When the present input came; set by the node."""
        self.rolled_back = False
        """A verdict proved that this store was restored from an old copy (R7)."""
        self.drops: dict[str, int] = {}
        self.open_messages = 0
        """Messages that are not settled, as of the last `take_ops`."""
        self.open_bytes = 0
        """Their payload bytes."""
        self._restore(snapshot, now)

    def _restore(self, snapshot: ClientSnapshot, now: float) -> None:
        mark = mark_of(snapshot.meta)
        numbered = {record.number: self._add_stream(record) for record in snapshot.out_streams}
        for row in snapshot.outbox:
            stream = numbered[row.number]
            stream.restore_row(row.seq, row.epoch, row.stamp, row.payload, mark=mark)
            self.stamp = max(self.stamp, row.stamp)
            if row.ttl_ms:
                self._deadlines.set(stream, row.seq, row.seq, now + row.ttl_ms / 1000)
        for stream in numbered.values():
            self.open_messages += stream.next_seq - stream.floor
            shown = stream.refresh(stream.floor, stream.next_seq - 1)  # all of it is durable
            self._changes += [StreamChanged(stream, *change) for change in shown]
            if stream.trimmed_floor < stream.floor:  # due to nobody: no packet will say so
                self._dirty[stream] = None
            self._count_bytes(stream)

    def _add_stream(self, record: OutStreamRecord) -> OutStream:
        self._numbers = max(self._numbers, record.number)
        id_ = StreamId(
            self._config.user, self._config.device, record.incarnation, record.conversation
        )
        stream = OutStream(id_, record)
        self._streams[id_] = stream
        if record.incarnation == self.incarnation:
            self._by_conversation[record.conversation] = stream
        return stream

    # --- Commands ---

    def send(
        self,
        conversation: str,
        payloads: Sequence[bytes],
        *,
        now: float,
        wall_ms: int,
        ttl_s: float | None = None,
    ) -> tuple[OutStream, int]:
        """Put messages into the outbox; they leave after the commit.

        Args:
            conversation: The recipient's user name.
            payloads: One or more payloads, each within the limit.
            now: Monotonic time, seconds.
            wall_ms: Wall clock, milliseconds since 1970, for the stamp (R12).
            ttl_s: Give up after this time, seconds; None for never.

        Returns:
            The stream and the seq of the first message.
        """
        stream = self._by_conversation.get(conversation)
        if stream is None:
            head = (self._numbers + 1, self.incarnation, conversation)
            stream = self._add_stream(OutStreamRecord(*head, 1, 1, 0, 0, (), (), ()))
        count = len(payloads)
        base = next_stamp(self.stamp, self.heard, wall_ms)
        stamps = tuple(range(base, base + count))
        self.stamp = base + count - 1
        first = stream.append(stamps, payloads)
        ttl_ms = 0 if ttl_s is None else max(1, int(ttl_s * 1000))
        if ttl_s is not None:
            self._deadlines.set(stream, first, first + count - 1, now + ttl_s)
        self._ops.append(
            PutOutbox(stream.number, first, stream.epoch, ttl_ms, stamps, tuple(payloads))
        )
        self._dirty[stream] = None
        self.open_messages += count
        self._count_bytes(stream)
        self._transmitter.waiting.sent_new(sum(map(len, payloads)))
        return stream, first

    def _count_bytes(self, stream: OutStream) -> None:
        self.open_bytes += stream.open_bytes - stream.counted_bytes
        stream.counted_bytes = stream.open_bytes

    def open_to(self, conversation: str) -> tuple[int, int]:
        """Return how many messages to one user are not settled, and their payload bytes."""
        stream = self._by_conversation.get(conversation)
        return (0, 0) if stream is None else (stream.next_seq - stream.floor, stream.open_bytes)

    def cancel(self, stream: OutStream, first: int, last: int) -> None:
        """Give up on first..last as far as they are open (R4)."""
        self._changed(stream, end_redirects(stream, first, last))
        for low, high in to_give_up(stream, first, last):
            untouched = max(low, stream.fresh_from if stream.store_epoch else low)
            if untouched <= high:
                self._changed(stream, stream.close(untouched, high, WITHDRAWN))
            if low < untouched:
                last_sent = min(high, untouched - 1)
                stream.give_up(low, last_sent)
                shown = stream.delivered.missing(low, last_sent)
                self._changed(stream, [(a, b, MessageState.UNKNOWN) for a, b in shown])
        self._dirty[stream] = None

    def resend(self, stream: OutStream, seq: int) -> None:
        """Send one open message again now, under its msgid."""
        self._transmitter.again(stream, seq, seq)

    def new_incarnation(self, incarnation: int, now: float) -> None:
        """Use new streams from now on; what left under the old ones is brought to its end (R7)."""
        self._send_on()
        self.incarnation = incarnation
        self.rolled_back = False
        present, self._by_conversation = self._by_conversation, {}
        for stream in present.values():
            if max(stream.fresh_from, stream.floor) < stream.next_seq:
                self._split(stream, now)

    def _split(self, stream: OutStream, now: float) -> None:
        """Move what never left to a stream of the new incarnation, in one transaction."""
        old, fresh = stream.id, max(stream.fresh_from, stream.floor)
        self._trim(stream, self._ops)
        self._numbers += 1
        self.open_bytes -= stream.counted_bytes  # both parts are counted anew
        legacy = split_stream(stream, self.incarnation, self._numbers)
        self._unshown.follow(stream, legacy, fresh)
        self._streams[old] = legacy
        self._streams[stream.id] = stream
        self.reborn.append(StreamReborn(old, stream.id, fresh, stream.next_seq - 1))
        retarget(self._streams.values(), old, stream.id, fresh)
        self._by_conversation[old.conversation] = stream
        deadlines = self._deadlines.split(stream, fresh, legacy)
        self._ops.append(TrimOutbox(legacy.number, fresh, stream.next_seq - 1))
        for seq, (stamp, payload) in stream.rows.items():
            when = deadlines.get(seq)
            ttl_ms = 0 if when is None else max(1, int((when - now) * 1000))
            op = PutOutbox(stream.number, seq, 0, ttl_ms, (stamp,), (payload,))
            self._ops.append(op)
        self._dirty[legacy] = self._dirty[stream] = None

    # --- The session ---

    def session_started(self, handles: OutHandles, store_epoch: int, now: float) -> None:
        """The login succeeded: everything that is open and not STORED goes out again."""
        before = self._transmitter.handles
        self._transmitter.session_started(handles)
        self._store_epoch = store_epoch
        self._lease_at = now + config.STATUS_LEASE_S
        # First come those that the last connection did not get to (PROTOCOL §4.3).
        for stream in sorted(self._streams.values(), key=lambda s: before.is_known(s.id)):
            stream.told_floor = 1
            if (lapsed := forget_membership(stream, store_epoch)) is not None:
                self._refresh(stream, ())
                self._changed(stream, lapsed)
                self._stamp_rows(stream, stream.floor)
            if stream.floor < stream.next_seq:
                stream.cursor = stream.floor
                self._transmitter.ready(stream)
                self._transmitter.ask_for_stored(stream)

    def session_ended(self) -> None:
        """The connection is gone; the next session starts over."""
        self._lease_at = None
        self._transmitter.session_ended()

    # --- Inputs ---

    def by_handle(self, handle: int) -> OutStream | None:
        """Return the stream that we gave this number on the present connection."""
        id_ = self._transmitter.handles.stream(handle)
        return None if id_ is None else self._streams.get(id_)

    def receive_msg_a(self, packet: MsgA) -> None:
        """ACCEPTED: shown, and nothing else (I9)."""
        stream = self.by_handle(packet.handle)
        if stream is None:
            self._drop("msg:A for an unknown handle")
            return
        self._transmitter.remote_rtt_s = packet.rtt_us / 1e6
        self._changed(stream, stream.take_accepted(packet.ranges))

    def receive_refuse(self, packet: Refuse) -> None:
        """A refusal is about a copy (R6): final only when no other copy can have been forwarded."""
        stream = self.by_handle(packet.handle)
        if stream is None or packet.code not in set(RejectCode):
            self._drop("refusal of an unknown kind")
            return
        if RejectCode(packet.code).transient:
            return
        self._changed(stream, take_refusal(stream, packet))
        self._refresh(stream, ())

    def _send_on(self) -> None:
        for stream in [stream for stream in self._dirty if stream.onward.released]:
            self.rerouted += send_on(self, stream, self._deadlines)

    def receive_members(self, stream: OutStream, packet: Members) -> None:
        """Stamp anew what was stamped with an epoch that the server does not know (R2)."""
        if packet.store_epoch != self._store_epoch or packet.epoch < stream.epoch:
            self._drop("membership older than known")
            return
        unknown = stream.epoch == 0
        self._changed(stream, learn_members(stream, packet))
        if stream.restamped_from is not None:
            first = max(stream.restamped_from, stream.floor)
            self._stamp_rows(stream, first)
            stream.cursor = min(stream.cursor, first)
        if stream.unread_verdicts:  # they overtook this, and S believes that we have them
            stream.unread_verdicts = False
            self._transmitter.ask_open(stream)
        if stream.renewed and not unknown:
            self._tell_floor(stream)  # and what had no verdict waits there, or is on its way
            for low, high in stream.reopened:
                self._transmitter.again(stream, low, high)
        self._dirty[stream] = None
        self._transmitter.ready(stream)

    def _stamp_rows(self, stream: OutStream, first: int) -> None:
        """Make the new stamp of all from ``first`` on durable before they are transmitted again."""
        if first < stream.next_seq:
            last, epoch = stream.next_seq - 1, stream.epoch_of(first)
            self._ops.append(StampOutbox(stream.number, first, last, epoch))
            stream.committed = min(stream.committed, first - 1)
            stream.stamps_wanted += 1

    def receive_ack_n(self, stream: OutStream, packet: AckN) -> None:
        """Record verdicts: the waiting-ack queue loses this endpoint. Without any it is asking."""
        touched = packet.delivered + packet.void + packet.stored + packet.excused
        if not touched:
            self._tell_floor(stream)
            return
        top = max((last for _, last in packet.delivered + packet.void), default=0)
        if top >= stream.next_seq:
            self._drop("verdict for a seq that was never used")
            if stream.id.incarnation == self.incarnation:
                self.rolled_back = True
                return
        view = stream.audience.view(packet.ordinal)
        server_only = packet.incarnation == 0 and top == 0
        if view is None or not (server_only or packet.incarnation == view.incarnation):
            stream.unread_verdicts = True
            self._drop("verdict of an unknown incarnation")
            return
        for first, last in stream.used(packet.delivered):
            self._changed(stream, stream.take_delivered(view, first, last))
        for first, last in stream.used(packet.void):
            stream.take_void(view, first, last)
        for first, last in without(stream.used(packet.excused), stream.settled):
            view.take_excused(first, last)
        if packet.store_epoch == stream.store_epoch:
            self._changed(stream, stream.take_stored(view, packet.stored))
        self._tell_floor(stream, top)
        self._refresh(stream, touched)

    def _tell_floor(self, stream: OutStream, top: int | None = None) -> None:
        """Whoever asks, or whose verdicts end below the floor, may not know it: let S tell it."""
        if top is not None and not 0 < top < stream.durable_floor:
            return
        if stream.told_floor < stream.durable_floor:
            stream.told_floor = stream.durable_floor
            self._transmitter.tell_floor(stream)

    def receive_tally(self, stream: OutStream, packet: Tally) -> None:
        """Record what a group's members said, collected by the server."""
        if packet.store_epoch != stream.store_epoch:
            self._drop("tally of another store")
            return
        current = stream.id.incarnation == self.incarnation
        taken = take_tally(stream, packet, self.drops, current=current)
        self.rolled_back |= current and taken.top >= stream.next_seq
        self._tell_floor(stream, taken.top)
        self._refresh(stream, list(RangeSet(taken.touched)))

    def receive_read_n(self, stream: OutStream, packet: ReadN) -> None:
        """An endpoint's application has read so far."""
        view = stream.audience.view(packet.ordinal)
        if view is None or packet.incarnation != view.incarnation:
            self._drop("read mark of an unknown incarnation")
            return
        self._changed(stream, stream.take_read(view, packet.read))
        self._dirty[stream] = None

    def receive_status_a(self, stream: OutStream, packet: StatusA) -> None:
        """Exactly these are STORED: the lease is renewed, or over (R3)."""
        view = stream.audience.view(packet.ordinal)
        if view is None or packet.store_epoch != stream.store_epoch:
            self._drop("status of an unknown endpoint")
            return
        fresh = without(without(stream.used(packet.stored), stream.settled), view.stored)
        lapsed, changes = stream.lapse_stored(view, packet.asked, packet.stored)
        if not (lapsed or fresh):
            return  # as known: of a large group, all members but a few
        self._changed(stream, changes)
        for low, high in lapsed:
            self._transmitter.again(stream, low, high)
        self._changed(stream, stream.take_stored(view, packet.stored))
        self._refresh(stream, packet.asked)

    def _refresh(self, stream: OutStream, ranges: Sequence[Range]) -> None:
        if stream.audience.group and ranges:
            self.touched.append((stream, list(ranges)))
        for first, last in ranges:
            self._changed(stream, stream.refresh(max(first, stream.floor), last))
        self._dirty[stream] = None
        self._transmitter.ready(stream)

    def _changed(self, stream: OutStream, changes: list[Change]) -> None:
        self._changes += self._unshown.sift(stream, changes)

    def _drop(self, reason: str) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1

    # --- Time ---

    def handle_timeout(self, now: float) -> None:
        """Wake flights whose receipts are late, deadlines, and the STORED lease."""
        self._transmitter.handle_timeout(now)
        for stream, first, last in self._deadlines.due(now):
            for low, high in stream.delivered.missing(first, last):
                self.cancel(stream, low, high)
        if self._lease_at is not None and self._lease_at <= now:
            self._lease_at = now + config.STATUS_LEASE_S
            for stream in self._streams.values():
                self._transmitter.ask_for_stored(stream)

    def next_timeout(self) -> float | None:
        """Return when `handle_timeout` has something to do."""
        soonest = self._transmitter.waiting.next_timeout()
        for at in (self._deadlines.next_timeout(), self._lease_at):
            if at is not None and (soonest is None or at < soonest):
                soonest = at
        return soonest

    # --- Outputs: durable changes ---

    def take_ops(self) -> list[Op]:
        """Return the operations of this turn; the next `on_committed` is for them.

        Rows below a floor that moved are trimmed in the same transaction.
        """
        if not self._ops and not self._dirty:
            return []
        self._send_on()
        ops, self._ops = self._ops, []
        batch = []
        for stream in self._dirty:
            self._count_bytes(stream)
            self._trim(stream, ops)
            ops.append(PutOutStream(stream.record()))
            last, stamps = stream.next_seq - 1, stream.stamps_wanted
            batch.append((stream, last, stream.floor, stamps, list(stream.unsaved)))
        self._dirty.clear()
        self._unshown.begin()
        self._committing.append(batch)
        return ops

    def _trim(self, stream: OutStream, ops: list[Op]) -> None:
        """Rows below a floor that moved are deleted, and no longer open."""
        first, floor = stream.trimmed_floor, stream.floor
        if first < floor:
            ops.append(TrimOutbox(stream.number, first, floor - 1))
            self.open_messages -= floor - first
            stream.trimmed_floor = floor

    def on_committed(self) -> list[tuple[OutStream, int]]:
        """The oldest batch of `take_ops` is durable: its rows may leave, its floors be told.

        Returns:
            Per stream the last seq that is now durable.
        """
        batch = self._committing.popleft()
        self._changes += self._unshown.committed()
        for stream, last, floor, stamps, cancels in batch:
            for low, high in stream.saved(cancels):
                self._transmitter.again(stream, low, high)
            if stamps == stream.stamps_wanted:
                stream.durable_floor = floor
                stream.committed = last
                self._transmitter.ready(stream)
        return [(stream, last) for stream, last, *_ in batch]

    @property
    def continues(self) -> bool:
        """Whether messages of an older incarnation are still under way (R7)."""
        return any_under_way(self._streams.values(), self.incarnation)

    @property
    def resent_messages(self) -> int:
        """Messages sent again end to end so far."""
        return self._transmitter.resent_messages

    def sizes(self) -> dict[str, int]:
        """Return how full the tables are now."""
        return {
            "streams": len(self._streams),
            "open_messages": self.open_messages,
            "open_bytes": self.open_bytes,
            "waiting_flights": len(self._transmitter.waiting),
            "deadline_runs": len(self._deadlines),
            "commits_waiting": len(self._committing),
        }

    def take_changes(self) -> list[StreamChanged]:
        """Return what changed for the application, in order."""
        changes, self._changes = self._changes, []
        return changes
