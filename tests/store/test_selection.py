"""Keys in ranges, and how much a read may bring."""

from hypothesis import given
from hypothesis import strategies as st

from tests.store import samples
from udpim.model import SEQ_MAX
from udpim.ranges import RangeSet
from udpim.store.selection import ReadBudget, age_runs, present, remove, runs


@given(st.sets(st.integers(0, 40) | st.integers(SEQ_MAX - 2, SEQ_MAX)), samples.spans)
def test_the_keys_of_a_range_are_found_and_removed_however_long_it_is(keys, span):
    first, last = span
    expected = sorted(key for key in keys if first <= key <= last)
    rows = dict.fromkeys(keys)
    assert expected == present(rows, first, last)
    remove(rows, first, last)
    assert keys - set(expected) == set(rows)


@given(st.sets(st.integers(0, 30)))
def test_runs_are_what_a_range_set_holds(numbers):
    expected = RangeSet((number, number) for number in numbers)
    assert tuple(expected) == runs(sorted(numbers))


def test_rows_of_one_age_are_joined_and_the_oldest_come_first():
    assert () == age_runs([])
    rows = [(9, 1), (4, 8), (9, 2), (4, 7), (9, 4)]
    assert ((4, 7, 8), (9, 1, 2), (9, 4, 4)) == age_runs(rows)


def test_a_budget_grants_the_first_row_and_then_what_fits():
    budget = ReadBudget(10)
    assert [True, True, True, False] == [budget.take(size) for size in (4, 6, 0, 1)]
    assert [True, False] == [*map(ReadBudget(3).take, (5, 0))]
