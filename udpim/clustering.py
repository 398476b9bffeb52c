"""Several server processes on one store: this process's part in it, as home or as gate.

Between `udpim.server`, which has the port, and `udpim.serving`, which is the home's work: looks
into the directory, claims and renews the lease, and starts or stops the serving accordingly. What
a gate does meanwhile is in `udpim.cluster.door`. PROTOCOL §8.

::

    look ─► not ours, fresh ─► gate ─┐           claim ─► fence raised ─► home ─► renew ─┐
      ▲                              │             ▲                        ▲            │
      └──────────────────────────────┴─ run out ───┘                        └────────────┤
      └──────────────────────────────────────── lost: stop serving ◄─────────────────────┘
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
from udpim.cluster.election import Election
from udpim.cluster.sqlite_directory import SQLiteDirectory
from udpim.cluster.unix_bus import UnixBus
from udpim.errors import (
    ConfigError,
    Error,
    NotHome,
    StoreError,
    StoreFenced,
    StoreLocked,
)
from udpim.runtime.driver import internal_error
from udpim.runtime.endpoint_base import Burst, DatagramEndpoint
from udpim.serving import ServerSettings, Serving

logger = logging.getLogger("udpim")

LOOKS_A_LEASE = 6
"""How often a process looks into the directory, or renews, within one lease time."""


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
    """The `Work` of one process of a cluster."""

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
        self._election = Election(cluster.lease_s)
        self._lease: Lease | None = None
        """Ours, while this process is the home."""
        self._good_until = 0.0
        """When our lease ends, unless it is renewed."""
        self._pause_s = cluster.lease_s / LOOKS_A_LEASE
        self._least_epoch = 1
        self._serving: Serving | None = None
        self._task: asyncio.Task[None] | None = None
        self._kick = asyncio.Event()
        self._leaving = False
        self._fenced: StoreFenced | None = None
        """Why our serving cannot go on, whatever the directory says."""
        self._watching: asyncio.Task[None] | None = None
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._terms = 0
        """How often this process has become the home."""

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
        self._bus.sweep()
        self._task = self._loop.create_task(self._take_part())

    def receive(self, burst: Burst) -> None:
        """Take a burst of datagrams from the port."""
        if self._door is not None:
            self._door.receive(burst)

    def fail(self, error: Exception) -> None:
        """The port is lost."""
        self._end(internal_error(error))

    def serving(self) -> Serving:
        """Return the node at work, if it is here.

        Raises:
            NotHome: It is in another process, or nowhere.
        """
        if self._serving is None:
            home = self._election.home
            raise NotHome(None if home is None else home.node)
        return self._serving

    def stats(self) -> dict[str, Any]:
        """Return the counters of the door, and at the home those of the serving too."""
        assert self._door is not None, "started"
        home = self._election.home
        about = {
            "node": self._node,
            "role": "gate" if self._serving is None else "home",
            "home": None if home is None else home.node,
            "epoch": None if home is None else home.epoch,
            "terms": self._terms,
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
        self._leaving = True
        self._kick.set()
        try:
            if self._task is not None:
                await self._task  # not cancelled: a thread may be at work on the directory
            await self._step_down(goodbye=True)
        finally:
            self._bus.close()
            self._directory.close()
            self._end(None)

    def _end(self, error: Exception | None) -> None:
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

    # --- Taking part ---

    async def _take_part(self) -> None:
        """Look, claim, renew, until cancelled or until something fails for good."""
        try:
            while not self._leaving:
                self._kick.clear()
                try:
                    await self._do_next()
                except StoreLocked as error:  # by a process that is slow, stopped, or another's
                    logger.warning("%s: %s", self._name, error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s):
                        await self._kick.wait()
        except Error as error:
            logger.error("%s: %s", self._name, error)
            self._end(error)

    async def _do_next(self) -> None:
        if self._lease is None:
            await self._look()
        elif self._fenced is not None:
            await self._on_fenced(self._fenced)
        elif await self._renew():
            await self._step_down(goodbye=False)
            self._kick.set()

    async def _look(self) -> None:
        """See who the home is, and try to be it if there is none."""
        assert self._door is not None, "attached"
        found = await asyncio.to_thread(self._directory.look)
        now = self._loop.time()
        self._election.saw(found, now)
        home = self._election.home
        dead = home is not None and self._bus.is_dead(home.node)
        if self._election.may_claim(now, dead=dead):
            await self._claim(found)
        else:
            self._door.follow(home)

    async def _claim(self, seen: Lease | None) -> None:
        """Become the home, if nobody is quicker and the store lets us."""
        assert self._door is not None, "attached"
        self._door.follow(None)
        begun = self._loop.time()
        lease = await asyncio.to_thread(self._directory.claim, self._node, seen, self._least_epoch)
        if lease is None:
            return
        self._lease, self._good_until = lease, begun + self._cluster.lease_s
        try:
            self._serving = await self._start_serving(lease.epoch)
        except StoreFenced as error:
            # The directory is younger than the store: the next claim is above what stands there.
            self._least_epoch = error.epoch + 1
            await self._give_back()
            self._kick.set()
        except StoreError:
            await self._give_back()
            raise
        else:
            self._terms += 1
            self._election.saw(self._lease, self._loop.time())
            self._door.become_home(lease, self._receive_as_home)
            self._serving.attach(self._door)
            self._watching = self._loop.create_task(self._watch(self._serving))
            self._tell_role("home", lease)

    async def _start_serving(self, epoch: int) -> Serving:
        """Restore the node from the store, which may take longer than a lease."""
        starting = self._loop.create_task(Serving.start(self._settings, self._name, epoch))
        while not (await asyncio.wait([starting], timeout=self._pause_s))[0]:
            await self._renew()  # if it is lost, the fence or the next renewal will tell
        return starting.result()

    def _receive_as_home(self, burst: Burst) -> None:
        """Take what clients send, while the lease holds; a process that slept may have lost it."""
        if self._serving is not None and self._loop.time() < self._good_until:
            self._serving.receive(burst)
        else:
            self._kick.set()

    async def _watch(self, serving: Serving) -> None:
        """Look at once when the serving had to stop."""
        try:
            await serving.wait()
        except StoreFenced as error:
            self._fenced = error
            self._kick.set()
        except Error as error:
            self._end(error)

    async def _on_fenced(self, error: StoreFenced) -> None:
        """Somebody else has the store: the next claim, if there is one, is above theirs."""
        logger.warning("%s: %s", self._name, error)
        self._least_epoch = error.epoch + 1
        self._fenced = None
        await self._step_down(goodbye=False)

    async def _renew(self) -> bool:
        """Show that we live; tell whether the lease is lost."""
        lease = self._lease
        assert lease is not None, "only the home renews"
        begun = self._loop.time()
        try:
            renewed = await asyncio.to_thread(self._directory.renew, lease)
        except StoreError as error:
            logger.warning("%s: %s", self._name, error)
            return begun >= self._good_until
        if renewed is None:
            return True
        self._lease, self._good_until = renewed, begun + self._cluster.lease_s
        self._election.saw(renewed, begun)
        return False

    async def _step_down(self, *, goodbye: bool) -> None:
        """Serve no more; what a client has not heard of, the next home will tell."""
        serving, self._serving = self._serving, None
        try:
            if serving is not None:
                assert self._lease is not None, "only then it serves"
                if not goodbye:
                    self._tell_role("gate", self._lease)
                await serving.stop(goodbye=goodbye)
        finally:
            if self._door is not None:
                self._door.follow(None)
            if self._lease is not None:
                await self._give_back()

    def _tell_role(self, role: str, lease: Lease) -> None:
        logger.info("%s: %s, epoch %d", self._name, role, lease.epoch)
        if self._cluster.on_role is not None:
            self._cluster.on_role(role, lease.epoch)

    async def _give_back(self) -> None:
        lease, self._lease = self._lease, None
        assert lease is not None, "given once"
        with suppress(StoreError):  # it runs out by itself
            await asyncio.to_thread(self._directory.release, lease)


def _open_directory(folder: str) -> SQLiteDirectory:
    try:
        with suppress(FileExistsError):
            Path(folder).mkdir(mode=0o700)
    except OSError as error:
        raise ConfigError(f"no folder can be made at {folder}: {error.strerror}") from error
    return SQLiteDirectory(folder)
