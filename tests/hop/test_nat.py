"""The bisection that finds out how long a binding lives."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udpim.hop.nat import (
    BASE_S,
    FAILURES_MAX,
    FIRST_S,
    IDLE_PARTS,
    KEEPALIVE_S_MIN,
    LIFE_S_MAX,
    MARGIN_RATIO,
    REPORT_S,
    RESOLUTION_S,
    TRIES_MAX,
    BindingLearner,
    Step,
    keepalive_s,
)

STEPS_MAX = 1000


def learner():
    return BindingLearner(random.Random(1).randbytes)


def learn(life_s, *, lost=lambda: False, unknown=lambda: False):
    """Carry the trials out before a NAT of this life: (the learner, seconds, silences tried)."""
    it, now, sent_at, silences = learner(), 0.0, 0.0, []
    for _ in range(STEPS_MAX):
        if it.step is Step.OVER:
            return it, now, silences
        if it.step is Step.PROBE:
            sent_at = now
            it.on_sent(now)
        elif it.step is Step.ASK:
            silences.append(now - sent_at)
            it.on_sent(now)
            if unknown():
                it.on_report(it.data, now, sent=False)
            else:
                it.on_report(it.data, now, sent=True)
                if now - sent_at <= life_s and not lost():
                    it.on_answer(it.data)
        else:
            now = it.next_timeout()
            it.handle_timeout(now)
    raise AssertionError("it never ends")


@given(st.floats(BASE_S + 1, 400.0))
def test_what_lives_is_found_within_the_resolution(life_s):
    it, _, _ = learn(life_s)
    found, true = it.life_s, min(life_s, LIFE_S_MAX)
    assert true - RESOLUTION_S <= found <= true


def test_a_typical_nat_costs_a_few_trials():
    it, seconds, silences = learn(60.0)
    assert [BASE_S, FIRST_S, 60.0] == silences[:3]
    assert (60.0, len(silences)) == (it.life_s, 3 + 5 * FAILURES_MAX)
    assert seconds < 1500


def test_a_nat_that_keeps_everything_is_not_asked_for_more_than_is_of_use():
    it, _, silences = learn(1e9)
    assert LIFE_S_MAX == it.life_s == silences[-1]
    assert 6 == len(silences)


def test_a_spare_port_that_hears_nothing_tells_nothing():
    it, _, silences = learn(0.0)
    assert (None, [BASE_S] * FAILURES_MAX) == (it.life_s, silences)


@pytest.mark.parametrize("life_s", [20.0, 45.0, 90.0, 250.0])
def test_lost_answers_are_not_taken_for_dead_bindings(life_s, seed):
    """Every third answer is lost, never three in a row."""
    turn = iter(range(STEPS_MAX))
    it, _, _ = learn(life_s, lost=lambda: next(turn) % 3 == seed % 3)
    assert life_s - RESOLUTION_S <= (it.life_s or 0.0) <= life_s


def test_lost_probes_are_tried_again():
    turn = iter(range(STEPS_MAX))
    it, _, _ = learn(90.0, unknown=lambda: next(turn) % 2 == 0)
    assert 85.0 <= it.life_s <= 90.0


def test_a_server_that_never_has_a_probe_ends_it():
    it, _, silences = learn(90.0, unknown=lambda: True)
    assert (None, TRIES_MAX) == (it.life_s, len(silences))


def asked():
    it = learner()
    it.on_sent(1.0)
    assert 1.0 + BASE_S == it.next_timeout()
    it.handle_timeout(1.0 + BASE_S)
    it.on_sent(2.0)
    return it


def test_a_server_that_says_nothing_ends_a_trial_and_not_the_learning():
    it = asked()
    before = it.data
    it.handle_timeout(2.0 + REPORT_S)
    assert (Step.PROBE, None) == (it.step, it.next_timeout())
    assert before != it.data


def test_early_timeouts_and_strange_names_change_nothing():
    it = asked()
    it.handle_timeout(2.0)
    it.on_report(bytes(8), 3.0, sent=True)
    it.on_answer(bytes(8))
    assert Step.REPORT is it.step
    it.on_report(it.data, 3.0, sent=True)
    it.on_report(it.data, 3.0, sent=False)
    assert Step.ANSWER is it.step
    data = it.data
    it.on_answer(data)
    it.on_answer(data)
    assert (Step.PROBE, BASE_S) == (it.step, it.life_s)


def test_an_answer_before_the_report_counts_as_well():
    it = asked()
    it.on_answer(it.data)
    assert BASE_S == it.life_s


@pytest.mark.parametrize(
    ("life_s", "idle_s", "expected"),
    [
        (100.0, 600.0, 100.0 * MARGIN_RATIO),
        (100.0, 30.0, 30.0 / IDLE_PARTS),
        (2.0, 600.0, KEEPALIVE_S_MIN),
        (2.0, 9.0, 9.0 / IDLE_PARTS),
    ],
)
def test_keepalives_stay_below_the_life_of_bindings_and_of_the_connection(life_s, idle_s, expected):
    assert expected == keepalive_s(life_s, idle_s)
