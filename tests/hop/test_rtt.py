"""The round-trip time estimate (RFC 9002 §5)."""

import pytest

from udpim.hop.rtt import PTO_S_INITIAL, RttEstimator


def test_the_first_sample_is_the_estimate():
    rtt = RttEstimator()
    rtt.update(0.1, 0.05)
    assert (rtt.smoothed_rtt, rtt.rttvar, rtt.min_rtt, rtt.latest_rtt) == (0.1, 0.05, 0.1, 0.1)


def test_later_samples_count_an_eighth_and_their_deviation_a_quarter():
    rtt = RttEstimator()
    rtt.update(0.1, 0.0)
    rtt.update(0.2, 0.0)
    # RFC 9002 §5.3 with erratum 7539: the deviation is taken from smoothed_rtt before the update.
    assert rtt.rttvar == pytest.approx(0.75 * 0.05 + 0.25 * 0.1)
    assert rtt.smoothed_rtt == pytest.approx(0.875 * 0.1 + 0.125 * 0.2)


def test_the_deviation_is_not_taken_from_the_least_sample():
    rtt = RttEstimator()
    for sample in (0.1, *[0.3] * 100):
        rtt.update(sample, 0.0)
    assert rtt.min_rtt == 0.1
    assert rtt.rttvar == pytest.approx(0.0, abs=1e-4)


def test_the_ack_delay_is_taken_off():
    rtt = RttEstimator()
    rtt.update(0.1, 0.0)
    rtt.update(0.11, 0.01)
    assert rtt.smoothed_rtt == pytest.approx(0.1)


def test_an_exaggerated_ack_delay_cannot_push_the_estimate_below_the_least_sample():
    rtt = RttEstimator()
    rtt.update(0.1, 0.0)
    for _ in range(100):
        rtt.update(0.1, 0.09)
    assert rtt.smoothed_rtt == pytest.approx(0.1)


def test_the_probe_timeout_before_and_after_the_first_sample():
    rtt = RttEstimator()
    assert rtt.pto_s(0.005) == PTO_S_INITIAL
    rtt.update(0.1, 0.0)
    assert rtt.pto_s(0.005) == pytest.approx(0.1 + 4 * 0.05 + 0.005)


def test_the_probe_timeout_never_trusts_a_clock_below_its_granularity():
    rtt = RttEstimator()
    for _ in range(200):
        rtt.update(0.1, 0.0)
    assert rtt.pto_s(0.005) == pytest.approx(0.1 + 0.001 + 0.005)
