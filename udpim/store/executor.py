"""Carry a node's effects to its store and the verdicts back: the same code for every surrounding.

Synchronous and free of asyncio, so that the sockets' driver and the virtual network run exactly
this. Between `run` and `complete` lies the time in which a promise waits (PROTOCOL §5.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from udpim.errors import StoreError
from udpim.im.records import Op, QueueItems, ReadQueue
from udpim.node.effects import Commit, Effect, ReadQueueItems
from udpim.store.base import Completion


class EffectNode(Protocol):
    """The side of a client or server node that the executor sees."""

    def next_effect(self) -> Effect | None:
        """Return the next effect, None when drained."""

    def on_commit_done(self, token: int, error: StoreError | None, now: float) -> None:
        """Take the verdict on a `Commit`."""

    def on_queue_read(self, token: int, items: tuple[QueueItems, ...], now: float) -> None:
        """Take the answer to a `ReadQueueItems`; empty also where the store could not read."""


class EffectStore(Protocol):
    """The side of a `udpim.store.base.Store` that the executor sees."""

    def submit(self, token: int, ops: Sequence[Op]) -> None:
        """Begin a transaction."""

    def read_queue(self, token: int, request: ReadQueue) -> None:
        """Begin a read."""

    def completed(self) -> list[Completion]:
        """Return what is done since the last call."""


class EffectExecutor:
    """Moves effects out of one node and completions into it.

    Contract: after every input of the node `settle`, or `run` and `complete` apart; and once
    more when the store wakes. Then drain the node's other outputs.
    """

    def __init__(
        self,
        node: EffectNode,
        store: EffectStore,
        handlers: Mapping[type, Callable[[Any], None]] | None = None,
    ) -> None:
        """Connect a node with its store.

        Args:
            node: Whose effects to carry out.
            store: Where commits and reads go.
            handlers: Who carries out the other effects, by the effect's class.
        """
        self._node = node
        self._store = store
        self._handlers = dict(handlers or {})
        self._reads: set[int] = set()

    def run(self) -> None:
        """Drain the node's effects: submit, ask, and call the handlers."""
        next_effect = self._node.next_effect
        while (effect := next_effect()) is not None:
            if isinstance(effect, Commit):
                self._store.submit(effect.token, effect.ops)
            elif isinstance(effect, ReadQueueItems):
                self._reads.add(effect.token)
                self._store.read_queue(effect.token, effect.request)
            else:
                self._handlers[type(effect)](effect)

    def complete(self, now: float) -> bool:
        """Hand the store's completions to the node; tell whether there were any."""
        completions = self._store.completed()
        if not completions:
            return False
        for token, error, items in completions:
            if token in self._reads:
                self._reads.remove(token)
                self._node.on_queue_read(token, items, now)
            else:
                self._node.on_commit_done(token, error, now)
        return True

    def settle(self, now: float) -> bool:
        """Run and complete until the node asks for nothing that can be had at once.

        Returns:
            Whether anything was completed.
        """
        any_completed = False
        self.run()
        while self.complete(now):
            any_completed = True
            self.run()
        return any_completed
