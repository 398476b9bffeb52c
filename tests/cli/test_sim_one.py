"""``udpim sim replay`` and ``shrink``: one run again, its story, and what is left of it."""

import json

import pytest

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import planted
from tests.testing.sim.plans import receipt_is_cut_off
from udpim.cli import sim_one as module
from udpim.cli.command import main
from udpim.testing.sim.tape import load

FORGETFUL = MUTANTS["dedup_dies_with_the_process"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(module.swarm, "draw", lambda seed: receipt_is_cut_off(seed=seed))


def test_a_seed_that_holds_says_so(capsys):
    assert 0 == main(["sim", "replay", "7"])
    first = capsys.readouterr().out
    assert first.splitlines()[-1] == "the promise held"
    assert 0 == main(["sim", "replay", "007"])
    assert first == capsys.readouterr().out


def test_a_story_is_told_in_words_and_in_json(capsys):
    assert 0 == main(["sim", "replay", "7", "--story"])
    told = capsys.readouterr().out
    assert "send who=alice/phone to=bob count=2" in told
    assert 0 == main(["sim", "replay", "7", "--story", "--json"])
    value = json.loads(capsys.readouterr().out)
    assert value["told"]
    assert set(value["told"]) <= set(told.splitlines())
    assert ("7", [], None) == (value["seed"], value["violated"], value["same_trace"])


def test_a_tape_knows_whether_it_saw_the_same_run(capsys, tmp_path):
    tape = str(tmp_path / "tape.json")
    with planted(FORGETFUL):
        assert 1 == main(["sim", "replay", "7", "--tape", tape])
        assert "i2_no_duplicate:" in capsys.readouterr().out
        assert 1 == main(["sim", "replay", tape])
        assert "as on the tape" in capsys.readouterr().out
    assert 0 == main(["sim", "replay", tape])
    assert "the code has changed" in capsys.readouterr().out


def test_what_fails_is_shrunk_to_a_tape_that_fails_and_its_story_told(capsys, tmp_path):
    out = tmp_path / "small.json"
    with planted(FORGETFUL):
        assert 1 == main(["sim", "shrink", "7", "--out", str(out)])
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("2 faults and 1 messages left")
    assert any("— CUT" in line for line in told)
    assert ("i2_no_duplicate",) == load(out).violated
    names = [path.name for path in sorted((tmp_path / "small.json.qlog").iterdir())]
    assert ["alice-phone.sqlog", "bob-phone.sqlog", "server.sqlog"] == names


def test_a_replay_writes_a_qlog_of_each_node(capsys, tmp_path):
    assert 0 == main(["sim", "replay", "7", "--qlog", str(tmp_path / "logs")])
    assert f"qlogs: {tmp_path / 'logs'}" in capsys.readouterr().err
    texts = [path.read_text("utf-8") for path in sorted((tmp_path / "logs").iterdir())]
    assert ["\x1e"] * 3 == [text[0] for text in texts]


def test_a_folder_that_cannot_be_written_is_one_complaint(capsys, tmp_path):
    (tmp_path / "file").touch()
    assert 1 == main(["sim", "replay", "7", "--qlog", str(tmp_path / "file")])
    (complaint,) = capsys.readouterr().err.splitlines()
    assert "cannot write" in complaint


def test_a_machine_is_told_what_was_left(capsys, tmp_path):
    out = str(tmp_path / "small.json")
    with planted(FORGETFUL):
        assert 1 == main(["sim", "shrink", "7", "--out", out, "--json"])
    told = json.loads(capsys.readouterr().out)
    keys = {"violated", "faults", "messages", "runs", "seconds", "tape"}
    assert (keys, 2, out) == (told.keys(), told["faults"], told["tape"])


def test_what_holds_is_not_shrunk(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert 0 == main(["sim", "shrink", "7"])
    assert "nothing to shrink" in capsys.readouterr().out
    assert 0 == main(["sim", "shrink", "7", "--json"])
    assert {"violated": []} == json.loads(capsys.readouterr().out)
    assert [] == list(tmp_path.iterdir())
