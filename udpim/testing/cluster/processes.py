"""All processes of one virtual cluster, which to a history are one server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from udpim.config import ServerConfig
from udpim.hop.config import HopConfig
from udpim.hop.trace import NewTrace
from udpim.model import Address
from udpim.testing.cluster.bus import VirtualBus
from udpim.testing.cluster.directory import VirtualDirectory
from udpim.testing.cluster.disk import FencedDisk, SharedDisk
from udpim.testing.cluster.home import DoorLink, HomeServer
from udpim.testing.cluster.meeting import Meeting, Setup
from udpim.testing.cluster.member import Member
from udpim.testing.facts import SERVER
from udpim.testing.history import History
from udpim.testing.network import VirtualNetwork
from udpim.testing.storage import Disk, VirtualStore

FIRST_PORT = 9001


class VirtualCluster:
    """Processes ``s1`` to ``sN`` on one disk, with clients that dial them in turn.

    Attributes:
        members: The processes.
        meeting: What they share.
        disk: The shared disk.
    """

    def __init__(
        self,
        network: VirtualNetwork,
        history: History,
        setup: Setup,
        *,
        new_disk: Callable[[], Disk],
        sync_s: float = 0.002,
        config: ServerConfig | None = None,
        hop_config: HopConfig | None = None,
        new_trace: Callable[[str], NewTrace] | None = None,
    ) -> None:
        """Describe the processes; `start` runs them.

        Args:
            network: The clients'; who decides there decides what strikes at bus and directory.
            history: The world's.
            setup: How many, and what is wrong between them.
            new_disk: Makes an empty disk.
            sync_s: How long a transaction stays pending.
            config: Limits of the nodes; None for the defaults.
            hop_config: Settings of all connections; None for the defaults.
            new_trace: Makes an observer of a process's connections; None for what they say.
        """
        self.disk = SharedDisk(new_disk)
        self.meeting = Meeting(
            network=network,
            history=history,
            bus=VirtualBus(network.clock, network.luck, setup.bus),
            directory=VirtualDirectory(network.luck, setup.directory_fails),
            setup=setup,
        )
        self._seed = network.luck.seed
        self._known_users: set[str] = set()
        self._sync_s = sync_s
        self._config = config or ServerConfig()
        self._hop_config = hop_config or HopConfig()
        self._new_trace = new_trace
        self.members = [self._member(number) for number in range(1, setup.size + 1)]
        self._last = self.members[0]

    def _member(self, number: int) -> Member:
        meeting, host = self.meeting, f"s{number}"
        disk, link = FencedDisk(self.disk), DoorLink(meeting.clock)
        store = VirtualStore(
            meeting.clock, f"disk of {host}", sync_s=self._sync_s, new_disk=lambda: disk
        )
        hop = self._hop_config
        if self._new_trace is not None:
            hop = replace(hop, trace=self._new_trace(host))
        node = HomeServer(
            {
                "seed": f"{self._seed}:{host}",
                "network": link,
                "history": meeting.history,
                "store": store,
            },
            self._config,
            hop,
        )
        node.known_users = self._known_users
        return Member(host, FIRST_PORT - 1 + number, meeting, link=link, node=node, disk=disk)

    def start(self) -> None:
        """Run all of them."""
        for member in self.members:
            member.start()

    @property
    def home(self) -> Member:
        """The process that is the home, or was it last."""
        homes = [member for member in self.members if member.is_home]
        if homes:
            lease = self.meeting.directory.lease
            ours = [m for m in homes if lease is not None and lease.node == f"{m.host}.{m.life}"]
            self._last = (ours or homes)[0]
        return self._last

    def addresses(self, first: int) -> tuple[Address, ...]:
        """Return where the processes can be reached, beginning with one of them."""
        every = [member.address for member in self.members]
        at = first % len(every)
        return (*every[at:], *every[:at])

    def find(self, who: str) -> Member | None:
        """Return a process that is up: ``server`` is the home, ``gate`` one that is not."""
        if who == "server":
            found = [self.home]
        elif who == "gate":
            found = [member for member in self.members if not member.is_home]
        else:
            found = [member for member in self.members if member.host == who]
        return next((member for member in found if member.up), None)

    def lose_disk(self) -> None:
        """All processes crash, and start again on an empty disk."""
        for member in self.members:
            if member.up:
                member.crash()
        self.disk.lose()
        self.meeting.history.on_disk_lost(SERVER)
        self.start()

    def heal(self) -> None:
        """End every fault of bus, directory and ports; processes are the world's to heal."""
        self.meeting.bus.heal()
        self.meeting.directory.heal()
        for member in self.members:
            member.open()

    @property
    def drops(self) -> Counter[str]:
        """What the doors of all lives have not passed on, by reason."""
        counted: Counter[str] = Counter()
        for door in self.meeting.doors:
            counted.update(door.drops)
        return counted

    @property
    def counters(self) -> Counter[str]:
        """What happened at bus, directory and fence."""
        meeting = self.meeting
        return meeting.counters + meeting.directory.counters + meeting.bus.counters
