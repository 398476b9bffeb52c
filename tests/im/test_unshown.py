"""Final states that wait for their transaction."""

import pytest

from tests.im.helpers import STREAM, line
from tests.im.test_out_stream import FRESH
from udpim.im.out_stream import OutStream
from udpim.im.unshown import WAITING, Unshown
from udpim.model import FINAL_STATES, MessageState

DELIVERED, READ, REJECTED, VOID, EXCUSED = (
    getattr(MessageState, name) for name in ("DELIVERED", "READ", "REJECTED", "VOID", "EXCUSED")
)


def stream():
    return OutStream(STREAM, FRESH)


@pytest.mark.parametrize("state", list(MessageState))
def test_what_ends_a_message_undelivered_waits_and_nothing_else(state):
    unshown, s = Unshown(), stream()
    at_once = unshown.sift(s, [(1, 2, state)])
    waits = state in FINAL_STATES and state not in (DELIVERED, READ)
    assert (state in WAITING, [] if waits else ["1-2 " + state.name]) == (waits, line(at_once))
    assert ([(1, 2)] if waits else []) == list(s.closing)


def test_each_transaction_shows_what_came_before_it():
    unshown, s = Unshown(), stream()
    unshown.sift(s, [(1, 1, VOID)])
    unshown.begin()
    unshown.sift(s, [(2, 2, EXCUSED), (3, 3, REJECTED)])
    unshown.begin()
    assert ["1-1 VOID"] == line(unshown.committed())
    assert [(2, 3)] == list(s.closing)
    assert ["2-2 EXCUSED", "3-3 REJECTED"] == line(unshown.committed())
    assert [] == list(s.closing)


def test_what_waits_follows_its_messages_when_their_stream_is_split():
    unshown, split, legacy, other = Unshown(), stream(), stream(), stream()
    unshown.sift(split, [(1, 2, VOID), (3, 6, REJECTED)])
    unshown.begin()
    unshown.sift(other, [(1, 9, VOID)])
    unshown.sift(split, [(7, 7, VOID)])
    unshown.begin()
    unshown.follow(split, legacy, 5)
    first, second = unshown.committed(), unshown.committed()
    assert ["1-2 VOID", "3-4 REJECTED", "5-6 REJECTED"] == line(first)
    assert ["1-9 VOID", "7-7 VOID"] == line(second)
    assert [legacy, legacy, split, other, split] == [change.stream for change in first + second]
