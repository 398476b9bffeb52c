"""Streams whose sender came back as another incarnation end; nothing that exists is lost (§5.8)."""

import pytest

from tests.im.helpers import ALICE, INC, LAPTOP, PHONE, STREAM, Server, of, run_of
from udpim.im.records import QueueItems
from udpim.model import SEQ_MAX
from udpim.wire.im_packets import AckA, CancelN


def voided(s, session):
    """What a client is told will never come."""
    return [cancel.ranges for cancel in of(CancelN, s.hop_acks(session))]


def comes_back(s, old, *, incarnation=INC + 1, continues=False):
    s.logout(old)
    return s.login(ALICE, incarnation, continues=continues)


def pushed():
    """Alice has pushed 3 and 4 to bob's phone, which has 3; what was before them never left."""
    s = Server()
    alice, phone = s.login(ALICE), s.login(PHONE)
    s.msg(alice, run_of(3, 4))
    s.ack(phone, (3, 3))
    s.hop_acks(phone)
    return s, alice, phone


def test_who_was_pushed_to_hears_of_the_end_but_for_what_may_still_arrive():
    s, alice, phone = pushed()
    comes_back(s, alice)
    assert [((1, 3), (5, SEQ_MAX))] == voided(s, phone)


def test_what_waits_in_the_queue_is_still_to_come():
    s, alice, phone = pushed()
    s.logout(phone)
    comes_back(s, alice)
    phone = s.login(PHONE)
    assert [] == voided(s, phone), "nobody asked"
    s.ack(phone)
    assert [((1, 3), (5, SEQ_MAX))] == voided(s, phone)


@pytest.mark.parametrize("ends", ["before the pull", "after it"])
def test_who_pulled_hears_of_the_end_without_asking(ends):
    s, alice, phone = pushed()
    s.logout(phone)
    phone = s.login(PHONE)
    items = [QueueItems(STREAM, 1, 1, ())]
    if ends == "before the pull":
        comes_back(s, alice)
        s.router.endings.pulled(phone, items)
    else:
        s.router.endings.pulled(phone, items)
        assert [] == voided(s, phone)
        comes_back(s, alice)
    assert [((1, 3), (5, SEQ_MAX))] == voided(s, phone)


def test_who_asked_before_the_end_hears_of_it():
    s, alice, phone = pushed()
    s.logout(phone)
    phone = s.login(PHONE)
    s.ack(phone)
    assert [] == voided(s, phone), "alice may still send it"
    comes_back(s, alice)
    assert [((1, 3), (5, SEQ_MAX))] == voided(s, phone)


@pytest.mark.parametrize("again", [{"incarnation": INC}, {"continues": True}])
def test_a_stream_goes_on_with_its_sender(again):
    s, alice, phone = pushed()
    comes_back(s, alice, **again)
    s.ack(phone)
    assert [] == voided(s, phone)


def test_an_old_incarnation_ends_when_it_has_nothing_left_to_bring():
    s, alice, phone = pushed()
    alice = comes_back(s, alice, continues=True)
    comes_back(s, alice)
    assert [((1, 3), (5, SEQ_MAX))] == voided(s, phone)


def test_each_end_is_told_once():
    s, alice, phone = pushed()
    alice = comes_back(s, alice)
    voided(s, phone)
    comes_back(s, alice)
    assert [] == voided(s, phone)


def test_who_left_or_listens_to_others_hears_nothing():
    s, alice, phone = pushed()
    laptop = s.login(LAPTOP)
    other = s.login(PHONE._replace(user="carol"))
    s.msg(other, run_of(1, 1), stream=STREAM._replace(user="carol"))
    s.ack(laptop, stream=STREAM._replace(incarnation=INC - 1))
    s.hop_acks(phone)
    s.hop_acks(laptop)
    s.logout(phone)
    alice = comes_back(s, alice)
    assert [((1, SEQ_MAX),)] == voided(s, laptop), "of what it asked about"
    assert [] == voided(s, phone)
    s.logout(laptop)
    comes_back(s, alice, incarnation=INC + 2)
    assert [] == voided(s, laptop)


def test_one_sender_ends_and_another_goes_on():
    s, alice, phone = pushed()
    laptop = s.login(LAPTOP)
    s.msg(laptop, run_of(1, 1), stream=STREAM._replace(user="bob", device="laptop"))
    comes_back(s, alice)
    assert 1 == len(voided(s, phone))


def test_a_verdict_on_an_ended_stream_needs_no_row():
    s, alice, phone = pushed()
    s.logout(alice)
    assert 1 == len(s.router.receipts)
    s.login(ALICE, INC)
    assert 1 == len(s.router.receipts)
    s.logout(s.login(ALICE, INC + 1))
    s.ack(phone, (4, 4))
    s.commit()
    assert 0 == len(s.router.receipts)
    assert {"receipt for a stream that has ended": 1} == s.router.drops
    assert [((3, 3),)] == [ack.ranges for ack in of(AckA, s.hop_acks(phone))], "by the row"
