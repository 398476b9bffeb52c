"""Mutants of the server: routing, queue, receipt rows, authority, endings (PROTOCOL §5.5, §5.8)."""

from tests.semantics.mutants.mutant import mutant
from tests.semantics.mutants.places import (
    EXCHANGE,
    EXPIRY,
    MATRIX,
    RECIPIENTS,
    SENDERS,
    SERVERS,
    WINDOW,
)
from udpim.im import router
from udpim.im.answers import Answers
from udpim.im.delivery import Delivery
from udpim.im.devices import Registry
from udpim.im.endings import Endings
from udpim.im.offline_queue import OfflineQueue
from udpim.im.queue_writer import QueueWriter
from udpim.im.receipt_rows import ReceiptRows
from udpim.im.router import Router
from udpim.im.session import Push, Relay
from udpim.im.standstills import Standstills
from udpim.model import Endpoint
from udpim.node.aging import Aging
from udpim.node.dispatch import _ROUTER_METHODS, Dispatch
from udpim.node.logins import Logins
from udpim.ranges import RangeSet
from udpim.wire.im_packets import EpochRun

# --- STORED and the queue ---


@mutant(
    "§5.2: STORED waits for the fsync",
    f"{MATRIX}[s dies after the queue s fsync before stored]",
    f"{SERVERS}test_server_that_dies_before_the_fsync_has_promised_nothing",
    item=9,
)
def stored_before_fsync(planting):
    @planting.replace(QueueWriter, "_put")
    def put(original, self, *rows, void):
        original(self, *rows, void=void)
        if not void:
            endpoint, stream, _, ranges = rows
            self._stored(endpoint, stream, list(ranges))


@mutant(
    "§5.1: a server on a memory store never says STORED",
    f"{EXCHANGE}test_memory_server_never_says_stored",
)
def memory_server_says_stored(planting):
    @planting.replace(Answers, "__init__")
    def init(original, self, registry, *, store_epoch, durable):
        original(self, registry, store_epoch=store_epoch, durable=True)


@mutant(
    "§5.5: a queue row goes by the verdict for its msgid",
    f"{SERVERS}test_pulled_rows_stay_until_their_verdict",
    item=11,
)
def row_goes_when_it_is_pulled(planting):
    @planting.replace(Dispatch, "on_queue_read")
    def on_queue_read(original, self, token, items):
        endpoint = self._reading[token].endpoint
        original(self, token, items)
        for item in items:
            pulled = [(row.seq, row.seq) for row in item.rows]
            self._router.delivery._writer.delete(endpoint, item.stream, pulled)


@mutant(
    "§5.5: what is too old becomes void items, and B has the last word",
    f"{EXPIRY}test_recipient_that_comes_back_first_closes_the_gap_although_the_sender_is_away",
    "tests/im/test_expiry.py::test_what_waited_for_too_long_is_stored_no_more_and_a_copy_is_refused",
)
def expired_rows_are_deleted(planting):
    @planting.replace(QueueWriter, "expire")
    def expire(original, self, rows_max):
        for endpoint, stream, rows in list(self._queue.expired()):
            self.delete(endpoint, stream, rows)
        return 0


@mutant(
    "§5.5: a copy that meets a void item is refused, or it would be brought for ever",
    f"{EXPIRY}test_what_waited_for_too_long_is_void_once_its_recipient_has_said_so",
    "tests/im/test_expiry.py::test_what_comes_behind_is_queued_and_accepted",
)
def expired_copies_are_accepted(planting):
    @planting.replace(router, "given_up")
    def given_up(original, *run):
        return RangeSet()


@mutant(
    "§5.5: ages count the time that the server ran",
    f"{EXPIRY}test_clock_moved_by_a_year_and_a_server_that_is_down_end_nothing",
)
def ages_are_dates(planting):
    @planting.replace(Aging, "__init__")
    def init(original, self, router, meta, *times):
        original(self, router, meta, *times)
        self._known_s = 0

    @planting.replace(Aging, "tick")
    def tick(original, self, now):
        self._started = 0.0
        original(self, now)


@mutant(
    "§5.5: what a stream's window kept out of an answer is announced",
    f"{WINDOW}test_backlog_of_ten_windows_drains_although_its_sender_is_away",
    item=12,
)
def pull_ends_at_the_window(planting):
    @planting.replace(OfflineQueue, "unread")
    def unread(original, self, endpoint):
        return False


@mutant(
    "§5.5: unreceipted pushes go to the queue when the session ends",
    f"{SERVERS}test_push_that_was_not_receipted_survives_the_session_without_its_sender",
)
def pushes_die_with_their_session(planting):
    @planting.replace(Router, "session_closed")
    def session_closed(original, self, session, unacked):
        for push in session.pushes.values():
            push.unreceipted.clear()
        original(self, session, unacked)


@mutant(
    "§5.5: while rows of a stream wait, further seqs are appended",
    "tests/im/test_router.py"
    "::test_while_rows_wait_further_seqs_are_appended_and_the_session_is_nudged",
)
def push_overtakes_the_queue(planting):
    @planting.replace(Delivery, "deliver")
    def deliver(original, self, *call):
        endpoint, *run, _ = call
        online = self.sessions.get(endpoint)
        if online is None:
            return original(self, *call)
        self._push(online, *run)
        return True


@mutant(
    "§5.5: a full queue is refused, not passed over",
    f"{SERVERS}test_full_queue_is_told_and_other_conversations_go_on",
    item=26,
)
def full_queue_drops_in_silence(planting):
    @planting.replace(Delivery, "deliver")
    def deliver(original, self, *call):
        original(self, *call)
        return True


@mutant(
    "§5.7: a cancel turns a row into a void item",
    f"{SERVERS}test_void_item_closes_the_gap_although_its_sender_is_away",
)
def cancel_deletes_the_row(planting):
    @planting.replace(Delivery, "cancel")
    def cancel(original, self, endpoint, stream, *cancel):
        _, ranges = cancel
        if self._queue.find(endpoint, stream) is None:
            original(self, endpoint, stream, *cancel)
        else:
            self._writer.delete(endpoint, stream, ranges)


@mutant(
    "R4: only B says VOID",
    f"{MATRIX}[the sender gives up while a copy is queued]",
    f"{SERVERS}test_no_void_before_the_recipient_although_the_server_that_pushed_died",
    item=11,
)
def server_says_void(planting):
    @planting.replace(Router, "receive_cancel_r")
    def receive_cancel_r(original, self, session, stream, packet):
        original(self, session, stream, packet)
        for record in self.registry.devices(stream.conversation).values():
            endpoint = Endpoint(stream.conversation, record.device)
            relay = Relay(stream, endpoint, record.incarnation, (), packet.ranges)
            self.answers.verdicts(session, relay, kept=True)


# --- Routing ---


@mutant(
    "R2: the sender stamps the epoch, the server does not",
    f"{EXCHANGE}test_a_device_that_joins_between_gets_what_is_due_to_it_and_claims_nothing_else",
    item=11,
)
def server_stamps_the_epoch(planting):
    @planting.replace(Router, "receive_msg_r")
    def receive_msg_r(original, self, session, stream, packet):
        present = self.conversations.epoch(stream)
        runs = (EpochRun(packet.runs[0].first, present),)
        original(self, session, stream, packet._replace(runs=runs))


@mutant(
    "R2: base tells each endpoint from where on it is due",
    f"{EXCHANGE}test_a_device_that_joins_between_gets_what_is_due_to_it_and_claims_nothing_else",
    item=11,
)
def no_base(planting):
    @planting.replace(router, "base_for")
    def base_for(original, runs, floor, joined):
        return None if original(runs, floor, joined) is None else floor


@mutant(
    "§5.5: with an epoch that S does not know it forwards nothing",
    f"{SENDERS}test_first_message_is_not_forwarded_before_it_is_stamped",
)
def unknown_epoch_is_forwarded(planting):
    @planting.replace(router, "epochs_known")
    def epochs_known(original, runs, first, last, epoch):
        return True

    @planting.replace(router, "base_for")
    def base_for(original, runs, floor, joined):
        return max(floor, runs[0].first)


@mutant(
    "R11: a duplicate of an unreceipted push is not pushed again",
    f"{SENDERS}test_server_that_routes_and_hears_nothing_is_not_flooded_with_copies",
    "tests/im/test_router.py"
    "::test_a_duplicate_of_an_unreceipted_push_gets_msg_a_and_no_second_push",
)
def duplicate_is_pushed_again(planting):
    @planting.replace(Delivery, "deliver")
    def deliver(original, self, *call):
        endpoint, *run, _ = call
        online = self.sessions.get(endpoint)
        push = None if online is None else online.pushes.get(run[0])
        if push is not None and self._queue.find(endpoint, run[0]) is None:
            self._push(online, *run)
            return True
        return original(self, *call)


# --- Receipts and authority ---


@mutant(
    "R3: a receipt for who is away waits in a row",
    f"{MATRIX}[ack n is lost and a is away for a week]",
    f"{SERVERS}test_sender_that_was_away_learns_of_the_delivery_without_its_recipient",
    item=11,
)
def receipt_row_is_not_kept(planting):
    @planting.replace(ReceiptRows, "keep")
    def keep(original, self, *verdicts, after):
        after(True)


@mutant(
    "R3: ack:A waits for A's hop or for the receipt row",
    f"{RECIPIENTS}test_ack_a_waits_until_the_receipt_cannot_get_lost",
)
def ack_a_at_once(planting):
    @planting.replace(Router, "receive_ack_r")
    def receive_ack_r(original, self, session, stream, packet):
        original(self, session, stream, packet)
        if packet.delivered + packet.void:
            verdicts = (packet.delivered, packet.void)
            self.relays.acknowledge(Relay(stream, session.endpoint, session.incarnation, *verdicts))


@mutant(
    "R13: only an endpoint's own session reports for it",
    f"{EXCHANGE}test_forged_receipt_of_another_user_is_ignored",
    item=8,
)
def anybody_gives_receipts(planting):
    @planting.replace(Router, "receive_ack_r")
    def receive_ack_r(original, self, session, stream, packet):
        devices = self.registry.devices(stream.conversation)
        sender = self.sessions.get(Endpoint(stream.user, stream.device))
        if stream.conversation == session.endpoint.user or not devices or sender is None:
            original(self, session, stream, packet)
            return
        record = next(iter(devices.values()))
        endpoint = Endpoint(record.user, record.device)
        verdicts = (packet.delivered, packet.void)
        relay = Relay(stream, endpoint, record.incarnation, *verdicts)
        self.answers.verdicts(sender, relay, kept=False)


@mutant(
    "R13: the sender is the session's identity",
    f"{EXCHANGE}test_name_of_another_sender_is_replaced_by_the_session_s",
)
def name_in_the_packet_is_believed(planting):
    @planting.replace(Dispatch, "_on_sender")
    def on_sender(original, self, session, packet):
        if packet.name is None or not packet.name.user:
            return original(self, session, packet)
        stream = session.inbound.resolve(packet.handle, packet.name)
        method = _ROUTER_METHODS[type(packet)]
        return lambda now: method(self._router, session, stream, packet)


# --- Incarnations ---


@mutant(
    "§5.8: a login below the mark comes from an old copy of the store",
    f"{MATRIX}[a restores a disk copied within the same session]",
    f"{MATRIX}[a restores an old disk and writes before it is online]",
    item=15,
)
def login_mark_is_ignored(planting):
    @planting.replace(Registry, "is_stale")
    def is_stale(original, self, *login):
        return False

    @planting.replace(Logins, "_is_stale")
    def logins_is_stale(original, self, *login):
        return False


@mutant(
    "§5.8: a stream ends when its sender comes back without it",
    f"{EXCHANGE}test_what_a_lost_sender_left_behind_a_gap_is_handed_over[True-True]",
)
def streams_never_end(planting):
    @planting.replace(Endings, "tell")
    def tell(original, self, session, stream):
        self.push(session, stream)


@mutant(
    "§5.8: what is queued for B or pushed is left out of the end",
    "tests/im/test_endings.py"
    "::test_who_was_pushed_to_hears_of_the_end_but_for_what_may_still_arrive",
    "tests/im/test_endings.py::test_what_waits_in_the_queue_is_still_to_come",
)
def end_voids_what_is_still_to_come(planting):
    @planting.replace(Endings, "tell")
    def tell(original, self, session, stream):
        queue, self._queue = self._queue, _EmptyQueue()
        push = self.push(session, stream)
        unreceipted = push.unreceipted.copy()
        push.unreceipted.clear()
        try:
            original(self, session, stream)
        finally:
            push.unreceipted.update(unreceipted)
            self._queue = queue


class _EmptyQueue:
    def find(self, endpoint, stream):
        return None


@mutant(
    "§5.8: with the flag `continues` an older incarnation has not ended",
    f"{SERVERS}test_what_a_restored_store_still_had_to_bring_is_not_voided",
    "tests/im/test_endings.py::test_an_old_incarnation_ends_when_it_has_nothing_left_to_bring",
)
def continues_is_ignored(planting):
    @planting.replace(Registry, "has_ended")
    def has_ended(original, self, stream):
        record = self.get(Endpoint(stream.user, stream.device))
        return record is not None and record.incarnation != stream.incarnation


# --- Floors for who waits below them ---


@mutant(
    "§5.5: what is handed to the queue carries the highest floor that A told",
    "tests/im/test_delivery.py"
    "::test_what_goes_to_the_queue_knows_the_floor_that_its_sender_has_told[late]",
)
def push_keeps_the_floor_it_left_with(planting):
    @planting.replace(Push, "raise_head")
    def raise_head(original, self, floor, base):
        if (self.floor, self.base) == (1, 1):
            original(self, floor, base)


@mutant(
    "§5.8: who waits at a gap learns the floor",
    f"{EXCHANGE}test_new_incarnation_learns_the_floor_although_its_sender_died_before_telling_it"
    "[the sender]",
    "tests/im/test_standstills.py::test_who_asks_again_is_told_only_what_is_new",
)
def question_is_not_heard(planting):
    @planting.replace(Standstills, "asked")
    def asked(original, self, session, stream):
        pass
