"""What the processes of a virtual cluster share: network, bus, directory, and who was the home."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from udpim.cluster.door import Door
from udpim.testing.clock import VirtualClock
from udpim.testing.cluster.bus import VirtualBus
from udpim.testing.cluster.directory import VirtualDirectory
from udpim.testing.faults import Profile
from udpim.testing.history import History
from udpim.testing.network import VirtualNetwork

BUS = Profile(delay_s=0.0002)
"""A bus without faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a cluster is made."""

    size: int = 2
    """How many processes."""
    lease_s: float = 1.0
    """See `udpim.Cluster`."""
    restore_s: float = 0.0
    """How long it takes to restore a node from the store."""
    bus: Profile = BUS
    """What the bus does to frames."""
    directory_fails: float = 0.0
    """Share of the directory's calls with which something is wrong."""


@dataclass(slots=True, kw_only=True)
class Meeting:
    """Where they meet."""

    network: VirtualNetwork
    history: History
    bus: VirtualBus
    directory: VirtualDirectory
    setup: Setup
    counters: Counter[str] = field(default_factory=Counter)
    """``homes fenced``: how often a home learnt from its store that it is none."""
    doors: list[Door] = field(default_factory=list)
    """One for each life."""
    roles: list[tuple[int, str, str]] = field(default_factory=list)
    """(order, host, words) of each change of the home."""

    @property
    def clock(self) -> VirtualClock:
        """Virtual time."""
        return self.network.clock
