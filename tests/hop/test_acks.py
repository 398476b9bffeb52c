"""When to acknowledge what."""

import pytest

from udpim.hop.acks import READY_ACKS_MAX, AckScheduler
from udpim.wire.frames import ACK, ACK_DELAY_MAX, parse_frames


def take(acks, *numbers, eliciting=True, now=1.0):
    for number in numbers:
        acks.on_taken(number, ack_eliciting=eliciting, now=now)


def sent(acks, now=1.0, *, data=False):
    return [parse_frames(frame)[0] for frame in acks.frames_to_send(now, data_goes_out=data)]


def acked_numbers(frame):
    _, largest, _, bitmap, _ = frame
    return {largest} | {largest - 1 - k for k in range(256) if bitmap >> k & 1}


def test_a_lone_packet_is_acked_after_the_delay():
    acks = AckScheduler(0, 0.005)
    take(acks, 0)
    assert sent(acks, 1.004) == []
    assert acks.deadline == 1.005
    assert [f[:2] for f in sent(acks, 1.005)] == [(ACK, 0)]
    assert acks.deadline is None
    assert sent(acks, 2.0) == []


def test_two_packets_are_acked_at_once():
    acks = AckScheduler(0, 0.005)
    take(acks, 0, 1)
    (frame,) = sent(acks)
    assert acked_numbers(frame) == {0, 1}


def test_a_gap_and_what_fills_it_are_acked_at_once():
    acks = AckScheduler(0, 0.005)
    take(acks, 1)
    assert acked_numbers(*sent(acks)) == {1}
    take(acks, 0)
    assert acked_numbers(*sent(acks)) == {0, 1}


def test_an_ack_rides_along_when_data_goes_out():
    acks = AckScheduler(0, 0.005)
    take(acks, 0)
    assert acked_numbers(*sent(acks, data=True)) == {0}


def test_nothing_that_does_not_ask_is_acked_by_itself():
    acks = AckScheduler(0, 0.005)
    take(acks, *range(50), eliciting=False)
    assert acks.deadline is None
    assert sent(acks, 9.0, data=True) == []


def test_what_did_not_ask_is_acked_along_with_what_did():
    acks = AckScheduler(0, 0.005)
    take(acks, 0, 1, eliciting=False)
    take(acks, 2)
    assert acked_numbers(*sent(acks, data=True)) == {0, 1, 2}


def test_a_burst_beyond_the_reach_of_one_ack_gets_several():
    acks = AckScheduler(0, 0.005)
    take(acks, *range(700))
    frames = sent(acks)
    assert len(frames) == 6
    assert set.union(*map(acked_numbers, frames)) == set(range(700))


def test_every_ack_repeats_what_came_before():
    """An ACK may be lost; the next one says it again."""
    acks = AckScheduler(0, 0.005)
    take(acks, *range(200))
    sent(acks)
    take(acks, 200, 201)
    (frame,) = sent(acks)
    assert acked_numbers(frame) >= set(range(136, 202))


def test_an_ack_speaks_of_no_number_below_zero():
    acks = AckScheduler(0, 0.005)
    take(acks, 0)
    assert sent(acks, data=True) == [(ACK, 0, 0, 0, 0)]


def test_the_delay_is_counted_from_the_largest_packet():
    acks = AckScheduler(0, 0.005)
    take(acks, 0, now=1.0)
    (frame,) = sent(acks, 1.004, data=True)
    assert frame[2] == pytest.approx(500, abs=1)
    take(acks, 5, now=2.0)
    sent(acks, 2.0)
    take(acks, 3, now=60.0)
    assert sent(acks, 60.0)[0][2] == ACK_DELAY_MAX


def test_the_acks_of_one_turn_are_bounded():
    acks = AckScheduler(0, 0.005)
    take(acks, *range(128 * (READY_ACKS_MAX + 4)))
    frames = sent(acks)
    assert len(frames) == READY_ACKS_MAX
    assert frames[-1][1] == 128 * (READY_ACKS_MAX + 4) - 1


def test_each_call_returns_a_list_of_its_own():
    """The caller fills the packet into it; once that leaked into the next packet."""
    acks = AckScheduler(0, 0.005)
    acks.frames_to_send(1.0, data_goes_out=True).append(b"frame")
    assert acks.frames_to_send(1.0, data_goes_out=True) == []
