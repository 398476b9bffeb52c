"""Some system calls of each role are its last, or fail; `make syscalls` takes all of them."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from tests.kills.campaign import open_stage
from tests.kills.case import ROLES
from tests.kills.judge import FAULTS
from tests.kills.nursery import ROOT
from tests.syscalls.campaign import run_points
from tests.syscalls.case import Point
from tests.syscalls.tracer import missing

POINTS = [
    Point(role, since, call, ordinal, action)
    for role in ROLES
    for since, call, ordinal, action in (
        ("start", "sendto", 2, "kill"),
        ("start", "sendto", 4, "kill"),
        ("start", "fdatasync", 3, "kill"),
        ("start", "fdatasync", 3, "EIO"),
        ("open", "fdatasync", 1, "kill"),
        ("open", "fdatasync", 1, "EIO"),
        ("open", "pwrite64", 1, "ENOSPC"),
    )
]
HASTY = Point("recipient", "open", "fdatasync", 1, "EIO")


@pytest.fixture(scope="module", autouse=True)
def strace():
    """Skip where nothing can be traced, but not on the machine that must be able to."""
    if reason := missing():
        if os.environ.get("UDPIM_CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def play(folder, points, **options):
    async def run():
        async with open_stage(folder) as stage:
            return await run_points(stage, points, folder, **options)

    return asyncio.run(run())


@pytest.fixture(scope="module")
def outcomes(strace, tmp_path_factory):
    return play(tmp_path_factory.mktemp("syscalls"), POINTS)


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_nothing_is_lost_doubled_or_falsely_receipted(point, outcomes):
    assert ([], True) == (outcomes[point].problems, outcomes[point].reached)


def test_a_promise_before_the_sync_is_found_out(tmp_path):
    outcomes = play(tmp_path, [HASTY], hasty=True, patience_s=5.0)
    assert {"lost", "false"} & {words.partition(":")[0] for words in outcomes[HASTY].problems}


def campaign(*args):
    command = (sys.executable, "-m", "tests.syscalls.campaign", *args)
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_campaign_prints_a_line_for_each_point():
    done = campaign("server-start-sendto#2-", "--json")
    assert 0 == done.returncode, done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    assert ("server", "sendto", 2, "kill", True) == (
        *(line[name] for name in ("role", "call", "ordinal", "action", "reached")),
    )
    assert [0] * len(FAULTS) == [line[fault] for fault in FAULTS]
    assert "1 points, 0 failed, 0 not reached" in done.stderr


def test_a_campaign_without_points_is_a_mistake():
    done = campaign("no such point")
    assert (2, "") == (done.returncode, done.stdout)
