"""``udpim sim`` as a shell runs it: exit codes, JSON, and mistakes in one line."""

import json

import pytest

pytest.importorskip("apsw", reason="needs the extra sim")

from tests.cli.processes import one_line, udpim

RUN_KEYS = {
    "first", "command", "seeds", "seconds", "jobs", "seeds_per_s", "seeds_per_cpu_s", "virtual_s",
    "virtual_s_per_s", "datagrams", "messages", "faults", "labels", "labels_missing", "violations",
    "failures",
}  # fmt: skip


def test_a_machine_gets_one_object():
    done = udpim("sim", "run", "--seeds", "3", "--jobs", "1", "--json")
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert RUN_KEYS == told.keys()
    assert (3, 0, 1) == (told["seeds"], told["first"], told["jobs"])
    assert "udpim sim run --seeds 3 --jobs 1 --json" == told["command"]
    assert (0, 0) == (done.returncode, told["violations"]), done.stderr


def test_a_seed_plays_the_same_run_twice(tmp_path):
    tape = str(tmp_path / "tape.json")
    one = udpim("sim", "replay", "1", "--json", "--tape", tape)
    other = udpim("sim", "replay", tape, "--json")
    first, again = json.loads(one.stdout), json.loads(other.stdout)
    assert (first["trace"], None, True) == (
        again["trace"],
        first["same_trace"],
        again["same_trace"],
    )
    assert first["messages"] == again["messages"]


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("run",),
        ("run", "--seeds", "3", "--minutes", "1"),
        ("run", "--seeds", "0"),
        ("run", "--seeds", "1", "--first", "-1"),
        ("replay",),
        ("exhaustive", "--exchange", "five"),
        ("shrink", "1", "--minutes", "0"),
        ("dance",),
    ],
)
def test_arguments_that_make_no_sense_are_a_usage_error(args):
    done = udpim("sim", *args)
    assert (2, "") == (done.returncode, done.stdout)
    assert one_line(done.stderr)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("replay", "missing.json"), "missing.json"),
        (("shrink", "missing.json"), "missing.json"),
        (("calibrate", "--bugs", "no_such_module"), "no_such_module"),
        (("calibrate", "--bugs", "json"), "BUGS"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(args, words):
    done = udpim("sim", *args)
    assert (1, "") == (done.returncode, done.stdout)
    assert one_line(done.stderr)
    assert words in done.stderr
