"""``udpim key``: prints the public key of a device, for the users file of a server."""

from __future__ import annotations

import argparse

from udpim.cli.output import Exit, put, put_json
from udpim.runtime.keys import format_key, load_with_key
from udpim.store.sqlite import SQLiteStore


def run(args: argparse.Namespace) -> int:
    """Print the key that a client's store keeps; store and key are made if there are none.

    Raises:
        StoreError: If the store is in use, or cannot be used.
    """
    store = SQLiteStore(args.store, kind="client")
    try:
        _, key = load_with_key(store, store.load_client, None, encrypted=True)
    finally:
        store.close()
    assert key is not None, "drawn at the latest now"
    public = format_key(key.public)
    if args.json:
        put_json({"store": args.store, "key": public})
    else:
        put(public)
    return Exit.OK
