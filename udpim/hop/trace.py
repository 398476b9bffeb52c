"""What a connection tells an observer, if it has one: packets, drops, and the state of recovery.

Beside :mod:`udpim.hop.connection`: `HopConfig.trace` makes a `Trace` for each connection, and
without it nothing is called. Who observes has a clock of its own; :mod:`udpim.observe` writes qlog.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol


class Measures(NamedTuple):
    """What a sender knows of its path; times in seconds."""

    smoothed_rtt: float
    latest_rtt: float
    min_rtt: float
    rttvar: float
    congestion_window: int
    bytes_in_flight: int
    pto_count: int


class Trace(Protocol):
    """Is told what one connection does. It must not raise."""

    def sent(self, number: int, payload: bytes, size: int) -> None:
        """A packet leaves: its frames in the clear, and the bytes of its datagram."""

    def received(self, number: int, payload: bytes, size: int) -> None:
        """A packet was opened; it may be dropped yet."""

    def dropped(self, reason: str) -> None:
        """A datagram or packet counts as if it had not come."""

    def recovered(self, measures: Measures, lost: Sequence[int]) -> None:
        """An ack was taken or a timer ran out; these packets count as lost since."""


NewTrace = Callable[[str, bytes], Trace]
"""Called for each connection, with ``client`` or ``server`` and the id of the peer's packets."""
