"""The server beside a backlog: it stays as it is, and the work is the same at every level."""

import contextlib

import pytest

from udpim.errors import StoreError
from udpim.store.base import Completion
from udpim_bench.flat_backlog import Backlog
from udpim_bench.flat_meter import CallMeter
from udpim_bench.measure import WrongCounts


def calls(case):
    meter = CallMeter()
    case.run(meter)
    case.check()
    return meter.costs()


@contextlib.contextmanager
def backlog(size, streams=1, cycles=3, *, sqlite=False):
    case = Backlog(size, streams, cycles, sqlite=sqlite)
    try:
        yield case
    finally:
        case.close()


@pytest.mark.parametrize("sqlite", [False, True], ids=["memory", "sqlite"])
@pytest.mark.parametrize("streams", [1, 3])
def test_a_cycle_takes_out_what_it_put_in(streams, sqlite):
    with backlog(300, streams, sqlite=sqlite) as case:
        before = case.counts()
        calls(case)
        after = case.counts()
    assert 300 == before.pop("backlog") == after.pop("backlog")
    assert {"insert", "pull", "beside"} == after.keys()
    assert {30} == {after[operation] - before[operation] for operation in after}


@pytest.mark.parametrize("streams", [1, 200])
def test_a_backlog_costs_no_calls(streams):
    with backlog(10, streams) as few, backlog(20_000, streams) as many:
        expected, actual = calls(few), calls(many)
    for operation, count in expected.items():
        assert 0.8 < actual[operation] / count < 1.2, operation


def test_another_backlog_than_wanted_is_noticed():
    with backlog(20) as case:
        case._put()
        case._settle()
        with pytest.raises(WrongCounts, match="30 messages are queued, and not 20"):
            case.check()


def test_a_message_that_did_not_come_is_noticed():
    with backlog(20) as case:
        case._moved["beside"] -= 1
        with pytest.raises(WrongCounts, match="not as many of each"):
            case.check()


def test_a_store_that_fails_or_hangs_is_noticed(monkeypatch):
    with backlog(20) as case:
        failed = Completion(1, StoreError("here", "the disk is full"), ())
        with monkeypatch.context() as patch:
            patch.setattr(case._store, "completed", lambda: [failed])
            with pytest.raises(WrongCounts, match="the disk is full"):
                case.run(CallMeter())
        monkeypatch.setattr(case._store, "completed", list)
        monkeypatch.setattr("udpim_bench.flat_backlog.STORE_S_MAX", 0.0)
        case._put()
        with pytest.raises(WrongCounts, match="does not answer"):
            case._commit()
