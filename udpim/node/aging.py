"""How long a server has been running, ever, and whom it has not seen for too long (R5).

Stored times are durations, never dates: the server's age rises while it runs and is kept in its
store, so a clock that jumps retires nobody (R12, PROTOCOL §5.12).
"""

from __future__ import annotations

from collections.abc import Mapping

from udpim.im.records import PutMeta
from udpim.im.router import Router

AGE = "age_s"
"""Name of the store's value."""
TICK_S = 600.0
"""How often the age is written down; a crash makes the server that much younger at most."""


class Aging:
    """The age of one server."""

    def __init__(self, router: Router, meta: Mapping[str, bytes], retire_after_s: float) -> None:
        """Go on from the age that the store knows."""
        self._router = router
        self._retire_after_s = int(retire_after_s)
        self._known_s = int.from_bytes(meta.get(AGE, b""), "big")
        self._started: float | None = None
        self._tick_at = 0.0
        router.age_s = self._known_s

    def tick(self, now: float) -> None:
        """Grow older; now and then write it down, and retire who was not seen."""
        if self._started is None:
            self._started, self._tick_at = now, now + TICK_S
        age_s = self._known_s + int(now - self._started)
        self._router.age_s = age_s
        if now >= self._tick_at:
            self._tick_at = now + TICK_S
            self._router.ledger.put(PutMeta(AGE, age_s.to_bytes(8, "big")))
            self._router.memberships.retire_unseen(age_s, self._retire_after_s)

    def next_timeout(self) -> float | None:
        """Return when `tick` has something to do."""
        return None if self._started is None else self._tick_at
