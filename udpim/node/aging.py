"""How long a server has been running, ever, and what is too old for that (R5, R8).

Whoever was not seen for too long is retired, and what waited in a queue for too long becomes void
items. Stored times are durations, never dates: the server's age rises while it runs and is kept in
its store, so a clock that jumps retires nobody and ends nothing (R12, PROTOCOL §5.12).
"""

from __future__ import annotations

from collections.abc import Mapping

from udpim.config import QUEUE_TTL_S
from udpim.im.records import PutMeta
from udpim.im.router import Router

AGE = "age_s"
"""Name of the store's value."""
TICK_S = 600.0
"""How often the age is written down; a crash makes the server that much younger at most."""
TICK_S_MIN = 10.0
"""The same where messages may wait for so short a time that one has to look more often."""
LOOKS = 32
"""So often while a message may wait the queues are looked at, or every `TICK_S`."""
AGAIN_S = 1.0
"""Until the next look, where one was not enough for all that is too old."""


class Aging:
    """The age of one server."""

    def __init__(
        self,
        router: Router,
        meta: Mapping[str, bytes],
        retire_after_s: float,
        queue_ttl_s: int = QUEUE_TTL_S,
    ) -> None:
        """Go on from the age that the store knows.

        Args:
            router: What grows old.
            meta: The store's values.
            retire_after_s: A device that was not seen for so long is retired.
            queue_ttl_s: How long messages may wait in queues, as the router knows.
        """
        self._router = router
        self._retire_after_s = retire_after_s
        self._tick_s = min(TICK_S, max(TICK_S_MIN, queue_ttl_s / LOOKS))
        self._known_s = int.from_bytes(meta.get(AGE, b""), "big")
        self._started: float | None = None
        self._tick_at = 0.0
        self._look_at: float | None = None
        router.age_s = router.queue.age_s = self._known_s

    def tick(self, now: float) -> None:
        """Grow older; now and then write it down, and look at who and what is too old."""
        router = self._router
        if self._started is None:
            self._started, self._tick_at = now, now + self._tick_s
        age_s = self._known_s + int(now - self._started)
        router.age_s = router.queue.age_s = age_s
        if now >= self._tick_at:
            self._tick_at = now + self._tick_s
            router.ledger.put(PutMeta(AGE, age_s.to_bytes(8, "big")))
            router.memberships.retire_unseen(age_s, self._retire_after_s)
            self._look_at = now
        if self._look_at is not None and now >= self._look_at:
            self._look_at = now + AGAIN_S if router.delivery.expire() else None

    def next_timeout(self) -> float:
        """Return when `tick` has something to do: at once in the beginning, to see the time."""
        if self._started is None:
            return 0.0
        return self._tick_at if self._look_at is None else min(self._tick_at, self._look_at)
