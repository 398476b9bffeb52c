"""A token bucket: a bound on how often something is done for others."""

from __future__ import annotations


class TokenBucket:
    """Allows ``burst`` at once and ``per_s`` in the long run."""

    __slots__ = ("_burst", "_counted_at", "_per_s", "_tokens")

    def __init__(self, per_s: float, burst: int) -> None:
        """Start full."""
        self._per_s = per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._counted_at = float("-inf")

    def ready(self, now: float) -> bool:
        """Whether `take` would allow something now."""
        gained = (now - self._counted_at) * self._per_s
        self._tokens = min(self._burst, self._tokens + gained)
        self._counted_at = now
        return self._tokens >= 1

    def take(self, now: float, cost: int = 1) -> bool:
        """Whether it may be done once more now; if so, its cost is counted.

        What costs more than there is goes into debt, which later ones wait for: so nothing is too
        large for a small burst, and the long run holds all the same.
        """
        if not self.ready(now):
            return False
        self._tokens -= cost
        return True

    def is_full(self, now: float) -> bool:
        """Whether nothing is remembered here that a new bucket would not know."""
        self.ready(now)
        return self._tokens >= self._burst
