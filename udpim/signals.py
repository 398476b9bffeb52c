"""Signals for the application: what is worth something now only, such as "alice is typing".

Flow: node → `SignalQueue` → `Signals` (the iterator). What nobody takes in time is dropped: by the
next one if too many wait, by the clock if it waits too long (PROTOCOL §4.5.20).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, NamedTuple

from udpim.errors import ConfigError, Error, LocalProtocolError, PayloadTooLarge
from udpim.hop.datagrams import WAIT_S_MAX
from udpim.runtime.settings import check_name
from udpim.wire.im_packets import SignalN
from udpim.wire.im_schema import SIGNAL_BYTES_MAX


class Signal(NamedTuple):
    """What somebody signals. It was sent once, and nobody knows that it has arrived.

    Attributes:
        sender: Who, as the server vouches.
        device: On which device of theirs.
        conversation: To whom: the recipient's user name, or the group.
        payload: What the application there says.
    """

    sender: str
    device: str
    conversation: str
    payload: bytes


def check_signal(to: str, payload: bytes) -> None:
    """Refuse what cannot be signalled.

    Raises:
        ConfigError: If the name is none, or the payload is not bytes.
        PayloadTooLarge: If it is more than a signal holds.
    """
    check_name("recipient", to)
    if not isinstance(payload, bytes):
        raise ConfigError(f"a payload is bytes, not {type(payload).__name__}")
    if len(payload) > SIGNAL_BYTES_MAX:
        raise PayloadTooLarge(len(payload), SIGNAL_BYTES_MAX)


class SignalQueue:
    """Signals that wait for the application: few, and not for long."""

    def __init__(self, waiting_max: int) -> None:
        """Keep at most so many."""
        self._waiting_max = waiting_max
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, SignalN]] = deque()
        self._reader: Signals | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: Error | None = None
        self.received_count = 0
        self.drops: dict[str, int] = {}

    def add(self, signals: Sequence[SignalN]) -> None:
        """Take what the node got."""
        now = self._loop.time()
        self.received_count += len(signals)
        for signal in signals:
            if len(self._waiting) >= self._waiting_max:
                self._waiting.popleft()
                self._drop("signal for which there was no room")
            self._waiting.append((now, signal))
        self._wake()

    def end(self, error: Error | None) -> None:
        """Hand out no more: the iteration stops, or raises the error."""
        if not self._ended:
            self._ended, self._error = True, error
            self._wake()

    def read(self) -> Signals:
        """Begin an iteration; an earlier one ends."""
        self._reader = Signals(self)
        self._wake()
        return self._reader

    async def next(self, reader: Signals) -> Signal:
        """Wait for the next one that is not too old."""
        self._refuse(reader)
        while (signal := self._take()) is None and not self._ended:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
            self._refuse(reader)
        if self._error is not None:
            raise self._error
        if signal is None:
            raise StopAsyncIteration
        return Signal(*signal)

    def add_to(self, stats: dict[str, Any]) -> None:
        """Enter counters and drops into a client's statistics."""
        waiting = len(self._waiting)
        stats["signals"] = {"received_signals": self.received_count, "waiting_signals": waiting}
        stats["drops"] |= {f"signals: {why}": n for why, n in self.drops.items()}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def _take(self) -> SignalN | None:
        oldest = self._loop.time() - WAIT_S_MAX
        while self._waiting:
            arrived, signal = self._waiting.popleft()
            if arrived >= oldest:
                return signal
            self._drop("signal that nobody took in time")
        return None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _refuse(self, reader: Signals) -> None:
        """Raise if this reader may not wait now."""
        if reader is not self._reader:
            raise LocalProtocolError("another iteration over the signals has begun")
        if self._waiter is not None:
            raise LocalProtocolError("another task waits for the next signal")

    def _drop(self, reason: str) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1


class Signals(AsyncIterator[Signal]):
    """One iteration over the signals that a client gets."""

    __slots__ = ("_queue",)

    def __init__(self, queue: SignalQueue) -> None:
        """Made by `udpim.Client.signals`."""
        self._queue = queue

    def __anext__(self) -> Coroutine[None, None, Signal]:
        """Return the next signal."""
        return self._queue.next(self)
