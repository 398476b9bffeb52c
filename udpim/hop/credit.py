"""Flow control of bulk bodies, the receiver's half: what the peer may still send.

The owner says how many bytes of bulk it still holds; whatever of the received bytes it does not
hold is given back as credit. Credit is absolute and never falls, so a lost, late or repeated
CREDIT does no harm. Specification: PROTOCOL §3.8.
"""

from __future__ import annotations

GIVE_BACK = 4
"""A CREDIT leaves when a quarter of the window can be given back: few frames, and the sender,
who has three quarters left, does not notice."""


class CreditGiver:
    """What one peer was allowed, has sent, and may be allowed further."""

    __slots__ = ("_window", "allowed", "held", "received")

    def __init__(self, window_bytes: int) -> None:
        """The handshake has allowed one window."""
        self._window = window_bytes
        self.allowed = window_bytes
        """Bytes of bulk that the peer may have sent in all."""
        self.received = 0
        """Bytes of bulk that were taken."""
        self.held = 0
        """Bytes of these that the owner has not disposed of."""

    def due(self, in_pieces: int) -> int | None:
        """The new limit, if it is time to tell the peer; it counts as told.

        Args:
            in_pieces: Bytes received of bodies that are not whole yet.
        """
        limit = self.received - self.held - in_pieces + self._window
        if (limit - self.allowed) * GIVE_BACK < self._window:
            return None
        self.allowed = limit
        return limit
