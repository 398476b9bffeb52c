"""Receipts are relayed, kept for who is away, and acknowledged once they are safe (R3)."""

from tests.im.helpers import ALICE, DURABLE, PHONE, STREAM, Server, of, run_of
from udpim.im.session import Relay
from udpim.wire.im_packets import AckA, AckN, MsgN


def both(**config):
    """A server with alice and bob's phone online."""
    s = Server(**config)
    return s, s.login(ALICE), s.login(PHONE)


def test_a_receipt_waits_in_a_row_for_an_absent_sender_with_the_rows_deletion():
    s, alice, phone = both()
    s.logout(phone)
    s.msg(alice, run_of(1, 2))
    s.commit()
    s.logout(alice)
    phone = s.login(PHONE)
    s.ack(phone, (1, 2), pulled=True)
    ops = s.begin()
    assert ["DeleteQueue", "PutReceipt"] == [type(op).__name__ for op in ops]
    assert [] == of(AckA, s.hop_acks(phone))
    s.finish()
    assert [((1, 2),)] == [ack.ranges for ack in of(AckA, s.hop_acks(phone))]
    again = s.restart()
    alice, phone = again.login(ALICE), again.login(PHONE)
    again.msg(alice, run_of(1, 3))
    assert [((1, 2),)] == [a.delivered for a in of(AckN, again.hop_acks(alice)) if a.incarnation]
    assert [3] == [push.section.first for push in again.hop_acks(phone)]
    again.msg(alice, run_of(3, 3), floor=3)
    assert 0 == len(again.router.receipts)


def test_a_memory_store_never_says_that_a_receipt_is_safe():
    s, alice, phone = both(durable=False)
    s.logout(alice)
    s.ack(phone, (1, 1))
    s.commit()
    assert [] == of(AckA, s.hop_acks(phone))


def test_a_relay_that_alice_may_lack_is_kept():
    s, alice, phone = both()
    s.msg(alice, run_of(1, 3))
    s.hop_acks(alice)
    s.ack(phone, (1, 1))
    in_flight = [tag for _, tag in alice.frames]
    alice.frames.clear()
    s.ack(phone, (2, 2))
    s.logout(alice, *in_flight)
    assert [(3, 3)] == s.router.receipts.find(STREAM, PHONE).missing(1, 3)
    assert [((1, 1),), ((2, 2),)] == [ack.ranges for ack in of(AckA, s.hop_acks(phone))]


def test_a_receipt_says_nothing_of_a_newer_incarnation():
    s, alice, phone = both()
    s.msg(alice, run_of(1, 1))
    s.ack(phone, (1, 1))
    in_flight = [tag for _, tag in alice.frames if isinstance(tag, Relay)]
    alice.frames.clear()
    s.logout(phone)
    phone = s.login(PHONE, DURABLE | 9)
    s.logout(alice, *in_flight)
    assert {"receipt of an older incarnation": 1} == s.router.drops
    alice = s.login(ALICE)
    s.msg(alice, run_of(1, 1))
    assert [MsgN] == [type(packet) for packet in s.hop_acks(phone)]


def test_what_is_safe_of_an_older_incarnation_s_receipt_is_not_told_to_the_newer():
    s, alice, phone = both()
    s.ack(phone, (1, 1))
    s.logout(phone)
    phone = s.login(PHONE, DURABLE | 9)
    phone.inbound.resolve(1, STREAM)
    assert [((1, 1),)] == [ack.delivered for ack in of(AckN, s.hop_acks(alice))]
    assert [] == of(AckA, s.hop_acks(phone)), "it has said nothing yet"
    s.ack(phone, (1, 1))
    s.hop_acks(alice)
    assert [((1, 1),)] == [ack.ranges for ack in of(AckA, s.hop_acks(phone))]


def test_a_row_of_an_older_incarnation_is_forgotten_and_never_answers():
    s, alice, phone = both()
    s.logout(alice)
    s.ack(phone, (1, 1))
    s.commit()
    assert 1 == len(s.router.receipts)
    s.logout(phone)
    s.login(PHONE, DURABLE | 9)
    assert 0 == len(s.router.receipts)
    assert {} == s.router.drops


def test_a_row_that_a_crash_left_behind_does_not_answer_for_the_new_incarnation():
    s, alice, phone = both()
    s.logout(alice)
    s.ack(phone, (1, 1))
    s.commit()
    record = s.router.registry.logged_in(PHONE, DURABLE | 9, 99)
    s.router.register(record, lambda ok: None)
    s.begin()
    s.finish()  # and dies before the next transaction, which would drop the row
    again = s.restart()
    assert 1 == len(again.router.receipts)
    alice = again.login(ALICE)
    again.msg(alice, run_of(1, 1))
    again.commit()
    assert [((1, 1),)] == [ack.stored for ack in of(AckN, again.hop_acks(alice))]


def test_receipts_for_senders_that_never_were_take_no_row():
    s, _, phone = both()
    for incarnation in range(50):
        s.ack(phone, (1, 1), stream=STREAM._replace(user="zoe", incarnation=incarnation))
    s.ack(phone, (1, 1), stream=STREAM._replace(device="other"))
    assert {"receipt for an unknown sender": 51} == s.router.drops
    assert 0 == len(s.router.receipts)
