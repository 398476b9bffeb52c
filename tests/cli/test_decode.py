"""``decode`` reads hex in every common spelling, and says in one line what it cannot read."""

import io
import json
import struct

import pytest

from udpim.cli import main
from udpim.cli.decode import parse_hex
from udpim.crypto.key_log import ConnectionSecrets, to_line
from udpim.crypto.packet_keys import direction_keys
from udpim.crypto.security import SUITES
from udpim.errors import ConfigError
from udpim.wire import frames
from udpim.wire.packet import (
    FLAG_KEY_PHASE,
    SEALED_SHORT_FLAGS,
    Reset,
    encode_long,
    encode_short_header,
)

SECRETS = ConnectionSecrets(
    suite=1,
    client_cid=b"client-1",
    server_cid=b"server-1",
    to_client=b"C" * 32,
    to_server=b"S" * 32,
)


def sealed(number, payload):
    """A packet to the server."""
    protection, mask = direction_keys(SUITES[1].hash, SUITES[1].cipher, SECRETS.to_server)
    header = encode_short_header(SEALED_SHORT_FLAGS, SECRETS.server_cid, number)
    body = protection.seal(header, number, payload)
    bits, number_mask = struct.unpack(">BI", mask.mask(body[:16]))
    flags = SEALED_SHORT_FLAGS ^ bits & FLAG_KEY_PHASE
    return encode_short_header(flags, SECRETS.server_cid, number ^ number_mask) + body


@pytest.fixture
def key_log(tmp_path):
    """A key log of one connection."""
    path = tmp_path / "keys"
    path.write_text(f"# a comment\n\n{to_line(SECRETS)}\n")
    return str(path)


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


def test_an_encrypted_packet_is_opened_with_a_key_log(capsys, key_log):
    data = sealed(70_000, bytes([frames.PING]) + frames.encode_ack(3, 0, 0, 0))
    assert 0 == main(["decode", "--json", "--keylog", key_log, data.hex()])
    tree = json.loads(capsys.readouterr().out)
    assert (70_000, 0) == (tree["packet_number"], tree["key_updates"])
    assert ["PING", "ACK"] == [frame["type"] for frame in tree["frames"]]
    assert 0 == main(["decode", "--keylog", key_log, data.hex()])
    assert "PING" in capsys.readouterr().out


def test_without_its_secrets_it_stays_sealed(capsys, key_log):
    data = sealed(1, bytes([frames.PING]) * 20)
    other = data[:1] + b"nobody-1" + data[9:]
    for args in ([data.hex()], ["--keylog", key_log, other.hex()]):
        assert 0 == main(["decode", *args])
        out = capsys.readouterr().out
        assert "masked" in out
        assert "PING" not in out


def test_opened_frames_that_are_none_are_an_error_in_words(capsys, key_log):
    assert 1 == main(["decode", "--keylog", key_log, sealed(1, b"\x03" * 9).hex()])
    assert "its frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\n\xff", "it is no text"), (b"\nnonsense\n", "line 2 of"), (None, "No such file")],
)
def test_a_key_log_that_is_none_is_refused(capsys, tmp_path, content, words):
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    assert 1 == main(["decode", "--keylog", str(path), RESET.hex()])
    assert words in capsys.readouterr().err
