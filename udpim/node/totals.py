"""What all dialers and connections of a node did together, those that are gone included.

A reconnect starts new counters; here the old ones are added up, so that a report loses none. Its
size is bounded: the reasons for drops are words of the program, and the counters have names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from udpim.hop.connection import Connection
from udpim.hop.stats import HopStats


class HopTotals:
    """Sums of the hop's counters."""

    def __init__(self) -> None:
        """Start at zero."""
        self.drops: dict[str, int] = {}
        """Datagrams and packets dropped, by reason."""
        self.stats = HopStats()
        """What the connections counted."""

    def add_drops(self, drops: Mapping[str, int]) -> None:
        """Add drops of a dialer, or of anything else that counts them by reason."""
        for reason, count in drops.items():
            self.drops[reason] = self.drops.get(reason, 0) + count

    def add(self, connection: Connection) -> None:
        """Add what a connection has counted so far; its owner adds each only once."""
        self.add_drops(connection.drops)
        self._add_stats(connection.stats)

    def copy(self) -> HopTotals:
        """Return an independent copy."""
        totals = HopTotals()
        totals.add_drops(self.drops)
        totals._add_stats(self.stats)
        return totals

    def _add_stats(self, stats: HopStats) -> None:
        for name, count in asdict(stats).items():
            setattr(self.stats, name, getattr(self.stats, name) + count)
