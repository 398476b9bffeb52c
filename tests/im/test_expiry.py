"""Messages that the offline queues have given up: a copy takes nobody's place (PROTOCOL §5.5)."""

from tests.im.helpers import ALICE, LAPTOP, PHONE, STREAM, Server, of, run_of
from udpim.model import RejectCode
from udpim.wire.im_packets import AckN, Members, MsgA, MsgN, OfflineA, Refuse, StatusA

TTL_S = 3200


def waits(*endpoints, **config):
    """Alice, and messages 1 to 3 that wait for these endpoints of bob's, who are away."""
    s = Server(queue_ttl_s=TTL_S, **config)
    alice = s.login(ALICE)
    for endpoint in endpoints:
        s.logout(s.login(endpoint))
    s.msg(alice, run_of(1, 3))
    s.commit()
    s.hop_acks(alice)
    return s, alice


def expire(s, age_s=2 * TTL_S):
    s.router.age_s = s.router.queue.age_s = age_s
    more = s.router.delivery.expire()
    s.commit()
    assert not more


def refused(packets):
    return [(packet.code, packet.ranges) for packet in of(Refuse, packets)]


def accepted(packets):
    return [packet.ranges for packet in of(MsgA, packets)]


def test_what_waited_for_too_long_is_stored_no_more_and_a_copy_is_refused():
    s, alice = waits(PHONE)
    expire(s)
    queued = s.router.queue.find(PHONE, STREAM)
    assert ([], [(1, 3)]) == (list(queued.messages), list(queued.voids))
    assert [] == alice.frames, "only bob says VOID"
    s.status(alice, (1, 3))
    (answer,) = of(StatusA, s.hop_acks(alice))
    assert (((1, 3),), ()) == (answer.asked, answer.stored)
    s.msg(alice, run_of(1, 3))
    s.commit()
    packets = s.hop_acks(alice)
    assert [(RejectCode.EXPIRED, ((1, 3),))] == refused(packets)
    assert ([], []) == (of(AckN, packets), accepted(packets))
    assert ([], [(1, 3)]) == (list(queued.messages), list(queued.voids))
    assert not RejectCode.EXPIRED.transient


def test_what_comes_behind_is_queued_and_accepted():
    s, alice = waits(PHONE)
    expire(s)
    s.msg(alice, run_of(2, 5))
    s.commit()
    packets = s.hop_acks(alice)
    assert ([(RejectCode.EXPIRED, ((2, 3),))], [((4, 5),)]) == (refused(packets), accepted(packets))
    assert [((4, 5),)] == [packet.stored for packet in of(AckN, packets)]
    expire(s, 3 * TTL_S - 1)
    assert [(4, 5)] == list(s.router.queue.find(PHONE, STREAM).messages), "they are younger"


def test_as_long_as_another_device_may_get_it_its_sender_goes_on():
    s, alice = waits(PHONE)
    expire(s)
    laptop = s.login(LAPTOP)
    s.hop_acks(laptop), s.hop_acks(alice)
    s.msg(alice, run_of(1, 3))
    assert 1 == len(of(MsgN, s.hop_acks(laptop)))
    packets = s.hop_acks(alice)
    assert ([], [((1, 3),)]) == (refused(packets), accepted(packets))


def test_who_has_it_stored_still_may_get_it():
    s, alice = waits(PHONE, LAPTOP)
    s.router.delivery._writer.store_voids(PHONE, STREAM, (1, 1), [(1, 2)])
    s.commit()
    s.msg(alice, run_of(1, 3), settled=0b100)  # as alice knows: the laptop has it STORED
    packets = s.hop_acks(alice)
    assert ([], [((1, 3),)]) == (refused(packets), accepted(packets))
    s.router.delivery._writer.store_voids(LAPTOP, STREAM, (1, 1), [(1, 1)])
    s.commit()
    s.msg(alice, run_of(1, 3), settled=0b100)
    packets = s.hop_acks(alice)
    assert [(RejectCode.EXPIRED, ((1, 1),))] == refused(packets)


def test_who_has_it_waits_for_nothing():
    s, alice = waits(LAPTOP)
    expire(s)
    phone = s.login(PHONE)
    s.hop_acks(phone), s.hop_acks(alice)
    s.msg(alice, run_of(1, 2))
    s.logout(alice)
    s.ack(phone, (1, 2))
    s.commit()
    alice = s.login(ALICE)
    s.msg(alice, run_of(1, 3))
    packets = s.hop_acks(alice)
    assert [(RejectCode.EXPIRED, ((1, 2),))] == refused(packets), "3 is pushed to the phone now"
    s.msg(alice, run_of(1, 2), settled=0b100)  # as alice knows now: the phone has them
    assert [(RejectCode.EXPIRED, ((1, 2),))] == refused(s.hop_acks(alice))


def test_who_joined_later_does_not_get_it_either():
    s, alice = waits(PHONE)
    expire(s)
    before = s.epoch()
    s.login(LAPTOP)
    s.hop_acks(alice)
    s.msg(alice, run_of(1, 1), runs=((1, before), (2, s.epoch())))
    packets = s.hop_acks(alice)
    assert [(RejectCode.EXPIRED, ((1, 1),))] == refused(packets), "the laptop came later"


def test_a_cancelled_message_that_comes_again_is_refused_too_and_its_sender_knows():
    s, alice = waits(PHONE)
    s.cancel(alice, (2, 2))
    s.commit()
    s.msg(alice, run_of(1, 3))
    assert [(RejectCode.EXPIRED, ((2, 2),))] == refused(s.hop_acks(alice))


def test_a_recipient_that_was_pulling_gets_both_and_a_commit_wins():
    s, alice = waits(PHONE)
    phone = s.login(PHONE)
    s.router.queue.taken(PHONE, STREAM, [1, 2])
    expire(s)
    assert [(1, 3)] == list(s.router.queue.find(PHONE, STREAM).next_rows())
    s.ack(phone, (1, 2), void=[(3, 3)], pulled=True)
    s.commit()
    (verdict,) = of(AckN, s.hop_acks(alice))
    assert (((1, 2),), ((3, 3),)) == (verdict.delivered, verdict.void)
    assert s.router.queue.find(PHONE, STREAM) is None
    assert [] == of(OfflineA, s.hop_acks(phone))


def test_a_run_without_any_queue_costs_no_search():
    s = Server()
    alice, _ = s.login(ALICE), s.login(PHONE)
    s.msg(alice, run_of(1, 1))
    assert [Members, MsgA] == [type(packet) for packet in s.hop_acks(alice)]
