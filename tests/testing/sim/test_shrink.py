"""What fails is made small: the same invariant, few faults, and nothing that it does not need."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import planted
from tests.testing.sim.plans import ALICE, BOB, action, plan, receipt_is_cut_off, send
from udpim.testing.sim import shrink as module
from udpim.testing.sim.plan import Seat
from udpim.testing.sim.run import Lost, Result, run
from udpim.testing.sim.shrink import faults_of, shrink

FORGETFUL = MUTANTS["dedup_dies_with_the_process"]


def test_a_planted_bug_shrinks_to_the_faults_that_it_needs():
    with planted(FORGETFUL):
        failing = run(receipt_is_cut_off(encrypted=True, limits={"window_frames": 64}))
        assert ("i2_no_duplicate",) == failing.violated
        shrunk = shrink(failing)
        again = run(shrunk.result.plan, shrunk.result.tape)
    small = shrunk.result
    assert faults_of(failing) > 5
    assert (2, ("i2_no_duplicate",)) == (shrunk.faults, small.violated)
    assert ["send", "cut", "crash"] == [one.kind for one in small.plan.actions]
    assert (False, {}, {}) == (small.plan.encrypted, small.plan.limits, small.tape)
    assert (small.trace, small.violated) == (again.trace, again.violated)
    assert () == run(small.plan, small.tape).violated


# The search alone, on runs that are not played: a candidate fails if it has what is needed.


def made_up(plan, tape, fails):
    return Result(
        plan=plan,
        tape={label: dict(made) for label, made in tape.items() if made},
        violated=("i1_no_loss",) if fails else (),
        story="",
        trace="",
        account=Counter(),
        labels=frozenset(),
        datagrams=0,
        virtual_s=0.0,
    )


@pytest.fixture
def failing(monkeypatch):
    """A large run that needs two of its decisions and one action."""

    def fails(plan, tape):
        lost = tape.get("loss", {})
        return {17, 80} <= lost.keys() and any(one.kind == "crash" for one in plan.actions)

    monkeypatch.setattr(module, "run", lambda plan, tape: made_up(plan, tape, fails(plan, tape)))
    actions = [action(1.0, kind) for kind in ("cut", "crash", "jump", "pause")] * 5
    tape = {label: dict.fromkeys(range(100), 1) for label in ("loss", "jitter", "damage")}
    return made_up(plan(send(1.0), *actions), tape, True)


def test_only_what_is_needed_stays(failing):
    shrunk = shrink(failing)
    assert {"loss": {17: 1, 80: 1}} == shrunk.result.tape
    assert ["crash"] == [one.kind for one in shrunk.result.plan.actions]
    assert 3 == shrunk.faults
    assert 320 == faults_of(failing)


def test_a_search_that_has_to_end_keeps_what_it_has(failing):
    assert failing == shrink(failing, enough=lambda: True).result
    cut = shrink(failing, runs_max=20)
    assert cut.runs == 20
    assert ("i1_no_loss",) == cut.result.violated
    assert cut.faults < 320


def test_progress_is_told(failing):
    told = []
    shrunk = shrink(failing, tell=lambda runs, atoms: told.append((runs, atoms)))
    assert told == sorted(told, key=lambda one: (one[0], -one[1]))
    assert shrunk.faults == told[-1][1]


def test_another_violation_does_not_count(failing, monkeypatch):
    other = ("i2_no_duplicate",)
    monkeypatch.setattr(
        module,
        "run",
        lambda plan, tape: module.replace(made_up(plan, tape, True), violated=other),
    )
    assert failing == shrink(failing).result


def test_devices_that_nobody_needs_go(failing):
    carol = Seat(user="carol", device="phone")
    seats = plan(send(1.0), action(1.0, "crash", "bob/phone"), seats=(ALICE, BOB, carol))
    shrunk = shrink(made_up(seats, {"loss": {17: 1, 80: 1}}, True))
    assert (BOB,) == shrunk.result.plan.seats


def searched(failing, fails):
    """Shrink a run whose candidates fail as ``fails`` says; also return all candidates."""
    played = []

    def play(plan, tape):
        result = made_up(plan, tape, fails(plan, tape))
        played.append((result.plan, result.tape))
        return result

    return shrink(failing, play=play), played


def numbers(tape):
    return set(tape.get("loss", {}))


def test_what_went_makes_room_for_bolder_cuts():
    # Nothing can go as a whole, nor can half of it; but with one action less, all decisions can.
    def fails(plan, tape):
        actions = len(plan.actions)
        return actions >= 4 and (
            numbers(tape) >= set(range(20)) or (actions == 4 and not numbers(tape))
        )

    start = made_up(plan(*[send(n) for n in range(5)]), {"loss": dict.fromkeys(range(20), 1)}, True)
    shrunk, _ = searched(start, fails)
    assert ({}, 4) == (shrunk.result.tape, len(shrunk.result.plan.actions))


def test_two_that_hold_each_other_go_together():
    start = made_up(plan(send(1.0)), {"loss": dict.fromkeys((3, 7, 9, 12), 1)}, True)
    shrunk, _ = searched(
        start, lambda p, t: 9 in numbers(t) and (3 in numbers(t)) == (12 in numbers(t))
    )
    assert {"loss": {9: 1}} == shrunk.result.tape


def test_no_candidate_is_played_twice():
    start = made_up(plan(send(1.0), *[action(1.0, "cut")] * 3), {"loss": {3: 1, 7: 4}}, True)
    shrunk, played = searched(start, lambda p, t: {3, 7} <= numbers(t))
    assert shrunk.runs == len(played)
    assert len({repr(one) for one in played}) == len(played)


def test_the_plainest_numbers_stay():
    start = made_up(
        plan(send(1.0, count=40, size=9000), send(2.0, count=40)), {"loss": {3: 77, 5: 4}}, True
    )

    def fails(plan, tape):
        many = any(one.args["count"] == 40 for one in plan.actions)
        return many and {3, 5} == numbers(tape) and tape["loss"][5] == 4

    shrunk, _ = searched(start, fails)
    (sent,) = shrunk.result.plan.actions
    assert (40, 0) == (sent.args["count"], sent.args["size"])
    assert {"loss": {3: 1, 5: 4}} == shrunk.result.tape


def lossy_link(*, needed_s):
    """Bob's way down is lost for a while; it fails as long as nothing passes in ``needed_s``."""
    lost = tuple(Lost(n / 10, "server", "bob/phone", n) for n in range(10, 30))
    label = "server > bob/phone: loss"
    start = made_up(plan(send(1.0)), {label: {one.number: 1 for one in lost}}, True)

    def stopped(plan, tape, at_s):
        number = round(at_s * 10)
        return number in tape.get(label, {}) or any(
            one.kind == "cut" and 0 <= at_s - one.at_s <= one.args["for_s"] for one in plan.actions
        )

    def fails(plan, tape):
        return all(stopped(plan, tape, at_s) for at_s in needed_s)

    def play(plan, tape):
        still = tuple(one for one in lost if one.number in tape.get(label, {}))
        return replace(made_up(plan, tape, fails(plan, tape)), lost=still)

    return replace(start, lost=lost), play


def test_losses_in_a_row_become_one_cut():
    failing, play = lossy_link(needed_s=[1.0, 1.1, 1.2, 2.5])
    shrunk = shrink(failing, play=play)
    (cut,) = (one for one in shrunk.result.plan.actions if one.kind == "cut")
    assert {} == shrunk.result.tape
    assert (1, "bob/phone") == (shrunk.faults, cut.args["who"])
    end_s = cut.at_s + cut.args["for_s"]
    assert cut.at_s < 1.0
    assert 2.5 < end_s < 2.6


def test_a_single_loss_stays_one():
    failing, play = lossy_link(needed_s=[1.4])
    shrunk = shrink(failing, play=play)
    assert {"server > bob/phone: loss": {14: 1}} == shrunk.result.tape
    assert 1 == shrunk.faults


def test_ordinary_things_are_no_faults():
    ordinary = [action(1.0, kind) for kind in ("group", "join", "signal", "read")]
    assert 0 == faults_of(made_up(plan(send(1.0), *ordinary), {}, True))
    assert 1 == faults_of(made_up(plan(action(1.0, "rebind")), {}, True))
