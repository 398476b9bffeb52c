"""Costs are added up by operation; calls are counted exactly."""

import sys

import pytest

from udpim_bench.flat_meter import CallMeter, Meter


def one():
    return 1


def three():
    return one() + one()


def test_calls_are_counted_by_unit_and_operation():
    meter = CallMeter()
    for _ in range(2):
        with meter.section("three", 5):
            three()
    with meter.section("one", 1):
        one()
    with meter.section("three", 5):
        three()
    # Leaving a section is the one call beside the work's own.
    overhead = meter.costs()["one"] - 1
    assert {"three": (3 * 3 + 3 * overhead) / 15, "one": 1 + overhead} == meter.costs()
    assert overhead < 5


def test_nothing_is_counted_outside_of_sections():
    meter = CallMeter()
    with meter.section("work", 1):
        one()
    before = meter.costs()
    three()
    assert before == meter.costs()
    assert sys.getprofile() is None


def test_a_section_that_fails_is_not_counted():
    meter = CallMeter()
    with pytest.raises(KeyError), meter.section("work", 1):
        raise KeyError
    assert {} == meter.costs()
    assert sys.getprofile() is None


def test_time_is_cpu_time_in_microseconds(monkeypatch):
    readings = iter((1_000, 9_000, 10_000, 14_000))
    monkeypatch.setattr("time.process_time_ns", lambda: next(readings))
    meter = Meter()
    for _ in range(2):
        with meter.section("work", 2):
            pass
    assert {"work": 3.0} == meter.costs()
