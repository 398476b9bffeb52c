"""The disk that the processes of a virtual cluster share, behind the fence of PROTOCOL §8.2.

Each process has a view of its own. Every transaction through one, reads included, looks in the same
step whether the view's epoch still is the one that stands on the disk. On a database that is the
product's own `udpim.store.fence.Fence`, in the very transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from udpim.errors import StoreFenced
from udpim.im.records import ClientSnapshot, Op, QueueItems, ReadQueue, ServerSnapshot
from udpim.store.fence import Fence
from udpim.testing.sqlite_disk import NAME, SQLiteDisk
from udpim.testing.storage import Disk


class SharedDisk:
    """What the file holds.

    Attributes:
        disk: Its contents.
        fence: The epoch that stands in it, where its contents have no place for one.
    """

    def __init__(self, new_disk: Callable[[], Disk]) -> None:
        """Start empty."""
        self._new_disk = new_disk
        self.disk = new_disk()
        self.fence = 0

    def lose(self) -> None:
        """Somebody has put an empty one in its place."""
        self.disk = self._new_disk()
        self.fence = 0


class FencedDisk:
    """One process's view of a shared disk."""

    def __init__(self, shared: SharedDisk) -> None:
        """Have no epoch yet, so write nothing."""
        self._shared = shared
        self._fence: Fence | PlainFence = PlainFence(shared, -1)

    def raise_fence(self, epoch: int) -> None:
        """Become the home of this epoch.

        Raises:
            StoreFenced: If this one or a later one is there already.
        """
        disk = self._shared.disk
        self._fence = PlainFence(self._shared, epoch)
        if isinstance(disk, SQLiteDisk):
            self._fence = Fence(NAME, disk.connection("server"), epoch)
        self._fence.raise_it()

    def client_snapshot(self) -> ClientSnapshot:
        """See `udpim.store.base.Store.load_client`."""
        return self._shared.disk.client_snapshot()

    def server_snapshot(self) -> ServerSnapshot:
        """See `udpim.store.base.Store.load_server`."""
        return self._shared.disk.server_snapshot()

    def read_queue(self, request: ReadQueue) -> tuple[QueueItems, ...]:
        """See `udpim.store.base.Store.read_queue`.

        Raises:
            StoreFenced: The disk is another home's.
        """
        self._fence.check()
        return self._shared.disk.read_queue(request)

    def apply(self, ops: Sequence[Op]) -> None:
        """Do all operations or, with an error, none.

        Raises:
            StoreFenced: The disk is another home's.
            LocalProtocolError: One of them contradicts what is there.
        """
        disk = self._shared.disk
        if isinstance(disk, SQLiteDisk):
            disk.apply(ops, self._fence.check)
        else:
            self._fence.check()
            disk.apply(ops)

    def copy(self) -> Disk:
        """Return an independent disk with the same contents, which nobody shares."""
        return self._shared.disk.copy()


class PlainFence:
    """The fence of a disk that is no database: see `udpim.store.fence.Fence`."""

    def __init__(self, shared: SharedDisk, epoch: int) -> None:
        """Keep the epoch."""
        self._shared = shared
        self._epoch = epoch

    def raise_it(self) -> None:
        """See `Fence.raise_it`."""
        if self._found() >= self._epoch:
            raise self._fenced()
        self._shared.fence = self._epoch

    def check(self) -> None:
        """See `Fence.check`."""
        if self._found() != self._epoch:
            raise self._fenced()

    def _found(self) -> int:
        return self._shared.fence

    def _fenced(self) -> StoreFenced:
        found = self._shared.fence
        words = f"the home of epoch {found} has taken it over, this one had epoch {self._epoch}"
        return StoreFenced("a shared disk", words, found)
