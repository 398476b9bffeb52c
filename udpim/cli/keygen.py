"""``udpim keygen``: makes a private key in a file and prints the public one; or a shared secret."""

from __future__ import annotations

import argparse

from udpim.cli.output import Exit, put, put_json
from udpim.runtime.keys import format_key, write_key_pair, write_secret


def run(args: argparse.Namespace) -> int:
    """Make the key.

    Raises:
        ConfigError: If the file is there already, or cannot be made.
    """
    if args.psk:
        write_secret(args.file)
        if args.json:
            put_json({"file": args.file})
        return Exit.OK
    public = format_key(write_key_pair(args.file).public)
    if args.json:
        put_json({"file": args.file, "key": public})
    else:
        put(public)
    return Exit.OK
