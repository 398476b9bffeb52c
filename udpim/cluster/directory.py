"""Who holds the sessions: the directory's interface.

A lease names the home. It is renewed by changing it, and runs out when a rival has seen no change
for the lease time on its own clock (`udpim.cluster.election`), so no two clocks are compared. The
epoch rises with every new home, and the store checks it (`udpim.store.fence`): two processes that
both believe in their lease are no danger, only one of them can promise anything. PROTOCOL §8.1.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Lease(NamedTuple):
    """What stands in the directory."""

    node: str
    """Name of the home on the bus; empty if it has given the lease back."""
    epoch: int
    """Fencing epoch, higher for every new home."""
    beats: int
    """How often this home has renewed it."""


class Directory(Protocol):
    """Knows the home of one store. Every method may block for as long as a disk does."""

    def look(self) -> Lease | None:
        """Return the lease, None if there never was one.

        Raises:
            StoreError: The directory cannot be read.
        """

    def claim(self, node: str, seen: Lease | None, least_epoch: int = 1) -> Lease | None:
        """Become the home, unless the lease is not what was seen any more.

        Args:
            node: Who wants it.
            seen: What `look` returned when the decision was made.
            least_epoch: The epoch must not be lower, for the store has seen the one before.

        Returns:
            The new lease, None if somebody was quicker.

        Raises:
            StoreError: The directory cannot be written.
        """

    def renew(self, lease: Lease) -> Lease | None:
        """Show that the home lives.

        Returns:
            The lease as it now stands, None if it is another's.

        Raises:
            StoreError: The directory cannot be written.
        """

    def release(self, lease: Lease) -> None:
        """Give it back, if it still is ours; a rival need not wait then.

        Raises:
            StoreError: The directory cannot be written.
        """

    def close(self) -> None:
        """Leave the lease as it is, and let go of the directory."""
