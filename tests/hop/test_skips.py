"""Numbers that are never sent, and ACKs that name them."""

import random
from itertools import pairwise
from statistics import mean, pstdev

from udpim.hop.skips import SKIPS_KEPT, Skips


def numbers_of(skips, count, first=0):
    """The numbers of the packets from ``first`` on."""
    numbers = [first]
    while len(numbers) < count:
        numbers.append(skips.after(numbers[-1]))
    return numbers


def skipped(numbers):
    return sorted(set(range(numbers[0], numbers[-1])) - set(numbers))


def test_without_a_mean_numbers_have_no_holes_and_nothing_is_drawn():
    skips = Skips(5, 0, None)
    assert list(range(5, 1005)) == numbers_of(skips, 1000, 5)
    assert not skips.named(500, (1 << 256) - 1)


def test_gaps_are_exponential(seed):
    """Of that distribution, mean and deviation are the same: one gap says nothing of the next."""
    holes = skipped(numbers_of(Skips(0, 32, random.Random(seed).randbytes), 200_000))
    gaps = [b - a for a, b in pairwise(holes)]
    assert 0.9 * 33 < mean(gaps) < 1.1 * 34
    assert 0.85 * mean(gaps) < pstdev(gaps) < 1.15 * mean(gaps)
    assert 2 == min(gaps), "never two in a row, so that a packet is always in between"


def test_the_first_number_is_always_used():
    for highest in (b"\0" * 4, b"\xff" * 4):
        skips = Skips(7, 32, lambda size, drawn=highest: drawn)
        assert 7 == numbers_of(skips, 50, 7)[0]


def test_whatever_is_drawn_the_gap_is_finite_and_at_least_one():
    often = Skips(0, 32, lambda size: b"\xff" * size)
    assert [0, 2, 4, 6] == numbers_of(often, 4)
    rarely = Skips(0, 32, bytes)
    assert [710] == skipped(numbers_of(rarely, 1000)), "32 times ln(2**32), and one more"


def test_an_ack_names_a_skipped_number_by_its_largest_or_a_bit():
    skips = Skips(0, 32, lambda size: b"\xff" * size)
    assert [0, 2, 4] == numbers_of(skips, 3)
    assert skips.named(1, 0)
    assert not skips.named(2, 0)
    assert skips.named(2, 0b1)
    assert not skips.named(4, 0b1010)
    assert skips.named(4, 0b0100)
    assert not skips.named(0, 0)


def test_truth_is_never_taken_for_a_lie(seed):
    rng = random.Random(seed)
    skips = Skips(0, 8, rng.randbytes)
    used, number = set(), 0
    for _ in range(2000):
        used.add(number)
        number = skips.after(number)
        largest = max(used)
        bitmap = sum(1 << k for k in range(256) if largest - 1 - k in used)
        assert not skips.named(largest, bitmap)


def test_no_more_than_the_last_ones_are_remembered():
    skips = Skips(0, 1, lambda size: b"\xff" * size)
    numbers_of(skips, 1000)
    last = 2 * 999 - 1
    told = [skips.named(number, 0) for number in range(last, 0, -2)]
    assert [True] * SKIPS_KEPT == told[:SKIPS_KEPT]
    assert not any(told[SKIPS_KEPT:])
