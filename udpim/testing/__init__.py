"""Fault testing in virtual time: clock, network, disks, whole worlds, and the oracle (public)."""

from udpim.testing.clock import VirtualClock
from udpim.testing.faults import Drop, Loss, Profile, blackout
from udpim.testing.history import History
from udpim.testing.network import VirtualNetwork
from udpim.testing.nodes import Sent, VirtualClient, VirtualServer
from udpim.testing.oracle import Oracle, Violated
from udpim.testing.storage import VirtualStore
from udpim.testing.world import World

__all__ = [
    "Drop",
    "History",
    "Loss",
    "Oracle",
    "Profile",
    "Sent",
    "Violated",
    "VirtualClient",
    "VirtualClock",
    "VirtualNetwork",
    "VirtualServer",
    "VirtualStore",
    "World",
    "blackout",
]
