"""Bringing messages to one endpoint: pushed, queued, or pulled, and never twice (PROTOCOL §5.5)."""

import pytest

from tests.im.helpers import (
    ALICE,
    CAROL,
    GROUP,
    LAPTOP,
    PHONE,
    STREAM,
    Receiver,
    Server,
    of,
    run_of,
    section,
)
from udpim.im.records import DeleteQueue, PutQueue, ReadQueue
from udpim.wire.im_packets import AckN, Gone, MsgA, MsgN, Nudge, Tally


def grouped(*endpoints):
    s = Server()
    sessions = [s.login(endpoint) for endpoint in endpoints]
    s.group(*dict.fromkeys(endpoint.user for endpoint in endpoints))
    return s, *sessions


def test_a_message_is_pushed_or_queued_and_never_both():
    s = Server()
    alice, phone = s.login(ALICE), s.login(PHONE)
    s.msg(alice, run_of(1, 1))
    assert 1 == len(of(MsgN, s.hop_acks(phone)))
    assert [] == s.begin()
    s.logout(phone)
    assert [(1, 1)] == list(s.router.queue.find(PHONE, STREAM).messages)
    phone = s.login(PHONE)
    s.msg(alice, run_of(1, 2))
    assert [] == of(MsgN, phone.frames)
    (op,) = s.begin()
    assert (PutQueue, [2]) == (type(op), [row.seq for row in op.rows])
    s.finish()
    assert 1 == len(of(Nudge, s.hop_acks(phone)))


@pytest.mark.parametrize("told", ["late", "before"])
def test_what_goes_to_the_queue_knows_the_floor_that_its_sender_has_told(told):
    """A newer incarnation that pulls it would wait for ever for what is settled below."""
    s = Server()
    alice, phone = s.login(ALICE), s.login(PHONE)
    if told == "late":
        s.msg(alice, run_of(7, 8), floor=2)
        s.msg(alice, run_of(7, 8), floor=7)
        s.logout(phone)
    else:
        s.logout(phone)
        s.status(alice, (7, 8), floor=7)
        s.msg(alice, run_of(7, 8), floor=2)
    s.commit()
    (entry,) = s.state.server_snapshot().queue
    queued = s.router.queue.find(PHONE, STREAM)
    assert (7, 7) == (queued.floor, queued.base)
    assert [(7, 8)] == list(entry.messages)
    (item,) = s.state.read_queue(ReadQueue(PHONE, ((STREAM, ((7, 8),)),), 10_000))
    assert (7, 7) == (item.floor, item.base)


def test_a_copy_that_the_floor_has_overtaken_is_taken_and_goes_nowhere():
    s = Server()
    alice, phone = s.login(ALICE), s.login(PHONE)
    s.msg(alice, run_of(3, 3), floor=3)
    s.hop_acks(alice), s.hop_acks(phone)
    s.msg(alice, run_of(1, 2))
    assert [((1, 2),)] == [packet.ranges for packet in of(MsgA, s.hop_acks(alice))]
    assert [] == phone.frames


def test_one_upload_reaches_every_device_of_the_others():
    s, alice, phone, laptop, carol = grouped(ALICE, PHONE, LAPTOP, CAROL)
    s.logout(laptop)
    s.msg(alice, run_of(1, 2), stream=GROUP)
    assert [[(1, 2)], [(1, 2)]] == [
        [(push.section.first, push.section.last) for push in of(MsgN, s.hop_acks(session))]
        for session in (phone, carol)
    ]
    s.commit()
    assert [(1, 2)] == list(s.router.queue.find(LAPTOP, GROUP).messages)
    assert [] == of(MsgN, alice.frames)


def test_a_group_is_hurried_once_nobody_is_left_who_may_answer_soon():
    s, alice, phone, carol = grouped(ALICE, PHONE, CAROL)
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.hop_acks(alice)
    s.ack(phone, (1, 1), stream=GROUP)
    s.router.answers.send_tallies(0.0)
    assert [] == of(Tally, s.hop_acks(alice))
    s.ack(carol, (1, 1), stream=GROUP)
    s.router.answers.send_tallies(0.0)
    (packet,) = of(Tally, s.hop_acks(alice))
    assert [(0, 1, 0b11)] == [(e.verdict, e.first, e.bitmap) for e in packet.entries]


def test_whoever_goes_unreceipted_is_waited_for_in_the_queue():
    s, alice, phone, carol = grouped(ALICE, PHONE, CAROL)
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.logout(carol)
    assert not s.router.delivery.receipted(phone, GROUP, ((1, 1),))
    s.leave("carol")
    assert s.router.delivery.receipted(phone, GROUP, ((1, 1),))


def test_a_leaver_is_told_for_each_stream_of_that_conversation():
    s, alice, phone, carol = grouped(ALICE, PHONE, CAROL)
    from_carol = GROUP._replace(user="carol", device="c")
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.msg(carol, run_of(1, 1), stream=from_carol)
    s.msg(alice, run_of(1, 1))
    s.leave("bob")
    gone = of(Gone, [packet for packet, _ in phone.frames])
    names = {packet.name for packet, _ in phone.frames if isinstance(packet, MsgN)}
    assert {GROUP, from_carol, STREAM} == names
    assert {phone.outbound.of(stream)[0] for stream in (GROUP, from_carol)} == {
        packet.handle for packet in gone
    }


def test_a_leaver_that_asks_is_told_and_everybody_else_gets_no_answer():
    s, alice, phone, carol = grouped(ALICE, PHONE, CAROL)
    s.leave("bob")
    s.ack(phone, stream=GROUP)
    s.ack(phone, (1, 1), stream=GROUP)
    s.ack(carol, stream=GROUP)
    s.ack(carol, stream=STREAM)
    assert [GROUP] == [packet.name for packet in of(Gone, s.hop_acks(phone))]
    assert [] == carol.frames
    assert {"receipt for somebody else's stream": 3} == s.router.drops
    assert [] == of(AckN, alice.frames)


def test_a_leaver_gives_up_its_gaps_and_releases_the_rest():
    """What is missing will not come, and what is behind it has waited long enough (R5)."""
    s, alice, phone = grouped(ALICE, PHONE)
    b = Receiver()
    b.login()
    b.push(section(1, b"one"), stream=GROUP)
    b.push(section(3, b"three"), stream=GROUP)
    b.commit()
    assert [1] == b.released()
    s.msg(alice, run_of(2, 2), floor=1, stream=GROUP)
    s.leave("bob")
    (gone,) = of(Gone, s.hop_acks(phone))
    b.inbox.receive_gone(GROUP, gone)
    assert [] == b.released(), "not before it is durable"
    b.commit()
    assert [3] == b.released()
    assert ([(1, 1), (3, 3)], [(2, 2)]) == b.receipts()


def test_one_that_was_told_twice_has_nothing_to_give_up():
    b = Receiver()
    b.inbox.receive_gone(GROUP, Gone(1, None))
    b.push(section(1, b"one"), stream=GROUP)
    b.commit()
    b.inbox.receive_gone(GROUP, Gone(1, None))
    assert [] == b.begin()


def test_a_row_for_one_that_left_while_it_was_written_is_deleted():
    s, alice, phone = grouped(ALICE, PHONE)
    s.logout(phone)
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.begin()
    s.router.memberships.leave("#g", "bob", lambda ok: None)
    # The row and the leave become durable one after the other; then it is told of the row.
    s.begin()
    s.finish()
    assert GROUP in s.router.queue.streams(PHONE)
    s.finish()
    assert DeleteQueue in [type(op) for op in s.begin()]
    s.finish()
    assert () == s.state.server_snapshot().queue


def test_a_row_that_becomes_durable_after_the_leave_is_deleted_and_not_spoken_of():
    s, alice, phone = grouped(ALICE, PHONE)
    s.logout(phone)
    s.router.memberships.leave("#g", "bob", lambda ok: None)
    s.begin()
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.hop_acks(alice)
    s.begin()
    s.finish()
    s.finish()
    assert DeleteQueue in [type(op) for op in s.begin()]
    s.commit()
    assert () == s.state.server_snapshot().queue
    assert [] == s.tallied(alice)


def test_what_a_leaver_was_pushed_does_not_go_to_its_queue():
    s, alice, phone = grouped(ALICE, PHONE)
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.cancel(alice, (1, 1), stream=GROUP)
    s.router.groups.apply(s.router.groups.leave("#g", "bob"))
    s.logout(phone)
    assert [] == list(s.router.queue.streams(PHONE))
    assert 0 == s.router.delivery.pushed_bytes
