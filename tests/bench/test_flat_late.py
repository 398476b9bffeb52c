"""A sender whose receipts are late: its timers cost the same, however many there are."""

import pytest

from udpim_bench.flat_late import Late
from udpim_bench.flat_meter import CallMeter
from udpim_bench.measure import WrongCounts


def calls(case):
    meter = CallMeter()
    case.run(meter)
    case.check()
    return meter.costs()["second"]


def test_a_second_sends_one_message_again():
    case = Late(300, rounds=5)
    before = case.counts()
    calls(case)
    after = case.counts()
    assert 300 == before["late"] == after["late"]
    assert 4 <= after["resent"] - before["resent"] <= 6
    case.close()


def test_late_receipts_cost_no_calls():
    few, many = (calls(Late(n, rounds=10)) for n in (300, 20_000))
    assert 0.8 < many / few < 1.2


def test_a_message_that_is_settled_after_all_is_noticed():
    case = Late(300, rounds=1)
    case.run(CallMeter())
    case._outbox.open_messages -= 1
    with pytest.raises(WrongCounts, match="299 are open"):
        case.check()


def test_a_storm_is_noticed():
    case = Late(300, rounds=1)
    case._resent -= 5
    case.run(CallMeter())
    with pytest.raises(WrongCounts, match="6 messages were sent again in 1 s"):
        case.check()


def test_a_restless_sender_is_noticed(monkeypatch):
    case = Late(300, rounds=1)
    monkeypatch.setattr(case._outbox, "next_timeout", lambda: 0.0)
    with pytest.raises(WrongCounts, match="more than 10 wake-ups"):
        case.run(CallMeter())
