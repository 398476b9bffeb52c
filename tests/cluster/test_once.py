"""A frame is taken once, in whatever order frames come."""

from hypothesis import given
from hypothesis import strategies as st

from udpim.cluster.once import SENDERS_MAX, WINDOW_FRAMES, Once


@given(st.lists(st.integers(0, WINDOW_FRAMES - 1)))
def test_within_the_window_each_number_is_new_once(numbers):
    once = Once()
    taken = [number for number in numbers if once.is_new("gate", number)]
    assert sorted(set(numbers)) == sorted(taken)


def test_what_was_overtaken_by_a_whole_window_is_dropped():
    once = Once()
    assert once.is_new("gate", WINDOW_FRAMES + 1)
    assert once.is_new("gate", 2)
    assert not once.is_new("gate", 1)
    assert once.is_new("gate", 1 << 60)
    assert not once.is_new("gate", 1 << 60)


def test_senders_count_for_themselves():
    once = Once()
    assert once.is_new("gate", 7)
    assert once.is_new("home", 7)
    assert not once.is_new("gate", 7)


def test_who_was_not_heard_for_longest_is_forgotten():
    once = Once()
    for number in range(SENDERS_MAX):
        once.is_new(f"gate {number}", 1)
    assert not once.is_new("gate 0", 1)
    once.is_new("one more", 1)
    assert not once.is_new("gate 0", 1)
    assert once.is_new("gate 1", 1)
