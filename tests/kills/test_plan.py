"""The plan of the matrix holds every effect that there is, and its cases notice a planted bug."""

import json
import subprocess
import sys

import pytest

from tests.kills.campaign import record, run_points
from tests.kills.case import ROLES
from tests.kills.judge import FAULTS
from tests.kills.nursery import ROOT
from tests.kills.points import DECLARED, POINTS, Point
from tests.kills.scenarios import SCENARIOS


def test_every_kind_of_effect_that_the_cores_declare_has_a_point():
    assert set() == DECLARED - {point.kind for point in POINTS}


def test_every_scenario_has_points_and_every_point_a_scenario():
    assert set(SCENARIOS) == {point.scenario for point in POINTS}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_effect_of_a_peaceful_run_has_a_point_for_the_role_that_asks_for_it(
    scenario, on_stage
):
    outcome = on_stage(record, scenario)
    assert [] == outcome.problems
    for role in ROLES:
        planned = {point.kind for point in POINTS if point.role == role}
        assert set() == set(outcome.counts[role]) - planned


def test_a_point_that_is_never_reached_fails(on_stage):
    point = Point("online", "sender", "PutOutbox#99", "before")
    outcomes = on_stage(run_points, [point])
    assert ["the point was not reached"] == outcomes[point].problems


@pytest.mark.parametrize(
    ("point", "fault"),
    [
        (Point("online", "sender", "TrimOutbox#2", "before"), "open"),
        (Point("online", "recipient", "PutInbox#1", "told"), "lost"),
        (Point("recipient_away", "server", "PutQueue#1", "told"), "false"),
    ],
    ids=str,
)
def test_a_promise_before_the_commit_is_found_out(point, fault, on_stage):
    outcomes = on_stage(run_points, [point], hasty=True, patience_s=5.0)
    assert fault in {problem.partition(":")[0] for problem in outcomes[point].problems}


def campaign(*args):
    command = (sys.executable, "-m", "tests.kills.campaign", *args)
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_campaign_prints_a_line_for_each_point():
    done = campaign("online-sender-PutMeta#1-before", "--json")
    assert 0 == done.returncode, done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    assert ("sender", "PutMeta#1", "before") == (line["role"], line["effect"], line["phase"])
    assert [0] * len(FAULTS) == [line[fault] for fault in FAULTS]
    assert line["recovery_s"] <= line["bound_s"]
    assert "1 points, 0 failed" in done.stderr


def test_a_campaign_without_points_is_a_mistake():
    done = campaign("no such point")
    assert (2, "") == (done.returncode, done.stdout)
