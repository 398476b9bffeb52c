"""``udpim sim exhaustive``: it counts its cases, and names those that fail."""

import json

import pytest

from tests.testing.sim.pools import InProcess
from udpim.cli.command import main
from udpim.testing.sim import exhaustive
from udpim.testing.sim.exhaustive import Sweep

LAST = {"alice/phone": 3, "server": 5, "bob/phone": 2}


@pytest.fixture
def failures(monkeypatch):
    """Sweeps that are not played: 16 cases each, and these failures in each."""
    found = []

    def sweep(mode, role, boundary, calm):
        reached = 16 * (boundary <= LAST.get(role, 0))
        made = Sweep(exchange=mode, role=role, boundary=boundary, runs=4, covered=16)
        made.reached, made.failures = reached * bool(role), list(found)
        return made

    monkeypatch.setattr(exhaustive, "ProcessPoolExecutor", InProcess)
    monkeypatch.setattr(exhaustive, "sweep", sweep)
    return found


def test_all_cases_are_counted(failures, capsys):
    assert 0 == main(["sim", "exhaustive", "--exchange", "six", "--jobs", "1", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (11 * 16, 11 * 4, 10 * 16) == (told["cases"], told["runs"], told["died"])
    assert {"six": LAST} == told["moments"]
    assert (0, []) == (told["failures"], told["failed"])


def test_both_exchanges_are_tried_unless_one_is_named(failures, capsys):
    assert 0 == main(["sim", "exhaustive", "--jobs", "1"])
    told = capsys.readouterr()
    assert told.out.startswith("352 cases by 88 runs")
    assert "four packets, server dies at 5: 16 cases by 4 runs, 0 failed" in told.err


def test_a_case_that_fails_is_named(failures, capsys):
    failures.append(("six packets, lost: 3", "i1_no_loss: gone"))
    assert 1 == main(["sim", "exhaustive", "--exchange", "six", "--jobs", "1"])
    told = capsys.readouterr()
    assert "failed: 11" in told.out
    assert "six packets, lost: 3: i1_no_loss: gone" in told.err
