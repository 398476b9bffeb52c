"""Every tape here is a run that once broke the promise; played again, it must hold.

A tape is what `udpim sim shrink` leaves of a failure (docs/simulator.md). Its name says what went
wrong, and it keeps the invariant that was violated and the words for it.
"""

from pathlib import Path

import pytest

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import planted
from udpim.testing.sim.run import run
from udpim.testing.sim.tape import load

HERE = Path(__file__).parent
TAPES = sorted(HERE.glob("*.json"))
OF_MUTANTS = {"receipt-lost-in-a-restart": "dedup_dies_with_the_process"}
"""Tapes of bugs that were planted, which still show them."""


@pytest.mark.parametrize("path", TAPES, ids=lambda path: path.stem)
def test_a_run_that_once_failed_holds(path):
    recording = load(path)
    assert recording.violated, "a tape of a run that held proves nothing"
    if recording.plan.disk == "power":
        pytest.importorskip("apsw", reason="needs the extra sim")
    result = run(recording.plan, recording.tape)
    assert ((), "") == (result.violated, result.story)
    assert result.account["attempts"], "a run in which nobody sends proves nothing"


@pytest.mark.parametrize("stem", OF_MUTANTS)
def test_a_tape_still_shows_the_bug_that_it_was_made_of(stem):
    recording = load(HERE / f"{stem}.json")
    with planted(MUTANTS[OF_MUTANTS[stem]]):
        result = run(recording.plan, recording.tape)
    assert set(recording.violated) & set(result.violated)
