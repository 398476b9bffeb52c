"""The exchange in memory delivers and receipts every message once, in every shape."""

import pytest

from udpim_bench.exchange import Exchange, Shape
from udpim_bench.measure import WrongCounts

SHAPES = [
    Shape(in_flight=30, streams=1),
    Shape(in_flight=31, streams=3),
    Shape(in_flight=10, streams=2, per_round=10),
    Shape(in_flight=80, streams=2, per_round=10),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_all_messages_are_delivered_and_receipted_once(shape):
    exchange = Exchange(shape, 200)
    assert exchange.run() >= 200
    exchange.check()
    steady = exchange.counts()
    exchange.drain()
    counts = exchange.counts()
    assert counts["sent"] == counts["delivered"] == counts["receipted"] >= 2200
    assert 0 == counts["packets_lost"]
    assert shape.in_flight == steady["in_flight_max"]
    assert steady["in_flight_mean"] > 0.8 * shape.in_flight


def test_a_pipe_gets_its_messages_in_flight_from_latency():
    assert (0, 0) == Shape(in_flight=10, streams=10, per_round=10).latency_rounds
    assert (2, 3) == Shape(in_flight=100, streams=10, per_round=10).latency_rounds
    assert (250, 250) == Shape(in_flight=10_000, streams=10, per_round=10).latency_rounds


def test_more_in_flight_than_the_windows_hold_is_refused():
    with pytest.raises(ValueError, match="1 streams hold 1024"):
        Shape(in_flight=1025, streams=1)


def ran():
    exchange = Exchange(Shape(in_flight=20, streams=1), 40)
    exchange.run()
    return exchange


def test_a_doubled_delivery_is_noticed():
    exchange = ran()
    got = exchange._got["bob0"]
    got.insert(3, got[2])
    with pytest.raises(WrongCounts, match="something else than was sent"):
        exchange.check()


def test_a_doubled_receipt_is_noticed():
    exchange = ran()
    receipts = exchange._receipted["bob0"]
    receipts.append(receipts[0])
    with pytest.raises(WrongCounts, match="receipt twice"):
        exchange.check()


def test_a_missing_receipt_is_noticed():
    exchange = ran()
    exchange._receipted["bob0"].pop()
    with pytest.raises(WrongCounts, match="do not add up"):
        exchange.check()


def test_a_message_that_never_arrives_is_noticed():
    exchange = ran()
    exchange.check()
    exchange._due["bob0"].append(b"never sent")
    exchange.sent += 1
    with pytest.raises(WrongCounts, match="sent"):
        exchange.drain()
