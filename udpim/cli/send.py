"""``udpim send``: messages from arguments or standard input, and what became of each."""

from __future__ import annotations

import argparse
import asyncio
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from contextlib import suppress

from udpim.cli.login import connect_as
from udpim.cli.output import Exit, printable, put, put_json
from udpim.errors import DeliveryError, DeliveryRejected, PayloadTooLarge
from udpim.model import MessageState
from udpim.receipt import Receipt
from udpim.wire.im_schema import PAYLOAD_BYTES_MAX

STDIN_LINES_MAX = 1024
"""Lines read ahead of the outbox; the pipe holds the rest back."""
STDIN_BYTES = 65_536

_REACHED = {
    "accepted": {MessageState.ACCEPTED, MessageState.STORED, MessageState.DELIVERED},
    "stored": {MessageState.STORED, MessageState.DELIVERED},
    "delivered": {MessageState.DELIVERED},
}
_NEVER = {MessageState.REJECTED, MessageState.VOID}


def run(args: argparse.Namespace) -> int:
    """Send, wait, print one line for each message.

    Raises:
        Error: If there is no connection, the login is refused, or a payload is too large.
    """
    for message in args.message:
        check_size(os.fsencode(message))
    return asyncio.run(_send(args))


def check_size(payload: bytes) -> bytes:
    """Return the payload if it may be sent.

    Raises:
        PayloadTooLarge: If not.
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise PayloadTooLarge(len(payload), PAYLOAD_BYTES_MAX)
    return payload


async def _send(args: argparse.Namespace) -> int:
    async with connect_as(args) as client:
        receipts: list[Receipt] = []
        too_large: PayloadTooLarge | None = None
        async for payload in _payloads(args.message):
            try:
                receipts.append(await client.send(args.to, check_size(payload)))
            except PayloadTooLarge as error:
                too_large = error
                break
        code = await _report(receipts, args)
        if args.stats:
            put_json({"event": "stats", **client.stats()})
        if too_large is not None:
            raise too_large
        return code


async def _report(receipts: list[Receipt], args: argparse.Namespace) -> int:
    """Wait for each receipt in turn, all within one timeout; print what is known then."""
    loop = asyncio.get_running_loop()
    end = loop.time() + args.timeout
    code = Exit.OK
    for receipt in receipts:
        words = await _wait(receipt, args.wait, end - loop.time())
        state = receipt.state
        if state in _NEVER:
            code = Exit.REFUSED
        elif state not in _REACHED[args.wait] and code is Exit.OK:
            code = Exit.UNCONFIRMED
        name = state.name.lower()
        if args.json:
            shown = {"msgid": str(receipt.msgid), "to": args.to, "state": name}
            put_json(shown | ({"words": words} if words else {}))
        else:
            put(printable(f"{name:<9} {receipt.msgid}{f'  ({words})' if words else ''}"))
    return code


async def _wait(receipt: Receipt, wait: str, timeout: float) -> str:
    """Wait for a receipt; return the reason of a rejection, else nothing."""
    try:
        async with asyncio.timeout(max(timeout, 0.0)):
            if wait == "accepted":
                await receipt.accepted()
            elif wait == "stored":
                await receipt.stored()
            else:
                await receipt
    except DeliveryRejected as error:
        return error.words
    except (DeliveryError, TimeoutError):
        pass  # the state says it
    return ""


async def _payloads(messages: list[str]) -> AsyncIterator[bytes]:
    """The arguments, or the lines of standard input as they come."""
    if not messages:
        async for line in stdin_lines():
            yield line
    for message in messages:
        yield os.fsencode(message)  # the bytes that were typed, UTF-8 or not


async def stdin_lines() -> AsyncIterator[bytes]:
    """Yield the lines of standard input as they come, without their ends."""
    lines: asyncio.Queue[bytes | None] = asyncio.Queue(STDIN_LINES_MAX)
    loop = asyncio.get_running_loop()
    # A daemon that reads the descriptor itself: a read that never ends must not hold up Ctrl-C,
    # nor the lock of sys.stdin the interpreter's end.
    reader = threading.Thread(target=_read_lines, args=(loop, lines), daemon=True)
    reader.start()
    while (line := await lines.get()) is not None:
        yield line


def _read_lines(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[bytes | None]) -> None:
    def hand(line: bytes | None) -> None:
        putting = lines.put(line)
        try:
            asyncio.run_coroutine_threadsafe(putting, loop).result()
        except RuntimeError:
            putting.close()
            raise

    # Cancelled or closed, the loop has ended: nobody wants the rest.
    with suppress(CancelledError, RuntimeError):
        rest = b""
        while chunk := os.read(0, STDIN_BYTES):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                hand(line.removesuffix(b"\r"))
        if rest:
            hand(rest)
        hand(None)
