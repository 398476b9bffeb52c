"""Deadlines are bounded by what is open, not by what was ever sent."""

from tests.im.helpers import Sender
from udpim.im.deadlines import SPARE, Deadlines


def test_runs_come_due_in_order_and_once():
    stream, _ = Sender().send(b"1", b"2")
    deadlines = Deadlines()
    assert deadlines.next_timeout() is None
    deadlines.set(stream, 2, 2, 9.0)
    deadlines.set(stream, 1, 1, 8.0)
    assert 8.0 == deadlines.next_timeout()
    assert [] == deadlines.due(7.9)
    assert [(stream, 1, 1), (stream, 2, 2)] == deadlines.due(9.0)
    assert [] == deadlines.due(99.0)


def test_settled_runs_are_forgotten_and_open_ones_kept():
    stream, _ = Sender().send(b"x")
    deadlines = Deadlines()
    for seq in range(1, 3 * SPARE):
        stream.floor = seq
        deadlines.set(stream, seq, seq, float(seq))
    assert len(deadlines) <= SPARE + 1
    assert (stream, 3 * SPARE - 1, 3 * SPARE - 1) in deadlines.due(1e9)
