"""A conversation at work: client and history joined, whatever it is shown on.

Flow: `Talk.send` → client (outbox) → history → view, and client (inbox) → view → history →
"handled". What became of our own messages is read from their receipts and recorded when it changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar

from udpim.cli.chat_history import History
from udpim.cli.chat_log import Line
from udpim.cli.output import Exit
from udpim.client import Client
from udpim.errors import ConfigError, DeliveryRejected
from udpim.message import Message
from udpim.model import MessageState, MsgId
from udpim.node.state import LinkState
from udpim.receipt import Receipt

LOOK_S = 0.1
"""How often receipts are looked at. They are views, so this costs less than a task for each."""
LOOKS_MAX = 2000
"""Receipts looked at in one go; of more, the others have their turn the next time."""
FOLLOWED_MAX = 10_000
"""Messages of earlier runs that are followed; older ones keep the mark that they had."""

_WAITING = {MessageState.PENDING, MessageState.ACCEPTED}
"""States that somebody who leaves would like to see the end of."""
_REFUSED = {MessageState.REJECTED, MessageState.VOID}

_P = ParamSpec("_P")
_T = TypeVar("_T")


class View(Protocol):
    """What a conversation is shown on."""

    def sent(self, line: Line) -> None:
        """One of our messages is in the outbox."""

    def moved(self, line: Line) -> None:
        """More is known of one of them."""

    def received(self, line: Line) -> None:
        """Somebody else has written; it is recorded after this returns."""

    def linked(self, *, online: bool) -> None:
        """The link to the server is up, or not any more."""


class Talk:
    """One run of a chat."""

    def __init__(self, client: Client, history: History, view: View) -> None:
        """Join them; `begin` comes first, `end` last."""
        self._client = client
        self._history = history
        self._view = view
        self._thread = ThreadPoolExecutor(1, "history")
        self._open: dict[MsgId, tuple[Line, Receipt]] = {}
        self._waiting: set[MsgId] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._place = 0
        self._online = False
        self._refused = False
        self._excused = False

    async def begin(self, count: int) -> list[Line]:
        """Return the last lines of before; those of us that were unsettled are followed on."""
        lines = await self._on_disk(self._history.last, count)
        shown = {line.msgid: line for line in lines if line.mine}
        for line in await self._on_disk(self._history.open_lines, FOLLOWED_MAX):
            self._follow(shown.get(line.msgid, line))
        await self.look()
        return lines

    async def end(self) -> None:
        """Record what the last receipts said, and close the history; the client is closed."""
        try:
            await asyncio.gather(*self._sending, return_exceptions=True)
            await self._look_at_receipts()
        finally:
            await self._on_disk(self._history.close)
            self._thread.shutdown()

    # --- Both directions ---

    async def send(self, to: str, payload: bytes) -> None:
        """Send one message and record it; cancelled meanwhile, it is done by the end.

        Raises:
            Error: It was not sent; as `Client.send`. StoreError: it was sent, but not recorded.
        """
        task = asyncio.ensure_future(self._send(to, payload))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        await asyncio.shield(task)

    async def _send(self, to: str, payload: bytes) -> None:
        receipt = await self._client.send(to, payload)
        line = Line(
            msgid=receipt.msgid, mine=True, at_ms=time.time_ns() // 1_000_000, payload=payload
        )
        # Not before it was sent: until then its msgid may still become another message's.
        await self._on_disk(self._history.add, line)
        self._open[line.msgid] = line, receipt
        self._waiting.add(line.msgid)
        self._view.sent(line)
        line.shorten()

    async def receive(self) -> None:
        """Show and record what arrives, until the client is closed.

        Raises:
            Error: The client has ended, or the history cannot be written.
        """
        async for message in self._client:
            line = _line(message)
            if not await self._on_disk(self._history.knows, line.msgid):
                # Shown first: a crash in between shows it twice, the other way round never.
                self._view.received(line)
                await self._on_disk(self._history.add, line)
                line.shorten()
            self._client.handled(message)

    # --- What became of it ---

    async def watch(self) -> None:
        """Follow receipts and link for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """See what has changed, show and record it."""
        online = self._client.state is LinkState.ONLINE
        if online is not self._online:
            self._online = online
            self._view.linked(online=online)
        await self._look_at_receipts()

    async def _look_at_receipts(self) -> None:
        moves: list[tuple[MsgId, Line]] = []
        for recorded in self._next_looks():
            line, receipt = self._open[recorded]
            if (receipt.state, receipt.msgid) == (line.state, line.msgid):
                continue
            line.words = await _words(receipt)
            # The msgid of what never left changes when the store proves to be an old copy.
            line.state, line.msgid = receipt.state, receipt.msgid
            moves.append((recorded, line))
            self._sort(recorded, line, receipt)
            self._view.moved(line)
        if moves:
            await self._on_disk(self._history.move, moves)

    def _next_looks(self) -> list[MsgId]:
        keys = list(self._open)
        if len(keys) <= LOOKS_MAX:
            return keys
        begin = self._place % len(keys)
        self._place = begin + LOOKS_MAX
        return (keys + keys)[begin : begin + LOOKS_MAX]

    def _follow(self, line: Line) -> None:
        try:
            receipt = self._client.receipt(line.msgid)
        except ConfigError:
            line.state = MessageState.UNKNOWN  # of another store: nobody can say any more
            return
        self._open[line.msgid] = line, receipt
        if line.state in _WAITING:
            self._waiting.add(line.msgid)

    def _sort(self, recorded: MsgId, line: Line, receipt: Receipt) -> None:
        del self._open[recorded]
        self._waiting.discard(recorded)
        if line.open:
            self._open[line.msgid] = line, receipt
        if line.state in _WAITING:
            self._waiting.add(line.msgid)
        self._refused |= line.state in _REFUSED
        self._excused |= line.state is MessageState.EXCUSED

    async def settle(self, timeout_s: float) -> None:
        """Wait until every message of ours is settled or STORED, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    await self.look()
                    if not self._waiting:
                        return
                    await asyncio.sleep(LOOK_S)

    @property
    def online(self) -> bool:
        """Whether the server can be reached."""
        return self._online

    @property
    def unsettled(self) -> list[Line]:
        """Our messages whose mark can still move."""
        return [line for line, _ in self._open.values()]

    @property
    def waiting(self) -> int:
        """How many of them are neither settled nor STORED."""
        return len(self._waiting)

    @property
    def verdict(self) -> Exit:
        """How it went, for the shell."""
        if self._refused:
            return Exit.REFUSED
        return Exit.UNCONFIRMED if self._waiting or self._excused else Exit.OK

    async def _on_disk(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do something with the history, in order, not on the loop's thread, cancelled or not."""
        loop = asyncio.get_running_loop()
        doing = loop.run_in_executor(self._thread, partial(work, *args, **kwargs))
        return await asyncio.shield(doing)


async def first_of(*works: Coroutine[Any, Any, object]) -> None:
    """Run several until one ends, and cancel the others; what the first raises is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _line(message: Message) -> Line:
    return Line(msgid=message.msgid, mine=False, at_ms=message.stamp >> 16, payload=message.payload)


async def _words(receipt: Receipt) -> str:
    """Return why a message was rejected; nothing if it was not."""
    if receipt.state is MessageState.REJECTED:
        try:
            await receipt
        except DeliveryRejected as error:
            return error.words
    return ""
