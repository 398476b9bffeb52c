"""Read watermarks at the server: passed on, or kept for who is away."""

import pytest

from tests.im.helpers import ALICE, CAROL, DURABLE, GROUP, PHONE, STREAM, Server, of
from udpim.wire.im_packets import ReadA, ReadN, ReadR


def both(**config):
    s = Server(**config)
    return s, s.login(ALICE), s.login(PHONE)


def read(s, session, seq, stream=STREAM):
    session.inbound.resolve(9, stream)
    s.router.reads.receive_read_r(session, stream, ReadR(9, None, seq))


def told(s, session):
    packets = of(ReadN, s.hop_acks(session))
    return [(packet.ordinal, packet.incarnation, packet.read) for packet in packets]


def answered(s, session):
    return [(packet.handle, packet.read) for packet in of(ReadA, s.hop_acks(session))]


def test_a_mark_is_passed_on_and_answered_once_the_sender_has_it():
    s, alice, phone = both()
    read(s, phone, 3)
    assert [] == answered(s, phone)
    assert [(0, DURABLE | 1, 3)] == told(s, alice)
    assert [(9, 3)] == answered(s, phone)
    assert [] == s.begin(), "and the server keeps nothing"


def test_a_mark_for_an_absent_sender_waits_in_the_receipt_row():
    s, alice, phone = both()
    s.logout(alice)
    read(s, phone, 3)
    s.begin()
    assert [] == answered(s, phone)
    s.finish()
    assert [(9, 3)] == answered(s, phone)
    s = s.restart()
    alice = s.login(ALICE)
    assert [(0, DURABLE | 1, 3)] == told(s, alice)
    s.commit()
    assert 0 == len(s.router.receipts) == len(s.restart().router.receipts)
    s.logout(alice)
    assert [] == told(s, s.login(ALICE)), "told once"


def test_a_mark_of_an_older_incarnation_is_not_answered_to_the_newer():
    s, alice, phone = both()
    read(s, phone, 3)
    s.logout(phone)
    phone = s.login(PHONE, DURABLE | 9)
    phone.inbound.resolve(9, STREAM)
    assert [(0, DURABLE | 1, 3)] == told(s, alice)
    assert [] == answered(s, phone)


def test_a_mark_and_receipts_share_a_row_that_stays_until_all_is_known():
    s, alice, phone = both()
    s.logout(alice)
    s.ack(phone, (1, 3))
    read(s, phone, 2)
    read(s, phone, 1)
    s.commit()
    (row,) = s.state.server_snapshot().receipts
    assert (((1, 3),), 2) == (row.delivered, row.read)
    alice = s.login(ALICE)
    assert [2] == [seq for _, _, seq in told(s, alice)]
    s.commit()
    (row,) = s.state.server_snapshot().receipts
    assert (((1, 3),), 0) == (row.delivered, row.read)


def test_a_newer_mark_outlives_the_news_of_an_older_one():
    s, alice, phone = both()
    s.logout(alice)
    read(s, phone, 2)
    s.commit()
    alice = s.login(ALICE)
    s.router.receipts.keep_read(STREAM, PHONE, DURABLE | 1, 5, after=lambda ok: None)
    assert [2] == [seq for _, _, seq in told(s, alice)]
    assert 5 == s.router.receipts.find(STREAM, PHONE).read


def test_a_mark_that_a_sender_went_without_is_kept():
    s, alice, phone = both()
    read(s, phone, 3)
    s.logout(alice)
    assert [(9, 3)] == answered(s, phone)
    assert [3] == [seq for _, _, seq in told(s, s.login(ALICE))]


def test_a_memory_store_never_says_that_a_mark_is_safe():
    s, alice, phone = both(durable=False)
    s.logout(alice)
    read(s, phone, 3)
    s.commit()
    assert [] == answered(s, phone)
    alice = s.login(ALICE)
    assert 1 == len(told(s, alice))
    assert [(9, 3)] == answered(s, phone), "alice has it"


def test_a_mark_that_did_not_become_durable_is_not_answered():
    s, alice, phone = both()
    s.logout(alice)
    read(s, phone, 3)
    s.begin()
    s.finish(ok=False)
    assert [] == answered(s, phone)


def test_only_recipients_speak_of_reading():
    s, alice, _ = both()
    carol = s.login(CAROL)
    read(s, carol, 3)
    read(s, carol, 3, GROUP)
    assert {"read mark for somebody else's stream": 2} == s.router.drops
    assert [] == alice.frames


def test_a_mark_of_a_sender_that_never_was_takes_no_row():
    s, _, phone = both()
    read(s, phone, 3, STREAM._replace(user="zoe"))
    assert {"receipt for an unknown sender": 1} == s.router.drops
    assert 0 == len(s.router.receipts)


def test_a_mark_of_a_newer_incarnation_makes_way_for_nothing_old():
    s, alice, phone = both()
    s.logout(alice)
    read(s, phone, 3)
    s.commit()
    s.logout(phone)
    s.login(PHONE, DURABLE | 9)
    assert [] == told(s, s.login(ALICE))


def test_whoever_has_left_is_not_spoken_of():
    s, alice, phone = both()
    s.group("alice", "bob")
    read(s, phone, 3, GROUP)
    in_flight = [tag for _, tag in alice.frames]
    alice.frames.clear()
    s.leave("bob")
    s.logout(alice, *in_flight)
    assert {"receipt of an older incarnation": 1} == s.router.drops
    assert 0 == len(s.router.receipts)
    s.router.answers.read(s.login(ALICE), next(tag for tag in in_flight if hasattr(tag, "read")))
    assert [] == told(s, s.router.sessions[ALICE])


@pytest.mark.parametrize("there", ["gone", "without a name"])
def test_an_answer_needs_the_session_and_its_name_of_the_stream(there):
    s, alice, phone = both()
    read(s, phone, 3)
    s.logout(phone)
    if there == "without a name":
        phone = s.login(PHONE)
    s.hop_acks(alice)
    assert [] == answered(s, phone)
