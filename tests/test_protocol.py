"""PROTOCOL.md is a specification: numbered clauses, references that hold, tables from the code."""

import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from udpim import config
from udpim.config import about
from udpim.hop import loss
from udpim.im import tally
from udpim.wire import frames, im_schema, packet
from udpim_tools.protocol import HINT, PROTOCOL, printed
from udpim_tools.protocol_tables import CONSTANTS, TIMERS, tables

ROOT = Path(__file__).parent.parent
TEXT = PROTOCOL.read_text("utf-8")
KEYWORD = re.compile(r"\b(MUST NOT|MUST|SHOULD NOT|SHOULD|MAY)\b")
HEADING = re.compile(r"^#+ (\d+(?:\.\d+)*)\.? ", re.MULTILINE)
CLAUSE = re.compile(r"^- \[(\d+(?:\.\d+)*)-(\d+)\] (.*)$")
MENTIONED = re.compile(r"\[(\d+(?:\.\d+)*)-(\d+)\]")
CITED = re.compile(r"PROTOCOL(?:\.md)? (?:§(\d+(?:\.\d+)*)-(\d+)|\[(\d+(?:\.\d+)*)-(\d+)\])")
SECTION = re.compile(r"§(\d+(?:\.\d+)*)")
OTHERS_SECTION = re.compile(r"RFC \d+ §[\d.]+(?:(?:,| and) §[\d.]+)*")
WITHDRAWN = "Withdrawn."
READING = "1.1"  # the section that explains the words themselves


def sections(text):
    """The lines of each section, by its number; what stands before the first has none."""
    found, number = {}, ""
    for line in text.splitlines():
        if heading := HEADING.match(line):
            number = heading[1]
        found.setdefault(number, []).append(line)
    return found


def clause_complaints(text):
    for number, lines in sections(text).items():
        clauses = [clause for line in lines if (clause := CLAUSE.match(line))]
        yield from (f"[{c[1]}-{c[2]}] stands in §{number}" for c in clauses if c[1] != number)
        # In any order: a new clause has the next number, wherever it stands.
        if (got := sorted(int(c[2]) for c in clauses)) != list(range(1, len(clauses) + 1)):
            yield f"§{number}: its clauses are numbered {got}"
        for clause in clauses:
            if clause[3] != WITHDRAWN and not KEYWORD.search(clause[3]):
                yield f"[{clause[1]}-{clause[2]}] has none of MUST, SHOULD and MAY"


def loose_keywords(text):
    """Normative words that no number stands for."""
    for number, lines in sections(text).items():
        for line in lines:
            if number != READING and KEYWORD.search(line) and not CLAUSE.match(line):
                yield f"§{number}: {line}"


def reference_complaints(text):
    headings = set(sections(text))
    clauses = [clause.groups()[:2] for line in text.splitlines() if (clause := CLAUSE.match(line))]
    for number in SECTION.findall(OTHERS_SECTION.sub("", text)):
        if number not in headings:
            yield f"§{number} is no section"
    for mentioned in MENTIONED.findall(text):
        if mentioned not in clauses:
            yield f"[{'-'.join(mentioned)}] is no clause"


def citation_complaints(source, text):
    """Clauses that a piece of code cites and the text does not have."""
    clauses = {clause.groups()[:2] for line in text.splitlines() if (clause := CLAUSE.match(line))}
    for cited in CITED.finditer(source):
        if (cited[1] or cited[3], cited[2] or cited[4]) not in clauses:
            yield f"{cited[0]} is no clause"


def untold(known):
    """Fields that check something and have no words for it."""
    for name, table in known.items():
        for words in (*(cell for row in table.rows for cell in row), *table.rules):
            if "NOT TOLD" in words:
                yield f"{name}: {words}"


def test_clauses_are_numbered_without_holes_and_each_binds():
    assert [] == list(clause_complaints(TEXT))


def test_no_normative_word_stands_outside_a_clause():
    assert [] == list(loose_keywords(TEXT))


def test_every_section_has_its_number_once():
    assert [] == [number for number, n in Counter(HEADING.findall(TEXT)).items() if n > 1]


def test_sections_and_clauses_that_it_mentions_exist():
    assert [] == list(reference_complaints(TEXT))


@pytest.mark.parametrize("folder", ["udpim", "bench", "tools", "tests"])
def test_clauses_that_the_code_cites_exist(folder):
    # That cited sections exist is the business of test_tidy.
    files = sorted((ROOT / folder).rglob("*.py"))
    assert [] == [
        f"{path.relative_to(ROOT)}: {complaint}"
        for path in files
        if path != Path(__file__)
        for complaint in citation_complaints(path.read_text("utf-8"), TEXT)
    ]


def test_the_printed_tables_are_current():
    after, complaints = printed(TEXT, tables())
    assert [] == complaints
    assert TEXT == after, f"tables of PROTOCOL.md are out of date: {HINT}"


def test_every_rule_of_a_layout_has_words():
    hint = "give what checks the field its words: udpim.wire.told.told(declaration, 'at most ...')"
    assert [] == list(untold(tables())), hint


def test_numbers_are_named_as_their_tables_name_them():
    named = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`", TEXT))
    assert set() == named - CONSTANTS.keys() - TIMERS.keys()


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("version = {}", packet.VERSION),
        ("1 to {} bytes, without U+0000", im_schema.NAME_BYTES_MAX),
        ("in units of {:g} µs", frames.ACK_DELAY_UNIT_S * 1e6),
        ("{:#04x} means at least that", frames.ACK_DELAY_MAX),
        ("(types {:#04x}–", frames.EXTENSION_MIN),
        ("–{:#04x}) MUST be skipped", frames.EXTENSION_MAX),
        ("PATH_CHALLENGE with {} random bytes", frames.CHALLENGE_BYTES),
        ("(1 MiB and {})", frames.BODY_BYTES_MAX - 2**20),
        ("{} of the larger of smoothed and latest RTT", Fraction(loss.TIME_RATIOS[0])),
        ("`streams_per_session_max`, {} at least", about("streams_per_session_max").least),
        ("(§4.5.23) | 1 to {} |", im_schema.TALLY_ENTRIES_MAX),
        ("(§4.5.22) | at most {} |", im_schema.PRESENCE_DEVICES_MAX),
        ("{:#x}: S has not seen it", im_schema.NEVER_SEEN_S),
        ("DATAGRAM ({:#04x}) included", frames.DATAGRAM),
        ("first tally of a stream {:g} ms", tally.AT_S[0] * 1000),
        ("others {0[1]:g} s, {0[2]:g} s, {0[3]:g} s and {0[4]:g} s after it", tally.AT_S),
        ("as one of the first {} of the schedule", len(tally.AT_S)),
        ("averaged over {:g} s", config.RESEND_MESSAGES_BURST / config.RESEND_MESSAGES_PER_S),
    ],
)
def test_a_number_that_stands_in_a_sentence_is_the_one_that_runs(words, value):
    assert words.format(value) in TEXT


GOOD = """# T

## 1. A

- [1-2] Withdrawn.
- [1-1] A MUST.

### 1.2 B

See §1, [1-1], RFC 9 §7.
"""


@pytest.mark.parametrize(
    ("complaints", "good", "bad"),
    [
        (clause_complaints, "- [1-2] Withdrawn.", "- [1-3] Withdrawn."),
        (clause_complaints, "- [1-2] Withdrawn.", "- [1-1] B MAY."),
        (clause_complaints, "- [1-2] Withdrawn.", "- [1.2-2] B MAY."),
        (clause_complaints, "A MUST.", "A must."),
        (loose_keywords, "See §1", "It MUST NOT, see §1"),
        (reference_complaints, "See §1", "See §3"),
        (reference_complaints, "[1-1], RFC", "[1-7], RFC"),
    ],
)
def test_a_broken_rule_of_the_text_is_noticed(complaints, good, bad):
    assert [] == list(complaints(GOOD))
    assert [] != list(complaints(GOOD.replace(good, bad)))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("# PROTOCOL §1-2: MUST", "# PROTOCOL §1-3: MUST"),
        ("# PROTOCOL.md [1-1], and", "# PROTOCOL.md [1.2-1], and"),
    ],
)
def test_a_citation_of_no_clause_is_noticed(good, bad):
    assert [] == list(citation_complaints(good, GOOD))
    assert 1 == len(list(citation_complaints(bad, GOOD)))


def test_a_packet_without_a_region_is_named():
    text = TEXT.replace("<!-- printed: status:N -->", "<!-- printed: status:X -->")
    words = " ".join(printed(text, tables())[1])
    assert "status:N: has no region" in words
    assert "status:X: nothing of this name is printed" in words
