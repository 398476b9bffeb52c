"""When packets leave."""

import pytest

from udpim.hop.pacing import BURST_PACKETS, Pacer

SIZE = 1200
RATE = 1_200_000.0  # a packet per millisecond


@pytest.fixture
def pacer():
    return Pacer(SIZE)


def send_all(pacer):
    """Send while it is open: packets."""
    count = 0
    while pacer.left > 0 and count < 1000:
        pacer.left -= SIZE
        count += 1
    return count


def test_first_ten_packets_leave_at_once(pacer):
    pacer.fill(RATE, 5.0)
    assert send_all(pacer) == BURST_PACKETS


def test_then_packets_leave_at_the_rate(pacer):
    pacer.fill(RATE, 5.0)
    send_all(pacer)
    now, sent = 5.0, 0
    while now < 5.1:
        now = pacer.opens_at()
        pacer.fill(RATE, now)
        sent += send_all(pacer)
    assert 95 <= sent <= 105


def test_turn_at_the_time_it_names_finds_it_open(pacer):
    for now in (0.1, 86_400.3, 1e7):
        for rate in (333.3, RATE, 1e9):
            pacer = Pacer(SIZE)
            pacer.fill(rate, now)
            while pacer.left > 0:
                pacer.left -= SIZE
            pacer.fill(rate, pacer.opens_at())
            assert pacer.left > 0


def test_silence_saves_up_one_burst_and_no_more(pacer):
    pacer.fill(RATE, 5.0)
    pacer.fill(RATE, 500.0)
    assert send_all(pacer) == BURST_PACKETS


def test_fast_sender_has_bursts_of_two_milliseconds(pacer):
    pacer.fill(RATE * 50, 5.0)
    assert send_all(pacer) == 100
    pacer.fill(RATE * 50, 5.001)
    assert send_all(pacer) == 0, "half a burst is saved up"
    pacer.fill(RATE * 50, 5.002)
    assert send_all(pacer) == 100


def test_few_wake_ups_pace_many_packets(pacer):
    now, turns = 5.0, 0
    pacer.fill(RATE, now)
    while now < 6.0:
        send_all(pacer)
        now = pacer.opens_at()
        pacer.fill(RATE, now)
        turns += 1
    assert turns <= 101


def test_without_a_rate_nothing_waits_and_nothing_is_owed(pacer):
    pacer.fill(None, 5.0)
    assert send_all(pacer) == 1000
    pacer.fill(None, 5.1)
    pacer.fill(RATE, 5.2)
    assert send_all(pacer) == BURST_PACKETS
