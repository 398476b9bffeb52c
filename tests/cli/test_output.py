"""One line for complaints, plain words without a terminal, a bar with one."""

import io
import json
import logging
import sys

import pytest

from udpim.cli import output


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_complaint_is_one_line_on_standard_error(capsys):
    output.complain("it broke:\n  here\tand there")
    assert ("", "udpim: it broke: here and there\n") == capsys.readouterr()


def test_json_is_one_line_on_standard_output(capsys):
    output.put_json({"a": "ä\n", "b": [1]})
    out, err = capsys.readouterr()
    assert ({"a": "ä\n", "b": [1]}, "") == (json.loads(out), err)
    assert 1 == out.count("\n")


def test_what_could_steer_a_terminal_is_escaped():
    assert "a\\x1b[2Jb ü\\n" == output.printable("a\x1b[2Jb ü\n")


@pytest.mark.parametrize(
    ("payload", "expected"), [("hä".encode(), {"text": "hä"}), (b"\xff\x00", {"hex": "ff00"})]
)
def test_payloads_are_text_or_hex(payload, expected):
    assert expected == output.payload_fields(payload)


def test_a_log_record_with_a_traceback_becomes_one_line():
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        record = logging.LogRecord("x", 40, "f", 1, "no\n%s", ("good",), sys.exc_info())
    assert "udpim: no good (ValueError: bad thing)" == output.OneLine().format(record)


def test_a_plain_table_is_aligned(capsys):
    output.table("things", ["one", "two"], [("a", "1", "22"), ("longer", "333", "4")])
    assert [
        "things  one  two",
        "a         1   22",
        "longer  333    4",
        "",
    ] == capsys.readouterr().out.splitlines()


def test_a_table_on_a_terminal_holds_the_same(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    output.table("things", ["one"], [("a", "4711")])
    shown = terminal.getvalue()
    assert all(word in shown for word in ("things", "one", "a", "4711"))


def test_without_a_terminal_only_notes_are_printed(capsys):
    progress = output.Progress(10)
    progress.update(5, "half")
    progress.note("killed")
    progress.close()
    assert ("", "killed\n") == capsys.readouterr()


@pytest.mark.parametrize("with_rich", [True, False])
def test_a_terminal_sees_a_bar(monkeypatch, with_rich):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    if not with_rich:
        monkeypatch.setattr(output, "find_spec", lambda name: None)
    progress = output.Progress(10)
    progress.update(5, "half")
    progress.note("killed")
    progress.close()
    shown = terminal.getvalue()
    assert "killed" in shown
    assert with_rich or "[###############...............] 5/10 half" in shown
