"""Lines and marks of a chat, and how they fill a screen: pure."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from udpim.cli import chat_log
from udpim.cli.chat_log import ASCII, UNICODE, ChatLog, Line, Notice, marks_for, shown, wrap
from udpim.model import MessageState, MsgId, StreamId

NOON_MS = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
TODAY = "2023-11-14"


def line(text, *, seq=1, user="alice", to="bob", **more):
    payload = text if isinstance(text, bytes) else text.encode()
    msgid = MsgId(StreamId(user, "cli", 7, to), seq)
    values = {"mine": user == "alice", "at_ms": NOON_MS} | more
    return Line(msgid=msgid, payload=payload, **values)


def log(*items, marks=UNICODE):
    made = ChatLog(marks, UTC)
    for item in items:
        made.add(item)
    return made


def page(chat, cells=60, rows=10):
    return [text for _, text in chat.page(cells, rows, len, TODAY)]


# --- Marks ---


@pytest.mark.parametrize("marks", [UNICODE, ASCII])
def test_every_state_has_a_mark_of_one_cell(marks):
    assert set(MessageState) == set(marks.signs)
    assert {1} == {get_cwidth(sign) for sign in marks.signs.values()}


@pytest.mark.parametrize("marks", [UNICODE, ASCII])
def test_marks_that_mean_different_things_differ(marks):
    alike = {marks.signs[MessageState.VOID], marks.signs[MessageState.REJECTED]}
    assert 1 == len(alike)
    assert len(MessageState) - 1 == len(set(marks.signs.values()))


def test_the_legend_explains_every_mark():
    for marks in (UNICODE, ASCII):
        legend = marks.legend()
        assert all(f"{sign} " in legend for sign in marks.signs.values())


@pytest.mark.parametrize(
    ("encoding", "marks"),
    [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), (None, ASCII), ("no-such", ASCII)],
)
def test_an_encoding_gets_the_marks_that_it_can_show(encoding, marks):
    assert marks is marks_for(encoding)


def test_ascii_marks_are_ascii():
    assert "".join((*ASCII.signs.values(), ASCII.arrow)).isascii()


def test_a_mark_moves_where_it_stands():
    mine = line("hi")
    chat = log(mine, line("ho", user="bob", to="alice"))
    assert ["22:13 … alice→bob: hi", "22:13   bob: ho"] == page(chat)
    mine.state = MessageState.DELIVERED
    assert ["22:13 ✓ alice→bob: hi", "22:13   bob: ho"] == page(chat)


@pytest.mark.parametrize("state", MessageState)
def test_a_line_is_open_while_its_mark_can_move(state):
    final = {"DELIVERED", "READ", "VOID", "REJECTED", "EXCUSED"}
    assert (state.name not in final) is line("hi", state=state).open
    assert not line("hi", user="bob", state=state).open


def test_a_refusal_is_said_with_its_reason():
    mine = line("hi", state=MessageState.REJECTED, words="unknown recipient")
    assert ["22:13 x alice->bob: hi (unknown recipient)"] == page(log(mine, marks=ASCII))


# --- Text ---


def test_another_day_is_shown_with_its_date():
    chat = log(line("hi", at_ms=NOON_MS - 86_400_000))
    assert ["2023-11-13 22:13 … alice→bob: hi"] == page(chat)


@pytest.mark.parametrize("at_ms", [2**48, -(2**62), 2**62])
def test_a_time_that_no_clock_shows_is_left_out(at_ms):
    assert ["--:--   bob: hi"] == page(log(line("hi", user="bob", to="alice", at_ms=at_ms)))


def test_nothing_that_steers_a_terminal_is_shown():
    nasty = "\x1b]0;x\x07\x9b31m\r\n\u202e"
    chat = log(
        line(nasty, user="b\x1bb", to="alice"), line("x", to="\x1bc", words="\x07"), Notice(nasty)
    )
    text = "".join(page(chat, 200))
    assert text.isprintable()
    assert 4 == text.count("\\x1b")


def test_what_is_no_text_is_escaped():
    assert ["22:13   bob: \\xff\\x00"] == page(log(line(b"\xff\x00", user="bob", to="alice")))


@pytest.mark.parametrize("sign", ["x", "é", "字", "𝄞"])
@pytest.mark.parametrize("begin", ["", "x"])
def test_a_very_long_message_is_cut_on_the_screen_and_says_so(sign, begin):
    whole = line(begin + sign * (4000 - len(begin)))
    assert whole.text == shown(whole)
    long = line(begin + sign * 9000)
    size = len(long.payload)
    expected = f"{begin}{sign * (4000 - len(begin))} ... ({size} bytes)"
    assert expected == shown(long)
    long.shorten()
    assert len(long.payload) <= 16_000
    long.shorten()
    assert expected == shown(long)


# --- Wrapping ---


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [""]),
        ("short", ["short"]),
        ("one two three four five", ["one two three four", "  five"]),
        ("x" * 45, ["x" * 18, "  " + "x" * 18, "  " + "x" * 9]),
        ("字" * 12, ["字" * 9, "  字字字"]),
        ("a" + " " * 30 + "b", ["a", " " * 12 + "b"]),
    ],
)
def test_rows_break_at_spaces_where_there_are_some(text, rows):
    assert rows == wrap(text, 20, get_cwidth)


@given(st.text(st.sampled_from("ab 字é\u0301 "), max_size=300), st.integers(1, 60))
def test_no_row_is_too_wide_and_nothing_but_spaces_is_lost(text, cells):
    rows = wrap(text, cells, get_cwidth)
    assert all(get_cwidth(row) <= max(cells, chat_log.CELLS_MIN) for row in rows)
    assert text.replace(" ", "") == "".join(rows).replace(" ", "")


# --- Scrolling ---


def numbered(count, begin=0):
    return [Notice(str(i)) for i in range(begin, begin + count)]


def seen(chat, rows=5):
    return [int(text.removeprefix("-- ")) for text in page(chat, rows=rows)]


def test_the_newest_lines_are_at_the_bottom():
    chat = log(*numbered(20))
    assert [15, 16, 17, 18, 19] == seen(chat)
    assert not chat.scrolled_back
    assert [18, 19] == seen(chat, rows=2)


def test_a_page_back_keeps_one_line_in_sight():
    chat = log(*numbered(20))
    seen(chat)
    chat.scroll(1)
    assert [11, 12, 13, 14, 15] == seen(chat)
    assert chat.scrolled_back
    chat.scroll(-1)
    assert [15, 16, 17, 18, 19] == seen(chat)


def test_scrolling_ends_at_both_ends():
    chat = log(*numbered(12))
    seen(chat)
    chat.scroll(10)
    assert [0, 1, 2, 3, 4] == seen(chat)
    chat.scroll(-1)
    assert [4, 5, 6, 7, 8] == seen(chat)
    chat.scroll(-10)
    assert [7, 8, 9, 10, 11] == seen(chat)
    assert not chat.scrolled_back


def test_what_is_looked_back_at_stays_while_lines_come():
    chat = log(*numbered(20))
    seen(chat)
    chat.scroll(1)
    assert [11, 12, 13, 14, 15] == seen(chat)
    for notice in numbered(3, 20):
        chat.add(notice)
    assert [11, 12, 13, 14, 15] == seen(chat)
    assert [11, 12, 13, 14, 15] == seen(chat)


def test_fewer_lines_than_rows_are_all_shown_and_do_not_scroll():
    chat = log(*numbered(3))
    chat.scroll(1)
    assert [0, 1, 2] == seen(chat)
    assert not chat.scrolled_back


def test_the_oldest_lines_leave_a_full_log(monkeypatch):
    monkeypatch.setattr(chat_log, "LINES_MAX", 10)
    chat = log(*numbered(15))
    seen(chat)
    chat.scroll(10)
    assert [5, 6, 7, 8, 9] == seen(chat)


def test_a_row_of_a_narrow_screen_belongs_to_its_line():
    chat = log(Notice("x" * 30), Notice("y"))
    assert ["-- " + "x" * 17, "  " + "x" * 13, "-- y"] == page(chat, cells=20)
    assert ["notice"] * 3 == [style for style, _ in chat.page(20, 10, len, TODAY)]
