"""Exactly-once for reliable frames."""

import random

from udpim.hop.dedup import BEYOND_WINDOW, DUPLICATE, FrameDedup


def test_a_frame_is_new_until_it_is_marked():
    dedup = FrameDedup(0, 1024)
    assert dedup.classify(3) == 3
    dedup.mark(3)
    assert dedup.classify(3) == DUPLICATE
    assert dedup.floor == 0


def test_the_floor_passes_every_frame_without_a_gap():
    dedup = FrameDedup(0, 1024)
    for number in (2, 1, 4, 0):
        dedup.mark(number)
    assert dedup.floor == 3
    assert dedup.classify(2) == DUPLICATE
    assert dedup.classify(3) == 3


def test_the_window_begins_at_the_floor():
    dedup = FrameDedup(0, 16)
    assert dedup.classify(15) == 15
    assert dedup.classify(16) == BEYOND_WINDOW
    dedup.mark(0)
    assert dedup.classify(16) == 16


def test_numbers_go_on_beyond_32_bits():
    first = (1 << 32) - 2
    dedup = FrameDedup(first, 1024)
    for number in range(first, first + 4):
        assert dedup.classify(number & 0xFFFF_FFFF) == number
        dedup.mark(number)
    assert dedup.floor == (1 << 32) + 2
    assert dedup.classify(0xFFFF_FFFF) == DUPLICATE


def test_dedup_agrees_with_a_set(seed):
    rng = random.Random(seed)
    dedup, seen, floor = FrameDedup(0, 64), set(), 0
    for _ in range(5000):
        number = floor + rng.randint(-min(floor, 70), 80)
        expected = number
        if number in seen:
            expected = DUPLICATE
        elif number >= floor + 64:
            expected = BEYOND_WINDOW
        assert dedup.classify(number) == expected
        if expected == number:
            dedup.mark(number)
            seen.add(number)
            while floor in seen:
                floor += 1
    assert dedup.floor == floor
    assert floor > 300, "the floor was on the move"
