"""``udpim decode``: a datagram field by field.

Reads through `udpim.wire.describe`, so it shows what the normative declarations say. Of an
encrypted one that is what stands in the clear; with a key log, all of it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from udpim.cli.output import Exit, put, put_json
from udpim.crypto.key_log import parse_line
from udpim.crypto.packet_opener import PacketOpener
from udpim.errors import ConfigError, DecodeError
from udpim.wire.describe import InTheClear, datagram_to_dict, describe_datagram

_SEPARATORS = str.maketrans("", "", " \t\r\n:-_")


def parse_hex(text: str) -> bytes:
    """Read hexadecimal digits, with or without 0x and separators.

    Raises:
        ConfigError: If there is anything else in it, or an odd number of digits.
    """
    digits = text.strip().removeprefix("0x").removeprefix("0X").translate(_SEPARATORS)
    odd = [c for c in digits if c not in "0123456789abcdefABCDEF"]
    if odd:
        raise ConfigError(f"not hexadecimal: {odd[0]!r} is no hex digit")
    if len(digits) % 2:
        raise ConfigError(f"not hexadecimal: {len(digits)} digits, an odd number")
    return bytes.fromhex(digits)


def run(args: argparse.Namespace) -> int:
    """Print each datagram; the first that cannot be read ends it.

    Raises:
        ConfigError: If something is not hexadecimal, or the key log cannot be read.
        DecodeError: If a datagram is malformed.
    """
    opener = PacketOpener() if args.keylog is None else _opener(args.keylog)
    for where, text in _inputs(args.hex):
        try:
            data = parse_hex(text)
            opened = opener.open(data)
            clear = opened and InTheClear(opened.number, opened.generation, opened.payload)
            if args.json:
                put_json(datagram_to_dict(data, clear))
            else:
                for line in describe_datagram(data, clear):
                    put(line)
        except (ConfigError, DecodeError) as error:
            raise type(error)(f"{where}{error}") from error
    return Exit.OK


def _opener(path: str) -> PacketOpener:
    """What opens the packets of all connections in a key log.

    Raises:
        ConfigError: If it cannot be read, or is none.
    """
    opener = PacketOpener()
    try:
        lines = Path(path).read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"cannot read the key log {path}: {words}") from None
    for number, line in enumerate(lines, 1):
        try:
            secrets = parse_line(line)
        except DecodeError as error:
            raise ConfigError(f"line {number} of {path} is {error}") from None
        if secrets is not None:
            opener.add(secrets)
    return opener


def _inputs(given: list[str]) -> Iterator[tuple[str, str]]:
    if given != ["-"]:
        yield "", "".join(given)
        return
    for number, line in enumerate(sys.stdin, 1):
        if line.strip():
            yield f"line {number}: ", line
