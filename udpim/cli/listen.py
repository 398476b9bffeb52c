"""``udpim listen``: prints messages as they arrive; what was printed counts as handled."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import suppress

from udpim.cli.login import connect_as
from udpim.cli.output import Exit, payload_fields, printable, put, put_json
from udpim.message import Message


def run(args: argparse.Namespace) -> int:
    """Print until the count or the time is reached, or Ctrl-C.

    Raises:
        Error: If there is no connection, or the login is refused or replaced.
    """
    return asyncio.run(_listen(args))


async def _listen(args: argparse.Namespace) -> int:
    seen = 0
    async with connect_as(args) as client:
        with suppress(TimeoutError):
            async with asyncio.timeout(args.timeout):
                async for message in client:
                    _show(message, as_json=args.json)
                    client.handled(message)
                    seen += 1
                    if seen == args.count:
                        break
        if args.stats:
            put_json({"event": "stats", **client.stats()})
    missing = args.count is not None and seen < args.count
    return Exit.UNCONFIRMED if missing else Exit.OK


def _show(message: Message, *, as_json: bool) -> None:
    if not as_json:
        put(printable(f"{message.sender}: {message.payload.decode(errors='backslashreplace')}"))
        return
    put_json(
        {
            "from": message.sender,
            "device": message.device,
            "msgid": str(message.msgid),
            "sent_at": message.sent_at.isoformat(),
            **payload_fields(message.payload),
        }
    )
