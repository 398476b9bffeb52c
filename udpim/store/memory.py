"""The store that forgets: transactions happen at once and die with the process.

A server on it never says STORED, and a client's inbox on it never says VOID (PROTOCOL §5.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from udpim.errors import LocalProtocolError, StoreError
from udpim.im.records import ClientSnapshot, Op, ReadQueue, ServerSnapshot
from udpim.store.base import Completion
from udpim.store.state import StoreState


class MemoryStore:
    """A `udpim.store.base.Store` in dicts; everything is complete when `submit` returns.

    Attributes:
        durable: False: nothing survives the process.
        path: ``:memory:``.
        state: What it holds; it may be handed to another store after `close`.
    """

    durable = False
    path = ":memory:"

    def __init__(self, state: StoreState | None = None) -> None:
        """Start empty, or with what another store held."""
        self.state = StoreState() if state is None else state
        self._completions: list[Completion] = []
        self._closed = False

    def load_client(self) -> ClientSnapshot:
        """See `Store.load_client`."""
        return self.state.client_snapshot()

    def load_server(self) -> ServerSnapshot:
        """See `Store.load_server`."""
        return self.state.server_snapshot()

    def submit(self, token: int, ops: Sequence[Op]) -> None:
        """See `Store.submit`."""
        if self._closed:
            raise LocalProtocolError("the store is closed")
        error = None
        try:
            self.state.apply(ops)
        except LocalProtocolError as conflict:
            error = StoreError(self.path, str(conflict))
        self._completions.append(Completion(token, error, ()))

    def read_queue(self, token: int, request: ReadQueue) -> None:
        """See `Store.read_queue`."""
        if self._closed:
            raise LocalProtocolError("the store is closed")
        self._completions.append(Completion(token, None, self.state.read_queue(request)))

    def completed(self) -> list[Completion]:
        """See `Store.completed`."""
        completions, self._completions = self._completions, []
        return completions

    def set_wake(self, wake: Callable[[], None]) -> None:
        """See `Store.set_wake`; nothing here ever completes later, so nobody is called."""

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True
