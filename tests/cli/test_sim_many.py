"""``udpim sim run``: failures are told and kept, and decide the exit code."""

import json

import pytest

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import planted
from tests.testing.sim.plans import plan, send
from tests.testing.sim.pools import InProcess
from udpim.cli.command import main
from udpim.testing.sim import campaign
from udpim.testing.sim.tape import load


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """One process, and every seed draws a small plan."""
    monkeypatch.setattr(campaign, "ProcessPoolExecutor", InProcess)
    monkeypatch.setattr(
        campaign.swarm, "draw", lambda seed: plan(send(0.5), seed=seed, length_s=1.0)
    )


def test_people_get_lines(capsys):
    assert 0 == main(["sim", "run", "--seeds", "3", "--jobs", "1", "--first", "40"])
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("3 seeds from 40 in ")
    assert "messages: attempts 3, " in told[1]
    assert "violations: 0" == told[-1]


def test_a_seed_that_fails_is_told_and_how_to_see_it_again(capsys):
    with planted(MUTANTS["receipt_before_commit"]):
        assert 1 == main(["sim", "run", "--seeds", "1", "--jobs", "1"])
    told = capsys.readouterr()
    assert "violations: 1" in told.out
    assert "seed 0: i7_promise_after_durable" in told.err
    assert "again: udpim sim replay 0 --story" in told.err


def test_the_tape_of_a_seed_that_fails_is_kept(capsys, tmp_path):
    args = ["sim", "run", "--seeds", "1", "--jobs", "1", "--json", "--tapes", str(tmp_path)]
    with planted(MUTANTS["receipt_before_commit"]):
        assert 1 == main(args)
    summary = json.loads(capsys.readouterr().out)
    assert 1 == summary["violations"] == len(summary["failures"])
    assert ("i7_promise_after_durable",) == load(tmp_path / "0.json").violated
    assert "server.sqlog" in [path.name for path in (tmp_path / "0.json.qlog").iterdir()]


def test_a_label_that_was_never_reached_is_a_failure(capsys, monkeypatch):
    monkeypatch.setattr(campaign, "LABELS_FROM_SEEDS", 3)
    assert 1 == main(["sim", "run", "--seeds", "3", "--jobs", "1"])
    assert "never reached: a void run" in capsys.readouterr().out
    assert 0 == main(["sim", "run", "--seeds", "2", "--jobs", "1"])


def test_time_ends_a_run(capsys):
    assert 0 == main(["sim", "run", "--minutes", "0.001", "--jobs", "1", "--json"])
    assert json.loads(capsys.readouterr().out)["seeds"] in (0, 20)


def test_a_campaign_goes_on_in_the_next_sitting(capsys, tmp_path):
    args = ["sim", "run", "--jobs", "1", "--json", "--resume", str(tmp_path / "kept.json")]
    assert 0 == main([*args, "--seeds", "2"])
    one = json.loads(capsys.readouterr().out)
    assert 0 == main([*args, "--seeds", "5"])
    both = json.loads(capsys.readouterr().out)
    assert [(2, 1), (5, 2)] == [(said["seeds"], said["sittings"]) for said in (one, both)]
    assert one["code"] == both["code"]
    assert one["seconds"] <= both["seconds"]


def test_ctrl_c_tells_what_there_is(capsys, monkeypatch):
    played = campaign.play

    def interrupted(seeds):
        if "20" in seeds:
            raise KeyboardInterrupt
        return played(seeds)

    monkeypatch.setattr(campaign, "AHEAD", 1)
    monkeypatch.setattr(campaign, "play", interrupted)
    assert 130 == main(["sim", "run", "--seeds", "40", "--jobs", "1", "--json"])
    assert 20 == json.loads(capsys.readouterr().out)["seeds"]
