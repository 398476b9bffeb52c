"""Every attack of the two lists that this folder follows has a test that names it.

The first list numbers attacks on transports of this kind, the second one is a table of what an
adversary may try; the docstrings of the tests say "Attack 7" and "adversary table".
"""

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent

ATTACKS = {
    1: "optimistic ACK",
    2: "ACK range bomb",
    3: "sent-record pinning",
    4: "ACK delay lies",
    5: "amplification",
    6: "handshake flood",
    7: "reassembly exhaustion",
    8: "handshake buffer",
    9: "PATH_CHALLENGE flood",
    10: "retired connection ids",
    11: "replay",
    12: "forged packet number jump",
    13: "spoofed migration",
    14: "linkable connection ids",
    15: "stateless reset oracle and loop",
    16: "malformed input",
    17: "zero-length datagrams",
    18: "slowloris",
    19: "downgrade",
    20: "nonce reuse",
    21: "RST and ICMP spoofs",
    22: "forged acks across hops",
}
ADVERSARY = [
    '"replay"',
    '"spoofed source"',
    '"reflection loop"',
    '"handshake flood"',
    '"malformed fuzz"',
    '"ack of unsent"',
    '"range 2^62" and "sparse"',
    '"withheld"',
    '"skipped-pn trap"',
    "reassembly",
    '"msgid forging / prediction"',
    '"cross-user injection"',
    '"receipt forging"',
    '"receipt probing"',
    '"order attack"',
    '"oversized group, fan-out bomb',
    '"downgrade"',
    "off-path hijack",
]


def docstrings():
    """What the tests of this folder, and their modules, say of themselves."""
    for path in sorted(FOLDER.glob("test_*.py")):
        if path == Path(__file__):
            continue
        tree = ast.parse(path.read_text("utf-8"))
        tests = [
            node
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
        ]
        assert tests, f"{path} has no test"
        for node in (tree, *tests):
            yield " ".join((ast.get_docstring(node) or "").lower().split())


SAID = list(docstrings())


def numbers(said):
    """The attacks that a docstring names: "attack 5", "attack 5 (words) and 6", "attack 6: …"."""
    for start in re.finditer(r"attack (\d+)", said):
        yield int(start[1])
        more = re.match(r"[^.:]* and (\d+)\b", said[start.end() :])
        if more:
            yield int(more[1])


@pytest.mark.parametrize("number", ATTACKS, ids=lambda number: f"{number}. {ATTACKS[number]}")
def test_every_attack_on_transports_has_a_test(number):
    assert any(number in numbers(said) for said in SAID)


@pytest.mark.parametrize("row", ADVERSARY)
def test_every_row_of_the_adversary_table_has_a_test(row):
    assert any(row in said for said in SAID)


def test_no_test_names_an_attack_that_is_not_in_the_list():
    assert {number for said in SAID for number in numbers(said)} == ATTACKS.keys()
