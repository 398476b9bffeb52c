"""Virtual storage: what is submitted is pending until it is synced, and a crash loses the pending.

`VirtualStore` is a `udpim.store.base.Store`. Its disk outlives the process: after `crash` the next
process loads what was committed. A memory store (``durable=False``) is done at once and loses all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from udpim.errors import LocalProtocolError, StoreError, StoreFenced, StoreFull
from udpim.im.records import ClientSnapshot, Op, QueueItems, ReadQueue, ServerSnapshot
from udpim.store.base import Completion
from udpim.store.state import StoreState
from udpim.testing.clock import VirtualClock


class _Request(NamedTuple):
    token: int
    ops: tuple[Op, ...]
    read: ReadQueue | None
    error: StoreError | None
    """What the disk will answer."""
    lands: bool
    """Whether the transaction happens in spite of an error: an fsync that failed late."""


class _Hook(NamedTuple):
    op_type: type
    durable: bool
    action: Callable[[], None]


class Disk(Protocol):
    """What a disk holds."""

    def client_snapshot(self) -> ClientSnapshot:
        """See `udpim.store.base.Store.load_client`."""

    def server_snapshot(self) -> ServerSnapshot:
        """See `udpim.store.base.Store.load_server`."""

    def apply(self, ops: Sequence[Op]) -> None:
        """Do all operations or, with a LocalProtocolError, none."""

    def read_queue(self, request: ReadQueue) -> tuple[QueueItems, ...]:
        """See `udpim.store.base.Store.read_queue`."""

    def copy(self) -> Disk:
        """Return an independent disk with the same contents."""


@runtime_checkable
class MortalDisk(Disk, Protocol):
    """A disk on which it matters when a process dies: it may be in the midst of writing."""

    def die(self, waiting: Sequence[Sequence[Op]]) -> int:
        """End the process, and perhaps the power, while these transactions wait.

        Returns:
            How many of them, the oldest first, the disk holds all the same.
        """


class VirtualStore:
    """One disk, or one process's memory.

    Attributes:
        new_disk: Makes an empty disk; `udpim.testing.sqlite_disk` has another kind, and
            `udpim.testing.power.disk` one that suffers from losses of power.
        durable: Whether a commit survives a crash.
        path: A name for error messages.
        sync_s: How long a transaction stays pending.
        observe: Called with the operations of each transaction at the moment it is durable.
        meddle: Called when a transaction becomes pending, and when it is durable and nobody was
            told: the place for a crash at random.
    """

    new_disk: ClassVar[type[Disk]] = StoreState

    def __init__(
        self,
        clock: VirtualClock,
        path: str,
        *,
        durable: bool = True,
        sync_s: float = 0.002,
        new_disk: Callable[[], Disk] | None = None,
    ) -> None:
        """Start with an empty disk.

        Args:
            clock: Of the world.
            path: See the class.
            durable: See the class.
            sync_s: See the class.
            new_disk: Makes this store's disks, where they are not of the usual kind.
        """
        self.durable = durable
        self.path = path
        self.sync_s = sync_s
        self.observe: Callable[[Sequence[Op]], None] = lambda ops: None
        self.meddle: Callable[[], None] = lambda: None
        self._clock = clock
        self._new_disk = new_disk or self.new_disk
        self._disk = self._new_disk()
        self._pending: deque[_Request] = deque()
        self._completions: list[Completion] = []
        self._wake: Callable[[], None] = lambda: None
        self._chained = False
        self._broken: StoreError | None = None
        self._life = 0
        self._done_at = 0.0
        self._frozen = False
        self._overdue = 0
        self._hooks: list[_Hook] = []
        self._failures: deque[tuple[StoreError, bool]] = deque()

    # --- The Store interface ---

    def load_client(self) -> ClientSnapshot:
        """See `udpim.store.base.Store.load_client`."""
        self._chained = True
        return self._disk.client_snapshot()

    def load_server(self) -> ServerSnapshot:
        """See `udpim.store.base.Store.load_server`."""
        return self._disk.server_snapshot()

    def submit(self, token: int, ops: Sequence[Op]) -> None:
        """See `udpim.store.base.Store.submit`."""
        error, lands = self._failures.popleft() if self._failures else (None, True)
        self._enter(_Request(token, tuple(ops), None, error, lands))

    def read_queue(self, token: int, request: ReadQueue) -> None:
        """See `udpim.store.base.Store.read_queue`."""
        self._enter(_Request(token, (), request, None, True))

    def completed(self) -> list[Completion]:
        """See `udpim.store.base.Store.completed`."""
        completions = self._completions
        if completions:
            self._completions = []
        return completions

    def set_wake(self, wake: Callable[[], None]) -> None:
        """See `udpim.store.base.Store.set_wake`."""
        self._wake = wake

    def close(self) -> None:
        """See `udpim.store.base.Store.close`."""
        while self._pending:
            self._finish()

    # --- What a test can do to a disk ---

    @property
    def pending(self) -> int:
        """Transactions and reads that are not done."""
        return len(self._pending)

    def on_submit(self, op_type: type, action: Callable[[], None]) -> None:
        """Call ``action`` once, when a transaction with such an operation becomes pending."""
        self._hooks.append(_Hook(op_type, False, action))

    def on_durable(self, op_type: type, action: Callable[[], None]) -> None:
        """Call ``action`` once, when such an operation is durable and nobody was told yet."""
        self._hooks.append(_Hook(op_type, True, action))

    def fail(self, error: StoreError | None = None, *, lands: bool = False) -> None:
        """Let the next transaction fail.

        Args:
            error: With what; None for a full disk.
            lands: Whether it happens all the same, as after a failed fsync.
        """
        self._failures.append((error or StoreFull(self.path, "no room left"), lands))

    def heal(self) -> None:
        """No more failures are to come."""
        self._failures.clear()
        self.meddle = lambda: None

    def freeze(self) -> None:
        """Its process stands still, with its writer: nothing more is done until `thaw`."""
        self._frozen = True

    def thaw(self) -> None:
        """Do what was due while it was frozen."""
        self._frozen = False
        life, overdue, self._overdue = self._life, self._overdue, 0
        for _ in range(overdue):
            if self._life == life and self._pending:
                self._finish()
        if overdue and self._life == life:
            self._wake()

    def crash(self, *, landing: int = 0) -> None:
        """The process dies: pending transactions are lost, memory is forgotten.

        Args:
            landing: How many of the oldest pending transactions still reach the disk, untold.
        """
        pending = list(self._pending)
        for request in pending[:landing]:
            self._apply(request)
        if self.durable and isinstance(self._disk, MortalDisk):
            waiting = [r.ops for r in pending[landing:] if r.read is None and r.lands]
            for ops in waiting[: self._disk.die(waiting)]:
                self.observe(ops)
        self._pending.clear()
        self._completions.clear()
        self._hooks.clear()
        self._failures.clear()
        self._broken = None
        self._frozen, self._overdue = False, 0
        self._life += 1
        if not self.durable:
            self._disk = self._new_disk()

    def lose_disk(self) -> None:
        """The disk is replaced by an empty one. Only between two processes."""
        self._disk = self._new_disk()

    def backup(self) -> Disk:
        """Return a copy of what is committed."""
        return self._disk.copy()

    def restore(self, backup: Disk) -> None:
        """Put an old copy back. Only between two processes."""
        self._disk = backup.copy()

    # --- Private ---

    def _enter(self, request: _Request) -> None:
        life = self._life
        self._pending.append(request)
        self._fire(request, durable=False)
        if self._life != life:
            return
        if not self.durable:
            self._finish()
            return
        self._done_at = max(self._done_at, self._clock.now + self.sync_s)

        def synced() -> None:
            if self._life == life and self._frozen:
                self._overdue += 1
            elif self._life == life and self._pending and self._pending[0] is request:
                self._finish()
                if self._life == life:
                    self._wake()

        self._clock.call_at(self._done_at, synced)

    def _finish(self) -> None:
        """The oldest request is done."""
        request = self._pending.popleft()
        life = self._life
        completion = self._apply(request)
        self._fire(request, durable=True)
        if self._life == life:
            self._completions.append(completion)

    def _apply(self, request: _Request) -> Completion:
        if request.read is not None:
            try:
                return Completion(request.token, None, self._disk.read_queue(request.read))
            except StoreFenced as fenced:
                self._broken = fenced
        error = request.error
        if self._broken is not None:
            return Completion(request.token, self._broken, ())
        # Where the outcome is open nothing more is promised, and a client's rest on each other.
        if error is not None and (self._chained or request.lands):
            self._broken = StoreError(self.path, "an earlier write failed, open the store again")
        if request.lands:
            try:
                self._disk.apply(request.ops)
                self.observe(request.ops)
            except StoreFenced as fenced:
                self._broken = error = fenced
            except LocalProtocolError as conflict:
                error = StoreError(self.path, str(conflict))
        return Completion(request.token, error, ())

    def _fire(self, request: _Request, *, durable: bool) -> None:
        types = {type(op) for op in request.ops}
        for hook in list(self._hooks):
            if hook.durable is durable and hook.op_type in types and hook in self._hooks:
                self._hooks.remove(hook)
                hook.action()
        if request.ops:
            self.meddle()
