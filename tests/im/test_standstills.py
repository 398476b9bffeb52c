"""Who waits at a gap learns the floor, and from whoever knows it first (PROTOCOL §5.8)."""

from tests.im.helpers import ALICE, CAROL, GROUP, INC, LAPTOP, PHONE, STREAM, Server, of, run_of
from udpim.wire.im_packets import AckN, CancelN, StatusA


def both():
    s = Server()
    return s, s.login(ALICE), s.login(PHONE)


def floors(s, session):
    """The floors that a client is told, with what is void below them."""
    return [(c.floor, c.base, c.ranges) for c in of(CancelN, s.hop_acks(session))]


def questions(s, session):
    """The streams that a sender is asked about, by ordinal of who asks."""
    packets = of(AckN, s.hop_acks(session))
    return [p.ordinal for p in packets if not (p.delivered or p.void or p.stored or p.excused)]


def test_who_asks_is_told_the_floor_that_the_server_knows_and_the_sender_is_asked():
    s, alice, phone = both()
    s.msg(alice, run_of(7, 8), floor=7)
    s.hop_acks(alice), s.hop_acks(phone)
    s.ack(phone)
    assert [(7, 7, ((1, 6),))] == floors(s, phone)
    assert [0] == questions(s, alice)
    assert 0 == len(s.router.standstills)


def test_who_asks_again_is_told_only_what_is_new():
    s, alice, phone = both()
    s.msg(alice, run_of(7, 8), floor=7)
    s.ack(phone)
    s.hop_acks(phone)
    s.ack(phone)
    assert [] == floors(s, phone)
    s.status(alice, (9, 9), floor=9)
    assert [(9, 9, ((1, 8),))] == floors(s, phone)
    s.status(alice, (10, 10), floor=10)
    assert [] == floors(s, phone), "it does not wait any more, as far as anybody knows"


def test_a_floor_that_nothing_is_below_is_not_worth_a_word():
    s, alice, phone = both()
    s.msg(alice, run_of(2, 2))
    s.ack(phone)
    assert [] == floors(s, phone)
    assert 1 == len(s.router.standstills)


def test_a_sender_that_was_away_is_asked_when_it_comes():
    s, alice, phone = both()
    s.logout(alice)
    s.ack(phone)
    assert [] == floors(s, phone)
    s.logout(s.login(CAROL))
    alice = s.login(ALICE)
    assert [0] == questions(s, alice)
    s.status(alice, (9, 9), floor=9)
    assert [(9, 9, ((1, 8),))] == floors(s, phone)


def test_floors_go_to_who_waits_for_that_stream_only():
    s, alice, phone = both()
    carol = s.login(CAROL)
    s.group("alice", "bob", "carol")
    s.msg(alice, run_of(1, 1))
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.ack(phone)
    s.ack(carol, stream=GROUP)
    s.hop_acks(phone), s.hop_acks(carol)
    s.status(alice, (5, 5), floor=5, stream=GROUP)
    assert ([], [(5, 5, ((1, 4),))]) == (floors(s, phone), floors(s, carol))


def test_a_session_that_ended_waits_no_more():
    s, alice, phone = both()
    laptop = s.login(LAPTOP)
    s.ack(phone)
    s.ack(laptop)
    assert 2 == len(s.router.standstills)
    s.logout(phone)
    assert 1 == len(s.router.standstills)
    s.logout(laptop)
    s.logout(alice)
    assert [] == questions(s, s.login(ALICE))


def test_nobody_is_asked_about_a_stream_that_has_ended():
    s, alice, phone = both()
    s.logout(alice)
    alice = s.login(ALICE, INC + 1)
    s.ack(phone)
    assert ([], 0) == (questions(s, alice), len(s.router.standstills))
    s.ack(phone, stream=STREAM._replace(incarnation=INC + 1))
    assert [0] == questions(s, alice)


def test_a_device_that_was_retired_since_it_asked_asks_nobody():
    s, alice, phone = both()
    s.group("alice", "bob")
    s.logout(alice)
    s.ack(phone, stream=GROUP)
    s.leave("bob")
    assert [] == questions(s, s.login(ALICE))


def test_a_floor_that_is_told_alone_goes_to_the_recipients_once():
    s, alice, phone = both()
    s.msg(alice, run_of(1, 1))
    s.hop_acks(alice), s.hop_acks(phone)
    s.logout(s.login(LAPTOP))
    for _ in range(2):
        s.status(alice, (4, 4), floor=5)
    assert [(5, 5, ((1, 4),))] == floors(s, phone)
    assert [] == of(StatusA, s.hop_acks(alice)), "nothing was asked"


def test_a_floor_of_a_group_that_is_told_alone_goes_to_who_waits():
    s, alice, phone = both()
    carol = s.login(CAROL)
    s.group("alice", "bob", "carol")
    s.ack(phone, stream=GROUP)
    s.status(alice, (4, 4), floor=5, stream=GROUP)
    assert ([(5, 5, ((1, 4),))], []) == (floors(s, phone), floors(s, carol))


def test_receipts_below_the_floor_are_passed_on_and_answered_with_it():
    s, alice, phone = both()
    s.msg(alice, run_of(7, 8), floor=7)
    s.hop_acks(alice), s.hop_acks(phone)
    s.ack(phone, (1, 2), void=((3, 3),))
    assert [(7, 7, ((1, 6),))] == floors(s, phone)
    assert [((1, 2),)] == [p.delivered for p in of(AckN, s.hop_acks(alice))]
    s.ack(phone, (1, 2), (7, 7))
    s.ack(phone, (7, 7), void=((1, 2),))
    assert [] == floors(s, phone)
