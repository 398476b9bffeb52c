"""``decode`` reads hex in every common spelling, and says in one line what it cannot read."""

import io
import json

import pytest

from udpim.cli import main
from udpim.cli.decode import parse_hex
from udpim.errors import ConfigError
from udpim.wire.packet import Reset, encode_long

RESET = encode_long(Reset(cid=b"\xab" * 8, token=b"\xcd" * 16))


@pytest.mark.parametrize("text", ["0x01ff", "01 ff", "01:FF", " 01-ff\n", "01_ff"])
def test_hex_is_read_in_every_common_spelling(text):
    assert b"\x01\xff" == parse_hex(text)


@pytest.mark.parametrize(("text", "words"), [("0g", "'g'"), ("012", "odd"), ("١٢", "hex digit")])
def test_what_is_not_hex_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_hex(text)


def test_a_datagram_is_shown_field_by_field(capsys):
    assert 0 == main(["decode", RESET.hex()])
    out, err = capsys.readouterr()
    assert "ab" * 8 in out
    assert "" == err


def test_digits_may_be_spread_over_arguments(capsys):
    assert 0 == main(["decode", *(f"{byte:02x}" for byte in RESET)])
    assert "ab" * 8 in capsys.readouterr().out


def test_json_holds_the_fields(capsys):
    assert 0 == main(["decode", "--json", RESET.hex()])
    assert "ab" * 8 in json.loads(capsys.readouterr().out).values()


def test_standard_input_holds_a_datagram_on_each_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{RESET.hex()}\n\n{RESET.hex()}\n"))
    assert 0 == main(["decode", "--json", "-"])
    assert 2 == len(capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    "text", ["", "xyz", "01", "0", "ffff", RESET.hex()[:-2], RESET.hex() + "00"]
)
def test_what_is_malformed_gets_one_line_and_a_failure(capsys, text):
    assert 1 == main(["decode", text])
    out, err = capsys.readouterr()
    assert "" == out
    assert err.startswith("udpim: ")
    assert 1 == err.count("\n")


def test_the_line_of_standard_input_is_named(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{RESET.hex()}\nnot hex\n"))
    assert 1 == main(["decode", "-"])
    assert "udpim: line 2: not hexadecimal" in capsys.readouterr().err
