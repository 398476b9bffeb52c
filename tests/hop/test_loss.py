"""Loss detection (RFC 9002 §6.1)."""

import random

import pytest

from udpim.hop.loss import LOST_PACKETS_MAX, LossDetector, SentPacket
from udpim.hop.rtt import RttEstimator


@pytest.fixture
def loss():
    rtt = RttEstimator()
    rtt.update(0.1, 0.0)
    return LossDetector(rtt, 0)


def send(loss, *numbers, at=0.0):
    for number in numbers:
        loss.on_sent(SentPacket(number, at, 100, []))


def ack(loss, *numbers, reach=None, now=0.1):
    """Ack exactly these numbers: (acked, spurious, lost) as numbers."""
    largest = max(numbers)
    bitmap = sum(1 << largest - 1 - n for n in numbers if n < largest)
    acked, spurious = loss.on_ack(largest, bitmap)
    lost = loss.detect_lost(now, min(numbers) - 64 if reach is None else reach)
    return tuple([p.number for p in group] for group in (acked, spurious, lost))


def test_what_is_abandoned_is_neither_in_flight_nor_lost_nor_acked_later(loss):
    send(loss, *range(5))
    ack(loss, 1)
    assert [0, 2, 3, 4] == [packet.number for packet in loss.abandon()]
    assert (loss.packets_in_flight, loss.bytes_in_flight, loss.loss_at) == (0, 0, None)
    assert loss.oldest_sent_at() is None
    send(loss, 5, at=1.0)
    assert loss.oldest_sent_at() == 1.0
    assert ([5], [], []) == ack(loss, *range(6))
    assert loss.packets_lost == 0


def test_acked_packets_are_reported_once_in_rising_order(loss):
    send(loss, *range(9))
    assert ack(loss, 0, 1, 2)[0] == [0, 1, 2]
    assert ack(loss, 0, 1, 2, 4)[0] == [4]
    assert loss.packets_in_flight == 5
    assert loss.bytes_in_flight == 500


def test_three_later_packets_prove_a_loss(loss):
    send(loss, *range(10))
    assert ack(loss, 1, 2)[2] == []
    assert ack(loss, 1, 2, 3)[2] == [0]
    assert loss.packets_lost == 1
    assert loss.bytes_in_flight == 600


def test_a_thin_stream_needs_fewer(loss):
    """RFC 5827: with two in flight, one later packet is all that can be acked."""
    send(loss, 0, 1)
    assert ack(loss, 1)[2] == [0]
    send(loss, 2, 3, 4)
    assert ack(loss, 3)[2] == []
    assert ack(loss, 4)[2] == [2]


def test_time_proves_a_loss_of_what_is_older_than_an_acked_packet(loss):
    send(loss, *range(8), at=0.0)
    assert ack(loss, 1, now=0.1)[2] == []
    assert loss.loss_at == pytest.approx(0.1125)
    assert loss.detect_lost(0.11, 1) == []
    (lost,) = loss.detect_lost(loss.loss_at, 1)
    assert lost.number == 0
    assert loss.loss_at is None, "nothing after the acked packet is in doubt"


def test_packets_after_the_largest_acked_are_never_lost_by_time(loss):
    send(loss, *range(4))
    ack(loss, 0)
    assert loss.detect_lost(1e6, 0) == []
    assert loss.packets_in_flight == 3


def test_being_beyond_the_reach_of_an_ack_is_not_loss(loss):
    send(loss, *range(600), at=0.0)
    _, _, lost = ack(loss, 599, reach=599 - 256, now=0.1)
    assert lost == list(range(343, 597))
    assert {p.number for p in loss.detect_lost(0.12, 0)} == {*range(343), 597, 598}


def test_an_older_ack_that_comes_late_still_acks(loss):
    send(loss, *range(10))
    ack(loss, 8, 9)
    acked, spurious = loss.on_ack(3, 0b111)
    assert (acked, [p.number for p in spurious]) == ([], [0, 1, 2, 3])


def test_an_ack_from_long_ago_says_nothing(loss):
    send(loss, 0, 5000)
    ack(loss, 5000, reach=4000)
    assert loss.on_ack(0, 0) == ([], [])
    assert loss.packets_in_flight == 1


def test_a_jump_of_acks_forgets_the_ones_far_below(loss):
    send(loss, 0, 5000)
    ack(loss, 0)
    assert ack(loss, 5000)[0] == [5000]


def test_a_spurious_loss_widens_both_thresholds(loss):
    send(loss, *range(20), at=0.0)
    assert ack(loss, 5, now=0.05)[2] == [0, 1, 2]
    assert ack(loss, 2, 5, now=0.06)[1] == [2]
    assert loss.packets_spuriously_lost == 1
    assert ack(loss, 5, 6, 7, now=0.06)[2] == [3]
    send(loss, *range(20, 30), at=1.0)
    ack(loss, *range(8, 20), now=1.0)
    assert ack(loss, 23, now=1.05)[2] == []
    assert loss.loss_at == pytest.approx(1.0 + 0.125)
    assert ack(loss, 24, now=1.05)[2] == [20]


def test_thresholds_widen_to_a_limit(loss):
    number = 0
    for _ in range(5):
        send(loss, *range(number, number + 100))
        ack(loss, number + 99, reach=number)
        ack(loss, number, number + 99)
        number += 100
    loss.detect_lost(4.0, 0)
    send(loss, *range(number, number + 100), at=5.0)
    _, _, lost = ack(loss, number + 30, now=5.0)
    assert [n for n in lost if n >= number] == list(range(number, number + 11))
    assert loss.loss_at == pytest.approx(5.0 + 0.15)


def test_what_is_remembered_of_lost_packets_is_bounded(loss):
    count = LOST_PACKETS_MAX + 100
    send(loss, *range(count + 1))
    ack(loss, count)
    loss.detect_lost(1e3, 0)
    assert loss.packets_lost == count
    _, spurious = loss.on_ack(count, (1 << 1023) - 1)
    assert 0 < len(spurious) <= LOST_PACKETS_MAX


def test_losses_over_more_than_three_timeouts_are_persistent_congestion(loss):
    lost = [SentPacket(1, 0.0, 100, []), SentPacket(4, 3.1, 100, [])]
    send(loss, *range(10))
    ack(loss, 0, 9)
    assert loss.is_persistent(lost, 1.0)
    assert not loss.is_persistent(lost, 1.1)


def test_an_ack_in_between_disproves_persistent_congestion(loss):
    lost = [SentPacket(1, 0.0, 100, []), SentPacket(4, 3.1, 100, [])]
    send(loss, *range(10))
    ack(loss, 0, 3, 9)
    assert not loss.is_persistent(lost, 1.0)


def test_without_a_round_trip_sample_nothing_is_persistent():
    loss = LossDetector(RttEstimator(), 0)
    lost = [SentPacket(1, 0.0, 100, []), SentPacket(4, 99.0, 100, [])]
    assert not loss.is_persistent(lost, 1.0)


def test_the_oldest_packet_in_flight_is_known(loss):
    assert loss.oldest_sent_at() is None
    for number in (0, 2, 5):
        send(loss, number, at=float(number))
    assert loss.oldest_sent_at() == 0.0
    loss.on_ack(0, 0)
    assert loss.oldest_sent_at() == 2.0
    loss.on_ack(5, 0b1_1111)
    assert loss.oldest_sent_at() is None


def test_every_packet_ends_acked_or_lost(seed):
    """Random acks, in any order: what is in flight is always sent minus acked minus lost."""
    rng = random.Random(seed)
    rtt = RttEstimator()
    rtt.update(0.1, 0.0)
    loss = LossDetector(rtt, 0)
    now, top, arrived, acked, lost = 0.0, -1, set(), set(), set()
    for _ in range(3000):
        now += 0.01
        top += 1
        send(loss, top, at=now)
        if rng.random() < 0.7:
            arrived.add(top)
        if rng.random() < 0.3 and arrived:
            largest = rng.choice([n for n in sorted(arrived) if n > top - 40] or [max(arrived)])
            bitmap = sum(1 << k for k in range(256) if largest - 1 - k in arrived)
            newly, spurious = loss.on_ack(largest, bitmap)
            numbers = {p.number for p in newly}
            assert not numbers & (acked | lost)
            acked |= numbers
            assert {p.number for p in spurious} <= lost
            newly_lost = {p.number for p in loss.detect_lost(now, largest - 256)}
            assert not newly_lost & (acked | lost)
            lost |= newly_lost
        assert loss.packets_in_flight == top + 1 - len(acked) - len(lost)
        assert loss.bytes_in_flight == 100 * loss.packets_in_flight
        assert loss.packets_in_flight < 200
    assert len(lost) > 500
