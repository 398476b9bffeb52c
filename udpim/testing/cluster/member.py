"""One server process of a virtual cluster: its port, its place on the bus, its role, and its node.

The role, the door and the frames on the bus are the product's. It can be killed, stopped and cut
off at any moment; where it ends by itself somebody starts it anew, as a service manager does.
"""

from __future__ import annotations

from collections.abc import Sequence

from udpim.cluster.directory import Lease
from udpim.cluster.door import Burst, Door
from udpim.cluster.role import Role, RoleName
from udpim.errors import Error, StoreError, StoreFenced
from udpim.model import Address
from udpim.testing.cluster.disk import FencedDisk
from udpim.testing.cluster.home import DoorLink, HomeServer
from udpim.testing.cluster.meeting import Meeting
from udpim.testing.cluster.routine import Killed, Routine, nap
from udpim.testing.facts import SERVER
from udpim.testing.process import SOCKET_BUFFER_DATAGRAMS
from udpim.testing.storage import VirtualStore

RESTART_S = 0.5
"""How long it is down after it has ended by itself."""
CLOSE_S = 5.0
"""How long a goodbye waits for its commits."""
COMMIT_POLL_S = 0.01
BUS_BUFFER_FRAMES = 256


class Member:
    """A process, life after life.

    Attributes:
        host: Its name.
        address: Of its port.
        link: What its node has for a network.
        store: Its view of the shared disk.
        node: Its node, while it is the home; has its clocks.
        life: Number of the present life, from 1.
        errors: What ended the last life, if it ended by itself.
    """

    def __init__(
        self,
        host: str,
        port: int,
        meeting: Meeting,
        *,
        link: DoorLink,
        node: HomeServer,
        disk: FencedDisk,
    ) -> None:
        """Describe a process; `start` runs it.

        Args:
            host: Its name.
            port: Its UDP port; the host of all processes is the server's.
            meeting: What it shares with the others.
            link: What its node has for a network.
            node: What it runs when it is the home; its store is this process's, on ``disk``.
            disk: Its view of the shared disk.
        """
        self.host = host
        self.address = (SERVER, port)
        self.link = link
        self.node = node
        self.store: VirtualStore = node.store
        self.life = 0
        self.errors: list[Exception] = []
        self.disk = disk
        self.meeting = meeting
        self.paused = False
        self.unreachable = False
        self._present: Life | None = None

    # --- What a plan can do to it; see `VirtualProcess` ---

    @property
    def up(self) -> bool:
        """Whether the process runs; a paused one does too."""
        return self._present is not None

    @property
    def is_home(self) -> bool:
        """Whether it believes to be the home."""
        return self._present is not None and self._present.role.is_home

    @property
    def wall_skew_ms(self) -> int:
        """What its wall clock is ahead of the world's."""
        return self.node.wall_skew_ms

    @wall_skew_ms.setter
    def wall_skew_ms(self, skew_ms: int) -> None:
        self.node.wall_skew_ms = skew_ms

    def start(self) -> None:
        """Run a new process."""
        assert self._present is None, f"{self.host} is up already"
        self.life += 1
        self.errors.clear()
        self._present = life = Life(self)
        if not self.unreachable:
            self.meeting.network.bind(self.address, life.on_datagram)

    def crash(self, *, landing: int = 0) -> None:
        """Die at once; see `VirtualStore.crash`."""
        assert self._present is not None, f"{self.host} is down already"
        life, self._present = self._present, None
        self.paused = False
        self.meeting.network.unbind(self.address)
        life.die()
        self.node.crash(landing=landing)

    def restart(self) -> None:
        """Crash, if it is up, and start again."""
        if self.up:
            self.crash()
        self.start()

    def pause(self) -> None:
        """Stop the process, its threads included."""
        self.paused = True
        self.node.pause()
        self.store.freeze()
        if self._present is not None:
            self._present.routine.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        if not self.paused:
            return
        self.paused = False
        life = self._present
        self.store.thaw()
        if life is not None and life is self._present:
            life.take_in()
        self.node.resume()
        if life is not None and life is self._present:
            life.routine.resume()

    def jump_clock(self, seconds: float) -> None:
        """Let the monotonic clock jump ahead, as after a suspension."""
        self.node.jump_clock(seconds)
        if self._present is not None:
            self._present.wake()

    def leave(self) -> None:
        """Say goodbye to everybody, give back the lease, and end; see `RESTART_S`."""
        if self._present is not None:
            self._present.role.leave()

    def shut(self) -> None:
        """Let nothing pass between its port and the clients."""
        self.unreachable = True
        self.meeting.network.unbind(self.address)

    def open(self) -> None:
        """Let datagrams pass again."""
        self.unreachable = False
        if self._present is not None:
            self.meeting.network.bind(self.address, self._present.on_datagram)

    def over(self, life: Life, error: Exception | None) -> None:
        """A life has ended by itself."""
        assert life is self._present, "who is dead ends no more"
        self.crash()
        self.errors += [] if error is None else [error]
        self.meeting.clock.call_later(RESTART_S, lambda: None if self.up else self.start())


class Life:
    """One life of a process; the `udpim.cluster.role.Process` of its role, and its UDP port."""

    kind = "virtual"

    def __init__(self, member: Member) -> None:
        """Open the port and the bus, and take part."""
        self.node_name = f"{member.host}.{member.life}"
        self.drops: dict[str, int] = {}
        self._member = member
        self._meeting = meeting = member.meeting
        self._socket = meeting.bus.join(self.node_name, self._on_frames)
        self._datagrams: Burst = []
        self._frames: list[bytes] = []
        self._turning = False
        self._resting = self._kicked = self._dead = False
        self._error: Exception | None = None
        self._epoch = 0
        self._fence_at = self._ready_at = 0.0
        self.door = Door(self.node_name, self, self._socket)
        meeting.doors.append(self.door)
        self.role = Role(self, self.door, meeting.setup.lease_s)
        self.routine = Routine(meeting.clock, self._live)
        member.node.failed = self._failed

    def die(self) -> None:
        """The process is killed."""
        self._dead = True
        self._socket.close()
        self.routine.kill()

    async def _live(self) -> None:
        try:
            await self.role.take_part()
        except Error as error:
            self._error = error
        await self.role.step_down(goodbye=True)
        self._member.over(self, self._error)

    def _alive(self) -> None:
        if self._dead:
            raise Killed

    # --- Port and bus ---

    def on_datagram(self, data: bytes, source: Address) -> None:
        """A datagram has reached the port."""
        if len(self._datagrams) < SOCKET_BUFFER_DATAGRAMS:
            self._datagrams.append((data, source))
            self._take_in_soon()

    def _on_frames(self, frames: list[bytes]) -> None:
        room = BUS_BUFFER_FRAMES - len(self._frames)
        self._frames += frames[: max(0, room)]
        self._take_in_soon()

    def _take_in_soon(self) -> None:
        """What arrives in the same instant is one burst."""
        if not self._turning:
            self._turning = True
            self._meeting.clock.call_later(0.0, self.take_in)

    def take_in(self) -> None:
        """Give the door what waits at port and bus."""
        self._turning = False
        if self._dead or self._member.paused:
            return
        burst, self._datagrams = self._datagrams, []
        frames, self._frames = self._frames, []
        if burst:
            self.door.receive(burst)
        if frames:
            self.door.receive_frames(frames)

    def send(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """See `udpim.cluster.door.UdpPort.send`."""
        for data, destination in datagrams:
            if not self._dead and not self._member.unreachable:
                self._meeting.network.send(self._member.address, destination, data)

    def stats(self) -> dict[str, int]:
        """See `udpim.cluster.door.UdpPort.stats`; the virtual network counts for all."""
        return {}

    # --- For the role: clock and directory ---

    def now(self) -> float:
        """See `Process.now`."""
        return self._member.node.now

    async def look(self) -> Lease | None:
        """See `Process.look`."""
        self._alive()
        directory = self._meeting.directory
        return await directory.ask(self._member.host, directory.look)

    async def claim(self, seen: Lease | None, least_epoch: int) -> Lease | None:
        """See `Process.claim`."""
        self._alive()
        directory, node = self._meeting.directory, self.node_name
        return await directory.ask(
            self._member.host, lambda: directory.claim(node, seen, least_epoch)
        )

    async def renew(self, lease: Lease) -> Lease | None:
        """See `Process.renew`."""
        self._alive()
        directory = self._meeting.directory
        return await directory.ask(self._member.host, lambda: directory.renew(lease))

    async def release(self, lease: Lease) -> None:
        """See `Process.release`."""
        self._alive()
        directory = self._meeting.directory
        await directory.ask(self._member.host, lambda: directory.release(lease))

    def is_dead(self, node: str) -> bool:
        """See `Process.is_dead`."""
        return self._socket.is_dead(node)

    async def rest(self, for_s: float) -> None:
        """See `Process.rest`."""
        self._alive()
        if not self._kicked:
            self._resting = True
            await nap(for_s)
        self._resting = self._kicked = False

    def wake(self) -> None:
        """See `Process.wake`."""
        self._kicked = True
        if self._resting and not self._dead:
            self.routine.hurry()

    # --- For the role: the node ---

    def begin(self, epoch: int) -> None:
        """See `Process.begin`."""
        self._alive()
        self._epoch = epoch
        now = self._meeting.clock.now
        self._fence_at = now + self._member.store.sync_s
        self._ready_at = self._fence_at + self._meeting.setup.restore_s

    async def begun(self, within_s: float) -> bool:
        """See `Process.begun`: the fence is raised first, and the node restored much later."""
        self._alive()
        clock = self._meeting.clock
        if self._epoch:
            await nap(max(0.0, self._fence_at - clock.now))
            epoch, self._epoch = self._epoch, 0
            self._member.disk.raise_fence(epoch)
        await nap(min(within_s, max(0.0, self._ready_at - clock.now)))
        return clock.now >= self._ready_at

    def serve(self) -> None:
        """See `Process.serve`."""
        self._alive()
        self._member.link.door = self.door
        self._member.node.start()

    def take(self, burst: Burst) -> None:
        """See `Process.take`."""
        for data, source in burst:
            if self._member.link.receive is not None:
                self._member.link.receive(data, source)

    async def end(self, *, goodbye: bool) -> None:
        """See `Process.end`."""
        self._alive()
        node = self._member.node
        if goodbye and self._error is None and node.up:
            node.shutdown()
            end_at = self._meeting.clock.now + CLOSE_S
            while node.up and node.store.pending and self._meeting.clock.now < end_at:
                await self._poll()
        self._alive()
        node.end_term()

    async def _poll(self) -> None:
        try:
            await nap(COMMIT_POLL_S)
        except BaseException:  # the end of the process, or of its whole world
            self._dead = True
            raise

    def _failed(self, error: Exception) -> None:
        """The node's store lets it not go on."""
        if isinstance(error, StoreFenced):
            self._meeting.counters["homes fenced"] += 1
            self.role.on_fenced(error)
        else:
            self._error = error
            self.role.leave()

    def warn(self, error: StoreError) -> None:
        """See `Process.warn`."""

    def tell(self, role: RoleName, epoch: int) -> None:
        """See `Process.tell`."""
        words = f"{'is' if role == 'home' else 'was'} the home of epoch {epoch}"
        self._meeting.roles.append((self._meeting.history.tick(), self._member.host, words))
