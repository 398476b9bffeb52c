"""The planted bugs can be planted and taken out again, and the simulator finds some at once."""

import pytest

from tests.semantics.mutants.every import MUTANTS
from tests.sim.bugs import BUGS, NOT_FOUND
from tests.sim.cluster_plants import PLANTS
from udpim.testing.sim import swarm
from udpim.testing.sim.calibrate import play
from udpim.testing.sim.run import run
from udpim.testing.sim.shrink import shrink


def test_no_two_bugs_have_one_name():
    assert set() == MUTANTS.keys() & PLANTS.keys()


def test_every_bug_is_hunted_or_says_why_not():
    assert sorted([*MUTANTS, *PLANTS]) == sorted([*BUGS, *NOT_FOUND])
    assert all(NOT_FOUND.values())


@pytest.mark.parametrize("name", BUGS)
def test_it_finds_what_it_replaces_and_goes_again(name):
    with BUGS[name].planted() as planting:
        undo = [put_back for put_back in planting._undo if len(put_back.args) == 3]
        replaced = [(owner, what, vars(owner)[what]) for owner, what, _ in _args(undo)]
        assert replaced
    for owner, what, planted in replaced:
        assert vars(owner)[what] is not planted


def _args(undo):
    return [put_back.args for put_back in undo]


SEEDS = 8


@pytest.mark.parametrize(
    ("name", "invariant"),
    [
        ("message_leaves_before_its_row", "i7_promise_after_durable"),
        ("receipt_before_commit", "i7_promise_after_durable"),
        ("login_leaves_before_its_count", "i7_promise_after_durable"),
    ],
)
def test_one_of_the_first_seeds_finds_it(name, invariant):
    plans = [swarm.draw(str(number)) for number in range(SEEDS)]
    found = next(plan for plan in plans if play(BUGS[name], plan).violated)
    assert invariant in play(BUGS[name], found).violated
    assert () == run(found).violated


def test_what_was_found_is_shrunk_to_few_faults():
    bug = BUGS["message_leaves_before_its_row"]
    found = play(bug, swarm.draw("0"))
    shrunk = shrink(found, runs_max=60, play=lambda plan, tape: play(bug, plan, tape))
    assert found.violated[0] in shrunk.result.violated
    assert shrunk.faults <= 10
