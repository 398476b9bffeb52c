"""How `send` and `listen` reach the server: one reading of the arguments that they share."""

from __future__ import annotations

import argparse

from udpim import connect
from udpim.connecting import Connecting


def connect_as(args: argparse.Namespace) -> Connecting:
    """Return the connection that the arguments describe, for ``async with``."""
    return connect(
        args.server,
        user=args.user,
        device=args.device,
        token=args.token,
        store=args.store,
        security=args.security,
        server_key=args.server_key,
        known_hosts=args.known_hosts,
        key=args.key,
        psk=args.psk,
        connect_timeout=args.connect_timeout,
        exchange=args.exchange,
    )
