"""Several server processes in a virtual world: PROTOCOL §8, in virtual time and with its faults.

`VirtualCluster` (`processes`) has them all: each `member` is a process with a port, a role and,
while it is the home, a node (`home`) on the `disk` that all share. They meet at the `bus` and in
the `directory`. Door, frames, election, role and fence are the product's.
"""

from udpim.testing.cluster.meeting import Setup
from udpim.testing.cluster.member import Member
from udpim.testing.cluster.processes import VirtualCluster

__all__ = ["Member", "Setup", "VirtualCluster"]
