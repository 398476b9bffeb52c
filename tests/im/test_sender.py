"""The sender: rows, verdicts, refusals, giving up, and sessions (PROTOCOL §5.3)."""

import pytest

from tests.im.helpers import ALICE, DURABLE, EPOCH, INC, STREAM, TWO, Sender, line, member
from udpim.config import STATUS_LEASE_S
from udpim.im.records import OutMember, PutOutbox, PutOutStream, StampOutbox, TrimOutbox
from udpim.model import MessageState, RejectCode
from udpim.wire.im_packets import Members, ReadN, StatusA

# --- Rows ---


def test_nothing_leaves_before_its_row_is_durable():
    a = Sender()
    a.met()
    stream, first = a.send(b"a", b"b")
    assert [PutOutbox, PutOutStream] == [type(op) for op in a.begin()]
    assert [] == a.told()
    assert [(stream, 3)] == a.finish()
    assert ["msg 2-3"] == a.told()
    assert (2, ALICE.user) == (first, stream.id.user)


def test_a_quiet_turn_writes_nothing():
    assert [] == Sender().outbox.take_ops()


def test_msg_a_never_empties_a_row():
    a = Sender()
    stream = a.met()
    a.accept((1, 1))
    assert ["1-1 ACCEPTED"] == a.changes()
    assert [1] == list(stream.rows)
    a.outbox.session_ended()
    a.login()
    assert ["msg 1-1"] == a.told()


def test_a_verdict_empties_the_row_in_the_transaction_that_moves_floor():
    a = Sender()
    stream = a.met(b"1", b"2")
    a.verdict(stream, delivered=((1, 1),))
    ops = a.begin()
    assert [TrimOutbox(1, 1, 1)] == ops[:-1]
    assert 2 == ops[-1].record.floor
    assert 1 == a.outbox.open_messages
    assert 1 == stream.durable_floor, "a floor is told once it is durable"
    a.finish()
    assert 2 == stream.durable_floor


def test_stamps_rise_even_when_the_clock_falls():
    a = Sender()
    stream, _ = a.send(b"1", now=0.0)
    a.outbox.send("carol", [b"2"], now=0.0, wall_ms=1000)
    a.outbox.send("bob", [b"3"], now=0.0, wall_ms=1)
    assert [1, (1000 << 16) + 1] == [stamp for stamp, _ in stream.rows.values()]


def test_a_restart_sends_the_same_msgid_with_the_same_payload():
    a = Sender()
    a.met(b"1", b"2")
    again = a.restart()
    assert 2 == again.outbox.open_messages
    again.login()
    ((packet, flight),) = again.packets()
    assert (1, 2, STREAM) == (packet.section.first, packet.section.last, flight.stream.id)
    assert packet.section.raw.endswith(b"12")


def test_a_message_that_never_was_committed_never_was():
    a = Sender()
    a.send(b"1")
    assert 0 == a.restart().outbox.open_messages


# --- Membership (R2) ---


def test_rows_are_stamped_durably_before_they_leave_again():
    a = Sender()
    stream, _ = a.send(b"1")
    a.commit()
    a.login()
    a.packets()
    a.outbox.receive_members(stream, members_packet(member(0), epoch=3))
    ops = a.begin()
    assert StampOutbox(1, 1, 1, 3) in ops
    assert [] == a.told()
    a.finish()
    ((packet, _),) = a.packets()
    assert ((1, 3),) == packet.runs
    assert ((1, 3),) == a.restart().outbox.stream(STREAM).head_runs()


def members_packet(*members, epoch=None, store_epoch=EPOCH):
    epoch = len(members) if epoch is None else epoch
    return Members(1, None, True, store_epoch, epoch, members)


def test_a_commit_from_before_a_restamp_lets_nothing_leave():
    a = Sender()
    stream, _ = a.send(b"1")
    a.commit()
    a.login()
    a.send(b"2")
    a.begin()
    a.outbox.receive_members(stream, members_packet(member(0)))
    a.begin()
    a.finish()
    assert [] == a.told()
    a.finish()
    assert ["msg 1-2"] == a.told()


def test_later_messages_carry_the_newest_epoch():
    a = Sender()
    stream = a.met()
    a.members(stream, *TWO)
    a.send(b"2")
    a.commit()
    ((packet, _),) = a.packets()
    assert ((1, 1), (2, 2)) == packet.runs


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (members_packet(member(0), epoch=0), "membership older than known"),
        (members_packet(*TWO, store_epoch=EPOCH + 1), "membership older than known"),
    ],
)
def test_a_membership_that_cannot_be_is_dropped(packet, reason):
    a = Sender()
    stream = a.met()
    a.outbox.receive_members(stream, packet)
    assert {reason: 1} == a.outbox.drops
    assert 1 == stream.epoch


def test_a_newer_incarnation_gets_what_is_open_again_and_learns_floor():
    a = Sender()
    stream = a.met(b"1", b"2", b"3")
    a.verdict(stream, delivered=((1, 1), (3, 3)))
    a.commit()
    a.members(stream, member(0, incarnation=DURABLE | 9))
    (question, _), (packet, _) = a.packets()
    assert (2, ((1, 1),)) == (question.floor, question.ranges), "nothing is asked"
    assert (3, 3) == (packet.section.first, packet.section.last), "2 is on its way, as before"
    a.verdict(stream, delivered=((2, 3),))
    assert {"verdict of an unknown incarnation": 1} == a.outbox.drops
    assert MessageState.DELIVERED == stream.state(3), "what was shown stays shown"
    a.verdict(stream, incarnation=DURABLE | 9, delivered=((2, 3),))
    assert 4 == stream.floor


@pytest.mark.parametrize("lists", [{}, {"delivered": ((1, 1),)}], ids=["asked", "offered again"])
def test_who_seems_not_to_know_the_floor_is_told_it_once(lists):
    a = Sender()
    stream = a.met(b"1", b"2", b"3")
    a.verdict(stream, delivered=((1, 2),))
    a.commit()
    for told in (["status 2-2"], []):
        a.verdict(stream, **lists)
        assert told == a.told()
    assert 3 == stream.told_floor


def test_another_store_epoch_restamps_and_sends_again_what_was_stored():
    a = Sender()
    stream = a.met(b"1", b"2")
    a.stored(stream, (1, 2))
    assert ["1-2 STORED"] == a.changes()
    a.outbox.session_ended()
    a.login(EPOCH + 1)
    assert ["1-2 PENDING"] == a.changes()
    ((packet, _),) = a.packets()
    assert ((1, 0),) == packet.runs
    a.members(stream, member(4), store_epoch=EPOCH + 1)
    assert ["msg 1-2"] == a.told()


# --- Verdicts ---


def test_a_message_is_delivered_once_one_device_has_it_and_armed_for_the_other():
    a = Sender()
    stream = a.met(members=TWO)
    a.verdict(stream, 1, delivered=((1, 1),))
    assert ["1-1 DELIVERED"] == a.changes()
    assert 1 == stream.floor
    a.verdict(stream, 0, void=((1, 1),))
    assert [] == a.changes(), "a late lower verdict changes nothing"
    assert 2 == stream.floor


def test_void_is_said_when_every_device_has_said_it():
    a = Sender()
    stream = a.met(members=TWO)
    a.verdict(stream, 0, void=((1, 1),))
    assert [] == a.changes()
    a.verdict(stream, 1, void=((1, 1),))
    assert ["1-1 VOID"] == a.changes()


def test_a_void_never_follows_the_same_devices_delivered():
    a = Sender()
    stream = a.met()
    a.verdict(stream, delivered=((1, 1),), void=())
    a.verdict(stream, void=((1, 1),))
    assert ["1-1 DELIVERED"] == a.changes()
    assert [] == list(stream.audience.view(0).void)


def test_an_excused_device_is_waited_for_no_longer():
    a = Sender()
    stream = a.met()
    a.verdict(stream, 0, 0, excused=((1, 2**64 - 1),))
    assert ["1-1 EXCUSED"] == a.changes()
    assert (2, [(1, 1)]) == (stream.floor, list(stream.audience.view(0).excused))


@pytest.mark.parametrize("how", ["excused", "void"])
def test_an_end_without_delivery_is_shown_once_it_is_durable(how):
    a = Sender()
    stream = a.met()
    a.verdict(stream, 0, 0 if how == "excused" else None, **{how: ((1, 1),)})
    a.begin()
    assert (MessageState.PENDING, [], False) == (
        stream.state(1),
        line(a.outbox.take_changes()),
        stream.final(1),
    )
    a.finish()
    assert [f"1-1 {how.upper()}"] == line(a.outbox.take_changes())
    again = Sender(a.state)
    assert [] == line(again.outbox.take_changes()), "said by an earlier life"


@pytest.mark.parametrize(
    ("ordinal", "incarnation"),
    [(7, DURABLE | 1), (0, DURABLE | 8), (0, 0)],
    ids=["no such endpoint", "another incarnation", "the server itself"],
)
def test_delivered_counts_only_from_the_incarnation_that_is_due(ordinal, incarnation):
    a = Sender()
    stream = a.met()
    a.verdict(stream, ordinal, incarnation, delivered=((1, 1),))
    assert {"verdict of an unknown incarnation": 1} == a.outbox.drops
    assert [] == a.changes()


def test_a_verdict_for_a_seq_never_used_betrays_a_restored_store():
    a = Sender()
    stream = a.met()
    a.verdict(stream, void=((2, 2),))
    assert a.outbox.rolled_back
    a.outbox.new_incarnation(INC + 1, a.now)
    assert not a.outbox.rolled_back
    fresh, first = a.send(b"2")
    assert (INC + 1, 1) == (fresh.id.incarnation, first)
    a.verdict(stream, void=((2, 2),))
    assert not a.outbox.rolled_back, "of an older stream it says nothing new"
    assert a.outbox.continues
    a.verdict(stream, delivered=((1, 2),))
    assert ["1-1 DELIVERED"] == a.changes(), "what was lost with the store was in the same packet"
    assert not a.outbox.continues, "of the older incarnation all is settled"


def test_old_incarnations_streams_are_brought_to_their_end():
    a = Sender()
    a.met()
    again = a.restart(incarnation=INC + 1)
    fresh, _ = again.send(b"2")
    again.commit()
    again.login()
    assert {STREAM, fresh.id} == {flight.stream.id for _, flight in again.packets()}


# --- STORED ---


def test_stored_counts_only_under_the_store_that_it_was_said_by():
    a = Sender()
    stream = a.met()
    a.stored(stream, (1, 1), store_epoch=EPOCH + 1)
    assert [] == a.changes()
    a.stored(stream, (1, 1))
    a.stored(stream, (1, 1))
    assert ["1-1 STORED"] == a.changes()


def status_a(asked, stored=(), ordinal=0, store_epoch=EPOCH):
    return StatusA(1, None, ordinal, store_epoch, asked, stored)


def test_what_is_no_longer_stored_falls_to_pending_and_is_sent_again():
    a = Sender()
    stream = a.met(b"1", b"2", b"3")
    a.accept((1, 3))
    a.stored(stream, (1, 3))
    a.changes()
    a.outbox.receive_status_a(stream, status_a(((1, 3),), ((2, 2),)))
    assert ["1-1 PENDING", "3-3 PENDING"] == a.changes()
    assert [0, 2, 0] == [stream.state(seq) for seq in (1, 2, 3)]
    assert ["msg 1-1", "msg 3-3"] == a.told()


def test_a_status_can_be_the_first_to_say_stored():
    a = Sender()
    stream = a.met()
    a.outbox.receive_status_a(stream, status_a(((1, 9),), ((1, 9),)))
    assert ["1-1 STORED"] == a.changes()


@pytest.mark.parametrize("wrong", [{"ordinal": 3}, {"store_epoch": EPOCH + 1}])
def test_a_status_of_somebody_else_is_dropped(wrong):
    a = Sender()
    stream = a.met()
    a.stored(stream, (1, 1))
    a.changes()
    a.outbox.receive_status_a(stream, status_a(((1, 1),), **wrong))
    assert {"status of an unknown endpoint": 1} == a.outbox.drops
    assert [] == a.changes()


def test_what_is_stored_is_asked_for_at_login_and_every_six_hours():
    a = Sender()
    stream = a.met()
    a.stored(stream, (1, 1))
    a.outbox.session_ended()
    assert a.outbox.next_timeout() is None
    a.login()
    assert ["status 1-1"] == a.told()
    assert STATUS_LEASE_S == a.outbox.next_timeout()
    a.outbox.handle_timeout(STATUS_LEASE_S)
    assert ["status 1-1"] == a.told()
    assert 2 * STATUS_LEASE_S == a.outbox.next_timeout()


# --- The lattice, whatever comes late (I4) ---


def test_states_shown_never_fall_behind_a_delivered_device():
    a = Sender()
    stream = a.met(members=TWO)
    a.verdict(stream, 0, delivered=((1, 1),))
    a.accept((1, 1))
    a.stored(stream, (1, 1), ordinal=1)
    a.outbox.receive_status_a(stream, status_a(((1, 1),), ordinal=1))
    a.outbox.cancel(stream, 1, 1)
    assert ["1-1 DELIVERED"] == a.changes()
    assert MessageState.DELIVERED == stream.state(1)


def test_a_late_accepted_does_not_lower_stored_nor_unknown():
    a = Sender()
    stream = a.met(b"1", b"2")
    a.stored(stream, (1, 1))
    a.outbox.cancel(stream, 2, 2)
    a.accept((1, 2))
    a.stored(stream, (2, 2))
    assert ["1-1 STORED", "2-2 UNKNOWN"] == a.changes()


def test_one_devices_lapse_leaves_the_others_stored():
    a = Sender()
    stream = a.met(members=TWO)
    a.stored(stream, (1, 1), ordinal=0)
    a.stored(stream, (1, 1), ordinal=1)
    a.outbox.receive_status_a(stream, status_a(((1, 1),)))
    assert ["1-1 STORED"] == a.changes()
    assert MessageState.STORED == stream.state(1)


# --- Refusals (R6) ---


def test_a_permanent_refusal_of_the_only_copy_rejects():
    a = Sender()
    stream, _ = a.send(b"1")
    a.commit()
    a.login()
    a.packets()
    a.refuse(RejectCode.UNKNOWN_RECIPIENT, (1, 1))
    assert MessageState.PENDING == stream.state(1), "shown once it is durable"
    assert ["1-1 REJECTED"] == a.changes()
    assert RejectCode.UNKNOWN_RECIPIENT == stream.reject_code(1)
    assert 2 == stream.floor
    assert MessageState.REJECTED == a.restart().outbox.stream(STREAM).state(1)


def test_a_refused_seq_of_a_known_stream_is_closed_at_the_endpoints():
    a = Sender()
    stream = a.met()
    a.verdict(stream, delivered=((1, 1),))
    a.send(b"2", b"3")
    a.commit()
    a.packets()
    a.changes()
    a.refuse(RejectCode.TOO_LARGE, (2, 2))
    assert ["2-2 REJECTED"] == a.changes()
    assert ["cancel 2-2"] == a.told()
    a.verdict(stream, void=((2, 2),))
    assert [] == a.changes(), "refused stays refused"
    assert 3 == stream.floor


def test_a_refusal_of_a_second_copy_proves_nothing_and_starts_a_cancel():
    a = Sender()
    stream = a.met()
    a.outbox.resend(stream, 1)
    a.packets()
    a.refuse(RejectCode.FORBIDDEN, (1, 1))
    assert ["1-1 UNKNOWN"] == a.changes()
    assert ["cancel 1-1"] == a.told()
    a.verdict(stream, delivered=((1, 1),))
    assert ["1-1 DELIVERED"] == a.changes(), "the first copy had arrived"


def test_a_transient_refusal_changes_nothing():
    a = Sender()
    stream = a.met()
    a.refuse(RejectCode.FULL, (1, 1))
    assert [] == a.changes()
    assert MessageState.PENDING == stream.state(1)


def test_refusals_that_cannot_be_are_dropped():
    a = Sender()
    a.met()
    a.refuse(RejectCode.FORBIDDEN, (1, 1), handle=9)
    a.refuse(99, (1, 1))
    a.refuse(RejectCode.FORBIDDEN, (2**63, 2**64 - 1))
    a.accept((1, 1), handle=9)
    assert {"refusal of an unknown kind": 2, "msg:A for an unknown handle": 1} == a.outbox.drops
    assert [] == a.changes()


# --- Giving up (R4) ---


def test_what_never_left_is_void_once_that_is_durable():
    a = Sender()
    stream = a.met()
    a.send(b"2")
    a.outbox.cancel(stream, 2, 2)
    assert [] == a.outbox.take_changes()
    assert MessageState.PENDING == stream.state(2)
    assert ["2-2 VOID"] == a.changes()
    assert ["cancel 2-2"] == a.told(), "the gap is closed at the endpoints"
    assert MessageState.VOID == a.restart().outbox.stream(STREAM).state(2)


def test_what_left_is_unknown_until_the_endpoints_have_said():
    a = Sender()
    stream = a.met(b"1", b"2")
    a.outbox.cancel(stream, 1, 2)
    assert ["1-2 UNKNOWN"] == a.changes()
    a.outbox.cancel(stream, 1, 2)
    assert [] == a.changes()
    a.verdict(stream, void=((1, 1),), delivered=((2, 2),))
    assert {"1-1 VOID", "2-2 DELIVERED"} == set(a.changes())


def test_a_cancel_cuts_between_what_left_and_what_did_not():
    a = Sender()
    stream = a.met()
    a.send(b"2")
    a.outbox.cancel(stream, 1, 2)
    assert {"1-1 UNKNOWN", "2-2 VOID"} == set(a.changes())


def test_without_a_membership_nothing_can_have_been_forwarded():
    a = Sender()
    stream, _ = a.send(b"1")
    a.commit()
    a.login()
    a.packets()
    a.outbox.cancel(stream, 1, 1)
    assert ["1-1 VOID"] == a.changes()
    a.refuse(RejectCode.UNKNOWN_RECIPIENT, (1, 1))
    assert [] == a.changes()
    assert 2 == stream.floor


def test_after_a_restart_everything_may_have_left():
    a = Sender()
    a.met(b"1", b"2")
    again = a.restart()
    again.outbox.cancel(again.outbox.stream(STREAM), 1, 2)
    assert ["1-2 UNKNOWN"] == again.changes()


def test_a_deadline_cancels_what_is_open():
    a = Sender()
    stream = a.met(b"1", b"2", ttl_s=10.0)
    a.verdict(stream, delivered=((1, 1),))
    a.changes()
    assert 10.0 == a.outbox.next_timeout()
    a.outbox.handle_timeout(9.9)
    assert [] == a.changes()
    a.outbox.handle_timeout(10.0)
    assert ["2-2 UNKNOWN"] == a.changes()
    assert ["cancel 2-2"] == a.told()


def test_a_deadline_is_remaining_time_after_a_restart():
    a = Sender()
    a.met(ttl_s=10.0)
    a.now = 1000.0
    assert 1010.0 == a.restart().outbox.next_timeout()


def test_the_snapshot_restores_what_devices_said():
    a = Sender()
    stream = a.met(b"1", b"2", members=TWO)
    a.verdict(stream, 0, delivered=((1, 2),))
    a.verdict(stream, 1, void=((1, 1),))
    a.stored(stream, (2, 2), ordinal=1)
    a.commit()
    again = a.restart().outbox.stream(STREAM)
    assert [
        OutMember("bob", "phone", 0, DURABLE | 1, 1, 1, 0, ((1, 2),), (), (), ()),
        OutMember("bob", "laptop", 1, DURABLE | 2, 2, 2, 0, (), ((1, 1),), ((2, 2),), ()),
    ] == [view.record() for view in again.audience.views]
    assert MessageState.DELIVERED == again.state(1)


def test_a_settled_stream_stays_silent_at_login_and_keeps_its_membership_fresh():
    a = Sender()
    stream = a.met()
    a.verdict(stream, delivered=((1, 1),))
    a.commit()
    a.outbox.session_ended()
    a.login(EPOCH + 1)
    assert [] == a.told()
    a.members(stream, member(0), store_epoch=EPOCH + 1)
    assert [] == a.told()
    a.send(b"2")
    a.commit()
    ((packet, _),) = a.packets()
    assert ((2, 1),) == packet.runs


def test_copies_sent_again_are_counted():
    a = Sender()
    stream = a.met(b"1", b"2")
    before = a.outbox.resent_messages
    a.outbox.resend(stream, 2)
    a.told()
    assert before + 1 == a.outbox.resent_messages


def test_a_session_begins_with_the_streams_that_the_last_one_did_not_get_to():
    a = Sender()
    for name in ("bob", "carol", "dave"):
        a.send(b"hi", to=name)
    a.commit()
    a.login()
    (bob, flight), *_ = a.packets(room=1)
    a.outbox.on_acked(flight, 0.0)
    a.login()
    names = [packet.name.conversation for packet, _ in a.packets()]
    assert ["carol", "dave", "bob"] == names
    assert "bob" == bob.name.conversation


# --- Reading, and those who come ---


def test_a_read_mark_is_shown_and_durable():
    a = Sender()
    stream = a.met(b"1", b"2")
    a.verdict(stream, delivered=((1, 2),))
    a.changes()
    a.outbox.receive_read_n(stream, ReadN(1, None, 0, DURABLE | 1, 1))
    assert ["1-1 READ"] == a.changes()
    assert MessageState.READ is a.restart().outbox.stream(STREAM).state(1)


@pytest.mark.parametrize(("ordinal", "incarnation"), [(7, DURABLE | 1), (0, DURABLE | 8)])
def test_a_read_mark_of_somebody_else_is_dropped(ordinal, incarnation):
    a = Sender()
    stream = a.met()
    a.outbox.receive_read_n(stream, ReadN(1, None, ordinal, incarnation, 1))
    assert [] == a.begin()
    assert {"read mark of an unknown incarnation": 1} == a.outbox.drops


def test_what_nobody_was_due_leaves_again_once_somebody_comes():
    a = Sender()
    stream = a.met(members=())
    a.refuse(RejectCode.NO_DEVICE, (1, 1))
    a.outbox.receive_members(stream, members_packet(member(0, joined=5), epoch=5))
    ops = a.begin()
    assert StampOutbox(1, 1, 1, 5) in ops
    assert [] == a.told(), "not before the stamp is durable"
    a.finish()
    ((packet, _),) = a.packets()
    assert ((1, 5),) == packet.runs
    a.verdict(stream, delivered=((1, 1),))
    assert ["1-1 DELIVERED"] == a.changes()


def test_only_what_nobody_was_due_is_stamped_anew():
    a = Sender()
    stream = a.met(b"1", b"2")
    a.verdict(stream, stored=((2, 2),), incarnation=0)
    a.members(stream, epoch=3)
    a.send(b"3")
    a.commit()
    a.packets()
    a.outbox.receive_members(stream, members_packet(member(2, "laptop", joined=5), epoch=5))
    assert StampOutbox(1, 3, 3, 5) in a.begin()
    a.finish()
    assert ["msg 3-3"] == a.told()
    assert ["1-2 EXCUSED"] == [change for change in a.changes() if "EXCUSED" in change]


def test_what_a_group_owes_to_nobody_ends_with_a_restart_and_leaves_the_store():
    a = Sender()
    stream = a.met(to="#g")
    a.verdict(stream, delivered=((1, 1),))
    a.members(stream, epoch=3)
    a.send(b"2", to="#g")
    a.commit()
    b = a.restart()
    assert 1 == b.outbox.open_messages
    assert TrimOutbox(1, 2, 2) in b.begin()
    assert ["2-2 EXCUSED"] == b.changes()
    assert 0 == b.outbox.open_messages
    again = b.restart()
    assert [] == again.begin() == again.changes()


def test_a_new_incarnation_may_come_with_the_first_one_that_is_due():
    a = Sender()
    tablet = member(1, "tablet", user="alice")
    stream = a.met(members=(tablet,))
    renewed = tablet._replace(incarnation=DURABLE | 9, renewed=4)
    a.members(stream, renewed, member(0, joined=5), epoch=5)
    assert ["msg 1-1"] == a.told()


def test_the_senders_other_devices_show_nothing():
    a = Sender()
    stream = a.met(b"1", b"2", members=(member(0), member(1, "tablet", user="alice")))
    a.verdict(stream, 1, DURABLE | 1, delivered=((1, 1),))
    a.stored(stream, (2, 2), ordinal=1)
    assert [] == a.changes()
    assert ["PENDING", "PENDING"] == [stream.state(seq).name for seq in (1, 2)]
    a.verdict(stream, 0, void=((1, 1),))
    assert ["1-1 VOID"] == a.changes(), "bob will never get it, whatever the tablet has"
    a.verdict(stream, 0, delivered=((2, 2),))
    assert ["2-2 DELIVERED"] == a.changes()
    assert 2 == stream.floor, "the tablet is waited for"


def test_verdicts_that_overtake_the_membership_are_asked_for_again_once():
    a = Sender()
    stream = a.met(b"1", b"2")
    a.verdict(stream, incarnation=DURABLE | 9, delivered=((1, 2),))
    assert ([], []) == (a.changes(), a.told())
    a.members(stream, member(0, incarnation=DURABLE | 9))
    assert ["status 1-2"] == a.told()
    a.members(stream, member(0, incarnation=DURABLE | 9))
    assert [] == a.told()


@pytest.mark.parametrize("by", ["cancel", "refusal"])
def test_a_cancel_leaves_once_it_is_durable_and_once(by):
    a = Sender()
    stream = a.met(b"1", b"2", b"3")
    if by == "cancel":
        a.outbox.cancel(stream, 2, 2)
    else:
        a.refuse(RejectCode.TOO_LARGE, (2, 2))
    a.begin()
    a.outbox.cancel(stream, 3, 3)
    assert [] == a.told()
    a.begin()
    a.finish()
    assert ["cancel 2-2"] == a.told()
    a.finish()
    assert ["cancel 3-3"] == a.told()


def test_a_cancel_that_did_not_become_durable_was_told_to_nobody():
    a = Sender()
    stream = a.met(b"1")
    a.outbox.cancel(stream, 1, 1)
    a.begin()
    assert [] == a.told()
    again = a.restart()
    again.login()
    assert ["msg 1-1"] == again.told()


def test_a_floor_is_told_once_in_each_session_to_who_asks_or_offers_below_it():
    a = Sender()
    stream = a.met(b"1", b"2")
    a.verdict(stream, incarnation=0)
    assert [] == a.told(), "nothing is settled, so nobody can wait for it"
    a.verdict(stream, delivered=((1, 2),))
    a.commit()
    for _ in range(2):
        a.verdict(stream, incarnation=0)
    assert ["status 2-2"] == a.told()
    a.login()
    assert [] == a.told()
    for _ in range(2):
        a.verdict(stream, delivered=((1, 1),))
    (packet, _), *more = a.packets()
    assert (3, ((2, 2),), []) == (packet.floor, packet.ranges, more), "it asks nothing"
