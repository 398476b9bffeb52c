"""What every store can do: keep transactions in order, give them back at start, read the queue.

The effect executor (`udpim.store.executor`) submits what a node asks for and brings the verdicts
back; the node promises nothing before that (PROTOCOL §5.2). Transactions are applied in the order
in which they were submitted, each whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from udpim.errors import StoreError
from udpim.im.records import ClientSnapshot, Op, QueueItems, ReadQueue, ServerSnapshot


class Completion(NamedTuple):
    """The verdict on one transaction, or the answer to one `ReadQueue`."""

    token: int
    error: StoreError | None
    """Why nothing of the transaction can be promised, or None: it is done."""
    items: tuple[QueueItems, ...]
    """What a read brought; empty for a transaction."""


class Store(Protocol):
    """Where promises become durable.

    Contract: the load methods once at start; then `submit` and `read_queue`, which never block
    and never raise for what a disk does; `completed` after each turn and whenever woken.

    A client's transactions rest on each other: an outbox row is nothing without the one before it.
    So when one has failed after `load_client`, all later ones fail until the store is opened again.
    A server's each stand for themselves.
    """

    @property
    def durable(self) -> bool:
        """Whether a commit survives a crash of the process and of the machine."""

    @property
    def path(self) -> str:
        """The store's file, for error messages; ``:memory:`` where there is none."""

    def load_client(self) -> ClientSnapshot:
        """Return everything that a client needs to go on; blocks."""

    def load_server(self) -> ServerSnapshot:
        """Return everything that a server needs to go on; blocks."""

    def submit(self, token: int, ops: Sequence[Op]) -> None:
        """Make these operations durable in one transaction.

        Args:
            token: Comes back in the `Completion`.
            ops: Not changed by the caller any more.

        Raises:
            LocalProtocolError: If the store is closed.
        """

    def read_queue(self, token: int, request: ReadQueue) -> None:
        """Read offline queue rows, after every transaction submitted before.

        Streams without a row that was wanted are left out of the answer.

        Raises:
            LocalProtocolError: If the store is closed.
        """

    def completed(self) -> list[Completion]:
        """Return the completions since the last call, in the order of submission."""

    def set_wake(self, wake: Callable[[], None]) -> None:
        """Name what to call when `completed` may have something.

        It is called from any thread, and not for what is complete when `submit` or `read_queue`
        returns: whoever submits also asks `completed` afterwards.
        """

    def close(self) -> None:
        """Commit everything submitted, then close. `completed` can still be asked."""
