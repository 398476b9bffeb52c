"""Repetitions interleave, samples are checked, and the spread is what it says."""

import os
import time

import pytest

from udpim_bench import measure
from udpim_bench.measure import WrongCounts, environment, interleaved, spread, timed


class Recorded:
    def __init__(self, name, log, units=4):
        self.name = name
        self.log = log
        self.units = units

    def run(self):
        self.log.append(f"run {self.name}")
        return self.units

    def check(self):
        self.log.append(f"check {self.name}")


def test_repetitions_are_interleaved_and_each_is_checked():
    log = []
    costs = interleaved([Recorded("a", log), Recorded("b", log)], 2, lambda line: None)
    assert ["run a", "check a", "run b", "check b"] * 2 == log
    assert {"a": 2, "b": 2} == {name: len(values) for name, values in costs.items()}


def test_a_cost_is_per_unit(monkeypatch):
    clock = iter([1.0, 1.5])
    monkeypatch.setattr("udpim_bench.measure.time.process_time", lambda: next(clock))
    assert 5000.0 == timed(Recorded("a", [], units=100))


def test_wrong_work_has_no_cost():
    class Wrong(Recorded):
        def check(self):
            raise WrongCounts("nothing arrived")

    with pytest.raises(WrongCounts, match="nothing arrived"):
        timed(Wrong("a", []))


def test_spread_of_many_values():
    expected = {"median": 3.0, "min": 1.0, "max": 9.0, "q1": 2.0, "q3": 4.0, "iqr": 2.0}
    assert expected == spread([9.0, 1.0, 2.0, 3.0, 4.0])


def test_spread_of_one_value_is_none():
    assert {5.0, 0.0} == set(spread([5.0]).values())


def test_the_environment_says_with_what_the_figures_were_made():
    told = environment()
    assert {"python", "cores", "commit", "modified", "cpu", "load_average"} <= told.keys()
    assert told["cores"] >= 1


def test_memory_and_cpu_of_a_process_are_read():
    assert 2**20 < measure.resident_bytes(os.getpid()) < 2**40
    before = measure.spent_cpu_s(os.getpid())
    deadline = time.process_time() + 0.05
    while time.process_time() < deadline:
        pass
    assert before <= measure.spent_cpu_s(os.getpid())


def test_a_process_without_memory_is_gone(monkeypatch):
    monkeypatch.setattr(measure.Path, "read_text", lambda self, encoding: "State:\tZ (zombie)\n")
    with pytest.raises(WrongCounts, match="process 1 has no memory"):
        measure.resident_bytes(1)
