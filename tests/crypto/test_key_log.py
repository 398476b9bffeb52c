"""A line of a key log stands for one connection, and shows its secrets nowhere else."""

import pytest

from udpim.crypto.key_log import ConnectionSecrets, parse_line, to_line
from udpim.crypto.security import AES_SHA256
from udpim.errors import DecodeError

SECRETS = ConnectionSecrets(
    suite=AES_SHA256,
    client_cid=bytes(range(8)),
    server_cid=bytes(range(8, 16)),
    to_client=b"C" * 32,
    to_server=b"S" * 32,
)
LINE = f"udpim-1 2 0001020304050607 08090a0b0c0d0e0f {'43' * 32} {'53' * 32}"


def test_a_line_says_which_connection_and_what_opens_it():
    assert to_line(SECRETS) == LINE
    assert parse_line(LINE + "\n") == SECRETS


@pytest.mark.parametrize("line", ["", "  \n", "# a comment"])
def test_empty_lines_and_comments_say_nothing(line):
    assert parse_line(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        LINE.replace("udpim-1", "udpim-2"),
        LINE.replace(" 2 ", " 9 "),
        LINE.replace(" 2 ", " two "),
        LINE + " 00",
        LINE[:-2],
        LINE.replace("00010203", "000102"),
        LINE.replace("43", "xy"),
    ],
)
def test_other_lines_are_refused_and_not_repeated(line):
    with pytest.raises(DecodeError) as caught:
        parse_line(line)
    assert "53" not in str(caught.value)


def test_secrets_are_printed_nowhere():
    assert "43" not in repr(SECRETS)
    assert "CC" not in repr(SECRETS)
