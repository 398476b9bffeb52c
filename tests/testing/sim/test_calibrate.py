"""Known bugs are found and shrunk; what is no bug of theirs does not count."""

import sys
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, replace
from types import ModuleType

import pytest

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import Mutant, planted
from tests.testing.sim.plans import action, plan, send
from tests.testing.sim.pools import InProcess
from udpim.errors import ConfigError
from udpim.testing.sim import calibrate as module
from udpim.testing.sim.calibrate import FAULTS_MAX, Catch, bugs_of, calibrate, hunt
from udpim.testing.sim.run import run
from udpim.testing.sim.shrink import Shrunk

BUGS = "bugs_of_this_test"


@dataclass(frozen=True)
class Planted:
    """A mutant as the simulator wants it."""

    mutant: Mutant

    @property
    def rule(self):
        return self.mutant.rule

    def planted(self):
        return planted(self.mutant)


class Harmless:
    rule = "none"
    planted = nullcontext


@pytest.fixture
def bugs(monkeypatch):
    """A module with two bugs, and seeds that draw small plans; nothing runs elsewhere."""
    made = ModuleType(BUGS)
    names = ("receipt_before_commit", "message_leaves_before_its_row")
    made.BUGS = {name: Planted(MUTANTS[name]) for name in names}
    monkeypatch.setitem(sys.modules, BUGS, made)
    monkeypatch.setattr(module, "ProcessPoolExecutor", InProcess)
    trouble = [action(0.8, "rebind"), action(0.9, "jump", by_s=3.0)]

    def draw(seed):
        sends = [send(0.5 + n / 10) for n in range(3)] if int(seed) else []
        return plan(*sends, *trouble, seed=seed, length_s=1.5)

    monkeypatch.setattr(module.swarm, "draw", draw)
    return made.BUGS


def test_a_planted_bug_is_found_and_shrunk(bugs):
    catch = hunt(BUGS, "receipt_before_commit")
    # The first seed sends nothing, so it finds nothing.
    assert ("1", 2, "i7_promise_after_durable") == (catch.seed, catch.seeds, catch.violated)
    assert (0, 1, True) == (catch.faults, catch.messages, catch.ok)
    assert bugs["receipt_before_commit"].rule == catch.rule


def test_what_is_not_found_in_time_is_said_so(bugs, monkeypatch):
    monkeypatch.setattr(module, "HUNT_S", -1.0)
    catch = hunt(BUGS, "receipt_before_commit")
    assert ("", 0, False) == (catch.seed, catch.seeds, catch.ok)


def test_a_seed_that_shrinks_too_little_is_not_the_last_word(bugs, monkeypatch):
    left = {"1": 14, "2": 12, "3": 13}
    shrunk = []

    def shrinks_little(result, **options):
        shrunk.append(result.plan.seed)
        return Shrunk(result=result, runs=1, faults=left[result.plan.seed])

    monkeypatch.setattr(module, "shrink", shrinks_little)
    catch = hunt(BUGS, "receipt_before_commit")
    assert ["1", "2", "3"] == shrunk
    assert ("2", 12, False) == (catch.seed, catch.faults, catch.ok)
    left["2"] = FAULTS_MAX
    shrunk.clear()
    catch = hunt(BUGS, "receipt_before_commit")
    assert ["1", "2"] == shrunk
    assert ("2", 2, True) == (catch.seed, catch.seeds, catch.ok)


def test_what_fails_without_the_bug_is_another_one(bugs, monkeypatch):
    bugs["harmless"] = Harmless()
    played = Counter()
    failing = replace(run(plan(send(1.0))), violated=("i1_no_loss",))

    def always_fails(asked, tape=None):
        played[asked.seed] += 1
        if len(played) > 3:
            monkeypatch.setattr(module, "HUNT_S", -1.0)
        return failing

    monkeypatch.setattr(module, "run", always_fails)
    assert "" == hunt(BUGS, "harmless").seed
    assert {2} == set(played.values())


def test_all_bugs_are_hunted_or_those_that_are_named(bugs):
    told = []
    catches = calibrate(BUGS, tell=told.append)
    assert list(bugs) == [catch.name for catch in catches]
    assert sorted(catches, key=str) == sorted(told, key=str)
    assert all(catch.ok for catch in catches)
    (one,) = calibrate(BUGS, ["message_leaves_before_its_row"])
    assert ("message_leaves_before_its_row", True) == (one.name, one.ok)


def test_too_many_faults_are_no_success():
    assert Catch(name="x", rule="", seed="1", faults=FAULTS_MAX).ok
    assert not Catch(name="x", rule="", seed="1", faults=FAULTS_MAX + 1).ok


def test_an_unknown_name_is_refused(bugs):
    with pytest.raises(ConfigError, match=r"bugs_of_this_test has no bug called another, third"):
        calibrate(BUGS, ["third", "another", "receipt_before_commit"])


def test_a_module_without_bugs_is_refused(bugs, monkeypatch):
    with pytest.raises(ConfigError, match=r"there is no module no\b"):
        bugs_of("no.such.module")
    with pytest.raises(ConfigError, match="json has no BUGS"):
        bugs_of("json")
    bugs.clear()
    with pytest.raises(ConfigError, match="are none"):
        bugs_of(BUGS)
