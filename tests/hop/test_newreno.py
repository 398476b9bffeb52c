"""NewReno (RFC 9002 §7)."""

import pytest

from udpim.hop.newreno import INITIAL_PACKETS, MINIMUM_PACKETS, WINDOW_BYTES_MAX, NewReno

SIZE = 1200


@pytest.fixture
def reno():
    return NewReno(SIZE)


def test_slow_start_grows_by_what_was_acked(reno):
    reno.on_ack(500, 1.0, app_limited=False)
    assert reno.window == INITIAL_PACKETS * SIZE + 500


def test_avoidance_grows_by_one_datagram_per_window(reno):
    reno.on_loss(1.0, 1.1, persistent=False)
    window = reno.window
    for _ in range(window // SIZE):
        assert reno.window == window
        reno.on_ack(SIZE, 2.0, app_limited=False)
    assert reno.window == window + SIZE


def test_a_window_that_is_not_used_does_not_grow(reno):
    reno.on_ack(SIZE, 1.0, app_limited=True)
    assert reno.window == INITIAL_PACKETS * SIZE


def test_losses_of_one_round_trip_halve_once(reno):
    reno.on_loss(1.0, 1.1, persistent=False)
    reno.on_loss(1.05, 1.2, persistent=False)
    assert reno.window == INITIAL_PACKETS * SIZE // 2
    reno.on_loss(1.15, 1.3, persistent=False)
    assert reno.window == MINIMUM_PACKETS * SIZE


def test_acks_of_packets_sent_before_the_loss_was_noticed_do_not_grow_it(reno):
    reno.on_loss(1.0, 1.1, persistent=False)
    window = reno.window
    reno.on_ack(10 * window, 1.1, app_limited=False)
    assert reno.window == window


def test_persistent_congestion_means_the_minimum(reno):
    reno.on_loss(1.0, 1.1, persistent=True)
    assert reno.window == MINIMUM_PACKETS * SIZE
    reno.on_ack(SIZE, 1.05, app_limited=False)
    assert reno.window == (MINIMUM_PACKETS + 1) * SIZE, "slow start begins again"


def test_the_loss_that_was_none_is_taken_back(reno):
    reno.on_loss(1.0, 1.1, persistent=False)
    reno.on_spurious_loss(1.0)
    assert reno.window == INITIAL_PACKETS * SIZE
    reno.on_ack(SIZE, 1.05, app_limited=False)
    assert reno.window == (INITIAL_PACKETS + 1) * SIZE, "and so is its recovery"


def test_an_error_about_another_packet_takes_nothing_back(reno):
    reno.on_loss(1.0, 1.1, persistent=False)
    reno.on_spurious_loss(0.9)
    assert reno.window == INITIAL_PACKETS * SIZE // 2
    reno.on_spurious_loss(1.0)
    reno.on_spurious_loss(1.0)
    assert reno.window == INITIAL_PACKETS * SIZE


def test_the_window_is_bounded(reno):
    reno.on_ack(10 * WINDOW_BYTES_MAX, 1.0, app_limited=False)
    assert reno.window == WINDOW_BYTES_MAX


def test_a_small_window_is_not_paced_and_a_larger_one_a_little_faster_than_it_is_acked():
    controller = NewReno(1000)
    assert controller.pacing_rate(0.1) == pytest.approx(1.25 * 10_000 / 0.1)
    controller.on_loss(1.0, 2.0, persistent=False)
    assert controller.pacing_rate(0.1) is None
