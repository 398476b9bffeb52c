"""What the application sends: checks, room in the outbox, and the wait for the commit.

Flow: `send` → checks → room → node's outbox → (commit) → `Receipt` for the application.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import repeat

from udpim.errors import ConfigError, Error, OutboxFull, PayloadTooLarge
from udpim.im.changes import Rerouted
from udpim.im.out_stream import OutStream
from udpim.model import FINAL_STATES, MessageState
from udpim.node.client import ClientNode
from udpim.receipt import Receipt, ReceiptBook
from udpim.runtime.settings import check_recipient

_DONE = FINAL_STATES | {MessageState.STORED, MessageState.UNKNOWN}
"""States in which a closing client waits for a message no longer."""

_Entry = tuple[int, "asyncio.Future[None]"]
"""How many messages, or up to which seq; and who waits."""


class Outgoing:
    """The sending half of a client."""

    def __init__(self, node: ClientNode, book: ReceiptBook, wake: Callable[[], None]) -> None:
        """Send through ``node``; ``wake`` has its commands carried out."""
        self._node = node
        self._book = book
        self._wake = wake
        limits = self._limits = node.config.limits
        self._limit = min(limits.conversation_messages_max, limits.outbox_messages_max)
        self._error: Error | None = None
        self._room: dict[str, deque[_Entry]] = {}
        """Who waits for room, by recipient: first come, first served for each of them."""
        self._commits: dict[OutStream, deque[_Entry]] = {}
        """Who waits until which seq is durable."""
        self._sent: dict[OutStream, int] = {}
        """Per stream, the first seq that may not be done."""

    async def send_many(
        self, to: str, payloads: Sequence[bytes], deadline_s: float | None
    ) -> list[Receipt]:
        """See `udpim.client.Client.send_many`."""
        count = len(payloads)
        self._check(to, payloads, deadline_s)
        if not payloads:
            return []
        if count > self._limit:
            raise OutboxFull(self._limit)
        if self._must_wait(to, count):
            await self._wait_for_room(to, count, in_front=False)
        while self._is_full(count) or self._is_full_to(to, count):
            await self._wait_for_room(to, count, in_front=True)
        stream, first = self._put(to, payloads, deadline_s)
        committed = asyncio.get_running_loop().create_future()
        self._commits.setdefault(stream, deque()).append((first + count - 1, committed))
        await committed
        return list(map(Receipt, repeat(self._book), repeat(stream), range(first, first + count)))

    def send_nowait(self, to: str, payload: bytes, deadline_s: float | None) -> Receipt:
        """See `udpim.client.Client.send_nowait`."""
        self._check(to, (payload,), deadline_s)
        if self._must_wait(to, 1):
            raise self._full(to)
        stream, seq = self._put(to, (payload,), deadline_s)
        return Receipt(self._book, stream, seq)

    def _check(self, to: str, payloads: Sequence[bytes], deadline_s: float | None) -> None:
        check_recipient(to)
        bytes_max = self._node.payload_bytes_max
        for payload in payloads:
            if not isinstance(payload, bytes):
                raise ConfigError(f"a payload is bytes, not {type(payload).__name__}")
            if len(payload) > bytes_max:
                raise PayloadTooLarge(len(payload), bytes_max)
        if deadline_s is not None and not deadline_s > 0:
            raise ConfigError("deadline must be positive, or None for never")
        if self._error is not None:
            raise self._error

    def _put(
        self, to: str, payloads: Sequence[bytes], deadline_s: float | None
    ) -> tuple[OutStream, int]:
        stream, first = self._node.send_messages(
            to,
            payloads,
            now=asyncio.get_running_loop().time(),
            wall_ms=time.time_ns() // 1_000_000,
            ttl_s=deadline_s,
        )
        self._sent.setdefault(stream, first)
        self._wake()
        return stream, first

    # --- Room ---

    def _is_full(self, count: int) -> bool:
        """Tell whether the outbox has no room for so many messages."""
        outbox, limits = self._node.outbox, self._limits
        if outbox.open_messages + count > limits.outbox_messages_max:
            return True
        return outbox.open_bytes >= limits.outbox_bytes_max

    def _is_full_to(self, to: str, count: int) -> bool:
        """Tell whether one recipient's share of it has none."""
        messages, size_bytes = self._node.outbox.open_to(to)
        return messages + count > self._limit or (size_bytes >= self._limits.conversation_bytes_max)

    def _full(self, to: str) -> OutboxFull:
        """Name the limit that was reached first."""
        outbox, limits = self._node.outbox, self._limits
        for size_bytes, bytes_max in (
            (outbox.open_bytes, limits.outbox_bytes_max),
            (outbox.open_to(to)[1], limits.conversation_bytes_max),
        ):
            if size_bytes >= bytes_max:
                return OutboxFull(bytes_max, "bytes")
        return OutboxFull(self._limit)

    def _must_wait(self, to: str, count: int) -> bool:
        """Tell whether there is no room, or somebody waits for the same."""
        if to in self._room or self._is_full(count) or self._is_full_to(to, count):
            return True
        return any(self._is_full(entries[0][0]) for entries in self._room.values())

    async def _wait_for_room(self, to: str, count: int, *, in_front: bool) -> None:
        entry = (count, asyncio.get_running_loop().create_future())
        entries = self._room.setdefault(to, deque())
        if in_front:
            entries.appendleft(entry)
        else:
            entries.append(entry)
        try:
            await entry[1]
        except asyncio.CancelledError:
            if entry in entries:
                entries.remove(entry)
                if not entries:
                    del self._room[to]
            self._grant_room()
            raise

    def _grant_room(self) -> None:
        granted = 0
        for to, entries in list(self._room.items()):
            mine = 0
            while entries:
                count, future = entries[0]
                if self._is_full(granted + count):
                    return
                if self._is_full_to(to, mine + count):
                    break
                entries.popleft()
                if not future.done():
                    granted += count
                    mine += count
                    future.set_result(None)
            if not entries:
                del self._room[to]

    # --- What the node says ---

    def committed(self, streams: Sequence[tuple[OutStream, int]]) -> None:
        """Per stream the last seq that is now durable; what was settled has made room."""
        for stream, last in streams:
            entries = self._commits.get(stream)
            while entries and entries[0][0] <= last:
                _, future = entries.popleft()
                if not future.done():
                    future.set_result(None)
        self._grant_room()

    def rerouted(self, messages: Sequence[Rerouted]) -> None:
        """These were sent in place of others, so they are waited for as well."""
        for message in messages:
            if message.stream in self._sent:
                self._sent.setdefault(message.new_stream, message.new_seq)

    def sizes(self) -> dict[str, int]:
        """Return how many calls wait, and for what."""
        return {
            "sends_waiting_for_room": len(self._room),
            "sends_waiting_for_commit": sum(map(len, self._commits.values())),
        }

    def refuse(self, error: Error) -> None:
        """Take nothing new; what is in the outbox still gets its commit."""
        if self._error is None:
            self._error = error
            for entries in self._room.values():
                _fail(entries, error)
            self._room.clear()

    def end(self, error: Error) -> None:
        """Nothing is committed any more either: tell everybody who waits."""
        self.refuse(error)
        for entries in self._commits.values():
            _fail(entries, error)

    def is_done(self) -> bool:
        """Tell whether every message sent here is settled, STORED or given up."""
        for stream, first in self._sent.items():
            seq = max(first, stream.floor)
            while seq < stream.next_seq and stream.state(seq) in _DONE:
                seq += 1
            self._sent[stream] = seq
            if seq < stream.next_seq:
                return False
        return True


def _fail(entries: deque[_Entry], error: Error) -> None:
    for _, future in entries:
        if not future.done():
            future.set_exception(error)
    entries.clear()
