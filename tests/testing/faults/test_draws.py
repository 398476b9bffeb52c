"""The dice keep to the shares and lengths that a profile says; seeds are fixed."""

import itertools
import random
import statistics

import pytest

from udpim.testing.faults import Loss, Profile
from udpim.testing.faults.draws import CYCLES_MAX, OUTAGE_SPREAD, Draws

COUNT = 40_000


def rolls(draw, count=COUNT, seed=1):
    dice = random.Random(seed)
    return [int(draw(dice)) for _ in range(count)]


def runs(values):
    """Lengths of the runs of ones."""
    return [len(list(run)) for value, run in itertools.groupby(values) if value]


def test_uniform_loss_has_its_share_and_no_memory():
    lost = rolls(Draws(Loss.uniform(0.3)).loss)
    assert statistics.mean(lost) == pytest.approx(0.3, abs=0.01)
    assert statistics.mean(runs(lost)) == pytest.approx(1 / 0.7, rel=0.03)


@pytest.mark.parametrize(("share", "burst"), [(0.01, 2), (0.1, 3), (0.3, 8), (0.3, 3), (0.5, 1)])
def test_burst_loss_has_its_share_and_its_mean_length(share, burst):
    lost = rolls(Draws(Loss.burst(share, mean_burst=burst)).burst_loss, 100_000)
    assert statistics.mean(lost) == pytest.approx(share, rel=0.12)
    assert statistics.mean(runs(lost)) == pytest.approx(burst, rel=0.08)


def test_bursts_begin_in_their_long_run_state():
    first = [
        rolls(Draws(Loss.burst(0.3, mean_burst=8)).burst_loss, 1, seed)[0] for seed in range(4000)
    ]
    assert statistics.mean(first) == pytest.approx(0.3, abs=0.03)


def sampled(profile, seed, step_s, count=COUNT):
    draws, dice, seen = Draws(profile), random.Random(seed), []
    for number in range(count):
        draws.now = number * step_s
        seen.append(draws.outage(dice))
    return seen


@pytest.mark.parametrize("shape", ["log-uniform", "exponential"])
@pytest.mark.parametrize("step_s", [0.05, 700.0, 1e6])
def test_outages_take_their_share_of_the_time_however_sparse_the_traffic(shape, step_s):
    """Looked at all the time, once in some cycles, and once in more than are gone through."""
    profile = Loss.outage(0.1, mean="2s", shape=shape)
    assert step_s < 1e6 or step_s > CYCLES_MAX * 20
    count = COUNT * 5 if step_s < 1 else 5000
    share = statistics.mean(sampled(profile, 3, step_s, count))
    assert share == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("shape", ["log-uniform", "exponential"])
def test_outages_have_their_mean_length(shape):
    lengths = runs(sampled(Loss.outage(0.3, mean="2s", shape=shape), 5, 0.01, 1_000_000))
    lengths_s = [0.01 * length for length in lengths]
    assert len(lengths_s) > 500
    assert statistics.mean(lengths_s) == pytest.approx(2.0, rel=0.15)
    if shape == "log-uniform":
        longest_s = max(lengths_s)
        assert longest_s < 2.0 * OUTAGE_SPREAD / (OUTAGE_SPREAD - 1) * 6.4 + 0.02
        assert statistics.median(lengths_s) < 1.0


@pytest.mark.parametrize(("share", "out"), [(1.0, {1}), (1e-300, {0}), (0.0, {0})])
def test_outages_at_their_ends(share, out):
    assert out == set(sampled(Loss.outage(share), 1, 10.0, 200))


def test_damage_is_anywhere_in_the_datagram_and_nowhere_in_an_empty_one():
    draws = Draws(Profile(corrupt_ratio=0.5, truncate_ratio=0.5))
    draws.size_bytes = 2
    assert set(range(17)) == set(rolls(draws.corruption, 2000))
    assert {0, 1, 2} == set(rolls(draws.truncation, 2000))
    assert sum(map(bool, rolls(draws.corruption))) == pytest.approx(COUNT / 2, rel=0.05)
    draws.size_bytes = 0
    assert {0} == set(rolls(draws.corruption, 100)) | set(rolls(draws.truncation, 100))


def test_extra_delays_stay_within_what_was_said():
    draws = Draws(Profile(jitter_s=1e-5, reorder_ratio=0.5, reorder_s=1e-5))
    assert set(range(11)) == set(rolls(draws.jitter, 2000))
    held = rolls(draws.hold, 2000)
    assert set(range(11)) == set(held)
    assert held.count(0) == pytest.approx(1000, rel=0.1)


def test_a_copy_has_a_delay_of_its_own():
    at_once = Draws(Profile(duplicate_ratio=0.5))
    assert {0, 1} == set(rolls(at_once.copy, 100))
    delayed = Draws(Profile(duplicate_ratio=1, jitter_s=1e-5, reorder_ratio=0.5, reorder_s=1e-4))
    copies = rolls(delayed.copy, 5000)
    assert min(copies) == 1
    assert 90 < max(copies) <= 111


def test_a_late_copy_comes_around_its_mean():
    late = rolls(Draws(Profile(duplicate_late_ratio=1, duplicate_late_s=300)).late_copy, 2000)
    assert 150e6 < min(late)
    assert max(late) <= 450e6 + 1
    assert statistics.mean(late) == pytest.approx(300e6, rel=0.02)
    assert {0} == set(rolls(Draws(Profile()).late_copy, 100))
