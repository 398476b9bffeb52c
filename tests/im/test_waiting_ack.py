"""The waiting-ack queue: deadline order and the budget of I12."""

from tests.im.helpers import STREAM
from udpim.config import RESEND_MESSAGES_BURST
from udpim.im.out_stream import OutStream
from udpim.im.records import OutStreamRecord
from udpim.im.waiting_ack import REFUSALS_MAX, REST_S, Flight, WaitingAckQueue

RECORD = OutStreamRecord(1, STREAM.incarnation, "bob", 1, 1, 0, 0, (), (), ())


def flight():
    return Flight(OutStream(STREAM, RECORD), (1, 1), 3.0, session=1, number=1, is_cancel=False)


def due(queue, now):
    flights = []
    while (woken := queue.next_due(now)) is not None:
        flights.append(woken)
    return flights


def refuse_all(queue, now):
    refused = []
    while (woken := queue.next_due(now)) is not None:
        queue.refused(woken, now)
        refused.append(woken)
    return refused


def test_flights_wake_in_the_order_of_their_deadlines():
    queue = WaitingAckQueue(0.0)
    late, early = flight(), flight()
    queue.arm(late, 5.0)
    queue.arm(early, 4.0)
    assert 4.0 == queue.next_timeout()
    assert queue.next_due(3.9) is None
    assert [early, late] == due(queue, 5.0)
    assert queue.next_timeout() is None


def test_a_fifth_of_the_new_bytes_may_be_sent_again():
    queue = WaitingAckQueue(0.0)
    queue.sent_new(1000)
    assert 1000 == queue.allow(200, 1000, 0.0)
    assert 60 == queue.allow(1, int(RESEND_MESSAGES_BURST), 0.0)
    assert 0 == queue.allow(0, 0, 0.0), "nothing open costs nothing"
    assert 0 == queue.allow(1, 1, 0.0)


def test_beyond_the_bytes_it_is_one_message_a_second_averaged_over_a_minute():
    queue = WaitingAckQueue(0.0)
    assert 59 == queue.allow(10, 59, 0.0)
    assert 1 == queue.allow(10, 1, 0.0)
    assert 0 == queue.allow(10, 1, 0.5)
    assert 1 == queue.allow(10, 1, 1.0)


def test_of_a_flight_larger_than_the_budget_a_part_may_go():
    queue = WaitingAckQueue(0.0)
    assert 60 == queue.allow(10, 64, 0.0)
    assert 3 == queue.allow(10, 4, 3.5)


def test_settled_flights_are_forgotten_before_they_wake():
    queue = WaitingAckQueue(0.0)
    settled, open_ = flight(), flight()
    settled.stream.floor = 2
    queue.arm(settled, 3.0)
    queue.arm(open_, 4.0)
    assert 4.0 == queue.next_timeout()
    assert [open_] == due(queue, 9.0)


def test_a_refused_flight_comes_back_after_a_second():
    queue = WaitingAckQueue(0.0)
    refused = flight()
    queue.refused(refused, 5.0)
    assert 5.0 + REST_S == queue.next_timeout()
    assert [refused] == due(queue, 5.0 + REST_S)


def test_a_spent_budget_is_not_asked_for_every_flight_that_is_late():
    queue = WaitingAckQueue(0.0)
    late = [flight() for _ in range(3 * REFUSALS_MAX)]
    for one in late:
        queue.arm(one, 1.0)
    assert late[:REFUSALS_MAX] == refuse_all(queue, 2.0)
    assert 2.0 + REST_S == queue.next_timeout()
    assert [] == refuse_all(queue, 2.0 + REST_S / 2)
    assert late[REFUSALS_MAX : 2 * REFUSALS_MAX] == refuse_all(queue, 2.0 + REST_S), "in turn"
    queue.session_started()
    assert late[2 * REFUSALS_MAX :] == refuse_all(queue, 2.0 + REST_S)[:REFUSALS_MAX]


def test_something_sent_again_shows_that_the_budget_is_not_spent():
    queue = WaitingAckQueue(0.0)
    for _ in range(3):
        for _ in range(REFUSALS_MAX - 1):
            queue.refused(flight(), 1.0)
        assert 1 == queue.allow(10, 1, 1.0)
    assert 1.0 + REST_S == queue.next_timeout()
    queue.arm(flight(), 1.5)
    assert 1 == len(due(queue, 1.5)), "it does not rest"


def test_only_later_copies_of_its_own_seqs_rest_a_flight():
    one = Flight(OutStream(STREAM, RECORD), (5, 9), 3.0, session=1, number=7, is_cancel=False)
    for number, first, last in ((8, 1, 4), (9, 9, 12), (6, 5, 9), (8, 6, 6)):
        one.stream.repeated(number, first, last)
    assert [(5, 5), (7, 8)] == one.open_ranges()
