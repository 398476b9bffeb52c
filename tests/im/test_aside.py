"""What is set aside: its limits, its order, its words. What the inbox does: test_receiver.py."""

import pytest

from tests.im.helpers import STREAM
from udpim.config import Limits
from udpim.im.aside import WORDS_CHARS_MAX, Aside, fit_words
from udpim.im.backlog import Backlog
from udpim.im.records import AsideRow, SetAside, TakeBack


def row(seq, payload=b"abc"):
    return AsideRow(STREAM, seq, 7, payload, "why")


def aside(*rows, durable=True, **limits):
    limits = Limits(**limits)
    backlog = Backlog(limits)
    backlog.arrived(9, 27)
    backlog.shown(9, 27)
    return Aside(rows, backlog, durable=durable, limits=limits), backlog


def test_a_message_is_either_set_aside_or_waits():
    book, backlog = aside()
    before = backlog.sizes()
    book.put(row(5)), book.put(row(2))
    assert [row(5), row(2)] == book.rows(), "oldest first"
    assert {"aside_messages": 2, "aside_bytes": 6} == book.sizes()
    assert (7, 21) == (backlog.messages, backlog.bytes)
    assert [row(seq) for seq in (5, 2)] == [book.take_back(STREAM, seq) for seq in (5, 2)]
    assert before == backlog.sizes()
    assert {"aside_messages": 0, "aside_bytes": 0} == book.sizes()
    assert 2 == book.count


def test_what_is_not_here_cannot_be_taken_back():
    book, backlog = aside(row(1))
    assert book.take_back(STREAM, 2) is None
    assert book.take_back(STREAM._replace(incarnation=1), 1) is None
    assert [] == book.take_ops()
    assert 9 == backlog.messages


def test_what_the_store_kept_is_restored_and_counts_for_the_limits():
    book, backlog = aside(row(1), row(2), aside_messages_max=3)
    assert {"aside_messages": 2, "aside_bytes": 6} == book.sizes()
    assert (9, 0) == (backlog.messages, book.count)
    assert book.has_room()
    book.put(row(3))
    assert not book.has_room()


def test_the_last_one_may_go_beyond_the_bytes():
    book, _ = aside(aside_bytes_max=4)
    book.put(row(1))
    assert book.has_room()
    book.put(row(2, b"large"))
    assert not book.has_room()
    book.take_back(STREAM, 2)
    assert book.has_room()


@pytest.mark.parametrize("durable", [True, False])
def test_only_a_durable_inbox_has_something_to_write(durable):
    book, _ = aside(durable=durable)
    book.put(row(1))
    book.take_back(STREAM, 1)
    written = [SetAside(STREAM, 1, "why"), TakeBack(STREAM, 1)] if durable else []
    assert written == book.take_ops()
    assert [] == book.take_ops()


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("ValueError: no\n  comma", "ValueError: no comma"),
        ("", ""),
        ("x" * 10**6, "x" * WORDS_CHARS_MAX),
        ("a\udc80b", "a\\udc80b"),
        ("\udc80" * WORDS_CHARS_MAX, ("\\udc80" * WORDS_CHARS_MAX)[:WORDS_CHARS_MAX]),
    ],
)
def test_a_reason_is_one_short_line_that_every_store_takes(words, kept):
    assert kept == fit_words(words)
    assert kept == fit_words(words).encode().decode()
