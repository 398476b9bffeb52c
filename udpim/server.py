"""The server as applications see it: `Server`, and what `Server.listen` gives.

Stands on the driver and a server node: datagrams → node → store, other sessions, hooks.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Self

from udpim.config import Limits, ServerConfig
from udpim.errors import ConfigError, ConnectionClosed, Error, GroupRefused, StoreFull
from udpim.groups import check_group
from udpim.hooks import (
    AuthenticateHook,
    HookChoice,
    Hooks,
    KnownUserHook,
    MaySeeHook,
    MaySendHook,
    MembershipHook,
    OfflineHook,
)
from udpim.hop.codes import CloseCode
from udpim.hop.config import HopConfig
from udpim.inspecting import MessageHook
from udpim.model import Address, GroupAction, GroupCode
from udpim.node.events import Event, StoreFailed
from udpim.node.server import ServerNode
from udpim.node.stats import server_stats
from udpim.ranges import Range
from udpim.runtime.driver import Driver
from udpim.runtime.endpoint import format_address, open_endpoint, resolve
from udpim.runtime.endpoint_base import DatagramEndpoint
from udpim.runtime.settings import (
    DEFAULT_PORT,
    StoreChoice,
    check_name,
    check_port,
    check_security,
    close_store,
    open_store,
)
from udpim.store.base import Store

logger = logging.getLogger("udpim")


class Server:
    """What a server does; `listen` starts it."""

    def __init__(
        self,
        *,
        authenticate: AuthenticateHook | None = None,
        open_to_all: bool = False,
        store: StoreChoice = None,
        security: str | None = None,
        on_offline: OfflineHook | None = None,
        membership: MembershipHook | None = None,
        known_user: KnownUserHook | None = None,
        may_see: MaySeeHook | None = None,
        may_send: MaySendHook | None = None,
        on_message: MessageHook | None = None,
        close_timeout: float = 5.0,
        login_timeout: float = 10.0,
        limits: Limits | None = None,
        hop: HopConfig | None = None,
    ) -> None:
        """Say what it does.

        Args:
            authenticate: Decides on a login; may be a coroutine function. If it raises, the
                client is told to come again later (BUSY), and the error is logged.
            open_to_all: Let everybody in under any name that they give; instead of a hook.
            store: File of users, devices and offline messages, a store that the caller owns, or
                None for memory: then nothing is ever STORED, and a restart forgets the queues.
            security: Must be "plain" until there is encryption.
            on_offline: Told when messages were stored for a device that is away: the place for a
                push service. May be a coroutine function.
            known_user: Whether a user who never logged in exists; such a recipient's messages wait
                at their senders, anybody else's are REJECTED. None: only who has logged in exists.
            membership: Decides on requests about groups; may be a coroutine function. If it raises,
                the client is told to come again later. None: everybody may create a group, join,
                leave, and list their own; members may add others and list a group's; the creator
                may remove others.
            may_see: Decides whether somebody may know which devices of a user are online; may be a
                coroutine function. None: everybody of themselves, and nobody of others. A reason
                in words is logged and goes no further; a hook that raises is a no.
            may_send: Decides whether a device may write to a conversation; may be a coroutine
                function. Asked for its first message, and a minute later again. If it raises, the
                messages come again later; what it says no to is REJECTED as FORBIDDEN.
            on_message: Decides on each message before it is routed, see `MessageHook`.
            close_timeout: How long closing may wait for the store, seconds.
            login_timeout: How long a connection may stay without a login, seconds.
            limits: How much this server may hold: sessions, queues, payloads, connections.
            hop: Times of the connections.

        Raises:
            ConfigError: If an argument is wrong.
        """
        check_security(security)
        if authenticate is None and not open_to_all:
            raise ConfigError("a server needs an authenticate hook, or open_to_all=True")
        if authenticate is not None and open_to_all:
            raise ConfigError("open_to_all=True would leave the authenticate hook unasked")
        if close_timeout < 0 or login_timeout <= 0:
            raise ConfigError("timeouts must not be negative, and login_timeout not zero")
        self.store = store
        self.hooks = HookChoice(
            authenticate=authenticate,
            on_offline=on_offline,
            membership=membership,
            known_user=known_user,
            may_see=may_see,
            may_send=may_send,
            on_message=on_message,
        )
        self.close_timeout_s = close_timeout
        self.config = ServerConfig(limits=limits or Limits(), login_s_max=login_timeout)
        self.hop = hop

    def listen(self, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> Listening:
        """Open the store and the port: ``async with server.listen(…) as listening``.

        Args:
            host: Address of this machine, or a name for one; "0.0.0.0" or "::" for all.
            port: 0 for any free one.

        Raises:
            ConfigError: If the port is out of range. What else goes wrong is raised when the
                result is awaited or entered: ConfigError (port in use), ConnectError, StoreError.
        """
        return Listening(self, host, check_port(port, least=0))


class Listening:
    """A server at work."""

    def __init__(self, server: Server, host: str, port: int) -> None:
        """Made by `Server.listen`."""
        self._server = server
        self._host = host
        self._port = port
        self._store: Store | None = None
        self._endpoint: DatagramEndpoint | None = None
        self._node: ServerNode | None = None
        self._driver: Driver | None = None
        self._hooks: Hooks | None = None
        self._closing: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._error: Error | None = None
        self._changing: set[asyncio.Future[bool]] = set()
        """Changes of groups that are not durable yet."""

    # --- Beginning and end ---

    async def _start(self) -> Self:
        if self._store is not None:
            raise ConfigError("this has been started before; call listen again")
        loop = asyncio.get_running_loop()
        server = self._server
        self._hooks = hooks = Hooks(server.hooks, self)
        family, where = await resolve(self._host, self._port)
        self._store = await open_store(server.store, "server")
        try:
            snapshot = await asyncio.to_thread(self._store.load_server)
            self._node = ServerNode(
                server.config,
                snapshot,
                durable=self._store.durable,
                random_bytes=os.urandom,
                known_user=hooks.is_known,
                wall_ms=lambda: time.time_ns() // 1_000_000,
                hop_config=server.hop,
                asks=server.hooks.asks(),
            )
            self._driver = Driver(
                self._node,
                self._store,
                on_event=self._on_event,
                on_failure=self._on_failure,
                handlers=hooks.handlers(),
            )
            self._loop = loop
            self._endpoint = await open_endpoint(
                family, where, on_burst=self._driver.receive, on_lost=self._driver.fail
            )
        except BaseException:
            if self._driver is not None:
                self._driver.stop()
            await close_store(self._store, server.store)
            raise
        self._driver.attach(self._endpoint)
        return self

    def __await__(self) -> Generator[object, None, Self]:
        """Start it."""
        return self._start().__await__()

    async def __aenter__(self) -> Self:
        """Start it."""
        return await self._start()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it, see `close`."""
        await self.close()

    @property
    def address(self) -> Address:
        """Host and port that it listens on."""
        return self._started().address

    def _started(self) -> DatagramEndpoint:
        if self._endpoint is None:
            raise ConfigError("not listening yet: await it, or use `async with`")
        return self._endpoint

    async def serve_forever(self) -> None:
        """Return when it is closed.

        Raises:
            StoreError: It had to stop, for its store failed.
            ConnectionClosed: It had to stop for another reason.
        """
        self._started()
        await self._over.wait()
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        """Say goodbye, put what is unreceipted into the queues, and commit.

        Calling it again waits for the same end; cancelling the call does not stop the closing.
        """
        self._started()
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        driver, node, store, hooks = self._driver, self._node, self._store, self._hooks
        assert driver is not None, "started"
        assert node is not None, "started"
        assert store is not None, "started"
        assert hooks is not None, "started"
        try:
            if self._error is None:
                node.shutdown(self._loop.time())
                await driver.wait_until(
                    lambda: driver.commits_in_progress == 0, self._server.close_timeout_s
                )
        finally:
            driver.stop()
            hooks.cancel()
            self._end_changes()
            await self._started().close()
            await close_store(store, self._server.store)
            self._over.set()

    def _end_changes(self) -> None:
        """Nobody will learn whether these are durable."""
        for change in list(self._changing):
            _settle(change, False)

    def _fail(self, error: Error) -> None:
        """Stop serving: what we promise from now on could not be kept."""
        if self._error is None:
            self._error = error
            self._over.set()
            self._end_changes()
            if self._driver is not None:
                self._driver.stop()

    def _on_failure(self, error: Exception) -> None:
        failure = ConnectionClosed(CloseCode.PROTOCOL_ERROR, f"internal error: {error!r}")
        failure.__cause__ = error
        self._fail(failure)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, StoreFailed):
            logger.error("%s: %s", format_address(self.address), event.error)
            if not isinstance(event.error, StoreFull):
                self._fail(event.error)

    # --- Groups of its own ---

    async def create_group(self, group: str, owner: str) -> None:
        """Create a group on the server's own behalf; no hook is asked.

        Args:
            group: Its name: "#" and at least one more character, at most 32 bytes in all.
            owner: The first member, who may remove others where there is no membership hook.

        Raises:
            GroupRefused: There is one of another owner, the user is unknown, there is no room, or
                the store did not take it (BUSY).
            ConfigError: A name is none.
        """
        await self._change_group(GroupAction.CREATE, group, owner)

    async def add_member(self, group: str, user: str) -> None:
        """Make a user a member; returns when it is durable, and raises like `create_group`."""
        await self._change_group(GroupAction.JOIN, group, user)

    async def remove_member(self, group: str, user: str) -> None:
        """Make a user a member no more; raises like `create_group`.

        What was sent before and has not arrived there will not come any more.
        """
        await self._change_group(GroupAction.LEAVE, group, user)

    def members(self, group: str) -> tuple[str, ...]:
        """Return the users who belong to a group, none if there is no such group."""
        self._started()
        assert self._node is not None, "started"
        known = self._node.router.groups.get(check_group(group))
        return () if known is None else tuple(known.users)

    async def _change_group(self, action: GroupAction, group: str, user: str) -> None:
        self._started()
        assert self._node is not None, "started"
        assert self._driver is not None, "started"
        if self._closing is not None or self._error is not None:
            raise self._error or ConnectionClosed(CloseCode.SHUTDOWN, "the server is closed")
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

    # --- What the hooks say ---

    def _tell(self, say: Callable[[ServerNode, float], None]) -> None:
        assert self._node is not None, "started"
        assert self._driver is not None, "started"
        if self._closing is None and self._error is None:
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

    def inspected(self, token: int, rejected: Sequence[Range], failed: Sequence[Range]) -> None:
        """Give the verdict on messages to the node; `udpim.hooks` does it."""
        self._tell(lambda node, now: node.on_inspected(token, rejected, failed, now))

    # --- Looking at it ---

    def stats(self) -> dict[str, Any]:
        """Return all counters, and how full the tables are now; README explains every key.

        Those of the hop are of all connections so far, its tables of the present ones.
        """
        self._started()
        assert self._node is not None, "started"
        assert self._driver is not None, "started"
        stats = server_stats(self._node)
        assert self._hooks is not None, "started"
        stats["hooks_running"] = len(self._hooks)
        return stats | self._driver.stats(stats["drops"])


def _settle(change: asyncio.Future[bool], ok: bool) -> None:
    if not change.done():
        change.set_result(ok)
