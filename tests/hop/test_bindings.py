"""Answers to probes of bindings: one, once, and never to be had for less than it costs."""

import pytest

from tests.hop.ids import new_queue, steering
from udpim.hop.bindings import PROBE_S_MAX, Bindings
from udpim.wire.frames import BINDING_ANSWER, BINDING_REPORT, parse_frames

THERE, ELSEWHERE = ("198.51.100.7", 1), ("198.51.100.7", 2)
ONE, TWO = b"probe 01", b"probe 02"


@pytest.fixture
def queue():
    return new_queue()[0]


@pytest.fixture
def bindings(queue):
    return Bindings(queue)


def test_a_probe_is_answered_to_where_it_came_from_when_it_is_asked_for(bindings, queue):
    bindings.on_probe(ONE, THERE, 1.0)
    assert [] == bindings.frames_to_send()
    bindings.on_ask(ONE, 1.0 + PROBE_S_MAX)
    ((answer, path),) = bindings.frames_to_send()
    assert ([(BINDING_ANSWER, ONE)], THERE) == (parse_frames(answer), path)
    assert [(BINDING_REPORT, ONE, 1)] == steering(queue)
    assert [] == bindings.frames_to_send()


def test_a_probe_is_answered_once(bindings, queue):
    bindings.on_probe(ONE, THERE, 1.0)
    for _ in range(10):
        bindings.on_ask(ONE, 2.0)
    assert 1 == len(bindings.frames_to_send())
    assert [(BINDING_REPORT, ONE, 0)] == steering(queue)
    assert 1 == queue.in_flight_frames, "however often it is asked"


@pytest.mark.parametrize(
    ("data", "now"), [(TWO, 2.0), (ONE, 1.1 + PROBE_S_MAX)], ids=["unknown", "too old"]
)
def test_what_is_not_known_any_more_is_reported_and_not_answered(bindings, queue, data, now):
    bindings.on_probe(ONE, THERE, 1.0)
    bindings.on_ask(data, now)
    assert [] == bindings.frames_to_send()
    assert [(BINDING_REPORT, data, 0)] == steering(queue)


def test_a_later_probe_takes_the_place_of_an_earlier_one(bindings):
    bindings.on_probe(ONE, THERE, 1.0)
    bindings.on_probe(TWO, ELSEWHERE, 1.0)
    bindings.on_ask(ONE, 2.0)
    assert [] == bindings.frames_to_send()
    bindings.on_ask(TWO, 2.0)
    assert [ELSEWHERE] == [path for _, path in bindings.frames_to_send()]
