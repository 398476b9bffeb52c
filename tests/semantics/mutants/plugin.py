"""A pytest plugin that plants one mutant in its process and writes what became of the tests.

It judges nothing; `tests.semantics.mutants.campaign` reads the report.
"""

import json
from pathlib import Path

import pytest

from tests.semantics.mutants import every
from tests.semantics.mutants.mutant import Planting

PLANTS = Path(__file__).parent


def pytest_addoption(parser):
    parser.addoption("--mutant", help="name of the mutant to plant; none for a healthy run")
    parser.addoption("--mutant-report", required=True, help="file for the report")


def pytest_configure(config):
    config.pluginmanager.register(Witness(config.getoption("--mutant")))


class Witness:
    """Notes how each test ended, and whether it had reached the planted code."""

    def __init__(self, name):
        self.tests = []
        self.planting = Planting()
        if name is not None:
            every.MUTANTS[name].plant(self.planting)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.when == "call" or not report.passed:
            line = {"test": item.nodeid, "outcome": report.outcome, "when": report.when}
            if call.excinfo is not None:
                line["error"] = call.excinfo.exconly().strip().partition("\n")[0]
                line["judged"] = call.excinfo.errisinstance((AssertionError, pytest.fail.Exception))
                line["in_plant"] = Path(call.excinfo.traceback[-1].path).parent == PLANTS
            self.tests.append(line)
        return report

    def pytest_sessionfinish(self, session, exitstatus):
        found = {"exit": int(exitstatus), "reached": self.planting.reached, "tests": self.tests}
        Path(session.config.getoption("--mutant-report")).write_text(json.dumps(found), "utf-8")
