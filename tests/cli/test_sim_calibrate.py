"""``udpim sim calibrate``: every bug must be found and made small, or the exit code says so."""

import json
import sys

import pytest

from udpim.cli import sim_calibrate as module
from udpim.cli.command import main
from udpim.cli.sim_calibrate import words
from udpim.testing.sim.calibrate import Catch

FOUND = Catch(
    name="one", rule="I2", seed="7", violated="i2_no_duplicate", seeds=8, found_s=2.0, faults=2
)
LARGE = Catch(name="two", rule="I1", seed="9", violated="i1_no_loss", found_s=4.0, faults=11)
MISSED = Catch(name="three", rule="I1", seeds=99, found_s=120.0)


@pytest.fixture
def catches(monkeypatch):
    """What a hunt that is not done comes to."""
    made = [FOUND]

    def calibrate(bugs, names, *, jobs, tell):
        for catch in made:
            tell(catch)
        return made

    monkeypatch.setattr(module, "calibrate", calibrate)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return made


def test_what_was_found_and_shrunk_is_a_success(catches, capsys):
    assert 0 == main(["sim", "calibrate", "--jobs", "1"])
    told = capsys.readouterr().out
    assert "seed     7" in told
    assert "1 of 1 found, median 2.0 s; 1 shrunk to at most 10 faults" in told


@pytest.mark.parametrize("other", [LARGE, MISSED], ids=["too many faults", "not found"])
def test_what_was_not_is_none(catches, capsys, other):
    catches.append(other)
    assert 1 == main(["sim", "calibrate", "--json", "--jobs", "1"])
    told = json.loads(capsys.readouterr().out)
    assert (2, 1) == (told["bugs"], told["shrunk"])
    assert bool(other.seed) + 1 == told["found"]
    assert ["one", other.name] == [catch["name"] for catch in told["catches"]]


def test_what_became_of_a_bug_is_a_line():
    assert "2 faults" in words(FOUND)
    assert words(LARGE).endswith("TOO MANY FAULTS")
    assert "NOT FOUND in 99 seeds" in words(MISSED)
