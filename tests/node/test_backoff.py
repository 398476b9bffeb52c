"""The wait before the next dial."""

import pytest

from tests.settings import settings
from udpim.config import ClientConfig
from udpim.node.backoff import Backoff

LONGEST = b"\xff" * 4


def backoff(drawn=LONGEST, **config):
    made = settings(ClientConfig, user="alice", device="a", **config)
    return Backoff(made, lambda size: drawn[:size])


def test_the_ceiling_doubles_up_to_its_limit():
    waits = backoff(reconnect_s_min=1.0, reconnect_s_max=5.0)
    assert [1, 2, 4, 5, 5] == [round(waits.next_wait_s(at_once=False), 6) for _ in range(5)]


def test_the_wait_is_drawn_between_nothing_and_the_ceiling():
    assert 0.0 == backoff(bytes(4)).next_wait_s(at_once=False)
    half = backoff(b"\x80\0\0\0", reconnect_s_min=1.0)
    assert 0.5 == half.next_wait_s(at_once=False)


def test_a_login_begins_anew():
    waits = backoff(reconnect_s_min=1.0)
    first = waits.next_wait_s(at_once=False)
    assert first < waits.next_wait_s(at_once=False)
    waits.succeeded()
    assert first == waits.next_wait_s(at_once=False)


def test_only_the_first_failure_may_cost_nothing():
    waits = backoff(reconnect_s_min=1.0)
    assert 0.0 == waits.next_wait_s(at_once=True)
    assert 2.0 == pytest.approx(waits.next_wait_s(at_once=True))


def test_any_number_of_failures_leaves_a_wait_within_the_limit():
    waits = backoff(reconnect_s_max=30.0)
    assert all(waits.next_wait_s(at_once=False) <= 30.0 for _ in range(5000))
