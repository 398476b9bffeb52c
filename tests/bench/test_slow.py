"""The campaign against a recipient that does not read: counts, limits and verdicts."""

import json

import pytest

from udpim_bench import cli, slow
from udpim_bench.measure import WrongCounts
from udpim_bench.slow_peer import PUSH_BATCH_BYTES

MIB = 1024 * 1024


@pytest.mark.parametrize("name", ["memory-64k", "frozen-sqlite-small"])
def test_nothing_is_lost_and_memory_stays_within_its_limits(name, capsys):
    code = cli.main(["slow", "--seconds", "1", "--case", name, "--json", "--no-progress"])
    out, err = capsys.readouterr()
    report = json.loads(out)
    (row,) = report["cases"]
    pushed = row["found"]["pushed"]
    assert pushed > slow.FEW
    assert {"DELIVERED": pushed} == row["found"]["after"]["states"]
    # The last call of send_many is cut off, which leaves its messages sent or not.
    batch = max(1, PUSH_BATCH_BYTES // row["message_bytes"])
    assert pushed <= row["found"]["after"]["handled"] <= pushed + batch
    assert {"same sender", "other senders", "control"} == row["groups"].keys()
    assert all(bound["found"] <= bound["limit"] for bound in row["bounds"].values())
    # How long a message takes is for the report to say: here it may be anything.
    assert all("p99" in problem for problem in report["problems"])
    assert code == bool(report["problems"]) == bool(err)


CASE = slow.Case(name="made up", store="memory", size_bytes=1000)


GROUPS = ("same sender", "other senders", "control")


def found(**changed):
    """Figures of a run in which everything was right."""
    windows = [{"count": 10, "p50_ms": 1.0, "p99_ms": p99} for p99 in (4.0, 5.0, 60.0)]
    figures = {
        "before": dict.fromkeys(GROUPS, windows),
        "during": dict.fromkeys(GROUPS, windows),
        "pushed": 3000,
        "states_stopped": {"DELIVERED": 8, "ACCEPTED": 1024, "PENDING": 1968},
        "memory_most": {"pushed_bytes": 150_000, "waiting_bytes": 0},
        "window_s": 2.0,
        "cpu_s": {key: [{"server": 0.5, "talkers": 1.0}] for key in ("before", "stopped")},
        "rss_before": 30 * MIB,
        "rss_most": 40 * MIB,
        "after": {"rss": 35 * MIB, "handled": 3000, "logins": 1, "states": {"DELIVERED": 3000}},
    }
    return figures | changed


def test_right_figures_have_no_problems():
    row = slow.judge(CASE, found())
    assert [] == row["problems"]
    assert 1.0 == row["groups"]["same sender"]["ratio"]


SLOW = [{"count": 10, "p50_ms": 1.0, "p99_ms": p99} for p99 in (10.1, 10.2, 1.0)]
AFTER = found()["after"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"during": {"same sender": SLOW}}, "same sender: p99 is 2.02 times"),
        (
            {"memory_most": {"pushed_bytes": 9 * MIB, "waiting_bytes": 0}},
            "pushed and not receipted",
        ),
        ({"memory_most": {"pushed_bytes": 0, "waiting_bytes": 9 * MIB}}, "waiting at the server"),
        ({"states_stopped": {"ACCEPTED": 4000}}, "transmitted, neither settled nor stored"),
        ({"states_stopped": {"DELIVERED": 2900}}, "delivered to who does not read"),
        ({"states_stopped": {"STORED": 280_000}}, "stored for who is gone"),
        ({"rss_most": 100 * MIB}, "growth of the server's resident memory"),
        ({"after": AFTER | {"states": {"DELIVERED": 2999, "PENDING": 1}}}, "of 3000 were handled"),
        ({"after": AFTER | {"handled": 2999}}, "2999 of 3000 were handled"),
    ],
)
def test_every_wrong_figure_is_a_problem(changed, words):
    if "during" in changed:
        changed["during"] = found()["during"] | changed["during"]
    (problem,) = slow.judge(CASE, found(**changed))["problems"]
    assert words in problem


def test_a_machine_that_got_other_work_is_not_blamed_on_the_slow_recipient():
    assert [] == slow.judge(CASE, found(during=dict.fromkeys(GROUPS, SLOW)))["problems"]
    faster = [{"count": 10, "p50_ms": 1.0, "p99_ms": 1.0}]
    during = {"same sender": SLOW, "other senders": faster, "control": faster}
    (problem,) = slow.judge(CASE, found(during=during))["problems"]
    assert "the control's 1.00 times" in problem, "a machine with less work excuses nothing either"


def test_a_sender_that_nobody_held_back_is_a_problem():
    count = slow.PUSH_BYTES_MAX // 1000 + 1
    after = AFTER | {"handled": count, "states": {"DELIVERED": count}}
    (problem,) = slow.judge(CASE, found(pushed=count, after=after))["problems"]
    assert "never held back" in problem


def test_people_are_told_each_figure(monkeypatch, capsys):
    monkeypatch.setattr(slow, "once", lambda case, seconds, progress: found())
    assert 0 == cli.main(["slow", "--seconds", "5", "--case", "memory-small"])
    out, err = capsys.readouterr()
    assert "memory-small: 128 bytes a message" in out
    assert "server memory: 30.0 MiB before, 40.0 at most, 35.0 after" in out
    assert "ratio 1.00" in out
    assert "CPU of the server: 25 % before, 25 % meanwhile" in out
    assert out.endswith("held back, bounded, and nobody else noticed\n")
    assert "" == err


def test_problems_are_one_line_each_and_exit_1(monkeypatch, capsys):
    monkeypatch.setattr(slow, "once", lambda case, seconds, progress: found(rss_most=100 * MIB))
    assert 1 == cli.main(["slow", "--case", "memory-small"])
    out, err = capsys.readouterr()
    assert "held back, bounded" not in out
    assert 1 == err.count("\n")
    assert err.startswith("udpim_bench: memory-small: growth of the server's resident memory: ")


def test_a_process_that_fails_ends_the_run(monkeypatch):
    monkeypatch.setattr(slow, "MODULE", "udpim_bench.nowhere")
    with pytest.raises(WrongCounts, match="a process died"):
        slow.once(CASE, 1.0, lambda line: None)


@pytest.mark.parametrize("seconds", ["0", "-1", "1e9", "x"])
def test_seconds_without_sense_are_a_usage_error(seconds, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["slow", "--seconds", seconds])
    assert 2 == caught.value.code
    assert "--seconds" in capsys.readouterr().err
