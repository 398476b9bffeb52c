"""Every rule is needed: with one thing wrong in it, some schedule breaks a promise."""

import pytest

from tests.model import campaign
from tests.model.mutants import MUTANTS
from tests.model.schedule import Rules

SCHEDULES = 20
"""From the mutant's own seed on, for some are so rare that only one in thousands finds them."""

RULES = [f"R{number}" for number in range(1, 10)]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.rule}-{mutant.name}")
def test_mutant_is_found(mutant):
    print(f"{mutant.rule}: {mutant.breaks}")
    found = campaign.search(mutant.rules, mutant.seed, SCHEDULES)
    assert found is not None, "not found; `make model` says from which seed on it is"
    print(f"replay: python -m tests.model.campaign --seed {found.seed} --mutant {mutant.name}")
    print(found.story)
    assert campaign.search(Rules(), found.seed, 1) is None


@pytest.mark.parametrize("rule", RULES)
def test_rule_has_a_mutant(rule):
    assert [mutant for mutant in MUTANTS if mutant.rule == rule]


def test_a_mutant_overrides_one_method():
    for mutant in MUTANTS:
        player = next(p for p in mutant.rules if p.__name__ == mutant.name)
        own = [name for name in vars(player) if not name.startswith("__")]
        assert 1 == len(own), (mutant.name, own)
