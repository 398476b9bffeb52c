"""Planted bugs: each breaks one rule in the classic way, and a test must notice (PROTOCOL §5).

`make mutants` lets every mutant meet its tests in a process of its own. Here is what must not wait
for that: each finds what it replaces and names tests that exist, the cheapest kills, and the
campaign's own judgement.
"""

import importlib
import os
import zlib
from functools import partial

import pytest

from tests.semantics.mutants import campaign
from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import Mutant, Planting, TargetMissing, planted
from tests.semantics.situations import FOUR
from tests.semantics.test_items import missing
from udpim.im.receiver import Inbox
from udpim.node import reception
from udpim.testing import Violated
from udpim.wire.im_packets import StatusN

QUICK = [
    "accepted_clears_the_outbox",
    "anybody_gives_receipts",
    "base_counts_as_delivered",
    "copies_cost_no_budget",
    "dedup_dies_with_the_process",
    "dedup_for_ten_minutes",
    "doubt_is_forgotten",
    "floor_when_any_endpoint_settled",
    "mark_before_persist",
    "memory_without_its_row",
    "pushes_die_with_their_session",
    "receipt_before_commit",
    "receipt_row_is_not_kept",
    "release_on_arrival",
    "row_goes_when_it_is_pulled",
    "server_says_void",
    "stored_before_fsync",
    "unknown_is_final",
]
"""Killed here as well, by the first of their tests that takes nothing but a seed."""


def killer(one):
    """Return the first test of a mutant that can be called from here, ready to be called."""
    for node_id in one.killers:
        path, _, name = node_id.partition("::")
        name, _, parameter = name.partition("[")
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        seed = int(os.environ.get("UDPIM_SEED") or zlib.crc32(node_id.encode()))
        if name == "test_matrix":
            return partial(getattr(module, parameter[:-1].replace(" ", "_")), seed)
        test = getattr(module, name)
        if not parameter:
            return partial(test, seed)
        for names, values in (mark.args for mark in test.pytestmark if mark.name == "parametrize"):
            for value in values:
                if getattr(value, "id", None) == parameter[:-1]:
                    return partial(test, seed, **dict(zip(names, value.values, strict=True)))
    raise AssertionError(f"no test of {one.name} can be called from here")


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_finds_what_it_replaces_and_names_tests_that_exist(name):
    one = MUTANTS[name]
    assert [] == list(campaign.missing_targets([one]))
    assert one.killers
    assert [] == [words for test in one.killers if (words := missing(test))]


@pytest.mark.parametrize("name", QUICK)
def test_planted_bug_is_noticed(name):
    if FOUR and name == "accepted_clears_the_outbox":
        pytest.skip("in four packets there is no msg:A to take for more than it is")
    run = killer(MUTANTS[name])
    run()
    with planted(MUTANTS[name]) as planting, pytest.raises((Violated, AssertionError)) as caught:
        run()
    assert planting.reached, "what was noticed is not the bug"
    print(f"{type(caught.value).__name__}: {str(caught.value)[:300]}")


# --- Planting ---


def test_what_was_planted_is_gone_afterwards():
    def plant(planting):
        @planting.replace(Inbox, "receive_status_n")
        def receive_status_n(original, self, id_, packet):
            return "planted"

    before, in_table = Inbox.receive_status_n, reception._INBOX_METHODS[StatusN]
    with planted(Mutant("harmless", None, "", (), plant)) as planting:
        assert Inbox.receive_status_n(None, None, None) == "planted"
        assert reception._INBOX_METHODS[StatusN](None, None, None) == "planted"
    assert planting.reached == 2
    assert Inbox.receive_status_n is before
    assert reception._INBOX_METHODS[StatusN] is in_table


def test_target_that_has_gone_is_named():
    with pytest.raises(TargetMissing, match="Inbox has no receive_pigeon"):
        Planting().replace(Inbox, "receive_pigeon")(lambda original: None)


# --- The campaign's judgement ---

ONE = Mutant(
    "one", 1, "a rule", ("tests/a.py::test_a", "tests/a.py::test_b"), lambda planting: None
)


def line(test, outcome="passed", **more):
    return {"test": test, "outcome": outcome, "when": "call", "judged": True, **more}


def failed(**more):
    return line("tests/a.py::test_b", "failed", error="AssertionError", in_plant=False, **more)


@pytest.mark.parametrize(
    ("report", "outcome", "why"),
    [
        ({"exit": 1, "reached": 3, "tests": [line("x"), failed()]}, "killed", "AssertionError"),
        ({"exit": 0, "reached": 3, "tests": [line("x")]}, "LIVES", "1 tests pass in spite of it"),
        (
            {"exit": 1, "reached": 0, "tests": [failed()]},
            "BROKEN",
            "without having run the planted",
        ),
        ({"exit": 1, "reached": 3, "tests": [failed(judged=False)]}, "BROKEN", "crashed in call"),
        ({"exit": 1, "reached": 3, "tests": [failed(when="setup")]}, "BROKEN", "crashed in setup"),
        (
            {"exit": 1, "reached": 3, "tests": [{**failed(), "in_plant": True}]},
            "BROKEN",
            "the planted code itself raised",
        ),
        ({"exit": 4, "reached": 0, "tests": []}, "BROKEN", "ended with 4"),
        (None, "NO VERDICT", "no end within"),
    ],
)
def test_only_a_test_that_judged_and_reached_the_bug_has_killed_it(report, outcome, why):
    verdict = campaign.judge(ONE, report, 1.0)
    assert outcome == verdict.outcome
    assert why in verdict.why
    assert outcome in verdict.line()


def run_campaign(run, capsys, *arguments):
    code = campaign.main([*arguments, "--jobs", "2"], run=run)
    return code, capsys.readouterr()


def healthy(tests):
    return {"exit": 0, "reached": 0, "tests": [line(test) for test in tests]}


def test_campaign_ends_well_when_all_are_killed(capsys):
    def run(tests, mutant=None):
        return (
            healthy(tests)
            if mutant is None
            else {**healthy(()), "reached": 1} | {"tests": [failed()]}
        )

    code, said = run_campaign(run, capsys, "release_on_arrival", "no_base")
    assert code == 0
    assert "killed     release_on_arrival" in said.out
    assert "2 of 2 mutants killed" in said.out


def test_campaign_fails_when_one_lives(capsys):
    code, said = run_campaign(lambda tests, mutant=None: healthy(tests), capsys, "no_base")
    assert code == 1
    assert "LIVES      no_base (item 11)" in said.out


def test_campaign_fails_when_a_test_fails_without_a_mutant(capsys):
    def run(tests, mutant=None):
        assert mutant is None, "nobody is hunted with tests that do not pass"
        return healthy(tests[1:])

    code, said = run_campaign(run, capsys, "no_base")
    assert code == 1
    assert "does not pass without a mutant" in said.err


def test_campaign_fails_when_a_target_has_gone(capsys, monkeypatch):
    def plant(planting):
        planting.replace(Inbox, "receive_pigeon")(lambda original: None)

    lost = Mutant("lost", None, "a rule", (), plant)
    monkeypatch.setitem(MUTANTS, "lost", lost)
    code, said = run_campaign(lambda tests, mutant=None: healthy(tests), capsys, "lost", "--json")
    assert code == 1
    assert "lost: Inbox has no receive_pigeon" in said.err
    assert '"mutants": 1' in said.out


def test_campaign_knows_its_mutants(capsys):
    with pytest.raises(SystemExit):
        campaign.main(["nobody"])
    assert "no mutant is called nobody" in capsys.readouterr().err
    assert campaign.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(MUTANTS)


def test_a_real_mutant_is_killed_in_a_process_of_its_own(capsys):
    assert campaign.main(["name_in_the_packet_is_believed", "--jobs", "1"]) == 0
    assert "1 of 1 mutants killed" in capsys.readouterr().out
