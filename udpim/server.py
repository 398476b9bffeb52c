"""The server as applications see it: `Server`, and what `Server.listen` gives.

Has the port; the work behind it is `udpim.serving`'s, for one process alone or for one of several
(`udpim.clustering`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self

from udpim.clustering import Cluster, Clustered
from udpim.config import RETIRE_AFTER_S, Limits, ServerConfig
from udpim.errors import ConfigError
from udpim.hooks import (
    Admitted,
    AuthenticateHook,
    HookChoice,
    KnownUserHook,
    MaySeeHook,
    MaySendHook,
    MembershipHook,
    OfflineHook,
)
from udpim.hop.config import HopConfig
from udpim.inspecting import MessageHook
from udpim.model import Address, GroupAction
from udpim.runtime.endpoint import format_address, open_endpoint, resolve
from udpim.runtime.endpoint_base import DatagramEndpoint
from udpim.runtime.keys import format_key
from udpim.runtime.settings import DEFAULT_PORT, StoreChoice, check_port, check_secrets
from udpim.serving import Alone, ServerSettings, Work


class Server:
    """What a server does; `listen` starts it."""

    def __init__(
        self,
        *,
        authenticate: AuthenticateHook | None = None,
        open_to_all: bool = False,
        store: StoreChoice = None,
        security: str = "require",
        key: str | os.PathLike[str] | None = None,
        psk: str | os.PathLike[str] | None = None,
        on_offline: OfflineHook | None = None,
        membership: MembershipHook | None = None,
        known_user: KnownUserHook | None = None,
        may_see: MaySeeHook | None = None,
        may_send: MaySendHook | None = None,
        on_message: MessageHook | None = None,
        close_timeout: float = 5.0,
        login_timeout: float = 10.0,
        retire_after_s: float = RETIRE_AFTER_S,
        limits: Limits | None = None,
        hop: HopConfig | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        """Say what it does.

        Args:
            authenticate: Decides on logins; this and all other hooks: see `udpim.HookChoice`.
            open_to_all: Let everybody in under any name that they give; instead of a hook.
            store: File, a store that the caller owns, or None for memory: then nothing is STORED.
            security: "require" for encryption, or "plain" for none; clients have to say the same.
            key: File of its private key, made by `udpim keygen`; None: its store keeps one.
            psk: File of a secret that all its clients must have, made by `udpim keygen --psk`.
            on_offline: Told of what was stored for a device that is away.
            membership: Decides on requests about groups.
            known_user: Whether somebody who never logged in exists.
            may_see: Decides on who sees whom online.
            may_send: Decides on who writes where.
            on_message: Decides on each message.
            close_timeout: How long closing may wait for the store, seconds.
            login_timeout: How long a connection may stay without a login, seconds.
            retire_after_s: A device that the running server has not seen for so long is given up.
            limits: How much this server may hold.
            hop: Times of the connections.
            cluster: Where the processes meet that share ``store``, with equal hooks and limits.

        Raises:
            ConfigError: If an argument is wrong.
        """
        _check_admission(authenticate, open_to_all=open_to_all)
        _check_store(store, cluster)
        _check_times(close_timeout, login_timeout, retire_after_s)
        hooks = HookChoice(
            authenticate=authenticate,
            on_offline=on_offline,
            membership=membership,
            known_user=known_user,
            may_see=may_see,
            may_send=may_send,
            on_message=on_message,
        )
        self.cluster = cluster
        self.settings = ServerSettings(
            config=ServerConfig(
                limits=limits or Limits(), login_s_max=login_timeout, retire_after_s=retire_after_s
            ),
            hooks=hooks,
            store=store,
            hop=hop,
            close_timeout_s=close_timeout,
            secrets=check_secrets(security, key, psk),
        )

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
        self._started_before = False
        self._endpoint: DatagramEndpoint | None = None
        self._work: Work | None = None
        self._closing: asyncio.Task[None] | None = None

    # --- Beginning and end ---

    async def _start(self) -> Self:
        if self._started_before:
            raise ConfigError("this has been started before; call listen again")
        self._started_before = True
        settings = self._server.settings
        family, where = await resolve(self._host, self._port)
        name = format_address(where)
        work: Work
        if self._server.cluster is None:
            work = await Alone.start(settings, name)
        else:
            work = await Clustered.start(settings, name, self._server.cluster)
        try:
            self._endpoint = await open_endpoint(
                family, where, on_burst=work.receive, on_lost=work.fail
            )
        except BaseException:
            await work.stop()
            raise
        self._work = work
        work.attach(self._endpoint)
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
        self._started()
        assert self._endpoint is not None, "started"
        return self._endpoint.address

    @property
    def public_key(self) -> str | None:
        """The server's public key, for the ``server_key`` of its clients; None in plain text.

        Raises:
            NotHome: It is in the store, which another process of the cluster has.
        """
        secrets = self._server.settings.secrets
        if secrets.security == "plain":
            return None
        key = secrets.key or self._started().serving().key
        assert key is not None, "whoever encrypts has one"
        return format_key(key.public)

    def _started(self) -> Work:
        if self._work is None:
            raise ConfigError("not listening yet: await it, or use `async with`")
        return self._work

    async def serve_forever(self) -> None:
        """Return when it is closed.

        Raises:
            StoreError: It had to stop, for its store failed.
            ConnectionClosed: It had to stop for another reason.
        """
        await self._started().wait()

    async def close(self) -> None:
        """Say goodbye, put what is unreceipted into the queues, and commit.

        Calling it again waits for the same end; cancelling the call does not stop the closing.
        """
        work = self._started()
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(work))
        await asyncio.shield(self._closing)

    async def _close(self, work: Work) -> None:
        assert self._endpoint is not None, "started"
        try:
            await work.stop()
        finally:
            await self._endpoint.close()

    # --- Who may go on ---

    async def revoke(
        self, user: str, device: str | None = None, *, reason: str = "access was revoked"
    ) -> int:
        """End a user's sessions at once and for good; their clients raise `LoginError`.

        Logins on their way are refused too. What is stored for the user stays, and whether they may
        log in again is the ``authenticate`` hook's word: let it say no before this is called.

        Args:
            user: Whose.
            device: On which of their devices; None for all.
            reason: Words for the clients.

        Returns:
            How many sessions and logins there were.

        Raises:
            NotHome: Another process of the cluster is the home.
            ConnectionClosed: The server is stopped.
            StoreError: It is stopped, for its store failed.
        """

        def is_over(admitted: Admitted) -> bool:
            return admitted.user == user and device in (None, admitted.device)

        return self._started().serving().revoke(is_over, reason)

    async def recheck(
        self, may_stay: Callable[[Admitted], bool], *, reason: str = "access was revoked"
    ) -> int:
        """Revoke whatever was admitted by something that is good no more; else like `revoke`.

        Args:
            may_stay: Asked of every session and every login on its way.
            reason: Words for the clients.
        """
        return self._started().serving().revoke(lambda one: not may_stay(one), reason)

    # --- Groups of its own ---

    async def create_group(self, group: str, owner: str) -> None:
        """Create a group on the server's own behalf; no hook is asked.

        Args:
            group: Its name: "#" and at least one more character, at most 32 bytes in all.
            owner: The first member, who may remove others where there is no membership hook.

        Raises:
            GroupRefused: There is one of another owner, the user is unknown, there is no room, or
                the store did not take it (BUSY).
            NotHome: Another process of the cluster is the home.
            ConfigError: A name is none.
        """
        await self._started().serving().change_group(GroupAction.CREATE, group, owner)

    async def add_member(self, group: str, user: str) -> None:
        """Make a user a member; returns when it is durable, and raises like `create_group`."""
        await self._started().serving().change_group(GroupAction.JOIN, group, user)

    async def remove_member(self, group: str, user: str) -> None:
        """Make a user a member no more; raises like `create_group`.

        What was sent before and has not arrived there will not come any more.
        """
        await self._started().serving().change_group(GroupAction.LEAVE, group, user)

    def members(self, group: str) -> tuple[str, ...]:
        """Return the users who belong to a group, none if there is no such group.

        Raises:
            NotHome: Another process of the cluster is the home.
        """
        return self._started().serving().members(group)

    # --- Looking at it ---

    def stats(self) -> dict[str, Any]:
        """Return all counters, and how full the tables are now; README explains every key.

        Those of the hop are of all connections so far, its tables of the present ones.
        """
        return self._started().stats()


def _check_times(close_timeout: float, login_timeout: float, retire_after_s: float) -> None:
    if close_timeout < 0 or login_timeout <= 0 or not retire_after_s > 0:
        raise ConfigError("times must not be negative, login_timeout and retire_after_s not 0")


def _check_store(store: StoreChoice, cluster: Cluster | None) -> None:
    if cluster is not None and not isinstance(store, str | os.PathLike):
        raise ConfigError("the processes of a cluster share a store: name its file")


def _check_admission(authenticate: AuthenticateHook | None, *, open_to_all: bool) -> None:
    if authenticate is None and not open_to_all:
        raise ConfigError("a server needs an authenticate hook, or open_to_all=True")
    if authenticate is not None and open_to_all:
        raise ConfigError("open_to_all=True would leave the authenticate hook unasked")
