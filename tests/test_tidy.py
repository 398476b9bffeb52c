"""The rules of the house that no linter knows (CONTRIBUTING.md), as a test.

What may import what is in test_imports.py.
"""

import ast
import functools
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = {"udpim": "tests", "bench/udpim_bench": "tests/bench", "tools/udpim_tools": "tests/tools"}
CORES = ("wire", "crypto", "hop", "im", "node")

MODULE_LINES_MAX = 400
COMPOSER_LINES_MAX = 500
COMPOSERS = {  # they only join what others decide; the last one is a table
    "udpim/client.py",
    "udpim/hop/connection.py",
    "udpim/im/sender.py",
    "udpim/node/client.py",
    "udpim/node/server.py",
    "udpim/config.py",
}
FUNCTION_LINES_MAX = 70
POSITIONAL_MAX = 5

# A module without a test file of its own, and why.
TWINLESS = {
    "udpim/costs.py": "tests/test_worst_memory.py measures them, tests/test_config.py reads them",
    "udpim/cluster/bus.py": "an interface; see tests/cluster/test_unix_bus.py",
    "udpim/cluster/directory.py": "an interface; see test_sqlite_directory.py",
    "udpim/im/changes.py": "named tuples without behaviour",
    "udpim/im/group_records.py": "named tuples without behaviour",
    "udpim/testing/cluster/meeting.py": "records without behaviour",
    "udpim/testing/power/__main__.py": "tests/testing/power/test_campaign.py calls its main",
    "udpim/__main__.py": "one call of udpim.cli.main",
    "bench/udpim_bench/__main__.py": "one call of the command's main",
}

GPL = "# SPDX-License-Identifier: GPL-2.0-only"
EXCUSED = re.compile(r"# (type: ignore\[[\w, -]+\]|noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*)\s+# \w")
EXCUSE = re.compile(r"# *(type: *ignore|noqa\b|ruff: *noqa|mypy: )")
CITED = re.compile(r"PROTOCOL(?:\.md)? §(\d+(?:\.\d+)*)")
HEADING = re.compile(r"^#+ §?(\d+(?:\.\d+)*)\.?\s", re.MULTILINE)


def python_files(*folders):
    return sorted(
        path.relative_to(ROOT).as_posix() for f in folders for path in (ROOT / f).rglob("*.py")
    )


def imported(tree):
    """Top-level names of the packages that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def comments(text):
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def size_complaints(path, text, tree):
    lines_max = COMPOSER_LINES_MAX if path in COMPOSERS else MODULE_LINES_MAX
    if (lines := len(text.splitlines())) > lines_max:
        yield f"{path}: {lines} lines, the ceiling is {lines_max}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        where = f"{path}:{node.lineno} {node.name}"
        if (lines := node.end_lineno - node.lineno + 1) > FUNCTION_LINES_MAX:
            yield f"{where}: {lines} lines, the ceiling is {FUNCTION_LINES_MAX}"
        names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)]
        count = len(names) - (names[:1] in (["self"], ["cls"]))
        if count > POSITIONAL_MAX:
            yield f"{where}: {count} positional parameters, make the rest keyword-only"


def source_complaints(path, text, tree):
    if not ast.get_docstring(tree):
        yield f"{path}: no module docstring"
    if "scapy" in imported(tree) and text.partition("\n")[0] != GPL:
        yield f"{path}: imports scapy, so its first line must be {GPL!r}"


def comment_complaints(path, text):
    for line, comment in comments(text):
        if EXCUSE.match(comment) and not EXCUSED.match(comment):
            yield f"{path}:{line} {comment!r}: needs a code and, after a second #, a reason"
        if "pragma: no cover" in comment:
            yield f"{path}:{line}: `pragma: no cover` has no effect here; see pyproject.toml"
        if re.search(r"\b(TODO|FIXME|XXX)\b", comment):
            yield f"{path}:{line}: {comment!r} belongs to an issue"


def core_test_complaints(path, tree):
    if path.startswith(tuple(f"tests/{core}/" for core in CORES)):
        for name in sorted({"asyncio", "socket", "time", "threading"} & set(imported(tree))):
            yield f"{path}: imports {name}; a core is tested with a clock and a network of numbers"


def citation_complaints(path, text, headings):
    for number in sorted(set(CITED.findall(text)) - headings):
        yield f"{path}: cites PROTOCOL §{number}, which is not a heading there"


def twin(path):
    for source, tests in SOURCES.items():
        if path.startswith(source + "/"):
            inside = Path(path).relative_to(source)
            return (Path(tests) / inside.parent / f"test_{inside.name}").as_posix()
    raise AssertionError(path)


@functools.cache
def protocol_headings():
    protocol = ROOT / "PROTOCOL.md"
    return set(HEADING.findall(protocol.read_text("utf-8"))) if protocol.exists() else set()


@pytest.mark.parametrize("path", python_files(*SOURCES))
def test_source_is_tidy(path):
    text = (ROOT / path).read_text("utf-8")
    tree = ast.parse(text)
    complaints = [
        *size_complaints(path, text, tree),
        *source_complaints(path, text, tree),
        *comment_complaints(path, text),
        *citation_complaints(path, text, protocol_headings()),
    ]
    assert [] == complaints


@pytest.mark.parametrize("path", python_files("tests"))
def test_test_is_tidy(path):
    text = (ROOT / path).read_text("utf-8")
    complaints = [
        *comment_complaints(path, text),
        *core_test_complaints(path, ast.parse(text)),
        *(citation_complaints(path, text, protocol_headings()) if path != SELF else ()),
    ]
    assert [] == complaints


@pytest.mark.parametrize("path", [p for p in python_files(*SOURCES) if "__init__" not in p])
def test_module_has_a_twin_test(path):
    assert path in TWINLESS or (ROOT / twin(path)).is_file(), f"{twin(path)} is missing"


def test_only_existing_modules_are_excused_from_a_twin():
    assert [] == [p for p in TWINLESS if (ROOT / p).is_file() and (ROOT / twin(p)).is_file()]


SELF = Path(__file__).relative_to(ROOT).as_posix()
LONG = "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX
RULES = {
    "size": lambda text: size_complaints("udpim/a.py", text, ast.parse(text)),
    "source": lambda text: source_complaints("udpim/a.py", text, ast.parse(text)),
    "comment": lambda text: comment_complaints("udpim/a.py", text),
    "core test": lambda text: core_test_complaints("tests/hop/test_a.py", ast.parse(text)),
    "citation": lambda text: citation_complaints("udpim/a.py", text, {"1", "1.2"}),
}


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("size", "x = 1\n" * MODULE_LINES_MAX, "x = 1\n" * (MODULE_LINES_MAX + 1)),
        ("size", LONG.replace("    x = 1\n", "", 1), LONG),
        ("size", "def f(self, a, b, c, d, e, *, g): ...", "def f(a, b, c, d, e, g): ..."),
        ("source", '"""Doc."""', "x = 1"),
        ("source", f'{GPL}\n"""Doc."""\nimport scapy.all', '"""Doc."""\nimport scapy.all'),
        ("comment", "f()  # type: ignore[arg-type]  # untyped C", "f()  # type: ignore[arg-type]"),
        ("comment", "f()  # noqa: B008  # evaluated once", "f()  # noqa: B008"),
        ("comment", "f()  # ignores the type", "f()  # type: ignore"),
        ("comment", "# plain", "# ruff: noqa"),
        ("comment", "f()  # covered", "f()  # pragma: no cover"),
        ("comment", "f()  # done", "f()  # TODO: later"),
        ("core test", "import math", "from time import sleep"),
        ("citation", "# PROTOCOL §1.2: MUST", "# PROTOCOL §1.3: MUST"),
        ("citation", "# PROTOCOL.md §1, and more", "# PROTOCOL.md §12"),
    ],
)
def test_a_broken_rule_is_noticed(rule, good, bad):
    assert [] == list(RULES[rule](good))
    assert len(list(RULES[rule](bad))) == 1


def test_headings_are_read_with_and_without_the_sign():
    assert ["1", "2.3", "4"] == HEADING.findall("# 1. One\n### 2.3 Two\n## §4 Four\n#5 none\n")
