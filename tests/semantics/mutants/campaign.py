"""Plant every mutant in turn and see which test kills it; `make mutants`.

Three steps: every mutant still finds what it replaces; the tests that are to kill pass without any
mutant; then each mutant gets a pytest of its own, several side by side, that ends with the first
test that fails. A mutant is *killed* when a test fails by its own judgement (an assertion, not some
crash) and had run the planted code. Everything else is a fault of this campaign: the mutant lives,
is broken, or came to no verdict in time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import TargetMissing, planted

ROOT = Path(__file__).parents[3]
TEST_S_MAX = 60
"""One test, for a mutant may make it wait for ever."""
RUN_S_MAX = 300
"""One pytest."""
PLUGIN = "tests.semantics.mutants.plugin"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutant."""

    name: str
    item: int | None
    rule: str
    outcome: str
    """``killed``, ``LIVES``, ``BROKEN`` or ``NO VERDICT``."""
    test: str
    """Which test killed it, if one did."""
    why: str
    """Its words, or what is wrong."""
    seconds: float

    def line(self):
        """One line for people."""
        item = "" if self.item is None else f" (item {self.item})"
        after = f"by {self.test}" if self.outcome == "killed" else f"– {self.why}"
        return f"{self.outcome:<10} {self.name}{item} {after}  [{self.seconds:.1f} s]"


def judge(one, report, seconds):
    """Read the report of a mutant's pytest, None when it came to no end."""

    def verdict(outcome, why, test=""):
        return Verdict(one.name, one.item, one.rule, outcome, test, why, seconds)

    if report is None:
        return verdict("NO VERDICT", f"no end within {RUN_S_MAX} s")
    failed = [line for line in report["tests"] if line["outcome"] == "failed"]
    if not failed:
        if report["exit"] != 0 or not report["tests"]:
            return verdict("BROKEN", f"pytest ended with {report['exit']} and no failed test")
        return verdict("LIVES", f"{len(report['tests'])} tests pass in spite of it: {one.rule}")
    first = failed[0]
    if first["when"] != "call" or not first["judged"]:
        return verdict("BROKEN", f"{first['test']} crashed in {first['when']}: {first['error']}")
    if first["in_plant"]:
        return verdict("BROKEN", f"the planted code itself raised: {first['error']}")
    if not report["reached"]:
        return verdict("BROKEN", f"{first['test']} failed without having run the planted code")
    return verdict("killed", first["error"], first["test"])


def run_pytest(tests, mutant=None):
    """Run tests in a process of their own; return the report, None if they took too long."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.json")
        command = [sys.executable, "-m", "pytest", "-p", PLUGIN, f"--mutant-report={path}", "-q"]
        command += ["-p", "no:cacheprovider", "-p", "no:xdist", f"--timeout={TEST_S_MAX}"]
        command += ["--no-header", "--tb=no"]
        if mutant is not None:
            command += [f"--mutant={mutant}", "-x"]
        try:
            done = subprocess.run(
                [*command, *tests],
                cwd=ROOT,
                timeout=RUN_S_MAX,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        except subprocess.TimeoutExpired:
            return None
        if not path.exists():
            words = (done.stdout.strip().splitlines() or ["nothing said"])[-1]
            return {"exit": f"{done.returncode} ({words})", "reached": 0, "tests": []}
        return json.loads(path.read_text("utf-8"))


def missing_targets(mutants):
    """Say what mutants replace and is not there any more."""
    for one in mutants:
        try:
            with planted(one):
                pass
        except TargetMissing as missing:
            yield f"{one.name}: {missing.args[0]}"


def unhealthy(mutants, run, jobs):
    """Say which of the tests do not pass, or do not exist, without any mutant."""
    tests = list(dict.fromkeys(test for one in mutants for test in one.killers))
    shares = [share for share in (tests[at::jobs] for at in range(jobs)) if share]
    with ThreadPoolExecutor(jobs) as pool:
        for share, report in zip(shares, pool.map(run, shares), strict=True):
            lines = [] if report is None else report["tests"]
            passed = {line["test"] for line in lines if line["outcome"] == "passed"}
            for test in share:
                if test not in passed:
                    yield f"{test} does not pass without a mutant"


def hunt(mutants, run, jobs, tell):
    """Give every mutant its pytest; return the verdicts in the order of the mutants."""
    verdicts = {}

    def one_hunt(one):
        started = time.monotonic()
        report = run(one.killers, one.name)
        return judge(one, report, time.monotonic() - started)

    with ThreadPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(one_hunt, one) for one in mutants]):
            verdict = future.result()
            verdicts[verdict.name] = verdict
            tell(f"{len(verdicts):>3}/{len(mutants)}  {verdict.line()}")
    return [verdicts[one.name] for one in mutants]


def campaign(mutants, *, run, jobs, tell):
    """Do all three steps.

    Returns:
        What is wrong beside the mutants, and a verdict for each of them.
    """
    wrong = list(missing_targets(mutants))
    if not wrong:
        count = len({test for one in mutants for test in one.killers})
        tell(f"{count} tests without a mutant …")
        wrong += unhealthy(mutants, run, jobs)
    if wrong:
        return wrong, []
    return wrong, hunt(mutants, run, jobs, tell)


def main(argv=None, run=run_pytest):
    """Run the campaign; return the exit code: 0 when every mutant is killed."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.partition(";")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these mutants")
    parser.add_argument("--json", action="store_true", help="verdicts as JSON on standard output")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="side by side")
    parser.add_argument("--list", action="store_true", help="only name the mutants and their rules")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.names) - set(MUTANTS))
    if unknown:
        parser.error(f"no mutant is called {', '.join(unknown)}")
    if args.jobs < 1:
        parser.error("--jobs must be 1 or more")
    mutants = [one for one in MUTANTS.values() if not args.names or one.name in args.names]
    if args.list:
        for one in mutants:
            print(f"{one.name}: {one.rule}")
        return 0

    def tell(line):
        print(line, file=sys.stderr if args.json else sys.stdout, flush=True)

    started = time.monotonic()
    wrong, verdicts = campaign(mutants, run=run, jobs=args.jobs, tell=tell)
    killed = sum(verdict.outcome == "killed" for verdict in verdicts)
    good = not wrong and killed == len(mutants)
    if args.json:
        seconds = round(time.monotonic() - started, 1)
        found = {"killed": killed, "mutants": len(mutants), "seconds": seconds, "wrong": wrong}
        print(json.dumps({**found, "verdicts": [asdict(verdict) for verdict in verdicts]}))
    for words in wrong:
        print(words, file=sys.stderr)
    tell(f"{killed} of {len(mutants)} mutants killed, {time.monotonic() - started:.0f} s")
    for verdict in verdicts:
        if verdict.outcome != "killed":
            tell(verdict.line())
    return 0 if good else 1
