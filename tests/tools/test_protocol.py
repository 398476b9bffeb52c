"""The command that prints tables between markers keeps what the author wrote beside them."""

import pytest

from udpim_tools.protocol import main, numbered, printed
from udpim_tools.protocol_tables import LAYOUT, Table


def layout(*fields, rules=()):
    rows = tuple((f"`{name}`", str(at), "1", rule) for at, (name, rule) in enumerate(fields))
    return Table(columns=LAYOUT, rows=rows, rules=rules)


KNOWN = {"one": layout(("a", "0x01"), ("b", ""))}
EMPTY = "# T\n\n<!-- printed: one -->\n<!-- end -->\n\nwords\n"
FULL = """# T

<!-- printed: one -->
| field | at | bytes | rule | meaning |
|---|---|---|---|---|
| `a` | 0 | 1 | 0x01 | |
| `b` | 1 | 1 | | |
<!-- end -->

words
"""


def test_an_empty_region_is_filled_and_leaves_a_column_to_the_author():
    assert (FULL, []) == printed(EMPTY, KNOWN)


def test_printing_twice_changes_nothing():
    assert (FULL, []) == printed(FULL, KNOWN)


def test_the_authors_columns_stay_with_their_rows():
    mine = FULL.replace("| rule | meaning |", "| rule | meaning | why |")
    mine = mine.replace("|---|---|---|---|---|", "|---|---|---|---|---|---|")
    mine = mine.replace("0x01 | |", "0x01 | kind | *of* it |").replace("1 | | |", "1 | | bee | |")
    known = {"one": layout(("new", ""), ("b", "≥ 1"), ("a", "0x02"))}
    after, complaints = printed(mine, known)
    assert [] == complaints
    assert [
        "| field | at | bytes | rule | meaning | why |",
        "|---|---|---|---|---|---|",
        "| `new` | 0 | 1 | | | |",
        "| `b` | 1 | 1 | ≥ 1 | bee | |",
        "| `a` | 2 | 1 | 0x02 | kind | *of* it |",
    ] == after.splitlines()[3:8]


def test_words_whose_row_is_gone_are_said_once_more():
    mine = FULL.replace("| `b` | 1 | 1 | | |", "| `c` | 1 | 1 | | sea |")
    after, complaints = printed(mine, KNOWN)
    assert ["one: the row `c` is gone; beside it stood: sea"] == complaints
    assert FULL == after


def test_a_handwritten_table_needs_only_the_first_column_and_the_authors():
    brief = "<!-- printed: one -->\n| field | meaning |\n|---|---|\n| `b` | bee |\n<!-- end -->\n"
    assert "| `b` | 1 | 1 | | bee |" in printed(brief, KNOWN)[0]


def test_a_table_may_leave_no_column_to_the_author():
    known = {"one": Table(columns=("x", "y"), rows=(("1", "2"),), own=())}
    assert "| x | y |\n|---|---|\n| 1 | 2 |\n" in printed(EMPTY, known)[0]


def test_rules_of_the_whole_stand_below_the_table():
    known = {"one": layout(("a", ""), rules=("a < b", "b < c"))}
    after, _ = printed(EMPTY, known)
    assert "\n\nAnd: a < b; b < c.\n<!-- end -->" in after
    assert (after, []) == printed(after, known)


def test_one_region_holds_for_several_that_differ_in_a_rule_only():
    known = {"one": layout(("a", "0x01")), "two": layout(("a", "0x02"))}
    after, complaints = printed(EMPTY.replace("one", "one, two"), known)
    assert [] == complaints
    assert "| `a` | 0 | 1 | 0x01 or 0x02 | |" in after


@pytest.mark.parametrize(
    ("text", "known", "words"),
    [
        ("# T\n", KNOWN, "one: has no region"),
        (EMPTY.replace("one", "eno"), KNOWN, "eno: nothing of this name"),
        (EMPTY + EMPTY, KNOWN, "one: is printed twice"),
        (EMPTY.replace("<!-- end -->\n", ""), KNOWN, "without `end`"),
        (EMPTY + "<!-- end -->\n", KNOWN, "without `end`"),
        (
            EMPTY.replace("one", "one, two"),
            {**KNOWN, "two": layout(("a", ""))},
            "one, two: have different layouts",
        ),
    ],
)
def test_a_wrong_marker_is_named(text, known, words):
    after, complaints = printed(text, known)
    assert words in " ".join(complaints)
    assert text == after or words.endswith(("twice", "`end`"))


def test_a_new_clause_gets_the_next_number_of_its_section():
    text = "## 1. A\n- [+] x\n- [1-2] y\n- [1-1] z\n- [+] v\n### 1.1 B\n\n- [+] w"
    assert (
        "## 1. A\n- [1-3] x\n- [1-2] y\n- [1-1] z\n- [1-4] v\n### 1.1 B\n\n- [1.1-1] w"
    ) == numbered(text)


# The command.


@pytest.fixture
def document(tmp_path):
    """A copy of PROTOCOL.md in which one table is out of date."""
    from udpim_tools.protocol import PROTOCOL

    path = tmp_path / "PROTOCOL.md"
    text = PROTOCOL.read_text("utf-8")
    path.write_text(text.replace("| WELCOME | 2 |", "| WELCOME | 7 |"), "utf-8")
    return path


def test_the_file_is_brought_up_to_date(document, capsys):
    assert 0 == main([str(document)])
    assert "| WELCOME | 2 |" in document.read_text("utf-8")
    assert ("", "") == capsys.readouterr()
    assert 0 == main(["--check", str(document)])


def test_a_check_writes_nothing_and_says_what_to_do(document, capsys):
    before = document.read_text("utf-8")
    assert 1 == main(["--check", str(document)])
    assert before == document.read_text("utf-8")
    assert "make protocol" in capsys.readouterr().err


def test_a_missing_file_is_said_in_one_line(tmp_path, capsys):
    assert 1 == main([str(tmp_path / "none.md")])
    assert 1 == capsys.readouterr().err.count("\n")
