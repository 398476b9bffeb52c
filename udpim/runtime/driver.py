"""The one loop that drives a node on asyncio.

::

    burst, timer, store, commands ─► node ─► effects ─► datagrams ─► events ─► timer

Everything that happens in one turn of the event loop shares one pass through this chain: many
``send()`` calls share one transaction and one bundle of datagrams. The virtual network of
`udpim.testing` drives the same nodes through the same effect executor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from udpim.errors import ConnectionClosed, StoreError
from udpim.hop.codes import CloseCode
from udpim.im.records import QueueItems
from udpim.model import Address
from udpim.node.effects import Commit, Effect
from udpim.node.events import Event
from udpim.runtime.endpoint_base import Burst, Outlet
from udpim.store.base import Store
from udpim.store.executor import EffectExecutor, EffectNode

PASSES_MAX = 8
"""Passes in one turn while datagrams keep coming; then the rest of the loop has its turn."""

logger = logging.getLogger("udpim")


def internal_error(cause: Exception) -> ConnectionClosed:
    """Return what everybody who waits is told when a bug or a lost socket ends all work."""
    error = ConnectionClosed(CloseCode.PROTOCOL_ERROR, f"internal error: {cause!r}")
    error.__cause__ = cause
    return error


class Node(EffectNode, Protocol):
    """A client or server node, as far as the driver knows it."""

    def receive_datagrams(self, datagrams: Sequence[tuple[bytes, Address]], now: float) -> None:
        """Take one burst."""

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Return everything that may leave now."""

    def next_event(self) -> Event | None:
        """Return the next event, None when drained."""

    def next_timeout(self) -> float | None:
        """Return when `handle_timeout` has something to do."""


class Driver:
    """Drives one node.

    Contract: `attach` an endpoint, then `wake` after every command given to the node; `stop` ends
    it. If the node raises, that is a bug of ours: it is logged, and ``on_failure`` called once, so
    that nobody waits for ever.
    """

    def __init__(
        self,
        node: Node,
        store: Store,
        *,
        on_event: Callable[[Event], None],
        on_failure: Callable[[Exception], None],
        handlers: Mapping[type, Callable[[Any], None]] | None = None,
        before_turn: Callable[[], None] | None = None,
    ) -> None:
        """Connect a node with its store and the running event loop.

        Args:
            node: What to drive.
            store: Where its effects go.
            on_event: Takes its events.
            on_failure: Called once, if the node raises or the socket is lost.
            handlers: Who carries out effects that are not the store's, by class.
            before_turn: Called before each pass, to give commands that were collected.
        """
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._executor = EffectExecutor(self, store, handlers)
        self._on_event = on_event
        self._on_failure = on_failure
        self._before_turn = before_turn
        self._endpoint: Outlet | None = None
        self._turn: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._commits = 0
        self._stopped = False
        self._watches: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        store.set_wake(self._wake_from_store)

    def attach(self, endpoint: Outlet) -> None:
        """Name the endpoint; datagrams leave from now on."""
        self._endpoint = endpoint
        self.wake()

    def stop(self) -> None:
        """Touch the node no more."""
        self._stopped = True
        for handle in (self._turn, self._timer):
            if handle is not None:
                handle.cancel()
        for _, future in self._watches:
            future.cancel()

    @property
    def stopped(self) -> bool:
        """Whether the node may be touched no more."""
        return self._stopped

    # --- The node, as the executor sees it ---

    @property
    def commits_in_progress(self) -> int:
        """Transactions without a verdict."""
        return self._commits

    def next_effect(self) -> Effect | None:
        """Return the node's next effect."""
        effect = self._node.next_effect()
        if isinstance(effect, Commit):
            self._commits += 1
        return effect

    def on_commit_done(self, token: int, error: StoreError | None, now: float) -> None:
        """Tell the node the verdict on a transaction."""
        self._commits -= 1
        self._node.on_commit_done(token, error, now)

    def on_queue_read(self, token: int, items: tuple[QueueItems, ...], now: float) -> None:
        """Give the node the rows that it asked for."""
        self._node.on_queue_read(token, items, now)

    # --- Inputs ---

    def receive(self, burst: Burst) -> None:
        """Take a burst from the endpoint."""
        if self._stopped:
            return
        try:
            self._node.receive_datagrams(burst, self._loop.time())
        except Exception as error:
            self.fail(error)
        else:
            self.wake()

    def wake(self) -> None:
        """Have a pass in the next turn of the loop; many calls make one."""
        if self._turn is None and not self._stopped:
            self._turn = self._loop.call_soon(self._run)

    def _wake_from_store(self) -> None:
        """A transaction is complete; called by the store's thread."""
        self._loop.call_soon_threadsafe(self.wake)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        try:
            when = self._node.next_timeout()
            if when is not None and when <= now:
                self._node.handle_timeout(now)
        except Exception as error:
            self.fail(error)
        else:
            self.wake()

    # --- The turn ---

    def _run(self) -> None:
        self._turn = None
        try:
            self._pass()
        except Exception as error:
            self.fail(error)

    def _pass(self) -> None:
        node, now = self._node, self._loop.time()
        if self._before_turn is not None:
            self._before_turn()
        for _ in range(PASSES_MAX):
            self._executor.settle(now)
            if self._endpoint is None:
                break
            datagrams = node.datagrams_to_send(now)
            if not datagrams:
                break
            self._endpoint.send(datagrams)
        else:
            self.wake()
        while not self._stopped and (event := node.next_event()) is not None:
            self._on_event(event)
        if not self._stopped:
            self._arm(node.next_timeout())
            self._look()

    def _arm(self, when: float | None) -> None:
        """Keep a timer that is early: most deadlines move on before they come."""
        timer = self._timer
        if when is None or (timer is not None and timer.when() <= when):
            return
        if timer is not None:
            timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer)

    def fail(self, error: Exception) -> None:
        """A bug, or a lost socket: stop, and tell the owner."""
        if self._stopped:
            return
        logger.error("the driver stops", exc_info=error)
        self.stop()
        self._on_failure(error)

    def stats(self, drops: Mapping[str, int]) -> dict[str, Any]:
        """Return what the endpoint has counted, its drops beside those of the node."""
        endpoint = self._endpoint
        if endpoint is None:
            return {"commits_in_progress": self._commits, "endpoint": {}, "drops": dict(drops)}
        lost = {f"endpoint: {reason}": count for reason, count in endpoint.drops.items()}
        return {
            "commits_in_progress": self._commits,
            "endpoint": {"kind": endpoint.kind, **endpoint.stats()},
            "drops": {**drops, **lost},
        }

    # --- Waiting for a state of the node ---

    def _look(self) -> None:
        for watch in [watch for watch in self._watches if watch[0]()]:
            self._watches.remove(watch)
            if not watch[1].done():
                watch[1].set_result(None)

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until ``condition`` holds after a turn; tell whether it came true in time."""
        if self._stopped:
            return False
        watch = (condition, self._loop.create_future())
        self._watches.append(watch)
        self.wake()
        done, _ = await asyncio.wait([watch[1]], timeout=timeout_s)
        if watch in self._watches:
            self._watches.remove(watch)
        return bool(done) and not watch[1].cancelled()
