"""Mutants of the recipient: dedup, commits, verdicts, order, inboxes in memory (PROTOCOL §5.4)."""

from dataclasses import replace

from tests.semantics.mutants.mutant import mutant
from tests.semantics.mutants.places import EXCHANGE, MATRIX, RECIPIENTS, WINDOW
from udpim import config
from udpim.im.aside import Aside
from udpim.im.backlog import BEYOND, FREE
from udpim.im.in_stream import InStream
from udpim.im.receiver import Inbox
from udpim.im.records import InStreamRecord, MarkHandled, PutInbox
from udpim.node.client import ClientNode
from udpim.ranges import RangeSet

# --- Promises and commits ---


@mutant(
    "§5.2: a receipt waits for the commit of the inbox row",
    f"{RECIPIENTS}test_recipient_that_dies_around_its_commit_gets_everything_once",
    f"{MATRIX}[b dies before its commit]",
    item=2,
)
def receipt_before_commit(planting):
    @planting.replace(Inbox, "_settled")
    def settled(original, self, stream, ranges):
        original(self, stream, ranges)
        stream.busy.clear()
        stream.report.update(ranges)
        self._reports[stream] = None


@mutant(
    "§5.2: when a commit fails, its promises are not made, then or later",
    f"{RECIPIENTS}test_failed_commit_leaves_no_mark_for_the_retry",
    item=3,
)
def mark_before_persist(planting):
    """The write fails, the mark stays in memory, and the retry is taken for a duplicate."""

    @planting.replace(ClientNode, "on_commit_done")
    def on_commit_done(original, self, token, error, now):
        if error is None:
            original(self, token, error, now)
            return
        inbox = self.inbox
        for waiter in self._commits.take_waiters(token):
            if waiter == inbox.on_committed:
                fresh, size = inbox._committing.popleft()
                inbox._backlog.committed(size)
                for stream, ranges in fresh:
                    stream.busy.subtract(ranges)
            elif waiter == self._outbox_committed:
                self.outbox._committing.popleft()


@mutant(
    "§5.4: the row and the memory of its stream are one transaction",
    f"{RECIPIENTS}test_recipient_that_dies_after_the_hand_over_hands_over_again",
    item=3,
)
def memory_without_its_row(planting):
    @planting.replace(Inbox, "take_ops")
    def take_ops(original, self):
        return [op for op in original(self) if not isinstance(op, PutInbox)]


@mutant(
    "§5.2: a copy that comes during a commit is answered after it",
    f"{EXCHANGE}test_copy_or_cancel_during_a_pending_commit_is_answered_after_it[cancel]",
    "tests/im/test_receiver.py::test_a_copy_during_the_commit_is_answered_after_it",
    item=6,
)
def copy_is_answered_during_the_commit(planting):
    @planting.replace(InStream, "take_report")
    def take_report(original, self):
        busy, self.busy = self.busy, RangeSet()
        report = original(self)
        self.busy = busy
        return report


# --- Dedup ---


def _forgets_after(planting, window_s):
    clock = {}
    heard = {}

    @planting.replace(ClientNode, "receive_datagrams")
    def receive_datagrams(original, self, datagrams, now):
        clock[self.inbox] = now
        original(self, datagrams, now)

    @planting.replace(Inbox, "_take")
    def take(original, self, stream, section, *, pulled):
        now = clock[self]
        # A process that begins knows the age of nothing, and keeps what its disk holds.
        if now - heard.get((self, stream.id), now) > window_s:
            forgetful = InStreamRecord(stream.id, stream.floor - 1, 0, 0, stream.floor, ())
            stream = self._streams[stream.id] = InStream(forgetful)
        heard[self, stream.id] = now
        original(self, stream, section, pulled=pulled)


_LATE = f"{RECIPIENTS}test_late_copy_gets_the_same_verdict_and_is_delivered_no_second_time"


@mutant("I2: dedup has no window in time", f"{_LATE}[10 min + 1 s]", item=4)
def dedup_for_ten_minutes(planting):
    _forgets_after(planting, 600.0)


@mutant("I2: dedup has no window in time", f"{_LATE}[24 h + 1 s]", item=4)
def dedup_for_a_day(planting):
    _forgets_after(planting, 86400.0)


@mutant(
    "I2: dedup is durable",
    f"{_LATE}[a year and a restart]",
    item=4,
)
def dedup_dies_with_the_process(planting):
    @planting.replace(Inbox, "__init__")
    def init(original, self, snapshot, **settings):
        forgotten = [
            record._replace(cum=0, delivered=0, void=0, floor=1, void_runs=())
            for record in snapshot.in_streams
        ]
        original(self, replace(snapshot, in_streams=tuple(forgotten)), **settings)


@mutant(
    "§5.4: B's window begins at cum, not at floor",
    f"{WINDOW}test_backlog_of_ten_windows_drains_although_its_sender_is_away",
    item=12,
)
def window_over_floor_to_highest(planting):
    """The naive bitmap over [floor, highest]: full until the sender has heard the receipts."""

    def end(stream):
        return stream.floor - 1 + config.WINDOW

    @planting.replace(InStream, "open_in")
    def open_in(original, self, first, last):
        return original(self, first, min(last, end(self)))

    @planting.replace(Inbox, "room")
    def room(original, self, id_, base, section):
        stream = self._streams.get(id_)
        if stream is not None and section is not None and section.last > end(stream):
            return BEYOND
        return original(self, id_, base, section)


@mutant(
    "§5.4: what is settled above cum stands in bitmaps",
    f"{EXCHANGE}test_a_gap_holds_back_its_own_stream_only",
    item=12,
)
def cum_alone(planting):
    """The naive high-water mark: what is below it counts as delivered."""

    @planting.replace(InStream, "settle_delivered")
    def settle_delivered(original, self, first, last):
        original(self, self.cum + 1, last)


@mutant(
    "§5.4: floor never raises cum",
    "tests/im/test_in_stream.py::test_floor_only_rises_and_never_moves_cum",
    item=11,
)
def floor_raises_cum(planting):
    @planting.replace(InStream, "raise_floor")
    def raise_floor(original, self, floor):
        rose = original(self, floor)
        if floor - 1 > self.cum:
            last = min(floor - 1, self.cum + config.WINDOW)
            self.settle_delivered(self.cum + 1, last)
        return rose


@mutant(
    "§5.4: floor only rises",
    "tests/im/test_in_stream.py::test_floor_only_rises_and_never_moves_cum",
    item=14,
)
def floor_falls(planting):
    @planting.replace(InStream, "raise_floor")
    def raise_floor(original, self, floor):
        self.floor = floor
        self._forget_below_floor()
        return True


@mutant(
    "§5.4: what is not due below base becomes void",
    f"{RECIPIENTS}test_device_that_joined_between_claims_nothing_that_was_before_it",
    f"{EXCHANGE}test_a_device_that_joins_between_gets_what_is_due_to_it_and_claims_nothing_else",
    item=11,
)
def base_counts_as_delivered(planting):
    @planting.replace(InStream, "__init__")
    def init(original, self, record):
        original(self, record._replace(void_runs=()))


@mutant(
    "§5.4: a run above cum + W is not taken",
    f"{WINDOW}test_run_above_the_window_is_neither_acked_nor_answered",
    "tests/node/test_client.py::test_a_run_above_the_window_is_not_taken",
    item=12,
)
def run_above_the_window_is_taken(planting):
    @planting.replace(Inbox, "room")
    def room(original, self, id_, base, section):
        return FREE


# --- Verdicts ---


@mutant(
    "I8: every duplicate gets the same verdict again",
    f"{RECIPIENTS}test_copy_of_what_is_settled_is_answered_within_the_same_session",
    item=7,
)
def copy_gets_no_answer(planting):
    @planting.replace(Inbox, "_again")
    def again(original, self, stream, first, last):
        self.duplicates += 1


@mutant(
    "R3: a login offers the receipts from floor on",
    f"{RECIPIENTS}test_login_brings_the_lost_receipts_before_anybody_asks",
    "tests/im/test_receiver.py::test_a_login_offers_what_is_settled_from_floor_on",
)
def receipts_are_not_offered_at_login(planting):
    @planting.replace(Inbox, "session_started")
    def session_started(original, self, handles, **settings):
        original(self, handles, **settings)
        self._offers.take(len(self._offers))


@mutant(
    "R4: a commit at B wins over a cancel",
    f"{MATRIX}[the sender gives up while a copy is in flight]",
    f"{EXCHANGE}test_cancel_races_delivery[1-0.041]",
    item=16,
)
def cancel_wins_over_a_commit(planting):
    @planting.replace(Inbox, "_void")
    def void(original, self, stream, first, last, *, pulled):
        original(self, stream, first, last, pulled=pulled)
        stream.void_runs.add(first, min(last, stream.cum))


# --- The application ---


@mutant(
    "§5.4: messages are handed over in seq order",
    f"{EXCHANGE}test_a_gap_holds_back_its_own_stream_only",
    f"{RECIPIENTS}test_messages_that_overtake_each_other_are_put_in_order",
)
def release_on_arrival(planting):
    @planting.replace(InStream, "release")
    def release(original, self):
        released = [(seq, *row) for seq, row in self.ready.items()]
        self.ready.clear()
        return released


@mutant(
    "§5.4: a void fills its gap",
    f"{EXCHANGE}test_void_fills_the_gap",
    item=12,
)
def void_leaves_its_gap(planting):
    @planting.replace(InStream, "release")
    def release(original, self):
        if self.void or len(self.void_runs):
            return []
        return original(self)


@mutant(
    "§5.1: a memory inbox says DELIVERED once the application has finished",
    f"{EXCHANGE}test_memory_inbox_draws_an_incarnation_at_every_start",
)
def memory_inbox_receipts_what_it_holds(planting):
    @planting.replace(Inbox, "_take")
    def take(original, self, stream, section, *, pulled):
        new = [] if self._durable else stream.open_in(section.first, section.last)
        original(self, stream, section, pulled=pulled)
        for first, last in new:
            stream.settle_delivered(first, last)
        if new:
            self._settled(stream, new)

    @planting.replace(Inbox, "_settle_handled")
    def settle_handled(original, self):
        if not self._durable:
            self._handled.clear()
        original(self)


@mutant(
    "§5.1: a memory inbox never says DELIVERED for what is set aside",
    f"{RECIPIENTS}test_message_set_aside_is_receipted_truly_and_holds_nobody_up[False]",
    item=24,
)
def memory_inbox_receipts_what_is_set_aside(planting):
    @planting.replace(Inbox, "set_aside")
    def set_aside(original, self, row):
        if self._durable:
            return original(self, row)
        self.handled(row.stream, row.seq, len(row.payload))
        return True


@mutant(
    "§5.4: what is set aside stays in the inbox",
    f"{RECIPIENTS}test_message_set_aside_is_receipted_truly_and_holds_nobody_up[True]",
    item=24,
)
def set_aside_is_dropped(planting):
    @planting.replace(Aside, "take_ops")
    def take_ops(original, self):
        return [MarkHandled(op.stream, ((op.seq, op.seq),)) for op in original(self)]


@mutant(
    "§5.8: who waits behind a gap asks at each login",
    f"{EXCHANGE}test_what_a_lost_sender_left_behind_a_gap_is_handed_over[False-True]",
)
def gap_is_never_asked_about(planting):
    @planting.replace(InStream, "waits")
    def waits(original, self):
        return False
