"""Prints the tables of PROTOCOL.md that the code knows, and says where they are out of date.

A table stands between two markers::

    <!-- printed: msg:R -->
    | field | at | bytes | rule | meaning |
    ...
    <!-- end -->

The first columns are printed (`protocol_tables` says from what). Columns beyond them, like
``meaning`` here, belong to the author: they are kept, row by row, under the row's first cell. A
marker that names several tables, with commas, prints one that holds for all of them. A clause that
is new opens with ``- [+]`` and gets its number here.

    python -m udpim_tools.protocol            writes the file
    python -m udpim_tools.protocol --check    writes nothing; exits with 1 where it would

PROTOCOL §1.1 says how clauses and tables are read.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from udpim_tools.protocol_tables import Table, joined, tables

PROTOCOL = Path(__file__).parent.parent.parent / "PROTOCOL.md"
HINT = "run `make protocol`, then fill in the columns that are yours"

_HEADING = re.compile(r"#+ (\d+(?:\.\d+)*)\.? ")
_CLAUSE = re.compile(r"^- \[(\d+(?:\.\d+)*)-(\d+)\] ", re.MULTILINE)
_NEW_CLAUSE = "- [+] "
_REGION = re.compile(r"^<!-- printed: (.+?) -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)


def printed(text: str, known: Mapping[str, Table]) -> tuple[str, list[str]]:
    """Print every marked region anew.

    Args:
        text: The document.
        known: What can be printed, by name.

    Returns:
        The document, and complaints: names in markers that nothing prints or that stand twice,
        tables that the document does not have, and words of the author whose row is gone.
    """
    complaints: list[str] = []
    seen: set[str] = set()

    def replace(region: re.Match[str]) -> str:
        names = region[1].split(", ")
        strange = [name for name in names if name not in known]
        complaints.extend(f"{name}: nothing of this name is printed" for name in strange)
        complaints.extend(f"{name}: is printed twice" for name in names if name in seen)
        seen.update(names)
        if strange:
            return region[0]
        lines = region[2].splitlines()
        table = joined([known[name] for name in names])
        if table is None:
            complaints.append(f"{region[1]}: have different layouts, print them apart")
            return region[0]
        complaints.extend(f"{region[1]}: {words}" for words in _dropped(table, lines))
        body = "\n".join(_table_lines(table, lines))
        return f"<!-- printed: {region[1]} -->\n{body}\n<!-- end -->"

    text = _REGION.sub(replace, numbered(text))
    marks = len(re.findall(r"^<!-- (?:printed: .*|end) -->$", text, re.MULTILINE))
    if marks != 2 * len(_REGION.findall(text)):
        complaints.append("a marker `printed` without `end`, or the reverse")
    complaints += [
        f"{name}: has no region in PROTOCOL.md; put `<!-- printed: {name} -->` and `<!-- end -->` "
        f"where it belongs"
        for name in known
        if name not in seen
    ]
    return text, complaints


def numbered(text: str) -> str:
    """Give each clause that opens with ``- [+]`` the next free number of its section."""
    section, highest = "", dict[str, int]()
    for number, count in _CLAUSE.findall(text):
        highest[number] = max(highest.get(number, 0), int(count))
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if heading := _HEADING.match(line):
            section = heading[1]
        elif line.startswith(_NEW_CLAUSE):
            highest[section] = highest.get(section, 0) + 1
            lines[at] = f"- [{section}-{highest[section]}] {line.removeprefix(_NEW_CLAUSE)}"
    return "\n".join(lines)


def _table_lines(table: Table, old: Sequence[str]) -> list[str]:
    own_header, own = _own_columns(table, old)
    header = [*table.columns, *own_header]
    rows = [[*row, *own.get(row[0], [""] * len(own_header))] for row in table.rows]
    notes = [f"\nAnd: {'; '.join(table.rules)}."] if table.rules else []
    return [_line(header), "|" + "---|" * len(header), *map(_line, rows), *notes]


def _own_columns(table: Table, old: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The author's columns of a table: their headings, and their cells by the row's first cell."""
    rows = [_cells(line) for line in old if line.startswith("|")]
    if not rows:
        return list(table.own), {}
    header, _, *body = rows
    width = next((n for n, cell in enumerate(header) if cell not in table.columns), len(header))
    return header[width:], {row[0]: row[width:] for row in body}


def _dropped(table: Table, old: Sequence[str]) -> Iterator[str]:
    """The author's words in rows that are not printed any more."""
    _, own = _own_columns(table, old)
    for key in own.keys() - {row[0] for row in table.rows}:
        if words := " | ".join(filter(None, own[key])):
            yield f"the row {key} is gone; beside it stood: {words}"


def _line(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m udpim_tools.protocol", description="Print the tables of PROTOCOL.md."
    )
    parser.add_argument("file", nargs="?", type=Path, default=PROTOCOL)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    try:
        before = options.file.read_text("utf-8")
    except OSError as error:
        print(f"{options.file}: {error.strerror}", file=sys.stderr)
        return 1
    after, complaints = printed(before, tables())
    if options.check and before != after:
        complaints.append(f"the printed tables are out of date: {HINT}")
    elif before != after:
        options.file.write_text(after, "utf-8")
    for complaint in complaints:
        print(f"{options.file.name}: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
