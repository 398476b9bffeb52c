"""How long a client waits before it dials again: full jitter below a doubling ceiling.

Of the client node, at each loss of a connection or an attempt (PROTOCOL §6). Full jitter, so that
those who lost the same server at once do not come back at once.
"""

from __future__ import annotations

from collections.abc import Callable

from udpim.config import ClientConfig

DOUBLINGS_MAX = 16
"""Beyond any ceiling that makes sense; a power of two stays a number."""


class Backoff:
    """The wait of one client."""

    def __init__(self, config: ClientConfig, random_bytes: Callable[[int], bytes]) -> None:
        """Start with the shortest ceiling."""
        self._config = config
        self._random_bytes = random_bytes
        self._failures = 0

    def succeeded(self) -> None:
        """A login was accepted: the next loss begins anew."""
        self._failures = 0

    def next_wait_s(self, *, at_once: bool) -> float:
        """Count one more failure and draw the wait after it.

        Args:
            at_once: The first failure costs no wait at all, for the server is there.
        """
        first = self._failures == 0
        ceiling = min(
            self._config.reconnect_s_max, self._config.reconnect_s_min * 2.0**self._failures
        )
        self._failures = min(self._failures + 1, DOUBLINGS_MAX)
        share = int.from_bytes(self._random_bytes(4), "big") / 2**32
        return 0.0 if at_once and first else ceiling * share
