"""Bugs that are planted for the simulator alone: below the messages, in stores, and in arithmetic.

Each is a mistake that is made in practice, planted as `tests.semantics.mutants.mutant` plants them.
`tests.sim.bugs` says which of them the simulator finds.
"""

from dataclasses import replace
from math import inf

from tests.semantics.mutants.mutant import Mutant
from udpim.crypto.aead_protection import AeadProtection
from udpim.crypto.key_schedule import KeySchedule
from udpim.hop.acks import AckScheduler
from udpim.hop.connection import Connection
from udpim.hop.credit import CreditGiver
from udpim.hop.dedup import DUPLICATE, FrameDedup
from udpim.hop.loss import LossDetector
from udpim.hop.path import PathValidator
from udpim.hop.reassembly import Reassembly
from udpim.hop.recovery import Recovery
from udpim.hop.sendqueue import SendQueue
from udpim.hop.timers import Timer, TimerTable
from udpim.hop.window import ReceiveWindow
from udpim.im import sender
from udpim.im.deadlines import Deadlines
from udpim.im.in_stream import InStream
from udpim.im.ledger import Ledger
from udpim.im.offline_queue import OfflineQueue
from udpim.im.out_stream import OutStream
from udpim.im.queue_writer import QueueWriter
from udpim.im.receipt_rows import ReceiptRows
from udpim.im.sender import Outbox
from udpim.im.transmitter import Transmitter
from udpim.im.waiting_ack import WaitingAckQueue
from udpim.model import MessageState
from udpim.node.backoff import Backoff
from udpim.node.identity import Identity
from udpim.ranges import RangeSet
from udpim.store.selection import remove
from udpim.store.state import StoreState

PLANTS = {}
"""All of them by name."""


def bug(rule):
    """Register a function that plants a bug."""

    def register(plant):
        PLANTS[plant.__name__] = Mutant(plant.__name__, None, rule, (), plant)
        return plant

    return register


# --- Windows and acks ---


@bug("§3.4: every frame below the floor, and none from it on, was taken")
def dedup_floor_off_by_one(planting):
    @planting.replace(FrameDedup, "mark")
    def mark(original, self, number):
        before = self.floor
        original(self, number)
        if self.floor > before:
            self.floor += 1
            self._bits >>= 1


@bug("§3.4: a frame is taken once")
def frames_are_taken_again(planting):
    @planting.replace(FrameDedup, "classify")
    def classify(original, self, hop_seq):
        number = original(self, hop_seq)
        return self.floor if number == DUPLICATE else number


@bug("§2.2: the receive window remembers every number")
def window_off_by_one(planting):
    @planting.replace(ReceiveWindow, "refusal")
    def refusal(original, self, number):
        return original(self, number - 1) if number <= self.top else original(self, number)


@bug("§3.2: an ACK names what was taken")
def ack_bitmap_is_shifted(planting):
    @planting.replace(ReceiveWindow, "below_top")
    def below_top(original, self, packets):
        return original(self, packets) << 1 & (1 << packets) - 1


@bug("§3.2: what is held back is acked after max_ack_delay")
def held_back_ack_never_leaves(planting):
    @planting.replace(AckScheduler, "on_taken")
    def on_taken(original, self, number, *, ack_eliciting, now):
        original(self, number, ack_eliciting=ack_eliciting, now=now)
        if self.deadline is not None and self.deadline > now:
            self.deadline = None


@bug("§3.6: the probe timer is set again after it has fired")
def probe_timer_is_never_set_again(planting):
    fired = {}

    @planting.replace(Recovery, "handle_timeout")
    def handle_timeout(original, self, now):
        fired[self] = True
        original(self, now)

    @planting.replace(Recovery, "arm")
    def arm(original, self, now):
        if self not in fired:
            original(self, now)


@bug("§3.6: what is lost goes again")
def lost_frames_are_given_up(planting):
    @planting.replace(SendQueue, "on_lost")
    def on_lost(original, self, packet_number, frames):
        for frame in frames:
            self._unacked.pop(frame.number, None)


@bug("§3.6: only what was acked counts as acked")
def everything_below_the_largest_is_acked(planting):
    @planting.replace(LossDetector, "on_ack")
    def on_ack(original, self, largest, bitmap):
        return original(self, largest, (1 << 64) - 1 & (1 << max(0, largest)) - 1)


@bug("§3.9: silence ends a connection")
def idle_timer_is_never_set(planting):
    @planting.replace(TimerTable, "set")
    def set_(original, self, timer, deadline):
        original(self, timer, None if timer in (Timer.IDLE, Timer.DEAD) else deadline)


# --- Large bodies ---


@bug("§3.7: pieces of one group make one body")
def two_groups_are_mixed(planting):
    def mixed(fragments):
        return [(group >> 1, index, count, piece) for group, index, count, piece in fragments]

    @planting.replace(Reassembly, "look")
    def look(original, self, fragments):
        return original(self, mixed(fragments))

    @planting.replace(Reassembly, "take")
    def take(original, self, fragments):
        original(self, mixed(fragments))


@bug("§3.7: a body is put together in the order of its pieces")
def pieces_in_the_order_of_arrival(planting):
    @planting.replace(Reassembly, "look")
    def look(original, self, fragments):
        whole = original(self, fragments)
        if whole and len(fragments) == 1:
            group, _, _, piece = fragments[0]
            if group in self._groups:
                return [b"".join([*self._groups[group].pieces.values(), piece])]
        return whole


@bug("§3.8: what was disposed of is given back as credit")
def credit_is_never_given(planting):
    @planting.replace(CreditGiver, "due")
    def due(original, self, in_pieces):
        return None


# --- Paths, resets, keys ---


@bug("§3.5: the answer to a challenge must be right")
def challenge_is_not_checked(planting):
    @planting.replace(PathValidator, "on_newest_packet")
    def on_newest_packet(original, self, path, size):
        original(self, path, size)
        if self._candidate is not None:
            self.on_response(self._challenge, path)


@bug("§3.5: an unproven address gets no more than came from it")
def amplification_limit_is_ignored(planting):
    @planting.replace(PathValidator, "frames_to_send")
    def frames_to_send(original, self, now):
        self._credit_bytes = 1 << 20
        return original(self, now) * 3


@bug("§2.6: a RESET must show the token")
def reset_token_is_not_checked(planting):
    @planting.replace(Connection, "receive_packet")
    def receive_packet(original, self, datagram, path, now):
        incoming = original(self, datagram, path, now)
        known = self._paths.remote.current.reset_token
        if incoming is None and known is not None:
            self.receive_reset(known, now)
        return incoming


@bug("§2.9: no nonce is used twice")
def nonce_is_used_twice(planting):
    @planting.replace(AeadProtection, "seal")
    def seal(original, self, header, packet_number, payload):
        self._next = 0
        return original(self, header, packet_number & ~1, payload)

    @planting.replace(AeadProtection, "open")
    def open_(original, self, header, packet_number, sealed):
        return original(self, header, packet_number & ~1, sealed)


@bug("§2.9: who seals under the next key shows its phase")
def key_phase_is_lost(planting):
    @planting.replace(KeySchedule, "_replace_send")
    def replace_send(original, self):
        original(self)
        self.phase_flag = 0


@bug("§2.9: who sees the next phase follows")
def next_key_is_not_followed(planting):
    @planting.replace(KeySchedule, "_follow")
    def follow(original, self, key, packet_number):
        pass


@bug("§2.9: an update waits until the last one is over")
def updates_overtake_each_other(planting):
    @planting.replace(KeySchedule, "may_update")
    def may_update(original, self):
        return True


# --- Stores ---


@bug("§5.2: a row goes when its message is settled")
def trim_takes_one_row_too_many(planting):
    @planting.replace(StoreState, "_trim_outbox")
    def trim_outbox(original, self, op):
        original(self, op)
        remove(self._outbox.get(op.number, {}), op.last + 1, op.last + 1)


@bug("§5.2: the state of a stream out is what was written last")
def out_stream_is_written_once(planting):
    @planting.replace(StoreState, "_put_out_stream")
    def put_out_stream(original, self, op):
        if op.record.number not in self._out_streams:
            original(self, op)


@bug("§5.4: the memory of a stream is what was written last")
def in_stream_is_written_once(planting):
    @planting.replace(StoreState, "_put_in_stream")
    def put_in_stream(original, self, op):
        if op.record.stream not in self._in_streams:
            original(self, op)


@bug("§5.4: what was handled is handed over no more")
def handled_rows_come_back(planting):
    @planting.replace(StoreState, "_mark_handled")
    def mark_handled(original, self, op):
        pass


@bug("§5.2: a new stamp is durable before it is used")
def stamps_are_not_written(planting):
    @planting.replace(StoreState, "_stamp_outbox")
    def stamp_outbox(original, self, op):
        pass


@bug("§5.5: a row that B has answered is gone")
def queue_rows_come_back(planting):
    @planting.replace(StoreState, "_delete_queue")
    def delete_queue(original, self, op):
        pass


@bug("§5.5: a queue row stays until B has answered")
def queue_delete_takes_one_row_too_many(planting):
    @planting.replace(StoreState, "_delete_queue")
    def delete_queue(original, self, op):
        original(self, op._replace(ranges=tuple((a, b + 1) for a, b in op.ranges)))


@bug("R3: a receipt row survives a restart")
def receipt_rows_die_with_the_process(planting):
    @planting.replace(StoreState, "server_snapshot")
    def server_snapshot(original, self):
        return replace(original(self), receipts=())


@bug("R4: a void item survives a restart")
def void_items_die_with_the_process(planting):
    @planting.replace(StoreState, "server_snapshot")
    def server_snapshot(original, self):
        snapshot = original(self)
        return replace(snapshot, queue=tuple(one._replace(voids=()) for one in snapshot.queue))


@bug("R2: the server remembers who there is")
def devices_die_with_the_process(planting):
    @planting.replace(StoreState, "server_snapshot")
    def server_snapshot(original, self):
        return replace(original(self), devices=())


@bug("§5.8: a store that was lost comes back with another epoch")
def store_epoch_is_stale(planting):
    @planting.replace(StoreState, "server_snapshot")
    def server_snapshot(original, self):
        snapshot = original(self)
        if "store_epoch" not in snapshot.meta:
            return snapshot
        return replace(snapshot, meta={**snapshot.meta, "store_epoch": b"\0" * 7 + b"\1"})


@bug("§5.8: the count of logins is durable")
def login_count_is_not_durable(planting):
    @planting.replace(Identity, "_raise")
    def raise_(original, self, mark):
        original(self, mark)
        self._ops.pop()


@bug("§5.4: rows are handed over in the order of their seqs")
def inbox_comes_back_in_reverse(planting):
    @planting.replace(StoreState, "client_snapshot")
    def client_snapshot(original, self):
        snapshot = original(self)
        return replace(snapshot, inbox=snapshot.inbox[::-1])


@bug("§5.2: a promise waits for its own commit")
def promises_wait_for_nothing(planting):
    @planting.replace(Ledger, "put")
    def put(original, self, op, after=None):
        original(self, op)
        if after is not None:
            after(True)


@bug("§5.2: a failed write did not happen")
def failed_write_keeps_its_promise(planting):
    @planting.replace(Ledger, "on_committed")
    def on_committed(original, self, *, ok):
        original(self, ok=True)


# --- Streams and queues ---


@bug("§5.5: rows below the floor go, the floor's own stays")
def floor_deletes_its_own_row(planting):
    @planting.replace(QueueWriter, "_delete_below")
    def delete_below(original, self, endpoint, stream, floor):
        original(self, endpoint, stream, floor + 1)


@bug("R3: a receipt goes when the floor has passed it")
def floor_drops_one_receipt_too_many(planting):
    @planting.replace(ReceiptRows, "floor_passed")
    def floor_passed(original, self, stream, endpoint, floor):
        original(self, stream, endpoint, floor + 1)


@bug("§5.5: all that waits is brought")
def pull_leaves_the_last_row(planting):
    @planting.replace(OfflineQueue, "next_rows")
    def next_rows(original, self, endpoint):
        for stream, rows in original(self, endpoint):
            rows.remove(rows.last, rows.last)
            if len(rows):
                yield stream, rows


@bug("§5.3: the end-to-end timer goes on until there is a verdict")
def end_to_end_timer_fires_once(planting):
    @planting.replace(Transmitter, "_wake")
    def wake(original, self, flight, now):
        pass


@bug("§5.3: flights wake by deadline")
def waiting_flights_are_overtaken(planting):
    @planting.replace(WaitingAckQueue, "arm")
    def arm(original, self, flight, when):
        self._heap.clear()
        original(self, flight, when)


@bug("§5.3: floor is the lowest seq that is not settled")
def floor_is_one_too_high(planting):
    @planting.replace(OutStream, "_advance")
    def advance(original, self):
        before = self.floor
        original(self)
        if before < self.floor < self.next_seq:
            self.settled.add(self.floor, self.floor)
            original(self)


@bug("§5.7: a cancel is for the messages that it names")
def cancel_names_one_too_many(planting):
    @planting.replace(Outbox, "cancel")
    def cancel(original, self, stream, first, last):
        original(self, stream, first, min(last + 1, stream.next_seq - 1))


@bug("§5.4: a verdict is for the messages that it names")
def delivered_reports_one_too_many(planting):
    @planting.replace(InStream, "take_report")
    def take_report(original, self):
        return [
            report._replace(delivered=[(first, last + 1) for first, last in report.delivered])
            for report in original(self)
        ]


@bug("I4: only DELIVERED is shown as DELIVERED")
def void_is_shown_as_delivered(planting):
    @planting.replace(OutStream, "state")
    def state(original, self, seq):
        shown = original(self, seq)
        return MessageState.DELIVERED if shown is MessageState.VOID else shown


# --- Numbers, clocks, ranges ---


@bug("ranges that do not touch are not one")
def ranges_swallow_gaps_of_one(planting):
    @planting.replace(RangeSet, "add")
    def add(original, self, first, last):
        if first - 2 in self and first - 1 not in self:
            first -= 1
        original(self, first, last)


@bug("what is left out of a range leaves both of its ends")
def removal_forgets_the_tail(planting):
    @planting.replace(RangeSet, "remove")
    def remove_(original, self, first, last):
        tail = [high for low, high in self if low <= first and high > last]
        original(self, first, max([last, *tail]))


@bug("R12: a stamp is above those given before, whatever the clock says")
def stamp_is_the_wall_clock(planting):
    @planting.replace(sender, "next_stamp")
    def next_stamp(original, given, heard, wall_ms):
        return wall_ms << 16


@bug("R12: an answer is stamped after what it answers")
def stamps_ignore_what_was_heard(planting):
    @planting.replace(sender, "next_stamp")
    def next_stamp(original, given, heard, wall_ms):
        return original(given, 0, wall_ms)


@bug("§5.7: deadlines are of the monotonic clock")
def deadline_by_the_wall_clock(planting):
    began = {}

    @planting.replace(Outbox, "send")
    def send(original, self, conversation, payloads, *, now, wall_ms, ttl_s=None):
        offset_s = began.setdefault(self, wall_ms / 1000 - now)
        if ttl_s is not None:
            ttl_s = max(0.001, ttl_s + wall_ms / 1000 - offset_s - now)
        return original(self, conversation, payloads, now=now, wall_ms=wall_ms, ttl_s=ttl_s)


@bug("§5.7: a deadline is in seconds")
def deadline_in_milliseconds(planting):
    @planting.replace(Deadlines, "set")
    def set_(original, self, stream, *run):
        *seqs, when = run
        original(self, stream, *seqs, when * 1000)


@bug("§6: a client that lost its server comes back")
def backoff_has_no_end(planting):
    @planting.replace(Backoff, "next_wait_s")
    def next_wait_s(original, self, *, at_once):
        wait_s = original(self, at_once=at_once)
        return inf if self._failures > 2 else wait_s


@bug("§6: waits between attempts have a ceiling")
def backoff_has_no_ceiling(planting):
    @planting.replace(Backoff, "next_wait_s")
    def next_wait_s(original, self, *, at_once):
        return original(self, at_once=at_once) * 10.0**self._failures
