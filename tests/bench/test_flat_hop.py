"""Frames beside datagrams in flight: the work is the same at every level."""

import pytest

from udpim_bench.flat_hop import HopFlight
from udpim_bench.flat_meter import CallMeter
from udpim_bench.measure import WrongCounts


def calls(case):
    meter = CallMeter()
    case.run(meter)
    case.check()
    return meter.costs()["frame"]


def test_so_many_datagrams_are_under_way():
    case = HopFlight(20, rounds=50)
    calls(case)
    before = case.counts()
    calls(case)
    after = case.counts()
    assert 20 == before["datagrams_in_flight"] == after["datagrams_in_flight"]
    assert 50 == after["sent"] - before["sent"]
    assert 48 <= after["acked"] - before["acked"] <= 52
    case.close()


def test_datagrams_in_flight_cost_no_calls():
    few, many = (calls(HopFlight(n, rounds=200)) for n in (10, 1000))
    assert 0.8 < many / few < 1.2


def test_a_missing_frame_is_noticed():
    case = HopFlight(3, rounds=10)
    case.run(CallMeter())
    del case._received[4]
    with pytest.raises(WrongCounts, match="9 frames of 10 arrived"):
        case.check()


def test_a_loss_is_noticed():
    case = HopFlight(3, rounds=10)
    case.run(CallMeter())
    case._client.stats.packets_lost = 1
    with pytest.raises(WrongCounts, match="lost where none is"):
        case.check()


def test_a_window_that_does_not_open_is_noticed(monkeypatch):
    monkeypatch.setattr("udpim_bench.flat_hop.WARM_UP_TRIPS_MAX", 1)
    with pytest.raises(WrongCounts, match="does not open"):
        HopFlight(500, rounds=1)
