"""One life of a server node: on an opened store, with its hooks and its driver.

Between `udpim.server`, which has the port, and the node: whoever listens starts one when it is to
serve, gives it what arrives, and stops it. Of several processes on one store only the home has one
(`udpim.clustering`), and after each change of the home it is a new one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from udpim.config import ServerConfig
from udpim.crypto.noise.suites import KeyPair
from udpim.errors import ConnectionClosed, Error, GroupRefused
from udpim.groups import check_group
from udpim.hooks import Admitted, HookChoice, Hooks
from udpim.hop.codes import CloseCode
from udpim.hop.config import HopConfig
from udpim.im.records import ServerSnapshot
from udpim.model import GroupAction, GroupCode
from udpim.node.effects import Verdicts
from udpim.node.events import Event, StoreFailed
from udpim.node.server import ServerNode
from udpim.node.stats import server_stats
from udpim.runtime.driver import Driver, internal_error
from udpim.runtime.endpoint_base import Burst, DatagramEndpoint, Outlet
from udpim.runtime.keys import load_with_key
from udpim.runtime.protection import server_hop
from udpim.runtime.settings import (
    Secrets,
    StoreChoice,
    check_name,
    close_store,
    open_store,
)
from udpim.store.base import Store

logger = logging.getLogger("udpim")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What `udpim.Server` was told."""

    config: ServerConfig
    hooks: HookChoice
    store: StoreChoice
    hop: HopConfig | None
    close_timeout_s: float
    secrets: Secrets


class Serving:
    """A server node at work."""

    def __init__(
        self,
        settings: ServerSettings,
        store: Store,
        snapshot: ServerSnapshot,
        name: str,
        key: KeyPair | None,
    ) -> None:
        """Made by `Serving.start`."""
        self._settings = settings
        self.key = key
        """By which clients know the server; None in plain text."""
        self._store = store
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._hooks = Hooks(settings.hooks, self)
        self._node = ServerNode(
            settings.config,
            snapshot,
            durable=store.durable,
            random_bytes=os.urandom,
            known_user=self._hooks.is_known,
            wall_ms=lambda: time.time_ns() // 1_000_000,
            hop_config=server_hop(settings.hop, key, settings.secrets),
            asks=settings.hooks.asks(),
        )
        self._driver = Driver(
            self._node,
            store,
            on_event=self._on_event,
            on_failure=self._on_failure,
            handlers=self._hooks.handlers(),
        )
        self._error: Error | None = None
        self._stopping = False
        self._over = asyncio.Event()
        self._changing: set[asyncio.Future[bool]] = set()
        """Changes of groups that are not durable yet."""

    @classmethod
    async def start(cls, settings: ServerSettings, name: str, fence: int | None = None) -> Self:
        """Open the store, and restore the node from it.

        Args:
            settings: What the server was told.
            name: What it is called in the log.
            fence: The epoch of the home of a shared store, None where nobody shares it.

        Raises:
            StoreFenced: A home of this epoch or a later one has been there.
            StoreError: The store cannot be used.
        """
        store = await open_store(settings.store, "server", fence)
        try:
            snapshot, key = await asyncio.to_thread(
                load_with_key,
                store,
                store.load_server,
                settings.secrets.key,
                encrypted=settings.secrets.security == "require",
            )
            return cls(settings, store, snapshot, name, key)
        except BaseException:
            await close_store(store, settings.store)
            raise

    # --- Beginning and end ---

    def attach(self, outlet: Outlet) -> None:
        """Name where datagrams leave; until then none does."""
        self._driver.attach(outlet)

    def receive(self, burst: Burst) -> None:
        """Take a burst of datagrams."""
        self._driver.receive(burst)

    async def wait(self) -> None:
        """Return when it is stopped.

        Raises:
            StoreError: It had to stop, for its store failed.
            ConnectionClosed: It had to stop for another reason.
        """
        await self._over.wait()
        if self._error is not None:
            raise self._error

    async def stop(self, *, goodbye: bool) -> None:
        """Stop it, and close its store. Not to be called twice.

        Args:
            goodbye: Tell the clients, put what is unreceipted into the queues, and commit.
        """
        self._stopping = True
        driver = self._driver
        try:
            if goodbye and self._error is None:
                self._node.shutdown(self._loop.time())
                await driver.wait_until(
                    lambda: driver.commits_in_progress == 0, self._settings.close_timeout_s
                )
        finally:
            driver.stop()
            self._hooks.cancel()
            self._end_changes()
            await close_store(self._store, self._settings.store)
            self._over.set()

    def fail(self, error: Exception) -> None:
        """Stop serving: what it promises from now on could not be kept."""
        self._driver.fail(error)

    def _end_changes(self) -> None:
        """Nobody will learn whether these are durable."""
        for change in list(self._changing):
            _settle(change, False)

    def _fail(self, error: Error) -> None:
        if self._error is None:
            self._error = error
            self._over.set()
            self._end_changes()
            self._driver.stop()

    def _on_failure(self, error: Exception) -> None:
        self._fail(internal_error(error))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, StoreFailed):
            logger.error("%s: %s", self._name, event.error)
            if event.is_final:
                self._fail(event.error)

    # --- Groups of its own ---

    def members(self, group: str) -> tuple[str, ...]:
        """See `udpim.server.Listening.members`."""
        known = self._node.router.groups.get(check_group(group))
        return () if known is None else tuple(known.users)

    async def change_group(self, action: GroupAction, group: str, user: str) -> None:
        """Change a group on the server's own behalf; returns when that is durable.

        Raises:
            GroupRefused: See `udpim.server.Listening.create_group`.
            ConnectionClosed: It is stopped.
            StoreError: It is stopped, for its store failed.
        """
        self._check_serves()
        check_group(group)
        check_name("user", user)
        durable: asyncio.Future[bool] = self._loop.create_future()
        self._changing.add(durable)
        durable.add_done_callback(self._changing.discard)
        code = self._node.change_group(action, group, user, lambda ok: _settle(durable, ok))
        self._driver.wake()
        if code is GroupCode.DONE and not await durable:
            code = GroupCode.BUSY
        if code is not GroupCode.DONE:
            durable.cancel()
            raise GroupRefused(group, code, code.name.lower().replace("_", " "))

    def _check_serves(self) -> None:
        if self._stopping or self._error is not None:
            raise self._error or ConnectionClosed(CloseCode.SHUTDOWN, "the server is closed")

    # --- Who may go on ---

    def revoke(self, is_over: Callable[[Admitted], bool], reason: str) -> int:
        """End sessions and logins on their way; tell how many.

        Raises:
            ConnectionClosed: It is stopped.
            StoreError: It is stopped, for its store failed.
        """
        self._check_serves()
        count = self._node.revoke(
            lambda proof: is_over(Admitted.by(proof)),
            reason.encode(errors="replace").decode(),
            self._loop.time(),
        )
        self._driver.wake()
        return count

    # --- What the hooks say ---

    def _tell(self, say: Callable[[ServerNode, float], None]) -> None:
        if not self._stopping and self._error is None:
            say(self._node, self._loop.time())
            self._driver.wake()

    def authenticated(self, token: int, refusal: str | None, *, busy: bool) -> None:
        """Give a login's verdict to the node; `udpim.hooks` does it."""
        self._tell(lambda node, now: node.on_authenticated(token, refusal, now, busy=busy))

    def authorize_group(self, token: int, *, allowed: bool | None) -> None:
        """Give the verdict on a request about groups to the node; `udpim.hooks` does it."""
        self._tell(lambda node, now: node.on_group_authorized(token, allowed, now))

    def may_see(self, token: int, *, allowed: bool) -> None:
        """Give the verdict on a question about presence to the node; `udpim.hooks` does it."""
        self._tell(lambda node, now: node.on_may_see(token, now, allowed=allowed))

    def may_send(self, token: int, *, allowed: bool | None) -> None:
        """Give the verdict on who may write where to the node; `udpim.hooks` does it."""
        self._tell(lambda node, now: node.on_may_send(token, now, allowed=allowed))

    def inspected(self, token: int, verdicts: Verdicts) -> None:
        """Give the verdicts on messages to the node; `udpim.hooks` does it."""
        self._tell(lambda node, now: node.on_inspected(token, verdicts, now))

    # --- Looking at it ---

    def stats(self) -> dict[str, Any]:
        """Return the counters of node, hooks, driver and endpoint."""
        stats = server_stats(self._node)
        stats["hooks_running"] = len(self._hooks)
        return stats | self._driver.stats(stats["drops"])


class Work(Protocol):
    """What a listening server does with what arrives: alone, or as one of several."""

    def receive(self, burst: Burst) -> None:
        """Take a burst of datagrams."""

    def fail(self, error: Exception) -> None:
        """The port is lost."""

    def attach(self, endpoint: DatagramEndpoint) -> None:
        """The port is open; begin."""

    def serving(self) -> Serving:
        """Return the node at work here.

        Raises:
            NotHome: It is in another process.
        """

    def stats(self) -> dict[str, Any]:
        """Return all counters."""

    async def wait(self) -> None:
        """Return when it is stopped; raise why it had to stop."""

    async def stop(self) -> None:
        """Say goodbye, commit, and close the store."""


class Alone:
    """`Work` of the only process on its store."""

    def __init__(self, serving: Serving) -> None:
        """Made by `Alone.start`."""
        self._serving = serving
        self.receive = serving.receive
        self.fail = serving.fail
        self.attach = serving.attach
        self.stats = serving.stats
        self.wait = serving.wait

    @classmethod
    async def start(cls, settings: ServerSettings, name: str) -> Self:
        """Open the store.

        Raises:
            StoreError: The store cannot be used.
        """
        return cls(await Serving.start(settings, name))

    def serving(self) -> Serving:
        """Return the node at work."""
        return self._serving

    async def stop(self) -> None:
        """Say goodbye, commit, and close the store."""
        await self._serving.stop(goodbye=True)


def _settle(change: asyncio.Future[bool], ok: bool) -> None:
    if not change.done():
        change.set_result(ok)
