"""Traffic beside state: the work is the same at every level, call by call."""

import pytest

from udpim_bench.flat_meter import CallMeter
from udpim_bench.flat_traffic import InFlight, Sessions
from udpim_bench.measure import WrongCounts


def calls(case):
    meter = CallMeter()
    case.run(meter)
    case.check()
    return meter.costs()


@pytest.mark.parametrize(("in_flight", "burst"), [(10, 10), (70, 10), (200, 100)])
def test_so_many_stay_in_flight(in_flight, burst):
    case = InFlight(in_flight, burst, rounds=3, conversations=5)
    before = case.counts()
    calls(case)
    after = case.counts()
    assert in_flight == before["in_flight"] == after["in_flight"]
    assert 3 * burst == after["receipted"] - before["receipted"] == after["sent"] - before["sent"]


def test_messages_in_flight_cost_no_calls():
    few, many = (
        calls(InFlight(n, 10, rounds=20, conversations=20))["message"] for n in (10, 10_000)
    )
    assert 0.8 < many / few < 1.2


def test_sessions_cost_no_calls():
    few, many = (calls(Sessions(n, rounds=5)) for n in (2, 100))
    assert {"one pair", "in turn", "keepalive"} == few.keys() == many.keys()
    for operation, count in few.items():
        assert 0.8 < many[operation] / count < 1.2, operation


def test_one_session_writes_to_one_that_is_not_counted():
    case = Sessions(1, rounds=2)
    assert {"in turn", "keepalive"} == calls(case).keys()
    assert 1 == case.counts()["sessions"]
    case.close()


def test_an_end_to_end_retransmission_spoils_the_sample():
    case = InFlight(10, 10, rounds=1, conversations=2)
    case._resent -= 1
    with pytest.raises(WrongCounts, match="in flight too long"):
        case.check()
