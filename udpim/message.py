"""Messages for the application, and the iteration that says when one has been handled.

Flow: node → `Incoming` (runs, in order) → `Messages` (the iterator) → body of ``async for`` →
"handled" → node. A message stays at the head of the queue until it is handled, so whoever iterates
next gets it again. `udpim.handling` may park one: then it waits apart with what is behind it in its
stream, and the other streams go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import NamedTuple

from udpim.errors import Error, LocalProtocolError
from udpim.im.receiver import Released
from udpim.model import MsgId, StreamId

YEAR_9999_S = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
MESSAGES_IN_A_ROW_MAX = 64
"""Messages handed out before the event loop has a turn, in which receipts leave."""


class Message(NamedTuple):
    """What somebody wrote.

    Attributes:
        stream: Where it belongs.
        seq: Its place there.
        stamp: The sender's hybrid clock: milliseconds since 1970, shifted by 16 bits.
        payload: The text or data.
    """

    stream: StreamId
    seq: int
    stamp: int
    payload: bytes

    @property
    def sender(self) -> str:
        """Who wrote it, as the server vouches."""
        return self.stream.user

    @property
    def device(self) -> str:
        """On which device of the sender."""
        return self.stream.device

    @property
    def conversation(self) -> str:
        """To whom: the recipient's user name, or the group."""
        return self.stream.conversation

    @property
    def msgid(self) -> MsgId:
        """The message's identity for ever: the key for work that must not be done twice."""
        return MsgId(self.stream, self.seq)

    @property
    def sent_at(self) -> datetime:
        """When, by the sender's clock; whatever a peer claims, not after the year 9999."""
        return datetime.fromtimestamp(min((self.stamp >> 16) / 1000, YEAR_9999_S), UTC)


_message = tuple.__new__
"""Builds a `Message` from a tuple of its fields, in a third of the constructor's time."""


class Handled:
    """A run of messages that the application has finished with in one turn of the loop."""

    __slots__ = ("count", "first", "size_bytes", "stream")

    def __init__(self, message: Message) -> None:
        """Begin with one message."""
        self.stream = message.stream
        self.first = message.seq
        self.count = 1
        self.size_bytes = len(message.payload)


class Incoming:
    """Messages that wait for the application; the inbox's byte limit bounds them."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` when `take_handled` has something to return."""
        self.handled_count = 0
        self._wake_node = wake
        self._handled: list[Handled] = []
        self._runs: deque[Released] = deque()
        self._parked: dict[StreamId, deque[Released]] = {}
        self._due: dict[StreamId, None] = {}
        """Parked ones that may go on."""
        self._index = 0
        self._current: Message | None = None
        self._reader: Messages | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: Error | None = None
        self._streak = 0

    def add(self, runs: list[Released]) -> None:
        """Take what the node releases."""
        self._runs += runs
        self._wake()

    def end(self, error: Error | None) -> None:
        """Hand out no more: the iteration stops, or raises the error."""
        if not self._ended:
            self._ended, self._error = True, error
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def read(self) -> Messages:
        """Begin an iteration; an earlier one ends."""
        self._reader = Messages(self)
        self._current = None
        self._due = dict.fromkeys(self._parked)
        self._pass_over()
        self._wake()
        return self._reader

    def finish(self, message: Message) -> None:
        """The application has finished with the message that it was given last.

        Raises:
            LocalProtocolError: If that was another one.
        """
        self.leave(message)
        self.handled_count += 1
        handled = self._handled
        if handled:
            run = handled[-1]
            if run.first + run.count == message.seq and run.stream is message.stream:
                run.count += 1
                run.size_bytes += len(message.payload)
                return
        else:
            self._wake_node()
        handled.append(Handled(message))

    def leave(self, message: Message) -> None:
        """The message that was given last waits no more, whatever became of it.

        Raises:
            LocalProtocolError: If that was another one.
        """
        if message is not self._current:
            raise LocalProtocolError("this is not the message that was handed out last")
        self._current = None
        self._index += 1
        if self._index == len(self._runs[0].messages):
            self._runs.popleft()
            self._index = 0

    @property
    def current(self) -> Message | None:
        """The message that was given last, while nobody has said what became of it."""
        return self._current

    def park(self) -> None:
        """Let the message that was given last wait, and its stream with it, until `unpark`."""
        assert self._current is not None, "nothing else can be parked"
        self._current = None
        run = self._cut()
        self._parked[run.stream] = deque([run])

    def unpark(self, stream: StreamId) -> None:
        """A parked stream may go on: its messages come next, before those of others."""
        if stream in self._parked:
            self._due[stream] = None
            self._wake()

    def _cut(self) -> Released:
        """Take the first run from the queue, without what is done of it."""
        stream, messages = self._runs.popleft()
        index, self._index = self._index, 0
        return Released(stream, messages[index:])

    def _pass_over(self) -> None:
        """Put back what is due, then move the runs in front that have to wait to their streams."""
        runs, parked = self._runs, self._parked
        if self._due and self._index:
            runs.appendleft(self._cut())
        for stream in self._due:
            runs.extendleft(reversed(parked.pop(stream)))
        self._due.clear()
        while runs and runs[0].stream in parked:
            parked[runs[0].stream].append(runs.popleft())

    def take_handled(self) -> list[Handled]:
        """Return what was finished since the last call."""
        handled, self._handled = self._handled, []
        return handled

    async def next(self, reader: Messages) -> Message:
        """The body has returned: handle its message, then wait for the next one."""
        if reader is not self._reader or self._waiter is not None:
            self._refuse(reader)
        if self._current is not None:
            self.finish(self._current)
        self._streak += 1
        if self._streak >= MESSAGES_IN_A_ROW_MAX:
            self._streak = 0
            await asyncio.sleep(0)
            self._refuse(reader)
        if self._parked:
            self._pass_over()
        while not self._runs and not self._ended:
            self._streak = 0
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
            self._refuse(reader)
            self._pass_over()
        if self._error is not None:
            raise self._error
        if self._ended:
            raise StopAsyncIteration
        stream, messages = self._runs[0]
        self._current = _message(Message, (stream, *messages[self._index]))
        return self._current

    def _refuse(self, reader: Messages) -> None:
        """Raise if this reader may not wait now."""
        if reader is not self._reader:
            raise LocalProtocolError("another iteration over the messages has begun")
        if self._waiter is not None:
            raise LocalProtocolError("another task waits for the next message")


class Messages(AsyncIterator[Message]):
    """One iteration over the messages of a client, in order per sender's device."""

    __slots__ = ("_incoming",)

    def __init__(self, incoming: Incoming) -> None:
        """Made by ``aiter(client)``."""
        self._incoming = incoming

    def __anext__(self) -> Coroutine[None, None, Message]:
        """Return the next message; the one before counts as handled now."""
        return self._incoming.next(self)
