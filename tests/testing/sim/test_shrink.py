"""What fails is made small: the same invariant, few faults, and nothing that it does not need."""

from collections import Counter

import pytest

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import planted
from tests.testing.sim.plans import ALICE, BOB, action, plan, receipt_is_cut_off, send
from udpim.testing.sim import shrink as module
from udpim.testing.sim.plan import Seat
from udpim.testing.sim.run import Result, run
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
    cut = shrink(failing, runs_max=10)
    assert cut.runs == 10
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


def test_ordinary_things_are_no_faults():
    ordinary = [action(1.0, kind) for kind in ("group", "join", "signal", "read")]
    assert 0 == faults_of(made_up(plan(send(1.0), *ordinary), {}, True))
    assert 1 == faults_of(made_up(plan(action(1.0, "rebind")), {}, True))
