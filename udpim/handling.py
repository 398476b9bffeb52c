"""A handler for every message, and what becomes of one that it cannot handle.

Flow: `Incoming` → `Handling.run` → handler; it returns → handled; it raises → parked, and again
after a back-off; it has raised too often → set aside, and its stream goes on. Only the stream of
such a message waits for it: what is behind it there may build on it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from traceback import format_exception_only

from udpim.aside import Aside
from udpim.errors import AsideFull, ConfigError
from udpim.im.aside import fit_words
from udpim.message import Incoming, Message
from udpim.model import StreamId

Handler = Callable[[Message], Awaitable[object] | object]

DOUBLINGS_MAX = 60
"""Beyond any back-off in seconds that a float can be added to."""

logger = logging.getLogger("udpim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often and when a handler that raised is called again for the same message."""

    retries: int
    backoff_s_min: float
    backoff_s_max: float

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: Says which.
        """
        if self.retries < 0:
            raise ConfigError("retries must not be negative")
        if not 0 < self.backoff_s_min <= self.backoff_s_max:
            raise ConfigError("the back-off must be positive, and not larger than its maximum")

    def wait_s(self, failures: int) -> float:
        """Return how long to wait after so many failures."""
        doubled = self.backoff_s_min * 2.0 ** min(failures - 1, DOUBLINGS_MAX)
        return min(doubled, self.backoff_s_max)


class Handling:
    """The calls of one handler.

    Attributes:
        failures: How often the handlers of this client raised.
    """

    def __init__(self, incoming: Incoming, aside: Aside) -> None:
        """Take messages from one queue; `run` names the handler."""
        self.failures = 0
        self._incoming = incoming
        self._aside = aside

    async def run(self, handler: Handler, patience: Patience) -> None:
        """See `udpim.client.Client.run`."""
        attempts: dict[StreamId, int] = {}
        timers: dict[StreamId, asyncio.TimerHandle] = {}
        reader = self._incoming.read()
        try:
            async for message in reader:
                try:
                    result = handler(message)
                    if inspect.isawaitable(result):
                        await result
                except Exception as error:
                    self.failures += 1
                    failed = attempts.get(message.stream, 0) + 1
                    wait_s = self._failed(message, failed, patience, error)
                    if wait_s is not None:
                        attempts[message.stream] = failed
                        timers[message.stream] = asyncio.get_running_loop().call_later(
                            wait_s, self._incoming.unpark, message.stream
                        )
                        continue
                if attempts:
                    attempts.pop(message.stream, None)
                    timers.pop(message.stream, None)
        finally:
            for timer in timers.values():
                timer.cancel()

    def _failed(
        self, message: Message, failed: int, patience: Patience, error: Exception
    ) -> float | None:
        """Set a message aside, or park it: then return for how long."""
        msgid, words = message.msgid, fit_words("".join(format_exception_only(error)))
        if message is not self._incoming.current:
            logger.warning("a handler raised after it had finished with %s: %s", msgid, words)
            return None
        if failed > patience.retries:
            try:
                self._aside.add(message, words)
            except AsideFull as full:
                words = f"{words}; {full}"
            else:
                logger.error("%s is set aside after %d attempts: %s", msgid, failed, words)
                return None
        wait_s = patience.wait_s(failed)
        logger.warning("attempt %d at %s failed, again in %g s: %s", failed, msgid, wait_s, words)
        self._incoming.park()
        return wait_s
