"""The rules as they are: no schedule breaks a promise. `make model` runs many more of them."""

import collections
import re

import pytest

from tests.model import campaign, packets
from tests.model.mutants import MUTANTS
from tests.model.oracle import Violation
from tests.model.schedule import TROUBLES, WALK, Rules, Schedule

SCHEDULES = 400
CHUNK = 50


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_no_schedule_breaks_a_promise(first):
    print(f"replay: python -m tests.model.campaign --seed {first} (and the {CHUNK - 1} after it)")
    assert campaign.search(Rules(), first, CHUNK) is None


def test_the_same_seed_is_the_same_schedule():
    stories = [[], []]
    for story in stories:
        Schedule(7, tell=story.append).run()
    assert len(stories[0]) > 100
    assert stories[0] == stories[1]


def test_every_kind_of_packet_and_of_trouble_occurs():
    seen = collections.Counter()
    for seed in range(40):
        story = []
        Schedule(seed, tell=story.append).run()
        seen.update(re.sub(r"  → \w+: (\w+)\(.*", r"\1", line) for line in story)
    kinds = [
        kind.__name__
        for kind in vars(packets).values()
        if {"session", "store"} & set(getattr(kind, "_fields", ()))
    ]
    assert "MsgR" in kinds
    assert [] == [kind for kind in kinds if kind != "Session" and not seen[kind]]
    steps = [step.act.__name__ for step in WALK if step.act is not Schedule.deliver]
    assert [] == [step for step in steps if not seen[step]]


def test_every_trouble_has_a_step_or_a_part_in_one():
    assert {step.trouble for step in WALK if step.trouble} | {"refusal"} == set(TROUBLES)


def test_both_edges_of_the_window_are_met(monkeypatch):
    held, refused = [], []
    sender, receiver = Rules().sender, Rules().receiver
    may_transmit, fits = sender.may_transmit, receiver.fits
    monkeypatch.setattr(
        sender,
        "may_transmit",
        lambda *args: may_transmit(*args) or bool(held.append(args)),
    )
    monkeypatch.setattr(receiver, "fits", lambda *args: fits(*args) or bool(refused.append(args)))
    assert campaign.search(Rules(), 0, 200) is None
    assert held
    assert refused


def test_a_story_is_told_up_to_the_violation(capsys):
    mutant = next(m for m in MUTANTS if m.name == "ReceiptBeforeCommit")
    found = campaign.search(mutant.rules, mutant.seed, 10)
    assert 1 == campaign.main(["--seed", str(found.seed), "--mutant", mutant.name])
    assert found.story == capsys.readouterr().out.splitlines()[-1]
    assert 0 == campaign.main(["--seed", "0"])


class Alone:
    """A pool of one, in this process."""

    imap_unordered = imap = staticmethod(map)


def test_the_campaign_says_what_it_found(monkeypatch, capsys):
    monkeypatch.setattr(campaign, "CHUNK", 10)
    assert 0 == campaign.try_rules(Alone, 0, 20)
    assert "20 schedules from seed 0: no violation, " in capsys.readouterr().out
    broken = next(m.rules for m in MUTANTS if m.name == "CumAlone")
    monkeypatch.setattr(campaign, "Rules", lambda: broken)
    assert 2 == campaign.try_rules(Alone, 0, 20)
    assert ": 2 violations, " in capsys.readouterr().out


def test_a_mutant_that_lives_is_counted(monkeypatch, capsys):
    harmless = MUTANTS[0]._replace(rules=Rules())
    monkeypatch.setattr(campaign, "MUTANTS", [harmless, MUTANTS[0]])
    monkeypatch.setattr(campaign, "MUTANT_SCHEDULES_MAX", 200)
    assert 1 == campaign.try_mutants(Alone)
    assert "2 mutants, 1 found" in capsys.readouterr().out


def test_a_violation_is_a_failed_assertion():
    assert issubclass(Violation, AssertionError)
