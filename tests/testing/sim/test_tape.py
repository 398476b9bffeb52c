"""A tape keeps a run; a file that is none is refused by its name."""

import json

import pytest

from tests.testing.sim.plans import LOSSY, plan, send
from udpim.errors import ConfigError
from udpim.testing.sim.run import run
from udpim.testing.sim.tape import Recording, load


@pytest.fixture(scope="module")
def result():
    """A run in which something got lost."""
    ended = run(plan(send(1.0, count=3), link=LOSSY))
    assert ended.tape
    return ended


def test_a_file_brings_a_recording_back(result, tmp_path):
    recording = Recording.of(result)
    file = tmp_path / "tape.json"
    file.write_text(recording.dump(), "utf-8")
    assert recording == load(file)
    assert recording.dump() == load(file).dump()


def test_a_loaded_tape_plays_the_same_run(result, tmp_path):
    file = tmp_path / "tape.json"
    file.write_text(Recording.of(result).dump(), "utf-8")
    kept = load(file)
    assert kept.trace == run(kept.plan, kept.tape).trace


def changed(**fields):
    return lambda value: json.dumps(value | fields)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: "no JSON",
        lambda value: "[]",
        lambda value: "[" * 100_000,
        lambda value: json.dumps({"format": value["format"]}),
        changed(format="udpim-sim-tape/0"),
        changed(plan={}),
        changed(plan=[]),
        changed(decisions={"loss": {"x": 1}}),
        changed(decisions=[1]),
        changed(violated=5),
    ],
)
def test_a_file_that_is_no_tape_is_named(result, tmp_path, spoil):
    file = tmp_path / "spoiled.json"
    file.write_text(spoil(json.loads(Recording.of(result).dump())), "utf-8")
    with pytest.raises(ConfigError, match=r"spoiled\.json"):
        load(file)


def test_bytes_that_are_no_text_are_no_tape(tmp_path):
    file = tmp_path / "spoiled.json"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"spoiled\.json"):
        load(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*missing\.json"):
        load(tmp_path / "missing.json")
