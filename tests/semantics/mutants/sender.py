"""Mutants of the sender: outbox, waiting-ack queue, verdicts (PROTOCOL §5.3, §5.6 to §5.8)."""

from tests.semantics.mutants.mutant import mutant
from tests.semantics.mutants.places import EXCHANGE, MATRIX, SENDERS, SERVERS, WINDOW
from udpim.im import out_membership, out_stream, refusals, sender
from udpim.im.delivery import Delivery
from udpim.im.member_view import MemberView
from udpim.im.out_stream import WITHDRAWN, OutStream
from udpim.im.sender import Outbox
from udpim.im.transmitter import Transmitter
from udpim.im.waiting_ack import WaitingAckQueue
from udpim.model import RejectCode
from udpim.node.client import ClientNode
from udpim.ranges import RangeSet, without


def _settle(stream, first, last):
    stream.settled.add(first, last)
    stream.covered.add(first, last)
    stream._advance()


# --- What empties a row ---


@mutant(
    "I9: msg:A never disarms",
    f"{MATRIX}[s dies after msg a before msg n]",
    f"{EXCHANGE}test_accepted_never_disarms",
    item=1,
)
def accepted_clears_the_outbox(planting):
    @planting.replace(Outbox, "receive_msg_a")
    def receive_msg_a(original, self, packet):
        original(self, packet)
        stream = self.by_handle(packet.handle)
        for first, last in packet.ranges:
            _settle(stream, first, last)
        self._dirty[stream] = None


@mutant(
    "I9: an ack of the hop never disarms",
    f"{MATRIX}[s dies after msg a before msg n]",
    f"{EXCHANGE}test_accepted_never_disarms",
)
def hop_ack_clears_the_outbox(planting):
    @planting.replace(Outbox, "handle_timeout")
    def handle_timeout(original, self, now):
        self._dirty.update(dict.fromkeys(self._streams.values()))
        original(self, now)

    @planting.replace(Transmitter, "on_acked")
    def on_acked(original, self, flight, now):
        original(self, flight, now)
        if flight.stream.epoch and flight.first <= flight.last:
            _settle(flight.stream, flight.first, flight.last)


@mutant(
    "R1: floor waits for every endpoint due",
    f"{EXCHANGE}test_one_device_online_and_one_away",
    f"{SERVERS}test_a_device_that_was_away_gets_everything_from_a_server_that_lost_its_disk",
    item=11,
)
def floor_when_any_endpoint_settled(planting):
    @planting.replace(OutStream, "refresh")
    def refresh(original, self, first, last):
        everybody = self.audience.views
        for view in everybody:
            if view.delivered.within(first, last):
                self.audience.views = [view]
        try:
            return original(self, first, last)
        finally:
            self.audience.views = everybody


@mutant("R3: STORED is a lease, not a verdict", f"{MATRIX}[s loses its disk]")
def stored_settles(planting):
    @planting.replace(OutStream, "take_stored")
    def take_stored(original, self, view, ranges):
        changes = original(self, view, ranges)
        for first, last in self.used(ranges):
            view.confirmed.add(first, last)
        return changes


# --- What leaves, and when ---


@mutant(
    "§5.2: the first transmission waits for the outbox row",
    f"{SENDERS}test_nothing_leaves_a_sender_with_a_slow_disk_before_its_row",
)
def message_leaves_before_its_row(planting):
    @planting.replace(OutStream, "append")
    def append(original, self, stamps, payloads):
        first = original(self, stamps, payloads)
        self.committed = self.next_seq - 1
        return first

    @planting.replace(Outbox, "send")
    def send(original, self, *args, **kwargs):
        stream, first = original(self, *args, **kwargs)
        self._transmitter.ready(stream)
        return stream, first


@mutant(
    "§5.2: a new floor is told once it is durable",
    f"{SENDERS}test_a_floor_is_not_told_before_it_is_durable",
)
def floor_is_told_before_it_is_durable(planting):
    @planting.replace(Transmitter, "_head")
    def head(original, self, stream):
        stream.durable_floor = stream.floor
        return original(self, stream)


@mutant(
    "§5.2: a cancel waits for its record",
    f"{EXCHANGE}test_cancel_that_a_crash_took_back_had_reached_nobody",
)
def cancel_leaves_before_its_record(planting):
    @planting.replace(Outbox, "cancel")
    def cancel(original, self, stream, first, last):
        original(self, stream, first, last)
        for low, high in stream.saved([(first, last)]):
            self._transmitter.again(stream, low, high)


@mutant(
    "§5.2: a login waits for its count",
    f"{MATRIX}[a dies between login count and login]",
    f"{SENDERS}test_a_login_waits_for_its_count",
)
def login_leaves_before_its_count(planting):
    @planting.replace(ClientNode, "_login")
    def login(original, self, connection, now):
        original(self, connection, now)
        self._commits.waiters.pop()()


@mutant(
    "§5.3: nothing is transmitted from g + W on",
    f"{WINDOW}test_oldest_that_never_arrives_stops_its_sender_and_a_void_lets_it_go_on",
    item=12,
)
def sender_ignores_the_window(planting):
    @planting.replace(OutStream, "sendable_until")
    def sendable_until(original, self, window):
        return original(self, 1 << 40)


@mutant(
    "I12: what is sent again is paid for from a budget",
    f"{SENDERS}test_server_that_routes_and_hears_nothing_is_not_flooded_with_copies",
)
def copies_cost_no_budget(planting):
    @planting.replace(WaitingAckQueue, "allow")
    def allow(original, self, size_bytes, count, now):
        return count


@mutant(
    "§5.3: one end-to-end timer a message",
    f"{EXCHANGE}test_a_message_has_one_end_to_end_timer[first messages]",
)
def every_copy_has_a_timer(planting):
    @planting.replace(OutStream, "repeated")
    def repeated(original, self, number, first, last):
        pass


@mutant(
    "§5.3: the end-to-end timer is held while the hop is trying",
    f"{SENDERS}test_end_to_end_timer_is_held_while_the_hop_is_trying",
    item=20,
)
def timer_runs_while_the_hop_is_trying(planting):
    clock = {}

    @planting.replace(ClientNode, "datagrams_to_send")
    def datagrams_to_send(original, self, now):
        clock[self.outbox._transmitter] = now
        return original(self, now)

    @planting.replace(Transmitter, "_flight")
    def flight(original, self, stream, span, interval_s, **kwargs):
        made = original(self, stream, span, interval_s, **kwargs)
        self.waiting.arm(made, clock[self] + interval_s)
        return made

    @planting.replace(Transmitter, "on_acked")
    def on_acked(original, self, flight, now):
        if flight.session == self._session:
            self.handles.confirm(flight.stream.id)


@mutant(
    "§5.3: a retransmission is no evidence that an earlier copy arrived",
    f"{SENDERS}test_first_copy_is_lost_and_the_second_is_delivered",
    f"{MATRIX}[s dies on msg r]",
    item=5,
)
def retransmission_flag_is_trusted(planting):
    """A flag on the wire would do: what A marks as sent again, S takes for known."""
    flagged = set()

    @planting.replace(Transmitter, "_count_resent")
    def count_resent(original, self, stream, first, last):
        repeated = min(last, stream.fresh_from - 1)
        flagged.update((stream.id, seq) for seq in range(first, repeated + 1))
        original(self, stream, first, last)

    @planting.replace(Delivery, "deliver")
    def deliver(original, self, *call):
        _, stream, _, section, _ = call
        if all((stream, seq) in flagged for seq in range(section.first, section.last + 1)):
            return True
        return original(self, *call)


# --- Giving up ---


@mutant(
    "R4: only B says VOID of what left",
    f"{MATRIX}[the sender gives up while a copy is in flight]",
    f"{MATRIX}[the sender gives up while a copy is queued]",
)
def sender_says_void_alone(planting):
    @planting.replace(Outbox, "cancel")
    def cancel(original, self, stream, first, last):
        for low, high in without(stream.settled.missing(first, last), stream.cancelled):
            self._close(stream, low, high, WITHDRAWN)
            self._transmitter.again(stream, low, high)
        self._dirty[stream] = None


@mutant(
    "§5.1: UNKNOWN is a flag, and a later verdict is still shown",
    f"{EXCHANGE}test_unknown_that_was_delivered_is_shown_delivered",
    item=28,
)
def unknown_is_final(planting):
    @planting.replace(Outbox, "receive_ack_n")
    def receive_ack_n(original, self, stream, packet):
        delivered = tuple(without(packet.delivered, stream.cancelled))
        original(self, stream, packet._replace(delivered=delivered))


@mutant(
    "§5.6: a transient refusal only slows down",
    f"{SENDERS}test_full_queue_refuses_a_second_copy_and_the_first_one_counts",
    item=29,
)
def full_is_final(planting):
    @planting.replace(Outbox, "receive_refuse")
    def receive_refuse(original, self, packet):
        if packet.code == RejectCode.FULL:
            packet = packet._replace(code=int(RejectCode.FORBIDDEN))
        original(self, packet)


@mutant(
    "§5.6: a refusal is about a copy",
    f"{SENDERS}test_permanent_refusal_of_a_second_copy_rejects_nothing",
    item=29,
)
def refusal_of_a_copy_is_final(planting):
    @planting.replace(sender, "take_refusal")
    def take_refusal(original, stream, packet):
        for part in packet.ranges:
            stream.resent.remove(*part)
        return original(stream, packet)


@mutant(
    "§5.6: what is redirected waits until it is VOID at everybody it was for",
    "tests/node/test_inspection.py"
    "::test_an_earlier_copy_that_was_delivered_stays_the_only_one[six]",
    "tests/im/test_refusals.py::test_a_commit_of_an_earlier_copy_wins_and_nothing_goes_on",
)
def redirect_does_not_wait_for_void(planting):
    @planting.replace(refusals, "_give_up")
    def give_up(original, stream, part, packet):
        changes = original(stream, part, packet)
        for seq, to in stream.onward.pending.items():
            refusals._release(stream, seq, to)
        stream.onward.pending.clear()
        return changes


@mutant(
    "§5.6: what is redirected leaves in the transaction that closes the old seq",
    "tests/im/test_refusals.py"
    "::test_an_only_copy_goes_on_at_once_and_in_the_transaction_that_closes_it",
    "tests/im/test_refusals.py::test_a_restart_goes_on_with_what_waits_and_knows_what_went",
)
def redirect_leaves_after_the_close(planting):
    @planting.replace(Outbox, "take_ops")
    def take_ops(original, self):
        kept = [(s, s.onward.released) for s in self._dirty if s.onward.released]
        for stream, _ in kept:
            stream.onward.released = []
        ops = original(self)
        for stream, released in kept:
            stream.onward.released = released
            self._dirty[stream] = None
        return ops


@mutant(
    "§5.3: a message keeps its msgid, also when it is sent again by hand",
    "tests/testing/test_nodes.py::test_a_message_may_be_sent_again_by_hand",
)
def resending_burns_a_new_seq(planting):
    @planting.replace(Outbox, "resend")
    def resend(original, self, stream, seq):
        payload = stream.rows[seq][1]
        self.send(stream.id.conversation, [payload], now=0.0, wall_ms=self.stamp >> 16)


# --- Incarnations and store epochs ---


@mutant(
    "§5.8: no VOID while an endpoint that may hold a copy is missing in a new store",
    f"{EXCHANGE}test_void_is_not_said_while_an_endpoint_that_may_have_it_is_missing_in_a_new_store",
)
def doubt_is_forgotten(planting):
    @planting.replace(out_stream, "decide")
    def decide(original, stream, judgement):
        doubtful, stream.doubtful = stream.doubtful, RangeSet()
        try:
            return original(stream, judgement)
        finally:
            stream.doubtful = doubtful


@mutant(
    "§5.8: STORED holds under the store epoch it was said with",
    f"{SENDERS}test_stored_of_a_lost_store_is_sent_again_to_who_has_nothing_to_offer",
    item=10,
)
def stored_outlives_its_store(planting):
    @planting.replace(sender, "forget_membership")
    def forget_membership(original, self, store_epoch):
        stored = [view.stored.copy() for view in self.audience.views]
        covered = self.covered.copy()
        if original(self, store_epoch) is None:
            return None
        for view, ranges in zip(self.audience.views, stored, strict=True):
            view.stored = ranges
        self.covered = covered
        return []


@mutant(
    "§5.8: what is STORED is asked for at each login and every 6 h",
    f"{EXCHANGE}test_stored_is_asked_for_every_six_hours",
)
def lease_is_never_asked_for(planting):
    @planting.replace(Transmitter, "ask_for_stored")
    def ask_for_stored(original, self, stream):
        pass


@mutant(
    "§5.8: verdicts of older incarnations are dropped",
    f"{SENDERS}test_verdict_of_a_lost_inbox_says_nothing_of_the_new_one",
)
def older_incarnations_count(planting):
    @planting.replace(Outbox, "receive_ack_n")
    def receive_ack_n(original, self, stream, packet):
        view = stream.audience.view(packet.ordinal)
        if view is not None and packet.incarnation:
            packet = packet._replace(incarnation=view.incarnation)
        original(self, stream, packet)


@mutant(
    "§5.8: a newer incarnation gets what is open again",
    f"{SENDERS}test_new_inbox_gets_again_what_another_device_holds_open",
    item=15,
)
def new_incarnation_is_taken_for_the_old_one(planting):
    @planting.replace(out_membership, "_forget_confirmations")
    def forget_confirmations(original, self, view):
        return []


@mutant(
    "§5.8: verdicts that are all below floor bring the recipient the floor",
    f"{EXCHANGE}test_receipts_that_the_sender_has_are_offered_once_more_and_no_more",
)
def floor_is_never_told_again(planting):
    @planting.replace(Outbox, "_tell_floor")
    def tell_floor(original, self, stream, top=None):
        pass


@mutant(
    "§5.1: a memory inbox cannot promise never",
    "tests/testing/test_world.py::test_unknown_is_all_that_a_memory_inbox_can_tell",
    "tests/im/test_member_view.py::test_only_a_durable_inbox_can_promise_never",
)
def memory_inbox_is_believed(planting):
    @planting.replace(MemberView, "durable")
    def durable(original, self):
        return True


@mutant(
    "§5.8: a verdict for a seq that was never used proves a rollback",
    f"{EXCHANGE}test_verdict_for_a_seq_never_used_proves_a_rollback",
    item=8,
)
def verdict_for_a_seq_never_used_is_shrugged_off(planting):
    @planting.replace(Outbox, "receive_ack_n")
    def receive_ack_n(original, self, stream, packet):
        original(self, stream, packet)
        self.rolled_back = False
