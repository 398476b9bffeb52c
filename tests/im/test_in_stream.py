"""B's memory of one stream: exact, bounded, and the receipt itself (PROTOCOL §5.4)."""

import random

import pytest

from tests.im.helpers import STREAM
from udpim.config import VOID_RUNS_MAX, WINDOW
from udpim.im.in_stream import InStream, bit_ranges
from udpim.im.records import InStreamRecord

FAR = (0, 2**16 - 3, 2**32 - 3, 2**63 - 3, 2**64 - WINDOW - 20)


def stream(cum=0, floor=1):
    return InStream(InStreamRecord(STREAM, cum, 0, 0, floor, ()))


def test_bits_read_as_ranges():
    assert [(10, 10), (12, 14)] == bit_ranges(0b11101, 10)
    assert [] == bit_ranges(0, 10)


@pytest.mark.parametrize("cum", FAR)
def test_the_memory_equals_two_sets(cum, seed):
    rng = random.Random(seed)
    memory, delivered, void = stream(cum, cum + 1), set(), set()
    for _ in range(300):
        first = cum + rng.randint(1, 60)
        last = first + rng.randint(0, 4)
        for a, b in memory.open_in(first, last):
            fate = rng.choice((memory.settle_delivered, memory.settle_void))
            (delivered if fate == memory.settle_delivered else void).update(range(a, b + 1))
            fate(a, b)
        settled = delivered | void
        lowest = next(n for n in range(cum + 1, cum + 99) if n not in settled)
        assert lowest - 1 == memory.cum
        said = memory.verdicts([(cum + 1, cum + 70)])
        for ranges, known in zip(said, (delivered, void), strict=True):
            assert known == {n for a, b in ranges for n in range(a, b + 1)}
        memory = InStream(memory.record())


def test_nothing_above_the_window_is_open():
    memory = stream()
    assert [(1, WINDOW)] == memory.open_in(1, WINDOW + 5)
    assert [] == memory.open_in(WINDOW + 1, WINDOW + 5)


def test_floor_only_rises_and_never_moves_cum():
    memory = stream()
    assert memory.raise_floor(9)
    assert not memory.raise_floor(9)
    assert not memory.raise_floor(3)
    assert (0, 9) == (memory.cum, memory.floor)


def test_below_floor_nothing_is_said_and_void_runs_are_forgotten():
    memory = stream()
    memory.settle_void(1, 2)
    memory.settle_delivered(3, 4)
    assert ([(3, 4)], [(1, 2)]) == memory.verdicts([(1, 4)])
    memory.raise_floor(4)
    assert ([(4, 4)], []) == memory.verdicts([(1, 4)])
    assert () == memory.record().void_runs


def test_a_higher_base_voids_what_is_open_below_it():
    memory = stream()
    memory.settle_delivered(3, 3)
    assert [(1, 2), (4, 6)] == memory.raise_base(7)
    assert 6 == memory.cum
    assert ([(3, 3)], [(1, 2), (4, 6)]) == memory.verdicts([(1, 6)])


def test_base_far_above_the_window_is_reached_in_one_step():
    memory = stream()
    assert [(1, WINDOW), (WINDOW + 1, 9999)] == memory.raise_base(10_000)
    assert 9999 == memory.cum
    assert [(1, 9999)] == list(memory.void_runs)


def test_base_voids_no_message_that_the_application_holds():
    memory = stream()
    memory.hold(2, 2)
    assert [(1, 1), (3, WINDOW)] == memory.raise_base(WINDOW + 9)
    assert 1 == memory.cum
    memory.settle_delivered(2, 2)
    assert WINDOW == memory.cum


def test_void_runs_are_limited():
    memory = stream()
    for seq in range(1, 2 * VOID_RUNS_MAX, 2):
        assert memory.room_for_void()
        memory.settle_void(seq, seq)
        memory.settle_delivered(seq + 1, seq + 1)
    assert not memory.room_for_void()
    assert [] == memory.raise_base(memory.cum + 5)
    assert memory.raise_floor(memory.cum)
    assert memory.room_for_void()


def test_all_ever_settled_from_floor_on_is_offered_unless_it_is_not_durable():
    memory = stream()
    memory.settle_delivered(1, 4)
    memory.settle_void(7, 7)
    memory.busy.add(4, 4)
    assert [(1, 3), (7, 7)] == memory.settled_from_floor()
    memory.raise_floor(5)
    assert [(7, 7)] == memory.settled_from_floor()


def ready(memory, *seqs):
    memory.ready.update({seq: (0, b"") for seq in seqs})


def released(memory):
    return [seq for seq, _, _ in memory.release()]


def test_release_follows_seq_and_a_void_fills_its_gap():
    memory = stream()
    memory.settle_delivered(2, 2)
    memory.settle_delivered(4, 4)
    memory.settle_delivered(6, 6)
    ready(memory, 2, 4, 6)
    assert [] == released(memory)
    memory.settle_void(1, 1)
    assert [2] == released(memory)
    memory.settle_void(3, 3)
    assert [4] == released(memory)
    assert 5 == memory.release_next


def test_release_passes_voids_above_cum_that_held_messages_leave_there():
    memory = stream()
    memory.hold(1, 1)
    memory.settle_void(2, 2)
    memory.hold(3, 3)
    ready(memory, 1, 3)
    assert [1, 3] == released(memory)


def test_release_stops_before_what_is_not_durable():
    """A commit that completes must not let out what the next one carries (I7)."""
    memory = stream()
    memory.settle_delivered(1, 3)
    ready(memory, 1, 2, 3)
    memory.busy.add(2, 3)
    assert [1] == released(memory)
    memory.busy.clear()
    assert [2, 3] == released(memory)


def test_a_void_that_is_not_durable_fills_no_gap():
    memory = stream()
    memory.settle_void(1, 1)
    memory.settle_void(3, 3)
    memory.settle_delivered(2, 2)
    ready(memory, 2)
    memory.busy.add(3, 3)
    assert [2] == released(memory)
    memory.settle_delivered(4, 4)
    ready(memory, 4)
    assert [] == released(memory)
    memory.busy.clear()
    assert [4] == released(memory)


def test_what_was_pulled_and_what_was_pushed_is_reported_apart_and_once():
    memory = stream()
    for first, last in ((1, 3), (5, 6)):
        memory.settle_delivered(first, last)
        memory.report.add(first, last)
    memory.settle_void(4, 4)
    memory.report.add(4, 4)
    memory.busy.add(6, 6)
    memory.pulled.add(3, 4)
    assert [
        (False, [(1, 2), (5, 5)], [], []),
        (True, [(3, 3)], [(4, 4)], []),
    ] == memory.take_report()
    assert [(False, [], [], []), (True, [], [], [])] == memory.take_report()
    assert [] == list(memory.pulled)


def test_below_floor_it_is_said_once_a_copy_that_nothing_is_known():
    memory = stream(cum=6)
    memory.settle_delivered(9, 9)
    memory.raise_floor(8)
    memory.ask(3, 4)
    memory.ask(8, 9)
    memory.ask(7, 6)
    memory.report.add(1, 9)
    memory.busy.add(4, 4)
    assert [[(3, 3)], []] == [report.settled for report in memory.take_report()]
    memory.busy.clear()
    memory.pulled.add(4, 4)
    memory.report.add(3, 4)
    assert [[], [(4, 4)]] == [report.settled for report in memory.take_report()], "once each"
    memory.ask(7, 7)
    memory.report.add(7, 7)
    assert [[], []] == [report.settled for report in memory.take_report()], "it is not settled"


def test_what_is_held_is_neither_open_nor_settled_until_its_verdict():
    memory = stream(cum=10)
    memory.hold(11, 15)
    assert [(11, 15)] == memory.held_in(1, 99)
    assert [(12, 13)] == memory.held_in(12, 13)
    assert [] == memory.held_in(3, 10)
    memory.settle_void(12, 12)
    memory.settle_delivered(14, 14)
    assert [(11, 11), (13, 13), (15, 15)] == memory.held_in(1, 99)
    assert [] == memory.open_in(11, 15)
    assert 10 == memory.cum
    memory.settle_delivered(11, 11)
    assert 12 == memory.cum
    assert [(13, 13), (15, 15)] == memory.held_in(1, 99)
    assert ([(11, 11), (14, 14)], [(12, 12)]) == memory.verdicts([(11, 15)])
