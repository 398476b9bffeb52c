"""What the simulator's actions share: a stopwatch that speaks now and then, and tapes."""

import pytest

from tests.testing.sim.plans import plan, send
from udpim.cli import sim_output as module
from udpim.cli.sim_output import PROGRESS_S, Stopwatch, keep
from udpim.errors import ConfigError
from udpim.testing.sim.run import run
from udpim.testing.sim.tape import load


def test_progress_is_due_now_and_then(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    watch = Stopwatch()
    due = []
    for _ in range(40):
        now[0] += PROGRESS_S / 10
        due.append(watch.due())
    assert 4 >= sum(due) >= 3
    assert pytest.approx(4 * PROGRESS_S) == watch.seconds


def test_a_tape_is_kept_in_a_folder_that_is_made(tmp_path, capsys):
    result = run(plan(send(1.0)))
    path = tmp_path / "new" / "tape.json"
    keep(result, path)
    assert result.trace == load(path).trace
    assert str(path) in capsys.readouterr().err


def test_a_tape_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot write"):
        keep(run(plan()), tmp_path)
