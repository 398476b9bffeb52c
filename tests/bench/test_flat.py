"""The flatness report: complete, paired, and honest about what is not flat."""

import json

import pytest

from udpim_bench import flat
from udpim_bench.flat_worker import Local
from udpim_bench.measure import WrongCounts


class Made:
    """Levels whose costs are made up."""

    def __init__(self, us=None, calls=None):
        self.us = us or {}
        self.calls = calls or {}
        self.asked = []
        self.open = 0

    def __call__(self, kind, arguments):
        self.open += 1
        return MadeLevel(self, arguments["in_flight"])


class MadeLevel:
    def __init__(self, made, level):
        self.made = made
        self.level = level
        self.turn = 0

    def sample(self, unit):
        if unit == "calls":
            return {"message": self.made.calls.get(self.level, 100.0)}
        self.made.asked.append(self.level)
        values = self.made.us.get(self.level, [10.0])
        self.turn += 1
        return {"message": values[(self.turn - 1) % len(values)]}

    def counts(self):
        return {"in_flight": self.level}

    def close(self):
        self.made.open -= 1


SERIES = flat.Series(
    case="in-flight", name="made up", kind="in flight", argument="in_flight", levels=(1, 2, 3)
)


def judged(made, *, by_time=True, repeat=3):
    report = flat.run([SERIES], repeat, lambda line: None, start=made, by_time=by_time)
    assert 0 == made.open
    assert report["flat"] == report["series"][0]["flat"]
    return report


def test_within_a_fifth_of_the_median_level_is_flat():
    assert judged(Made({1: [8.0], 2: [10.0], 3: [12.0]}))["flat"]
    assert not judged(Made({3: [12.1]}))["flat"]
    assert not judged(Made({1: [7.9]}))["flat"]


def test_levels_are_compared_within_each_repetition():
    slower = [10.0, 20.0, 10.0]
    report = judged(Made({1: slower, 2: slower, 3: slower}))
    assert report["flat"]
    assert [1.0, 1.0, 1.0] == [level["relative"] for level in report["series"][0]["levels"]]


def test_calls_are_judged_too():
    made = Made(calls={3: 121.0})
    assert not judged(made)["flat"]
    assert judged(Made({3: [99.0]}), by_time=False)["flat"]
    assert not judged(made, by_time=False)["flat"]


def test_levels_take_turns_forwards_and_backwards():
    made = Made()
    judged(made, repeat=2)
    assert [1, 2, 3, 3, 2, 1] == made.asked


def test_levels_are_closed_when_one_fails():
    made = Made()
    started = []

    def start(kind, arguments):
        if len(started) == 2:
            raise WrongCounts("no")
        started.append(made(kind, arguments))
        return started[-1]

    with pytest.raises(WrongCounts):
        flat.run([SERIES], 1, lambda line: None, start=start)
    assert 0 == made.open


def test_people_see_levels_and_verdict():
    told = flat.lines(judged(Made({3: [25.0]})))
    assert "made up: message, NOT flat" in told
    assert any("25.00 µs" in line and "× 2.50" in line and "100.00 calls" in line for line in told)
    assert "budget: × 0.8 to 1.2 in CPU time and calls: NOT flat" == told[-1]


def test_the_full_plan_covers_the_issue():
    plan = flat.full_plan()
    assert set(flat.CASES) == {series.case for series in plan}
    levels = {series.kind: series.levels for series in plan if series.others.get("burst") != 100}
    assert (10, 100, 1000, 10_000, 100_000) == levels["in flight"] == levels["backlog"]
    assert (1, 5000) == (levels["sessions"][0], levels["sessions"][-1])
    backlogs = [series.others for series in plan if series.case == "backlog"]
    assert {(s, q) for s in (1, 200) for q in (False, True)} == {
        (others["streams"], others["sqlite"]) for others in backlogs
    }


def test_a_quick_run_does_its_work_and_is_flat_in_calls():
    report = flat.run(flat.quick_plan(), 1, lambda line: None, start=Local, by_time=False)
    assert report["flat"]
    json.dumps(report)
    for row in report["series"]:
        for level in row["levels"]:
            counts = level["counts"]
            held = [
                counts[key]
                for key in ("in_flight", "late", "datagrams_in_flight", "sessions", "backlog")
                if key in counts
            ]
            assert [level["level"]] == held
            assert 1 == len(level["samples"])
