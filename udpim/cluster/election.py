"""When a process may try to become the home: sans-IO, on its own clock only.

The owner looks into the directory from time to time and says here what it saw. A lease that has
not changed for the lease time is over; so is one that was given back, or whose home is known to be
dead. The home itself stops when it could not renew for as long. Since a rival sees a renewal later
than its home began it, the home stops first, as long as both clocks run equally fast; where they do
not, or where a process sleeps through its own end, the fence decides. PROTOCOL §8.1.
"""

from __future__ import annotations

from udpim.cluster.directory import Lease


class Election:
    """What one process knows of the lease."""

    def __init__(self, lease_s: float) -> None:
        """Know nothing yet; a lease holds for ``lease_s`` seconds after a change."""
        self._lease_s = lease_s
        self._seen: Lease | None = None
        self._changed_at: float | None = None

    def saw(self, lease: Lease | None, now: float) -> None:
        """The directory says this."""
        if lease != self._seen or self._changed_at is None:
            self._seen = lease
            self._changed_at = now

    @property
    def home(self) -> Lease | None:
        """The lease of the home, None if there is none that could live."""
        return None if self._seen is None or not self._seen.node else self._seen

    @property
    def seen(self) -> Lease | None:
        """What the directory said last."""
        return self._seen

    def may_claim(self, now: float, *, dead: bool) -> bool:
        """Tell whether to try; ``dead``: the home that was seen is known not to run."""
        if self._changed_at is None:
            return False
        return dead or self.home is None or now >= self._changed_at + self._lease_s
