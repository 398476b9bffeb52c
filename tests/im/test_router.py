"""The server's machine: routing, the queue, receipts (PROTOCOL §5.5)."""

import pytest

from tests.im.helpers import (
    ALICE,
    DURABLE,
    GROUP,
    INC,
    LAPTOP,
    PHONE,
    STREAM,
    Server,
    bodies,
    of,
    run_of,
    section,
)
from udpim.config import WINDOW
from udpim.im.puller import answer_pull, plan_pull
from udpim.im.router import SEEN_S
from udpim.im.tally import EXCUSED
from udpim.model import Endpoint, RejectCode
from udpim.wire.im_codec import encode_section, section_messages
from udpim.wire.im_packets import (
    AckA,
    AckN,
    CancelN,
    Members,
    MsgA,
    MsgN,
    Nudge,
    OfflineA,
    Refuse,
    StatusA,
    StatusN,
)
from udpim.wire.im_schema import SECTION_BYTES_MAX


def both(**config):
    """A server with alice and bob's phone online."""
    s = Server(**config)
    alice, phone = s.login(ALICE), s.login(PHONE)
    return s, alice, phone


def away(**config):
    """A server with alice online and bob's phone known but away."""
    s, alice, phone = both(**config)
    s.logout(phone)
    return s, alice


def verdicts(packets):
    return [(ack.delivered, ack.void) for ack in of(AckN, packets) if ack.incarnation]


# --- Routing ---


def test_the_six_packets():
    s, alice, phone = both()
    s.msg(alice, run_of(1, 2))
    assert [Members, MsgA] == [type(packet) for packet in s.hop_acks(alice)]
    (push,) = s.hop_acks(phone)
    assert (STREAM, run_of(1, 2)) == (push.name, push.section)
    s.ack(phone, (1, 2))
    assert [] == of(AckA, s.hop_acks(phone)), "ack:A waits until alice's session has ack:N"
    assert [(((1, 2),), ())] == verdicts(s.hop_acks(alice))
    assert [((1, 2),)] == [ack.ranges for ack in of(AckA, s.hop_acks(phone))]
    assert [] == s.begin(), "and the server keeps nothing"


def test_msg_a_tells_the_slowest_round_trip():
    s = Server()
    alice = s.login(ALICE)
    s.login(PHONE, rtt_s=0.2)
    s.login(LAPTOP, rtt_s=0.7)
    s.msg(alice, run_of(1, 1))
    assert [700_000] == [packet.rtt_us for packet in of(MsgA, s.hop_acks(alice))]


def test_an_epoch_that_is_not_known_is_answered_and_nothing_forwarded():
    s, alice, phone = both()
    for epoch in (0, 3):
        s.msg(alice, run_of(1, 1), runs=((1, epoch),))
        assert [2] == [packet.epoch for packet in s.hop_acks(alice)]
    s.cancel(alice, (1, 1), runs=((1, 0),))
    s.status(alice, (1, 1), runs=((1, 0),))
    assert [] == phone.frames
    assert [] == s.begin()


def test_an_unknown_recipient_is_refused_for_good_and_a_future_one_for_now():
    s = Server(known={"bob"})
    alice = s.login(ALICE)
    s.msg(alice, run_of(1, 1))
    s.cancel(alice, (1, 1))
    nobody = STREAM._replace(conversation="nobody")
    s.msg(alice, run_of(1, 1), stream=nobody)
    s.status(alice, (1, 1), stream=nobody)
    no, never = RejectCode.NO_DEVICE, RejectCode.UNKNOWN_RECIPIENT
    assert [no, no, never, never] == [packet.code for packet in of(Refuse, s.hop_acks(alice))]


def test_a_section_that_fits_no_other_packet_is_refused():
    s, alice, phone = both()
    s.msg(alice, section(1, b"x" * SECTION_BYTES_MAX, b"y"))
    (refusal,) = s.hop_acks(alice)
    assert (RejectCode.TOO_LARGE, ((1, 2),)) == (refusal.code, refusal.ranges)
    assert [] == phone.frames


def test_each_endpoint_gets_what_is_due_to_it():
    s = Server()
    alice, phone = s.login(ALICE), s.login(PHONE)
    laptop = s.login(LAPTOP)
    s.msg(alice, run_of(1, 4), runs=((1, 2), (3, 3)))
    s.msg(alice, run_of(1, 2), runs=((1, 2), (3, 3)))
    assert [(1, 4, 1)] == [(p.section.first, p.section.last, p.base) for p in s.hop_acks(phone)]
    assert [(3, 4, 3)] == [(p.section.first, p.section.last, p.base) for p in s.hop_acks(laptop)]
    s.msg(alice, run_of(5, 5), runs=((1, 2),))
    assert [] == laptop.frames, "nothing from floor on is due to it"


def test_endpoints_that_have_it_get_no_copy():
    s = Server()
    alice, phone, laptop = s.login(ALICE), s.login(PHONE), s.login(LAPTOP)
    s.msg(alice, run_of(1, 1), settled=0b01)
    assert [] == phone.frames
    assert 1 == len(of(MsgN, s.hop_acks(laptop)))


def test_a_duplicate_of_an_unreceipted_push_gets_msg_a_and_no_second_push():
    s, alice, phone = both()
    s.msg(alice, run_of(1, 2))
    s.hop_acks(alice), s.hop_acks(phone)
    s.msg(alice, run_of(1, 3))
    assert [MsgA] == [type(packet) for packet in s.hop_acks(alice)]
    (push,) = s.hop_acks(phone)
    assert (None, 3, 3) == (push.name, push.section.first, push.section.last)
    s.ack(phone, (1, 3))
    s.hop_acks(alice), s.hop_acks(phone)
    s.msg(alice, run_of(1, 1))
    assert [1] == [p.section.first for p in of(MsgN, s.hop_acks(phone))], "ask B, it remembers"


def test_what_is_pushed_and_not_receipted_is_limited_and_the_rest_is_queued():
    s, alice, phone = both(session_messages_max=3)
    s.msg(alice, run_of(1, 3))
    s.msg(alice, run_of(4, 4))
    s.commit()
    assert [(4, 4)] == list(s.router.queue.find(PHONE, STREAM).messages)
    assert [(1, 3)] == list(phone.push(STREAM).unreceipted)
    assert 1 == len(of(Nudge, s.hop_acks(phone)))


def test_a_message_that_is_due_to_nobody_tells_its_sender_who_belongs():
    """Each copy does: the sender sees from the lines that it waits for nobody."""
    s = Server()
    alice = s.login(ALICE)
    s.group("alice")
    for seq in (1, 2):
        s.msg(alice, run_of(seq, seq), stream=GROUP)
        packets = s.hop_acks(alice)
        assert [Members, MsgA] == [type(packet) for packet in packets]
        assert (True, ()) == (packets[0].whole, packets[0].members)
        assert ((seq, seq),) == packets[1].ranges
    s.login(PHONE)
    s.group("bob")
    s.msg(alice, run_of(3, 3), runs=((3, 1),), stream=GROUP)
    members, _ = s.hop_acks(alice)
    assert [PHONE] == [line.endpoint for line in members.members]
    assert [] == s.begin(), "it is not due to who came later"


def test_a_cancel_that_is_due_to_nobody_tells_its_sender_who_belongs():
    s, alice, _ = both()
    s.group("alice")
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.hop_acks(alice)
    s.cancel(alice, (1, 1), stream=GROUP)
    (members,) = s.hop_acks(alice)
    assert (True, ()) == (members.whole, members.members)
    s.cancel(alice, (1, 1), floor=2, stream=GROUP)
    assert [] == s.hop_acks(alice), "its sender knows by now"
    s.group("alice", "bob")
    s.cancel(alice, (2, 2), floor=2, stream=GROUP)
    assert [False] == [m.whole for m in s.hop_acks(alice)], "somebody will answer"


@pytest.mark.parametrize("stream", [STREAM, GROUP], ids=["direct", "group"])
def test_that_something_is_settled_frees_its_push_and_is_told_to_who_asks(stream):
    s, alice, phone = both()
    s.group("alice", "bob")
    s.msg(alice, run_of(3, 6), floor=3, stream=stream)
    s.hop_acks(alice), s.hop_acks(phone)
    s.ack(phone, settled=((1, 4),), stream=stream)
    assert [(5, 6)] == list(phone.pushes[stream].unreceipted)
    if stream == STREAM:
        (packet,) = of(AckN, s.hop_acks(alice))
        assert (((3, 4),), (), ()) == (packet.excused, packet.delivered, packet.void)
    else:
        ((verdict, _, part),) = s.tallied(alice)
        assert (EXCUSED, (3, 4)) == (verdict, part)
    s.ack(phone, settled=((1, 2),), stream=stream)
    assert [] == of(AckN, s.hop_acks(alice)), "alice knows that floor"
    s.logout(alice)
    s.ack(phone, (6, 6), settled=((5, 5),), stream=stream)
    assert 0 == s.router.delivery.pushed_bytes


def test_a_member_that_needs_no_copy_is_somebody():
    s, alice, _ = both()
    s.group("alice", "bob")
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.hop_acks(alice)
    s.msg(alice, run_of(1, 1), settled=0b10, stream=GROUP)
    assert [MsgA] == [type(packet) for packet in s.hop_acks(alice)]


def test_a_stamp_that_would_put_clocks_out_of_use_is_refused():
    s, alice, phone = both(wall_ms=1000)
    years_ms = 2 * 365 * 86_400_000
    for ahead_ms, code in ((years_ms, None), (years_ms + 1, RejectCode.CLOCK)):
        s.msg(alice, encode_section(1, [(1000 + ahead_ms) << 16], [b"x"]))
        assert ([] if code is None else [code]) == [
            packet.code for packet in of(Refuse, s.hop_acks(alice))
        ]
    assert [years_ms + 1000] == [
        section_messages(push.section)[0][0] >> 16 for push in of(MsgN, s.hop_acks(phone))
    ]


def test_a_session_says_how_far_stamps_have_come_and_when_it_was_there():
    s, alice, _ = both()
    s.msg(alice, encode_section(1, [77], [b"x"]))
    s.router.age_s = SEEN_S
    s.logout(alice)
    record = s.restart().router.registry.get(ALICE)
    assert (77, SEEN_S) == (record.login_count, record.seen_s)
    s.router.age_s += SEEN_S - 1
    s.router.session_closed(s.login(ALICE), ())
    assert [] == s.begin(), "an hour more or less is nothing"


def test_stamps_are_noted_within_a_session_too_once_a_minute_of_them():
    s, alice, _ = both()
    noted = []
    for seq, stamp_ms in enumerate((100_000, 100_001, 159_999, 160_000, 161_000), 1):
        s.msg(alice, encode_section(seq, [stamp_ms << 16], [b"x"]))
        if ops := s.begin():
            noted += [op.record.login_count >> 16 for op in ops]
            s.finish()
    assert [100_000, 160_000] == noted
    assert 160_000 == s.restart().router.registry.get(ALICE).login_count >> 16


def test_stamps_below_what_is_noted_are_not_noted_again():
    s, alice, _ = both()
    s.router.registry.reached(ALICE, alice.incarnation, 200_000 << 16)
    s.msg(alice, encode_section(1, [100_000 << 16], [b"x"]))
    assert [] == s.begin()


def test_four_packets_do_without_msg_a_and_ack_a():
    s, alice, phone = both()
    alice.four_packets = phone.four_packets = True
    s.msg(alice, run_of(1, 1))
    assert [Members] == [type(packet) for packet in s.hop_acks(alice)]
    s.hop_acks(phone)
    s.ack(phone, (1, 1))
    assert [(((1, 1),), ())] == verdicts(s.hop_acks(alice))
    assert [] == phone.frames


# --- The queue (R8) ---


def test_stored_is_said_after_the_fsync_and_the_hook_is_told():
    s, alice = away()
    s.msg(alice, run_of(1, 2))
    s.begin()
    assert [] == of(AckN, s.hop_acks(alice))
    s.finish()
    assert [((1, 2),)] == [ack.stored for ack in of(AckN, s.hop_acks(alice))]
    assert [(PHONE, STREAM, 1, 2)] == s.router.stored_for_absent


def test_a_failed_commit_stores_nothing():
    s, alice = away()
    s.msg(alice, run_of(1, 2))
    s.begin()
    s.finish(ok=False)
    assert [] == of(AckN, s.hop_acks(alice))


def test_a_memory_store_never_says_stored():
    s, alice = away(durable=False)
    s.msg(alice, run_of(1, 2))
    s.commit()
    s.msg(alice, run_of(1, 2))
    assert [] == of(AckN, s.hop_acks(alice))


def test_a_retry_meets_the_row():
    s, alice = away()
    s.msg(alice, run_of(1, 2))
    s.commit()
    again = s.restart()
    alice = again.login(ALICE)
    again.msg(alice, run_of(1, 3))
    assert [((1, 2),)] == [ack.stored for ack in of(AckN, again.hop_acks(alice))]
    assert [(3,)] == [tuple(row.seq for row in op.rows) for op in again.begin()]


def test_while_rows_wait_further_seqs_are_appended_and_the_session_is_nudged():
    s, alice = away()
    s.msg(alice, run_of(1, 1))
    s.commit()
    phone = s.login(PHONE)
    s.msg(alice, run_of(2, 2))
    assert [] == phone.frames
    s.commit()
    assert [Nudge] == [type(packet) for packet in s.hop_acks(phone)]
    s.ack(phone, (1, 2), pulled=True)
    s.commit()
    s.msg(alice, run_of(3, 3))
    assert [MsgN] == [type(packet) for packet in s.hop_acks(phone)]


def test_a_full_queue_refuses_for_now():
    s, alice = away(queue_messages_max=2)
    s.msg(alice, run_of(1, 2))
    s.commit()
    s.hop_acks(alice)
    s.msg(alice, run_of(3, 3))
    assert [RejectCode.FULL] == [packet.code for packet in s.hop_acks(alice)]


def test_a_row_below_floor_goes_for_its_verdict_has_arrived():
    s, alice = away()
    s.msg(alice, run_of(1, 1))
    s.commit()
    phone = s.login(PHONE)
    s.msg(alice, run_of(2, 2), floor=2)
    s.commit()
    assert [MsgN] == [type(packet) for packet in s.hop_acks(phone)]
    assert 0 == s.router.queue.count(PHONE)


@pytest.mark.parametrize("asks", ["with a copy", "with a cancel"])
def test_below_the_floor_of_a_queue_nobody_waits_and_nothing_is_stored(asks):
    s, alice = away()
    s.msg(alice, run_of(5, 6), floor=5)
    s.commit()
    alice = s.login(ALICE, incarnation=alice.incarnation)  # with a store that knows of less
    if asks == "with a copy":
        s.msg(alice, run_of(3, 7))
    else:
        s.cancel(alice, (3, 7))
    s.commit()
    answers = of(AckN, s.hop_acks(alice))
    assert [((3, 4),)] == [ack.excused for ack in answers if ack.excused]
    assert (3, 4) not in [part for ack in answers for part in ack.stored]
    queued = s.router.queue.find(PHONE, STREAM)
    assert [] == queued.present(((1, 4),))
    assert [(5, 7)] == queued.present(((1, 9),))


@pytest.mark.parametrize("by", ["verdict", "floor"])
def test_a_pull_that_stalled_is_nudged_when_rows_have_gone(by):
    s, alice = away()
    for first in range(1, WINDOW + 2, 25):
        s.msg(alice, run_of(first, min(first + 24, WINDOW + 1)))
    s.commit()
    phone = s.login(PHONE)
    queued = s.router.queue.find(PHONE, STREAM)
    queued.reading.add(1, WINDOW)
    plan_pull(s.router.queue, phone, 99)
    answer_pull(s.router.queue, phone, ())
    assert [OfflineA] == [type(packet) for packet in s.hop_acks(phone)]
    if by == "verdict":
        s.ack(phone, (1, 5), pulled=True)
    else:
        s.cancel(alice, (WINDOW + 1, WINDOW + 1), floor=6)
    assert [Nudge] == [type(packet) for packet in s.hop_acks(phone)][:1]


def test_unreceipted_pushes_go_to_the_queue_when_the_session_ends():
    s, alice, phone = both()
    s.msg(alice, run_of(1, 4))
    s.cancel(alice, (4, 4))
    s.ack(phone, (2, 2))
    s.logout(phone)
    queued = s.router.queue.find(PHONE, STREAM)
    assert ([(1, 1), (3, 3)], [(4, 4)]) == (list(queued.messages), list(queued.voids))


# --- Receipts (R3) ---


def test_nobody_reports_for_somebody_else():
    s, alice, phone = both()
    carol = s.login(Endpoint("carol", "c"))
    s.msg(alice, run_of(1, 1))
    s.hop_acks(alice)
    s.ack(carol, (1, 1))
    assert {"receipt for somebody else's stream": 1} == s.router.drops
    assert [] == alice.frames
    assert 1 == phone.unreceipted


def test_verdicts_are_passed_on_with_the_incarnation_that_gave_them():
    s, alice, phone = both()
    s.msg(alice, run_of(1, 3))
    s.hop_acks(alice)
    s.ack(phone, (1, 1), void=((3, 3),))
    (ack,) = of(AckN, s.hop_acks(alice))
    assert (0, DURABLE | 1, ((1, 1),), ((3, 3),)) == (
        ack.ordinal,
        ack.incarnation,
        ack.delivered,
        ack.void,
    )


def test_ack_a_names_the_stream_by_the_recipients_handle_or_not_at_all():
    s, alice, phone = both()
    s.msg(alice, run_of(1, 1))
    s.ack(phone, (1, 1))
    s.logout(phone)
    s.hop_acks(alice)
    phone = s.login(PHONE)
    s.ack(phone, (1, 1))
    s.logout(phone)
    phone = s.login(PHONE)
    s.hop_acks(alice)
    assert [] == of(AckA, s.hop_acks(phone))


# --- Cancel and status (R3, R4) ---


def test_a_cancel_reaches_who_is_online_every_time_it_is_sent():
    s, alice, phone = both()
    for _ in range(2):
        s.cancel(alice, (1, 1), (3, 3))
        assert [((1, 1), (3, 3))] == [packet.ranges for packet in s.hop_acks(phone)]
    assert [] == of(AckN, s.hop_acks(alice)), "only B says VOID"


def test_a_cancel_for_who_is_away_becomes_void_items():
    s, alice = away()
    s.msg(alice, run_of(1, 1))
    s.commit()
    s.cancel(alice, (1, 2))
    s.commit()
    assert [(1, 2)] == list(s.router.queue.find(PHONE, STREAM).voids)
    assert [] == verdicts(s.hop_acks(alice))


def test_a_cancel_takes_both_ways_while_the_queue_is_not_empty():
    s, alice = away()
    s.msg(alice, run_of(1, 1))
    s.commit()
    phone = s.login(PHONE)
    s.cancel(alice, (1, 1))
    s.commit()
    assert {CancelN, Nudge} == {type(packet) for packet in s.hop_acks(phone)}


def test_a_cancel_of_everything_is_bounded_by_the_queue():
    s, alice = away(queue_messages_max=5)
    s.cancel(alice, (1, 2**64 - 1))
    s.commit()
    assert [(1, 5)] == list(s.router.queue.find(PHONE, STREAM).voids)
    assert {"cancel beyond the queue's limit": 1} == s.router.drops
    s, alice, phone = both(queue_messages_max=5)
    s.cancel(alice, (1, 2**64 - 1))
    s.logout(phone)
    assert 5 == s.router.queue.count(PHONE)


def test_a_cancel_goes_only_to_whom_it_concerns():
    s = Server()
    alice, phone = s.login(ALICE), s.login(PHONE)
    laptop = s.login(LAPTOP)
    s.cancel(alice, (1, 3), runs=((1, 2), (3, 3)))
    s.cancel(alice, (1, 2), runs=((1, 2), (3, 3)))
    assert [((1, 3),), ((1, 2),)] == [packet.ranges for packet in of(CancelN, s.hop_acks(phone))]
    assert [((3, 3),)] == [packet.ranges for packet in of(CancelN, s.hop_acks(laptop))]


def test_a_cancel_is_answered_by_the_receipt_row():
    s, alice, phone = both()
    s.logout(alice)
    s.ack(phone, (1, 1), void=((2, 2),))
    s.commit()
    alice = s.login(ALICE)
    s.hop_acks(phone)
    s.cancel(alice, (1, 2))
    assert [(((1, 1),), ((2, 2),))] == verdicts(s.hop_acks(alice))
    assert [] == phone.frames


def test_a_status_is_answered_from_row_queue_and_endpoint():
    s, alice, phone = both()
    s.logout(alice)
    s.ack(phone, (1, 1))
    s.commit()
    s.logout(phone)
    alice = s.login(ALICE)
    s.msg(alice, run_of(2, 3))
    s.commit()
    s.hop_acks(alice)
    s.status(alice, (1, 4))
    packets = s.hop_acks(alice)
    assert [(((1, 1),), ())] == verdicts(packets)
    assert [(((1, 4),), ((2, 3),))] == [(a.asked, a.stored) for a in of(StatusA, packets)]
    phone = s.login(PHONE)
    s.status(alice, (1, 4), floor=2)
    assert [(2, 2)] == [(p.floor, p.base) for p in of(StatusN, s.hop_acks(phone))]
    s.ack(phone, (2, 3), pulled=True)
    s.status(alice, (4, 4), floor=4)
    assert [((2, 3),), ()] == [a.stored for a in of(StatusA, s.hop_acks(alice))]


def test_an_ack_answers_nothing():
    s, alice, phone = both()
    s.msg(alice, run_of(1, 1))
    s.ack(phone, (1, 1))
    s.hop_acks(alice), s.hop_acks(phone)
    s.router.on_acked(phone, None)
    assert [] == phone.frames == alice.frames


# --- Logins ---


def test_a_device_is_due_messages_once_its_login_is_durable():
    s = Server()
    alice = s.login(ALICE)
    said = []
    record = s.router.registry.logged_in(PHONE, DURABLE | 1, 1)
    s.router.register(record, said.append)
    s.begin()
    s.msg(alice, run_of(1, 1))
    assert [RejectCode.UNKNOWN_RECIPIENT] == [p.code for p in of(Refuse, s.hop_acks(alice))]
    s.finish()
    assert [True] == said
    assert 2 == s.router.registry.epoch("bob")


def test_a_login_that_was_not_durable_is_none():
    s, said = Server(), []
    record = s.router.registry.logged_in(PHONE, DURABLE | 1, 1)
    s.router.register(record, said.append)
    s.begin()
    s.finish(ok=False)
    assert ([False], 0) == (said, s.router.registry.epoch("bob"))


@pytest.mark.parametrize("bytes_each", [0, 900])
def test_the_slices_are_forwarded_byte_for_byte(bytes_each):
    s, alice, phone = both()
    message = section(2**32, b"x" * bytes_each)
    s.msg(alice, message, floor=2**32, runs=((2**32, 2),))
    (push,) = s.hop_acks(phone)
    assert message is push.section
    assert [b"x" * bytes_each] == bodies(push)
    assert INC == push.name.incarnation


@pytest.mark.parametrize(("asked", "forwarded"), [((1, 2), 0), ((1, 3), 1)])
def test_a_question_goes_to_the_recipient_where_rows_and_queue_leave_something_open(
    asked, forwarded
):
    s, alice = away()
    s.msg(alice, run_of(1, 2))
    s.commit()
    phone = s.login(PHONE)
    s.hop_acks(alice)
    s.status(alice, asked)
    assert [((1, 2),)] == [answer.stored for answer in of(StatusA, s.hop_acks(alice))]
    assert forwarded == len(of(StatusN, s.hop_acks(phone)))
