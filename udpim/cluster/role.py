"""A process's part in a cluster: looks, claims, renews and gives back, and so is home or gate.

Without any I/O: the clock, the directory's calls and the node are the `Process`'s, which awaits
them in its own way: `udpim.clustering` on an event loop with threads, the virtual world of
`udpim.testing` in virtual time. So both make the same decisions. PROTOCOL §8.1, §8.2.

::

    look ─► not ours, fresh ─► gate ─┐           claim ─► fence raised ─► home ─► renew ─┐
      ▲                              │             ▲                        ▲            │
      └──────────────────────────────┴─ run out ───┘                        └────────────┤
      └──────────────────────────────────────── lost: stop serving ◄─────────────────────┘
"""

from __future__ import annotations

from contextlib import suppress
from typing import Literal, Protocol

from udpim.cluster.directory import Lease
from udpim.cluster.door import Burst, Door
from udpim.cluster.election import Election
from udpim.errors import StoreError, StoreFenced, StoreLocked

LOOKS_A_LEASE = 6
"""How often a process looks into the directory, or renews, within one lease time."""

RoleName = Literal["home", "gate"]


class Process(Protocol):
    """What a role needs of the process that has it; the directory's calls may take long."""

    def now(self) -> float:
        """Return the time on this process's monotonic clock."""

    async def look(self) -> Lease | None:
        """See `Directory.look`."""

    async def claim(self, seen: Lease | None, least_epoch: int) -> Lease | None:
        """See `Directory.claim`, in this process's name."""

    async def renew(self, lease: Lease) -> Lease | None:
        """See `Directory.renew`."""

    async def release(self, lease: Lease) -> None:
        """See `Directory.release`."""

    def is_dead(self, node: str) -> bool:
        """See `Bus.is_dead`."""

    def begin(self, epoch: int) -> None:
        """Start to raise the store's fence, and then to restore the node from it."""

    async def begun(self, within_s: float) -> bool:
        """Wait for what `begin` started; tell whether it is done.

        Raises:
            StoreFenced: A home of this epoch or a later one has been there.
            StoreError: The store cannot be used.
        """

    def serve(self) -> None:
        """The node goes to work; `Role.on_fenced` wants to hear when its store is another's."""

    def take(self, burst: Burst) -> None:
        """Give the node what clients sent."""

    async def end(self, *, goodbye: bool) -> None:
        """Stop the node, and close its store; say goodbye to its clients before, or not."""

    async def rest(self, for_s: float) -> None:
        """Wait so long, or until `wake`, which may have been called already since the last rest."""

    def wake(self) -> None:
        """Let the present rest end, or the next one."""

    def warn(self, error: StoreError) -> None:
        """Something failed that is tried again."""

    def tell(self, role: RoleName, epoch: int) -> None:
        """Say that this process has become the home of this epoch, or is no more but goes on."""


class Role:
    """The part of one process, as long as it lives.

    Attributes:
        terms: How often this process has become the home.
        is_home: Whether it is, as far as it knows.
    """

    def __init__(self, process: Process, door: Door, lease_s: float) -> None:
        """Start as a gate without a home; see `take_part`."""
        self.terms = 0
        self.is_home = False
        self._process = process
        self._door = door
        self._lease_s = lease_s
        self._pause_s = lease_s / LOOKS_A_LEASE
        self._election = Election(lease_s)
        self._lease: Lease | None = None
        """Ours, while this process is the home."""
        self._good_until = 0.0
        """When our lease ends, unless it is renewed."""
        self._least_epoch = 1
        self._fenced: StoreFenced | None = None
        """Why our node cannot go on, whatever the directory says."""
        self._leaving = False

    @property
    def home(self) -> Lease | None:
        """The lease of the home, None if there is none that could live."""
        return self._election.home

    async def take_part(self) -> None:
        """Look, claim, renew, until `leave`.

        Raises:
            StoreError: What will not be better the next time.
        """
        while not self._leaving:
            try:
                await self._do_next()
            except StoreLocked as error:  # by a process that is slow, stopped, or another's
                self._process.warn(error)
            await self._process.rest(self._pause_s)

    def leave(self) -> None:
        """Let `take_part` end; `step_down` is to be called then."""
        self._leaving = True
        self._process.wake()

    def on_fenced(self, error: StoreFenced) -> None:
        """Our node's store is another's."""
        self._fenced = error
        self._process.wake()

    async def _do_next(self) -> None:
        if self._lease is None:
            await self._look()
        elif self._fenced is not None:
            await self._on_fenced(self._fenced)
        elif await self._renew():
            await self.step_down(goodbye=False)
            self._process.wake()

    async def _look(self) -> None:
        """See who the home is, and try to be it if there is none."""
        found = await self._process.look()
        now = self._process.now()
        self._election.saw(found, now)
        home = self._election.home
        dead = home is not None and self._process.is_dead(home.node)
        if self._election.may_claim(now, dead=dead):
            await self._claim(found)
        else:
            self._door.follow(home)

    async def _claim(self, seen: Lease | None) -> None:
        """Become the home, if nobody is quicker and the store lets us."""
        self._door.follow(None)
        begun = self._process.now()
        lease = await self._process.claim(seen, self._least_epoch)
        if lease is None:
            return
        self._lease, self._good_until = lease, begun + self._lease_s
        try:
            await self._restore(lease.epoch)
        except StoreFenced as error:
            # The directory is younger than the store: the next claim is above what stands there.
            self._least_epoch = error.epoch + 1
            await self._give_back()
            self._process.wake()
        except StoreError:
            await self._give_back()
            raise
        else:
            self.terms += 1
            self.is_home = True
            self._election.saw(self._lease, self._process.now())
            self._door.become_home(lease, self._receive)
            self._process.serve()
            self._process.tell("home", lease.epoch)

    async def _restore(self, epoch: int) -> None:
        """Restore the node from the store, which may take longer than a lease."""
        self._process.begin(epoch)
        while not await self._process.begun(self._pause_s):
            await self._renew()  # if it is lost, the fence or the next renewal will tell

    def _receive(self, burst: Burst) -> None:
        """Take what clients send, while the lease holds; a process that slept may have lost it."""
        if self.is_home and self._process.now() < self._good_until:
            self._process.take(burst)
        else:
            self._process.wake()

    async def _on_fenced(self, error: StoreFenced) -> None:
        """Somebody else has the store: the next claim, if there is one, is above theirs."""
        self._process.warn(error)
        self._least_epoch = error.epoch + 1
        self._fenced = None
        await self.step_down(goodbye=False)

    async def _renew(self) -> bool:
        """Show that we live; tell whether the lease is lost."""
        lease = self._lease
        assert lease is not None, "only the home renews"
        begun = self._process.now()
        try:
            renewed = await self._process.renew(lease)
        except StoreError as error:
            self._process.warn(error)
            return begun >= self._good_until
        if renewed is None:
            return True
        self._lease, self._good_until = renewed, begun + self._lease_s
        self._election.saw(renewed, begun)
        return False

    async def step_down(self, *, goodbye: bool) -> None:
        """Serve no more; what a client has not heard of, the next home will tell."""
        was_home, self.is_home = self.is_home, False
        try:
            if was_home:
                assert self._lease is not None, "only then it serves"
                if not goodbye:
                    self._process.tell("gate", self._lease.epoch)
                await self._process.end(goodbye=goodbye)
        finally:
            self._door.follow(None)
            if self._lease is not None:
                await self._give_back()

    async def _give_back(self) -> None:
        lease, self._lease = self._lease, None
        assert lease is not None, "given once"
        with suppress(StoreError):  # it runs out by itself
            await self._process.release(lease)
