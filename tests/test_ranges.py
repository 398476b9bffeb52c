"""RangeSet against a plain set of ints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udpim.ranges import RangeSet, chunked

TOP = 40
spans = st.tuples(st.integers(0, TOP), st.integers(0, 8)).map(lambda p: (p[0], p[0] + p[1]))
steps = st.lists(st.tuples(st.sampled_from(["add", "add", "remove"]), spans), max_size=25)


def numbers(span):
    return set(range(span[0], span[1] + 1))


def flat(ranges):
    return [n for first, last in ranges for n in range(first, last + 1)]


def built(taken):
    """A RangeSet and the set of ints that it should be."""
    real, model = RangeSet(), set()
    for name, span in taken:
        getattr(real, name)(*span)
        model = model | numbers(span) if name == "add" else model - numbers(span)
    return real, model


def assert_canonical(ranges):
    previous = -2
    for first, last in ranges:
        assert previous + 1 < first
        assert first <= last
        previous = last


@given(taken=steps)
def test_holds_what_a_set_would_hold(taken):
    real, model = built(taken)
    assert_canonical(real)
    assert sorted(model) == flat(real)
    assert len(model) == real.count()
    assert len(list(real)) == len(real)
    assert bool(model) == bool(real)
    assert sorted(model) == [n for n in range(TOP + 10) if n in real]
    if model:
        assert (min(model), max(model)) == (real.first, real.last)


@given(taken=steps, span=spans)
def test_parts_and_gaps_of_a_span(taken, span):
    real, model = built(taken)
    assert_canonical(real.within(*span))
    assert_canonical(real.missing(*span))
    assert sorted(model & numbers(span)) == flat(real.within(*span))
    assert (numbers(span) <= model) == real.holds(*span)
    assert sorted(numbers(span) - model) == flat(real.missing(*span))


@given(taken=steps, number=st.integers(0, TOP + 10))
def test_next_missing_is_the_first_that_is_not_there(taken, number):
    real, model = built(taken)
    assert next(n for n in range(number, TOP + 99) if n not in model) == real.next_missing(number)


@given(taken=steps, others=st.lists(spans, max_size=8))
def test_many_ranges_at_once(taken, others):
    real, model = built(taken)
    clone = real.copy()
    clone.update(others)
    assert sorted(model.union(*map(numbers, others))) == flat(clone)
    clone.subtract(others)
    assert sorted(model.difference(*map(numbers, others))) == flat(clone)
    assert sorted(model) == flat(real)


@given(taken=steps)
def test_equal_content_is_equal_however_it_came_about(taken):
    real, model = built(taken)
    again = RangeSet((n, n) for n in sorted(model, reverse=True))
    assert again == real
    assert again.copy() == real
    again.add(TOP + 50, TOP + 50)
    assert again != real
    real.clear()
    assert RangeSet() == real
    assert [] == list(real)


def test_may_be_changed_while_iterated_over():
    taken = RangeSet([(1, 3), (5, 9)])
    for first, last in taken:
        taken.remove(first, last)
    assert not taken


def test_million_messages_in_order_are_one_range():
    taken = RangeSet()
    for first in range(1, 1_000_001, 100):
        taken.add(first, first + 99)
    assert [(1, 1_000_000)] == list(taken)


def test_reaches_the_last_seq():
    taken = RangeSet([(2**64 - 1, 2**64 - 1), (1, 1)])
    assert [(2, 2**64 - 2)] == taken.missing(1, 2**64 - 1)
    assert 2**64 == taken.next_missing(2**64 - 1)


def test_is_not_equal_to_other_things():
    assert RangeSet([(1, 2)]) != [(1, 2)]


def test_mutable_so_not_hashable():
    with pytest.raises(TypeError):
        hash(RangeSet())


def test_shows_its_ranges():
    assert "RangeSet(1-5, 8)" == repr(RangeSet([(8, 8), (1, 5)]))


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (6, [3, 3]), (7, [3, 3, 1])]
)
def test_chunks_are_full_but_the_last(count, sizes):
    ranges = [(3 * i, 3 * i + 1) for i in range(count)]
    chunks = chunked(ranges, 3)
    assert sizes == [len(chunk) for chunk in chunks]
    assert ranges == [span for chunk in chunks for span in chunk]
