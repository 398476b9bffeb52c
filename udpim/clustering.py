"""Several server processes on one store: this process's part in it, as home or as gate.

Between `udpim.server`, which has the port, and `udpim.serving`, which is the home's work. What this
process is to be, `udpim.cluster.role` decides; here it gets an event loop, threads for the
directory, and the serving. What a gate does meanwhile is in `udpim.cluster.door`. PROTOCOL §8.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from udpim.cluster.directory import Directory, Lease
from udpim.cluster.door import Door
from udpim.cluster.role import Role, RoleName
from udpim.cluster.sqlite_directory import SQLiteDirectory
from udpim.cluster.unix_bus import UnixBus
from udpim.errors import (
    ConfigError,
    Error,
    NotHome,
    StoreError,
    StoreFenced,
)
from udpim.runtime.driver import internal_error
from udpim.runtime.endpoint_base import Burst, DatagramEndpoint
from udpim.serving import ServerSettings, Serving

logger = logging.getLogger("udpim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where the processes meet that share a store.

    Attributes:
        folder: Of the directory and the sockets, on this host, writable by one user only; it is
            made if there is none.
        lease_s: How long a home that shows no sign of life stays the home. One whose process is
            known to be dead is replaced at once.
        on_role: Told "home" and its epoch when this process becomes the home, and "gate" and that
            epoch when it is no more, but goes on.
    """

    folder: str
    lease_s: float = 3.0
    on_role: Callable[[str, int], None] | None = None

    def __post_init__(self) -> None:
        """Refuse a lease that nobody could renew in time.

        Raises:
            ConfigError: It is too short.
        """
        if self.lease_s < 0.2:
            raise ConfigError(f"lease_s is {self.lease_s!r}, it must be at least 0.2")


class Clustered:
    """The `Work` of one process of a cluster, and its role's `udpim.cluster.role.Process`."""

    def __init__(
        self, settings: ServerSettings, name: str, cluster: Cluster, directory: Directory
    ) -> None:
        """Made by `Clustered.start`."""
        self._settings = settings
        self._name = name
        self._cluster = cluster
        self._directory = directory
        self._loop = asyncio.get_running_loop()
        self._node = f"{os.getpid()}-{os.urandom(3).hex()}"
        self._bus = UnixBus(cluster.folder, self._node, self._on_frames)
        self._door: Door | None = None
        self._role: Role | None = None
        self._starting: asyncio.Task[Serving] | None = None
        self._serving: Serving | None = None
        self._task: asyncio.Task[None] | None = None
        self._kick = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._over: asyncio.Future[None] = self._loop.create_future()

    @classmethod
    async def start(cls, settings: ServerSettings, name: str, cluster: Cluster) -> Self:
        """Open the directory and the bus.

        Raises:
            ConfigError: The folder cannot be used.
            StoreError: The directory cannot be used.
        """
        directory = await asyncio.to_thread(_open_directory, cluster.folder)
        try:
            return cls(settings, name, cluster, directory)
        except BaseException:
            directory.close()
            raise

    # --- Work ---

    def attach(self, endpoint: DatagramEndpoint) -> None:
        """The port is open: take part."""
        self._door = Door(self._node, endpoint, self._bus)
        self._role = Role(self, self._door, self._cluster.lease_s)
        self._bus.sweep()
        self._task = self._loop.create_task(self._take_part(self._role))

    def receive(self, burst: Burst) -> None:
        """Take a burst of datagrams from the port."""
        if self._door is not None:
            self._door.receive(burst)

    def fail(self, error: Exception) -> None:
        """The port is lost."""
        self._finish(internal_error(error))

    def serving(self) -> Serving:
        """Return the node at work, if it is here.

        Raises:
            NotHome: It is in another process, or nowhere.
        """
        if self._serving is None:
            home = None if self._role is None else self._role.home
            raise NotHome(None if home is None else home.node)
        return self._serving

    def stats(self) -> dict[str, Any]:
        """Return the counters of the door, and at the home those of the serving too."""
        assert self._door is not None, "started"
        assert self._role is not None, "started"
        home = self._role.home
        about = {
            "node": self._node,
            "role": "gate" if self._serving is None else "home",
            "home": None if home is None else home.node,
            "epoch": None if home is None else home.epoch,
            "terms": self._role.terms,
        }
        if self._serving is not None:
            return {"cluster": about, **self._serving.stats()}
        endpoint = {"kind": self._door.kind, **self._door.stats()}
        return {"cluster": about, "endpoint": endpoint, "drops": self._door.drops}

    async def wait(self) -> None:
        """Return when it is stopped; raise why it had to stop."""
        await asyncio.shield(self._over)

    async def stop(self) -> None:
        """Leave: say goodbye if we are the home, and give the lease back."""
        try:
            if self._role is not None and self._task is not None:
                self._role.leave()
                await self._task  # not cancelled: a thread may be at work on the directory
                await self._role.step_down(goodbye=True)
        finally:
            self._bus.close()
            self._directory.close()
            self._finish(None)

    def _finish(self, error: Exception | None) -> None:
        if self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)
            self._over.exception()  # whoever waits gets it; nobody has to

    def _on_frames(self, frames: list[bytes]) -> None:
        if self._door is not None:
            self._door.receive_frames(frames)

    async def _take_part(self, role: Role) -> None:
        try:
            await role.take_part()
        except Error as error:
            logger.error("%s: %s", self._name, error)
            self._finish(error)

    # --- For the role: clock and directory ---

    def now(self) -> float:
        """See `Process.now`."""
        return self._loop.time()

    async def look(self) -> Lease | None:
        """See `Process.look`."""
        return await asyncio.to_thread(self._directory.look)

    async def claim(self, seen: Lease | None, least_epoch: int) -> Lease | None:
        """See `Process.claim`."""
        return await asyncio.to_thread(self._directory.claim, self._node, seen, least_epoch)

    async def renew(self, lease: Lease) -> Lease | None:
        """See `Process.renew`."""
        return await asyncio.to_thread(self._directory.renew, lease)

    async def release(self, lease: Lease) -> None:
        """See `Process.release`."""
        await asyncio.to_thread(self._directory.release, lease)

    def is_dead(self, node: str) -> bool:
        """See `Process.is_dead`."""
        return self._bus.is_dead(node)

    async def rest(self, for_s: float) -> None:
        """See `Process.rest`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await self._kick.wait()
        self._kick.clear()

    def wake(self) -> None:
        """See `Process.wake`."""
        self._kick.set()

    # --- For the role: the node ---

    def begin(self, epoch: int) -> None:
        """See `Process.begin`."""
        self._starting = self._loop.create_task(Serving.start(self._settings, self._name, epoch))

    async def begun(self, within_s: float) -> bool:
        """See `Process.begun`."""
        assert self._starting is not None, "begin() first"
        if not (await asyncio.wait([self._starting], timeout=within_s))[0]:
            return False
        starting, self._starting = self._starting, None
        self._serving = starting.result()
        return True

    def serve(self) -> None:
        """See `Process.serve`."""
        assert self._door is not None, "attached"
        assert self._serving is not None, "restored"
        self._serving.attach(self._door)
        self._watching = self._loop.create_task(self._watch(self._serving))

    def take(self, burst: Burst) -> None:
        """See `Process.take`."""
        self.serving().receive(burst)

    async def end(self, *, goodbye: bool) -> None:
        """See `Process.end`."""
        serving, self._serving = self.serving(), None
        await serving.stop(goodbye=goodbye)

    async def _watch(self, serving: Serving) -> None:
        """Look at once when the serving had to stop."""
        try:
            await serving.wait()
        except StoreFenced as error:
            assert self._role is not None, "it serves"
            self._role.on_fenced(error)
        except Error as error:
            self._finish(error)

    def warn(self, error: StoreError) -> None:
        """See `Process.warn`."""
        logger.warning("%s: %s", self._name, error)

    def tell(self, role: RoleName, epoch: int) -> None:
        """See `Process.tell`."""
        logger.info("%s: %s, epoch %d", self._name, role, epoch)
        if self._cluster.on_role is not None:
            self._cluster.on_role(role, epoch)


def _open_directory(folder: str) -> SQLiteDirectory:
    try:
        with suppress(FileExistsError):
            Path(folder).mkdir(mode=0o700)
    except OSError as error:
        raise ConfigError(f"no folder can be made at {folder}: {error.strerror}") from error
    return SQLiteDirectory(folder)
