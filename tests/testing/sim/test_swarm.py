"""A seed draws its plan; over many seeds each kind of trouble is there, and absent, often."""

from collections import Counter

from udpim.config import Limits
from udpim.testing.faults import Profile
from udpim.testing.sim import swarm
from udpim.testing.sim.actions import ACTIONS
from udpim.testing.sim.swarm import draw

PLANS = [draw(str(number)) for number in range(300)]
RARER = {"memory server": 0.2}
"""Kinds that are not on in half of the seeds."""


def test_a_seed_draws_the_same_plan_again():
    assert PLANS[:50] == [draw(str(number)) for number in range(50)]


def test_seeds_draw_different_plans():
    # Fifty runs that do the same things at the same moments would be one run.
    assert 50 == len({repr(plan.actions) for plan in PLANS[:50]})


def test_each_kind_is_on_in_about_half_of_the_seeds():
    on = Counter(kind for plan in PLANS for kind in plan.kinds)
    assert set(swarm._LINK) | set(swarm._EVENTS) <= set(on)
    ratios = {kind: count / len(PLANS) for kind, count in on.items()}
    here = set(swarm._LINK) | set(swarm._EVENTS) | set(RARER)
    ratios = {kind: ratio for kind, ratio in ratios.items() if kind in here}
    odd = {k: r for k, r in ratios.items() if abs(r - RARER.get(k, 0.5)) > 0.15}
    assert {} == odd


def test_each_kind_of_action_is_drawn_and_has_a_doer():
    drawn = {action.kind for plan in PLANS for action in plan.actions}
    assert set(ACTIONS) == drawn


def test_what_is_drawn_is_valid():
    for plan in PLANS:
        Profile(**plan.link)
        Limits(**plan.limits)
        hosts = {seat.host for seat in plan.seats} | {"server", "gate", "s1", "s2"}
        assert {action.args.get("who", "server") for action in plan.actions} <= hosts
        assert all(0 <= action.at_s for action in plan.actions)
        assert list(plan.actions) == sorted(plan.actions, key=lambda action: action.at_s)


def test_a_run_has_about_twenty_messages():
    sent = [
        sum(int(action.args["count"]) for action in plan.actions if action.kind == "send")
        for plan in PLANS
    ]
    assert 15 < sum(sent) / len(sent) < 30


def test_both_exchanges_and_all_kinds_of_disk_are_tried():
    assert {"six", "four"} == {plan.exchange for plan in PLANS}
    assert {"objects", "power", "database"} == {plan.disk for plan in PLANS}
