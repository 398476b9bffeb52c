"""Of one message every pattern of losses and every moment to die is tried, and bugs are seen."""

import pytest

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import planted
from tests.testing.sim.pools import InProcess
from udpim.testing.sim import exhaustive as module
from udpim.testing.sim.exhaustive import MODES, NOBODY, ROLES, Case, exhaust, learn, play, sweep


@pytest.fixture(autouse=True)
def four_datagrams(monkeypatch):
    """Few cases; all 4096 are a matter of minutes."""
    monkeypatch.setattr(module, "DATAGRAMS", 4)
    monkeypatch.setattr(module, "PATTERNS", 16)
    monkeypatch.setattr(module, "ProcessPoolExecutor", InProcess)


@pytest.mark.parametrize("mode", MODES)
def test_every_pattern_of_losses_is_covered_and_holds(mode):
    done = sweep(mode, NOBODY, 0)
    assert (16, 16, 0, []) == (done.runs, done.covered, done.reached, done.failures)


def test_runs_that_are_alike_are_played_once(monkeypatch):
    monkeypatch.setattr(module, "DATAGRAMS", 10)
    monkeypatch.setattr(module, "PATTERNS", 1024)
    lost = []
    original = module.play

    def asks_for_seven(case):
        lost.append(case.pattern)
        return module.Played(violated=(), story="", asked=7, died=True)

    monkeypatch.setattr(module, "play", asks_for_seven)
    done = sweep("six", "server", 1)
    assert (128, 1024, 1024) == (done.runs, done.covered, done.reached)
    assert list(range(0, 1024, 8)) == lost
    assert original is play


def one_by_one(mode, role, boundary):
    """What a sweep comes to that plays every pattern: cases, deaths, and what failed."""
    covered = reached = 0
    failures = []
    while covered < module.PATTERNS:
        case = Case(exchange=mode, role=role, boundary=boundary, pattern=covered)
        played = play(case)
        if played.violated:
            failures.append((str(case), f"{', '.join(played.violated)}: {played.story}"))
        reached += played.alike * played.died
        covered += played.alike
    return covered, reached, failures


@pytest.mark.parametrize(
    ("mode", "role", "boundary"),
    [("six", "server", 2), ("six", "server", 12), ("four", "alice/phone", 2)],
)
def test_what_is_not_played_again_would_have_been_the_same(monkeypatch, mode, role, boundary):
    monkeypatch.setattr(module, "DATAGRAMS", 5)
    monkeypatch.setattr(module, "PATTERNS", 32)
    _, calm = learn(mode)
    done = sweep(mode, role, boundary, calm)
    assert one_by_one(mode, role, boundary) == (done.covered, done.reached, done.failures)
    assert done.runs < 32


def test_failures_are_the_same_too():
    with planted(MUTANTS["dedup_dies_with_the_process"]):
        _, calm = learn("six")
        done = sweep("six", "bob/phone", 3, calm)
        assert one_by_one("six", "bob/phone", 3) == (done.covered, done.reached, done.failures)
    assert done.failures


def test_what_fails_without_a_death_fails_with_one_that_does_not_come():
    with planted(MUTANTS["receipt_before_commit"]):
        _, calm = learn("six")
        done = sweep("six", "server", 64, calm)
        assert one_by_one("six", "server", 64) == (done.covered, done.reached, done.failures)
    assert (0, 16) == (done.reached, len(done.failures))


def test_a_death_that_nobody_reaches_is_not_played():
    _, calm = learn("six")
    done = sweep("six", "server", 64, calm)
    assert (0, 16, 0) == (done.runs, done.covered, done.reached)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_dies_where_it_is_told_to_and_nothing_is_lost(role):
    for boundary in (1, 2):
        played = play(Case(exchange="six", role=role, boundary=boundary, pattern=0))
        assert (True, (), "") == (played.died, played.violated, played.story)
    beyond = play(Case(exchange="six", role=role, boundary=64, pattern=0))
    assert (False, ()) == (beyond.died, beyond.violated)


def test_losses_are_those_of_the_pattern(monkeypatch):
    worlds = []

    class World(module.World):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            worlds.append(self)

    monkeypatch.setattr(module, "World", World)
    play(Case(exchange="six", role=NOBODY, boundary=0, pattern=0b1010))
    (world,) = worlds
    asked = next(c for c in world.network.trace if "msg:R" in c.content.labels).number
    fates = [c.fate for c in world.network.trace[asked - 1 : asked + 3]]
    assert ["dropped", "delivered", "dropped", "delivered"] == fates
    assert 2 == world.network.counters["dropped"]


def test_sweeps_go_on_to_the_last_moment_of_every_role(monkeypatch):
    last = {"alice/phone": 3, "server": 5, "bob/phone": 1}

    def made_up(mode, role, boundary, calm):
        reached = int(bool(role) and boundary <= last[role])
        return module.Sweep(exchange=mode, role=role, boundary=boundary, reached=reached)

    monkeypatch.setattr(module, "sweep", made_up)
    told = []
    sweeps = exhaust(tell=told.append)
    assert sweeps == told
    wanted = [(NOBODY, 0), *((role, n + 1) for role in ROLES for n in range(last[role]))]
    for mode in MODES:
        assert sorted(wanted) == sorted((s.role, s.boundary) for s in told if s.exchange == mode)


def test_a_planted_bug_is_caught_and_its_case_named():
    with planted(MUTANTS["receipt_before_commit"]):
        done = sweep("six", NOBODY, 0)
    assert 16 == len(done.failures)
    case, story = done.failures[1]
    assert "six packets, lost: 4" == case
    assert story.startswith("i7_promise_after_durable: ")


def test_a_bug_that_needs_a_death_is_caught_by_one():
    with planted(MUTANTS["dedup_dies_with_the_process"]):
        assert [] == sweep("six", NOBODY, 0).failures
        done = sweep("six", "bob/phone", 3)
    assert "six packets, lost: none, bob/phone dies at boundary 3" == done.failures[0][0]
    assert all("i2_no_duplicate" in story for _, story in done.failures)


def test_a_case_reads_as_a_sentence():
    told = str(Case(exchange="four", role="server", boundary=3, pattern=0b1001))
    assert "four packets, lost: 1 4, server dies at boundary 3" == told
    assert "six packets, lost: none" == str(
        Case(exchange="six", role=NOBODY, boundary=0, pattern=0)
    )
