"""A client's FINISH: in front of its flights, until the server has shown that it has it.

The server cannot open a packet before FINISH is there. Both leave together, so that data needs one
round trip; and since FINISH may be lost as any datagram, it goes again with what is sent again.

Specification: PROTOCOL §2.8.
"""

from __future__ import annotations

from collections.abc import Callable

from udpim.hop.codes import Address
from udpim.hop.stats import HopStats


class Finish:
    """The datagram, and when it is to be shown again."""

    __slots__ = ("_again_at", "_datagram", "_stats")

    def __init__(self, datagram: bytes, stats: HopStats) -> None:
        """Show this datagram, and count that in ``stats``; an empty one is never shown."""
        self._datagram = datagram
        self._again_at = float("-inf")
        self._stats = stats

    def put_before(
        self,
        flight: list[tuple[bytes, Address]],
        path: Address,
        now: float,
        pto_s: Callable[[], float],
    ) -> None:
        """Put it in front of packets that leave now, at most once per PTO."""
        if self._datagram and self._again_at <= now:
            self._again_at = now + pto_s()
            self._stats.finishes_sent += 1
            flight.insert(0, (self._datagram, path))

    def answered(self) -> None:
        """The server has opened the connection: a packet of it was authentic."""
        self._datagram = b""
