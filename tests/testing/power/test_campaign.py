"""The campaign loses nothing with the store's own settings, and notices weaker ones."""

import json

import pytest

pytest.importorskip("apsw", reason="needs the extra sim")

from udpim.testing.power.__main__ import main
from udpim.testing.power.campaign import run


def test_no_acknowledged_transaction_is_lost():
    summary = run(40, "test")
    assert () == summary.faults
    assert summary.losses > summary.while_opening > 0
    assert summary.acknowledged > 0


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_a_store_that_syncs_less_is_caught(synchronous):
    summary = run(40, "test", synchronous=synchronous, faults_max=1)
    assert 1 == len({fault.seed for fault in summary.faults})


def test_a_seed_repeats_a_campaign():
    first, second = (run(6, "again", synchronous="OFF")._replace(seconds=0.0) for _ in range(2))
    plain = [(fault.kind, fault.seed) for fault in first.faults]
    assert plain == [(fault.kind, fault.seed) for fault in second.faults]
    assert first._replace(faults=()) == second._replace(faults=())


def test_the_exit_code_says_whether_anything_was_lost(capsys):
    assert 0 == main(["--runs", "3"])
    assert "lost 0, torn 0, damaged 0, unopened 0, refused 0" in capsys.readouterr().out
    assert 1 == main(["--runs", "20", "--synchronous", "normal", "--json"])
    summary = json.loads(capsys.readouterr().out)
    assert (20, summary["lost"]) == (summary["runs"], len(summary["faults"]))
