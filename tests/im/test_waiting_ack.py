"""The waiting-ack queue: deadline order and the budget of I12."""

from tests.im.helpers import STREAM
from udpim.config import RESEND_MESSAGES_BURST
from udpim.im.out_stream import OutStream
from udpim.im.records import OutStreamRecord
from udpim.im.waiting_ack import Flight, WaitingAckQueue

RECORD = OutStreamRecord(1, STREAM.incarnation, "bob", 1, 1, 0, 0, (), (), ())


def flight():
    return Flight(OutStream(STREAM, RECORD), (1, 1), 3.0, session=1, number=1, is_cancel=False)


def test_flights_wake_in_the_order_of_their_deadlines():
    queue = WaitingAckQueue(0.0)
    late, early = flight(), flight()
    queue.arm(late, 5.0)
    queue.arm(early, 4.0)
    assert 4.0 == queue.next_timeout()
    assert [] == queue.due(3.9)
    assert [early, late] == queue.due(5.0)
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
    assert [open_] == queue.due(9.0)
