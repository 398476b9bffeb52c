"""Every item of the list of subtle mistakes has a test that exists, or says why it has none."""

import ast
import functools
from pathlib import Path

import pytest

from tests.semantics import test_crash_matrix
from tests.semantics.items import ITEMS
from tests.semantics.mutants.every import MUTANTS

ROOT = Path(__file__).parents[2]
COUNT = 32


@functools.cache
def functions(path):
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


def missing(node_id):
    """Say what of a test's node id is not there; None when everything is."""
    path, _, test = node_id.partition("::")
    if not (ROOT / path).is_file():
        return f"{path} is missing"
    name, _, parameters = test.partition("[")
    if name not in functions(path):
        return f"{path} has no {name}"
    if name == "test_matrix":
        rows = {row.__name__.replace("_", " ") for row in test_crash_matrix.ROWS}
        return None if parameters[:-1] in rows else f"the matrix has no row {parameters[:-1]}"
    return None


def test_no_item_is_forgotten():
    assert set(range(1, COUNT + 1)) == set(ITEMS)
    assert [] == [n for n, item in ITEMS.items() if not item.tests and not item.not_yet]


@pytest.mark.parametrize("number", ITEMS)
def test_every_item_is_a_test_that_exists(number):
    assert [] == [words for test in ITEMS[number].tests if (words := missing(test))]


@pytest.mark.parametrize("number", [n for n, item in ITEMS.items() if item.mutants])
def test_every_item_that_asks_for_mutants_has_some(number):
    assert [one.name for one in MUTANTS.values() if one.item == number]


def test_mutants_belong_to_items_that_exist():
    assert {one.item for one in MUTANTS.values()} - {None} <= set(ITEMS)


def test_a_test_that_is_not_there_is_noticed():
    here = Path(__file__).relative_to(ROOT).as_posix()
    assert missing(f"{here}::test_no_item_is_forgotten") is None
    assert "is missing" in missing("tests/semantics/test_nowhere.py::test_it")
    assert "has no test_it" in missing(f"{here}::test_it")
    matrix = "tests/semantics/test_crash_matrix.py::test_matrix"
    assert missing(f"{matrix}[msg r is lost]") is None
    assert "no row" in missing(f"{matrix}[nobody dies]")
