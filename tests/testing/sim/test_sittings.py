"""A campaign goes on where it stopped, and its sum is that of one sitting."""

import json

import pytest

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import planted
from udpim.errors import ConfigError
from udpim.testing.sim import sittings
from udpim.testing.sim.campaign import Failure, Totals, campaign, play
from udpim.testing.sim.sittings import sit_down


@pytest.fixture
def path(tmp_path):
    return tmp_path / "campaign.json"


def kept(path, totals):
    begun = sit_down(path, 7)
    begun.totals.add(totals)
    begun.save(2.5)
    return sit_down(path, 7)


def test_what_was_kept_comes_back(path):
    with planted(MUTANTS["receipt_before_commit"]):
        totals = play(["7", "8", "9", "10"])
    assert totals.failures
    again = kept(path, totals)
    assert (again.totals, again.seconds, again.count) == (totals, 2.5, 2)
    again.save(1.0)
    assert (3.5, 3) == (sit_down(path, 7).seconds, sit_down(path, 7).count)
    assert [path] == list(path.parent.iterdir())


def test_the_sum_of_sittings_is_that_of_one(path):
    first = campaign(first=7, seeds=2)
    both = campaign(first=7, seeds=4, totals=kept(path, first).totals)
    alone = campaign(first=7, seeds=4)
    alone.cpu_s = both.cpu_s
    assert both == alone


def test_there_is_nothing_to_go_on_with_at_first(path):
    begun = sit_down(path, 7)
    assert (begun.totals, begun.seconds, begun.count) == (Totals(), 0.0, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"code": "another"}, "of other code"),
        ({"first": 8}, "its first seed is 8"),
        ({"totals": {}}, "cannot go on"),
    ],
)
def test_a_file_that_is_of_something_else_is_refused(path, change, words):
    kept(path, Totals(failures=[Failure(seed="7", violated=("x",), story="y")]))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigError, match=words):
        sit_down(path, 7)


def test_a_file_that_is_none_or_has_no_place_is_told(path, tmp_path):
    path.write_text("{")
    with pytest.raises(ConfigError, match="cannot go on"):
        sit_down(path, 7)
    with pytest.raises(ConfigError, match="cannot write"):
        sit_down(tmp_path / "nowhere" / "x", 7).save(0.0)


def test_any_change_of_the_sources_is_other_code(monkeypatch, tmp_path):
    package = tmp_path / "udpim"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(sittings, "SOURCES", package)
    before = sittings.code()
    assert before == sittings.code()
    (package / "more.py").write_text("x = 1")
    assert before != sittings.code()
