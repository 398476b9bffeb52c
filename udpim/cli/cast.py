"""The clients of a demo: everybody logged in side by side, each with a store file of its own."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from udpim import Client, connect
from udpim.cli.relay import CLIENTS_MAX
from udpim.config import Exchange
from udpim.crypto.key_log import KeyLog
from udpim.errors import ConfigError
from udpim.hop.config import HopConfig
from udpim.model import Address
from udpim.runtime.endpoint import format_address

LOGINS_MAX = 32
"""Logins at one time: each of them makes a file and may need several attempts."""
CONNECT_S_MAX = 120.0
"""On a network like this a login may need many attempts, and of a hundred clients one has bad luck;
the run's own limit is stricter where that matters."""
FILES_PER_CLIENT = 5
"""Open at once for each client: its store, the store's journal, its socket, the relay's socket for
it, and one that is open for a moment only."""
FILES_BESIDE = 64
"""Open at once for everything else."""


def make_room(clients: int) -> None:
    """See to it that so many clients can be had in this process.

    Raises:
        ConfigError: If they cannot.
    """
    if clients > CLIENTS_MAX:
        raise ConfigError(f"{clients} clients are over the limit of {CLIENTS_MAX}")
    needed = FILES_BESIDE + FILES_PER_CLIENT * clients
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != soft < needed:
        if resource.RLIM_INFINITY != hard < needed:
            words = f"may have {needed} files open, and the limit is {hard} (ulimit -Hn)"
            raise ConfigError(f"{clients} clients {words}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class Cast:
    """Use as ``async with Cast(...) as clients``: everybody is logged in, or nobody is."""

    def __init__(
        self,
        address: Address,
        tokens: Mapping[str, str],
        folder: Path,
        *,
        exchange: Exchange = "six",
        server_key: str | None = None,
        key_log: KeyLog | None = None,
    ) -> None:
        """Keep how everybody logs in.

        Args:
            address: Where the server is.
            tokens: Who logs in, and with which token.
            folder: Where the stores go.
            exchange: How many packets a message takes.
            server_key: The server's public key; None: in plaintext.
            key_log: Is told the secrets of all connections.
        """
        self._exchange: Exchange = exchange
        self._server_key = server_key
        self._hop = HopConfig(key_log=key_log)
        self._url = f"udpim://{format_address(address)}"
        self._tokens = tokens
        # By number: a name may hold what a file's name must not.
        self._stores = {name: folder / f"client-{n}.db" for n, name in enumerate(tokens)}
        self._clients: dict[str, Client] = {}

    def store(self, name: str) -> Path:
        """The file with somebody's outbox and inbox."""
        return self._stores[name]

    async def __aenter__(self) -> dict[str, Client]:
        """Log everybody in.

        Raises:
            ExceptionGroup: With the `Error` of each login that failed.
        """
        room = asyncio.Semaphore(LOGINS_MAX)
        try:
            async with asyncio.TaskGroup() as group:
                for name in self._tokens:
                    group.create_task(self._log_in(name, room))
        except BaseException:
            await self._close(0)
            raise
        return self._clients

    async def _log_in(self, name: str, room: asyncio.Semaphore) -> None:
        async with room:
            self._clients[name] = await connect(
                self._url,
                user=name,
                device="demo",
                token=self._tokens[name],
                store=str(self._stores[name]),
                security="plain" if self._server_key is None else "require",
                server_key=self._server_key,
                hop=self._hop,
                connect_timeout=CONNECT_S_MAX,
                exchange=self._exchange,
            )

    async def gather(self, group: str) -> None:
        """Bring everybody into a new group.

        Raises:
            ExceptionGroup: With the `Error` of each join that failed.
        """
        founder, *others = [self._clients[name] for name in self._tokens]
        await founder.groups.create(group)
        async with asyncio.TaskGroup() as joining:
            for client in others:
                joining.create_task(client.groups.join(group))

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close everybody; after a failure or a time limit without draining what cannot be."""
        await self._close(None if exc_type is None else 0)

    async def _close(self, timeout_s: float | None) -> None:
        await asyncio.gather(*(client.close(timeout_s) for client in self._clients.values()))
