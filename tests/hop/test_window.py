"""Replay protection and ack state in one int."""

import random

import pytest

from udpim.hop.window import REPLAY_PACKETS, ReceiveWindow


def test_a_new_packet_is_let_through_until_it_is_marked():
    window = ReceiveWindow(0)
    assert window.refusal(0) is None
    assert window.refusal(0) is None, "looking changes nothing"
    window.mark(0)
    assert window.refusal(0) == "duplicate packet"


def test_a_late_packet_is_let_through_once():
    window = ReceiveWindow(0)
    window.mark(5)
    assert window.refusal(3) is None
    window.mark(3)
    assert window.refusal(3) == "duplicate packet"
    assert window.top == 5


def test_a_packet_below_the_window_is_refused_though_it_never_came():
    window = ReceiveWindow(0)
    window.mark(REPLAY_PACKETS + 9)
    assert window.refusal(10) is None
    assert window.refusal(9) == "replay window"


def test_a_jump_far_ahead_forgets_what_is_behind_without_a_huge_int():
    window = ReceiveWindow(0)
    for number in range(10):
        window.mark(number)
    window.mark(1 << 40)
    assert window.below_top(REPLAY_PACKETS) == 0
    assert window.refusal((1 << 40) - 1) is None
    assert window.refusal(9) == "replay window"


def test_bit_zero_stands_for_the_number_below_top():
    window = ReceiveWindow(0)
    for number in (0, 2, 3, 9):
        window.mark(number)
    assert window.below_top(8) == 0b0110_0000
    assert window.below_top(16) == 0b1_0110_0000


def test_the_window_agrees_with_a_set(seed):
    rng = random.Random(seed)
    window, seen, top = ReceiveWindow(0), set(), -1
    for _ in range(5000):
        number = max(0, top + rng.randint(-1100, 40))
        old = number <= top - REPLAY_PACKETS
        assert (window.refusal(number) is None) == (number not in seen and not old)
        if window.refusal(number) is None:
            window.mark(number)
            seen.add(number)
            top = max(top, number)
    expected = sum(1 << k for k in range(256) if top - 1 - k in seen)
    assert window.below_top(256) == expected


# The cases of a sliding window in the sense of RFC 6479, as WireGuard goes through them: in order,
# out of order, at each edge, after jumps of every size.

W = REPLAY_PACKETS
TAKEN, TWICE, OLD = None, "duplicate packet", "replay window"


def take(window, number):
    """What a connection does with an authentic packet."""
    refusal = window.refusal(number)
    if refusal is None:
        window.mark(number)
    return refusal


def test_a_sequence_along_the_edges_of_the_window():
    window = ReceiveWindow(0)
    for step, (number, expected) in enumerate(
        [
            *((0, TAKEN), (0, TWICE), (1, TAKEN), (1, TWICE)),
            *((9, TAKEN), (8, TAKEN), (7, TAKEN), (7, TWICE), (2, TAKEN), (2, TWICE)),
            # Top is W - 1: number 0 is the last that the window reaches.
            *((W - 1, TAKEN), (W - 2, TAKEN), (W - 2, TWICE), (0, TWICE), (3, TAKEN)),
            # One further, and 0 is behind it, 1 at its edge.
            *((W, TAKEN), (0, OLD), (1, TWICE), (4, TAKEN), (4, TWICE)),
            # A jump by more than a byte or a word.
            *((W + 16, TAKEN), (5, OLD), (16, OLD), (17, TAKEN), (17, TWICE), (W + 16, TWICE)),
            *((W + 15, TAKEN), (W - 1, TWICE)),
            # A jump by several windows: nothing of before is left.
            *((4 * W, TAKEN), (3 * W + 1, TAKEN), (3 * W + 1, TWICE), (3 * W, OLD)),
            *((10, OLD), (W, OLD), (4 * W - 2, TAKEN), (4 * W - 2, TWICE), (4 * W, TWICE)),
            # The edge moves on by one: what was last is behind it now.
            *((4 * W + 1, TAKEN), (3 * W + 1, OLD), (3 * W + 2, TAKEN), (0, OLD)),
            # The end of the numbers.
            *((2**64 - 2, TAKEN), (2**64 - 2, TWICE), (2**64 - 1 - W, TAKEN)),
            *((2**64 - 2 - W, OLD), (4 * W + 1, OLD), (0, OLD)),
        ]
    ):
        assert (step, number, expected) == (step, number, take(window, number))


def test_a_run_in_order_is_taken_and_its_replay_is_not():
    window = ReceiveWindow(1)
    assert [TAKEN] * W == [take(window, number) for number in range(1, W + 1)]
    assert [OLD] + [TWICE] * W == [take(window, number) for number in range(W + 1)]


def test_a_run_in_reverse_order_is_taken_as_far_as_the_window_reaches():
    window = ReceiveWindow(0)
    assert [TAKEN] * W == [take(window, number) for number in range(W, 0, -1)]
    assert OLD == take(window, 0)
    assert [TWICE] * W == [take(window, number) for number in range(W, 0, -1)]


@pytest.mark.parametrize("first", [W - 2, W - 1, W, W + 1])
def test_a_packet_that_comes_last_of_a_run_is_taken_while_the_window_reaches_it(first):
    """Numbers 1 to ``first`` come, and then 0."""
    window = ReceiveWindow(0)
    for number in range(1, first + 1):
        assert TAKEN is take(window, number)
    assert (TAKEN if first < W else OLD) == take(window, 0)


@pytest.mark.parametrize(
    "jump", [1, W - 1, W, W + 1, 2 * W - 1, 2 * W, 2 * W + 1, 1 << 32, 1 << 62]
)
def test_a_jump_keeps_just_what_the_window_still_reaches(jump):
    window = ReceiveWindow(0)
    for number in range(W):
        take(window, number)
    top = W - 1 + jump
    assert TAKEN is take(window, top)
    for number in sorted({0, 1, jump - 1, jump, W - 1, W, top - W, top - W + 1, top - 1}):
        if not 0 <= number < top:
            continue
        came, reached = number < W, number > top - W
        assert (OLD if not reached else TWICE if came else TAKEN) == take(window, number)
    assert TWICE == take(window, top)


def test_an_unauthentic_number_far_ahead_costs_nothing():
    """Looking must not move the window: the check comes before the packet is opened."""
    window = ReceiveWindow(0)
    take(window, 5)
    assert window.refusal(2**64 - 2) is None
    assert (5, TAKEN) == (window.top, take(window, 4))
