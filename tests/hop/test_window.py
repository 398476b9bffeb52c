"""Replay protection and ack state in one int."""

import random

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
