"""``udpim decode``: a plaintext datagram field by field.

Reads through `udpim.wire.describe`, so it shows what the normative declarations say.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from udpim.cli.output import Exit, put, put_json
from udpim.errors import ConfigError, DecodeError
from udpim.wire.describe import datagram_to_dict, describe_datagram

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
        ConfigError: If something is not hexadecimal.
        DecodeError: If a datagram is malformed.
    """
    for where, text in _inputs(args.hex):
        try:
            data = parse_hex(text)
            if args.json:
                put_json(datagram_to_dict(data))
            else:
                for line in describe_datagram(data):
                    put(line)
        except (ConfigError, DecodeError) as error:
            raise type(error)(f"{where}{error}") from error
    return Exit.OK


def _inputs(given: list[str]) -> Iterator[tuple[str, str]]:
    if given != ["-"]:
        yield "", "".join(given)
        return
    for number, line in enumerate(sys.stdin, 1):
        if line.strip():
            yield f"line {number}: ", line
