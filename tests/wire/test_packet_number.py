"""Counters of which only the low half travels."""

from hypothesis import given
from hypothesis import strategies as st

from udpim.wire.packet_number import MASK, expand


@given(st.integers(0, 1 << 62), st.integers(-(1 << 31) + 1, 1 << 31))
def test_a_number_near_the_expected_one_survives_truncation(expected, distance):
    number = max(0, expected + distance)
    assert expand(number & MASK, expected) == number


def test_a_number_just_past_the_wrap_is_the_next_one():
    assert expand(0, 0xFFFF_FFFF) == 1 << 32


def test_a_late_number_from_before_the_wrap_is_recognised():
    assert expand(0xFFFF_FFFF, (1 << 32) + 5) == 0xFFFF_FFFF


def test_there_are_no_negative_numbers():
    assert expand(0xFFFF_FFF0, 3) == 0xFFFF_FFF0
