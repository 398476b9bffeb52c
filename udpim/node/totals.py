"""What all dialers and connections of a node did together, those that are gone included.

A reconnect starts new counters; here the old ones are added up, so that a report loses none. Its
size is bounded: the reasons for drops are words of the program, and the counters have names.
"""

from __future__ import annotations

from dataclasses import fields

from udpim.hop.connection import Connection
from udpim.hop.dial import Dialer
from udpim.hop.stats import HopStats

_COUNTERS = tuple((each.name, each.name.endswith("_peak")) for each in fields(HopStats))
"""Each counter, and whether it is a highest value."""


class HopTotals:
    """Sums of the hop's counters."""

    def __init__(self) -> None:
        """Start at zero."""
        self.drops: dict[str, int] = {}
        """Datagrams and packets dropped, by reason."""
        self.stats = HopStats()
        """What the connections counted."""

    def add(self, counted: Connection | Dialer | HopTotals) -> None:
        """Add what a connection or an attempt has counted; its owner adds each only once."""
        for reason, count in counted.drops.items():
            self.drops[reason] = self.drops.get(reason, 0) + count
        ours, theirs = self.stats, counted.stats
        for name, is_peak in _COUNTERS:
            count = getattr(theirs, name)
            if count:
                before = getattr(ours, name)
                setattr(ours, name, max(before, count) if is_peak else before + count)

    def copy(self) -> HopTotals:
        """Return an independent copy."""
        totals = HopTotals()
        totals.add(self)
        return totals
