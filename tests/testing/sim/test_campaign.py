"""A campaign adds up what its seeds did, and tells which of them failed."""

import pytest

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import planted
from tests.testing.sim.plans import plan, send
from tests.testing.sim.pools import InProcess
from udpim.testing.sim import campaign as module
from udpim.testing.sim import labels
from udpim.testing.sim.campaign import FAILURES_MAX, LABELS_FROM_SEEDS, Totals
from udpim.testing.sim.run import run

BATCH = 4


@pytest.fixture
def small(monkeypatch):
    """One process, and every seed draws a small plan."""
    monkeypatch.setattr(module, "ProcessPoolExecutor", InProcess)
    monkeypatch.setattr(module, "BATCH_SEEDS", BATCH)
    monkeypatch.setattr(
        module.swarm, "draw", lambda seed: plan(send(0.5), seed=seed, length_s=1.0, kinds=("x",))
    )


def test_what_seeds_did_adds_up(small):
    told = []
    totals = module.campaign(first=7, seeds=BATCH + 3, tell=lambda t: told.append(t.seeds))
    count = BATCH + 3
    runs = [run(module.swarm.draw(str(seed))) for seed in range(7, 7 + count)]
    assert count == totals.seeds == totals.account["attempts"] == totals.kinds["x"]
    assert sum(result.datagrams for result in runs) == totals.datagrams
    assert sum(result.virtual_s for result in runs) == pytest.approx(totals.virtual_s)
    assert sum(result.faults["sent"] for result in runs) == totals.faults["sent"]
    assert [count] == sorted(told)[-1:]
    assert 2 == len(told)
    assert ([], []) == (totals.failures, totals.missing())


def test_a_campaign_in_processes_of_its_own_plays_every_seed_once():
    totals = module.campaign(first=1, seeds=2, jobs=2)
    alone = [module.play([seed]) for seed in ("1", "2")]
    assert 2 == totals.seeds
    assert alone[0].datagrams + alone[1].datagrams == totals.datagrams


def test_failing_seeds_are_numbers_and_end_a_campaign_early(small):
    with planted(MUTANTS["receipt_before_commit"]):
        totals = module.campaign(seeds=1000)
    assert FAILURES_MAX <= len(totals.failures) < 1000
    failure = totals.failures[0]
    assert ("0", ("i7_promise_after_durable",)) == (failure.seed, failure.violated)
    assert "without a durable commit" in failure.story
    assert len(totals.failures) == totals.summary(1.0, 1)["violations"] == totals.seeds


def test_time_ends_a_campaign_without_a_number_of_seeds(small):
    asked = []

    def until():
        asked.append(1)
        return len(asked) > 3

    assert 3 * BATCH == module.campaign(until=until).seeds


def test_missing_labels_are_told_from_many_seeds_on():
    few = Totals(seeds=LABELS_FROM_SEEDS - 1)
    assert [] == few.missing()
    many = Totals(seeds=LABELS_FROM_SEEDS)
    assert list(labels.ALL) == many.missing()
    many.labels.update(labels.ALL[1:])
    assert [labels.ALL[0]] == many.missing()
    assert [labels.ALL[0]] == many.summary(1.0, 1)["labels_missing"]


def test_a_summary_is_plain_and_whole():
    totals = Totals(seeds=40, virtual_s=100.0, cpu_s=8.0, datagrams=7)
    totals.labels["a void run"] = 3
    summary = totals.summary(10.0, 2)
    rates = [summary[n] for n in ("seeds_per_s", "seeds_per_cpu_s", "virtual_s_per_s")]
    assert [4.0, 5.0, 10] == rates
    assert list(labels.ALL) == list(summary["labels"])
    assert 3 == summary["labels"]["a void run"]
    assert {} == Totals().summary(0.0, 1)["messages"]
