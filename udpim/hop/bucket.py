"""A token bucket: a bound on how often something is done for strangers."""

from __future__ import annotations


class TokenBucket:
    """Allows ``burst`` at once and ``per_s`` in the long run."""

    def __init__(self, per_s: float, burst: int) -> None:
        """Start full."""
        self._per_s = per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._counted_at = float("-inf")

    def take(self, now: float) -> bool:
        """Whether it may be done once more now; if so, it is counted."""
        gained = (now - self._counted_at) * self._per_s
        self._tokens = min(self._burst, self._tokens + gained)
        self._counted_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
