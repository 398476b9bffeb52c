"""A whole world in one process: a server, clients, disks and a bad network, in virtual time.

::

    world = World(seed=7, faults=Loss.uniform(0.3))
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    sent = alice.send("bob", [b"one", b"two"])
    world.heal_and_settle()
    world.oracle.check()

The same seed gives the same run, to the last datagram.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from random import Random
from typing import ClassVar

from udpim.config import ClientConfig, Exchange, ServerConfig
from udpim.crypto.noise.suites import KEY_BYTES, X25519_DH, KeyPair
from udpim.crypto.security import ClientSecurity, Security, ServerSecurity
from udpim.hop.config import HopConfig
from udpim.hop.trace import NewTrace
from udpim.model import MessageState, MsgId, is_group
from udpim.testing.choices import Choices
from udpim.testing.clock import VirtualClock
from udpim.testing.cluster import Member, Setup, VirtualCluster
from udpim.testing.facts import SERVER
from udpim.testing.faults import Profile
from udpim.testing.history import History
from udpim.testing.network import PERFECT, VirtualNetwork
from udpim.testing.nodes import VirtualClient, VirtualServer
from udpim.testing.oracle import LIVENESS_S, Oracle
from udpim.testing.process import Surroundings, VirtualProcess
from udpim.testing.storage import Disk, VirtualStore

POLL_S = 0.05
"""How often `World.settle` looks."""


class World:
    """Everything that a test of the semantics needs.

    Attributes:
        clock: Virtual time.
        network: The links and what went over them.
        history: All facts.
        oracle: Judges them.
        clients: All clients, by host.
        members: The server's processes, if they are several.
    """

    exchange: ClassVar[Exchange] = "six"
    """What clients log in with that have no configuration of their own."""
    encrypted: ClassVar[bool] = True
    """Whether connections are; the clients have the server's key pinned."""

    def __init__(
        self,
        seed: object,
        *,
        faults: Profile = PERFECT,
        choices: Choices | None = None,
        sync_s: float = 0.002,
        hop_config: HopConfig | None = None,
        new_disk: Callable[[str], Disk] | None = None,
        encrypted: bool | None = None,
        exchange: Exchange | None = None,
        new_trace: Callable[[str], NewTrace] | None = None,
    ) -> None:
        """Create a world without anybody in it.

        Args:
            seed: Decides everything that is left to chance.
            faults: What every link does, until it is healed.
            choices: Decides in place of the seed what strikes at the links: a tape, for instance.
            sync_s: How long a disk takes to make something durable.
            hop_config: Settings of all connections; None for the defaults.
            new_disk: Makes an empty disk for a host, where it is not `VirtualStore.new_disk`.
            encrypted: Whether connections are; None for what the class says.
            exchange: Six packets or four; None for what the class says.
            new_trace: Makes an observer of a node's connections, by its host; None for nobody.
        """
        self.seed = seed
        self._encrypted = self.encrypted if encrypted is None else encrypted
        self._exchange = exchange or self.exchange
        self.clock = VirtualClock()
        self.history = History(self.clock)
        self.network = VirtualNetwork(
            self.clock, seed, default=faults, observer=self.history, choices=choices
        )
        self.oracle = Oracle(self.history)
        self.clients: dict[str, VirtualClient] = {}
        self._server: VirtualServer | None = None
        self.members: VirtualCluster | None = None
        self._sync_s = sync_s
        self._hop_config = hop_config or HopConfig()
        self._new_disk = new_disk
        self._new_trace = new_trace
        self._ports = count(40_000)
        self._keys: dict[str, KeyPair] = {}

    # --- Who is there ---

    def server(self, *, durable: bool = True, config: ServerConfig | None = None) -> VirtualServer:
        """Return the server, started when it is not there yet; of a cluster the home's node."""
        if self.members is not None:
            return self.members.home.node
        if self._server is None:
            self._server = VirtualServer(
                self._surroundings("server", durable=durable),
                config or ServerConfig(),
                self._hop(SERVER, self._server_security),
            )
            self._server.start()
        return self._server

    def cluster(
        self, setup: Setup | None = None, *, config: ServerConfig | None = None
    ) -> VirtualCluster:
        """Let the server be several processes; to be called before anybody else is there.

        Args:
            setup: How many, and what is wrong between them; None for two and nothing.
            config: Their nodes' limits; None for the defaults.
            options: See `VirtualCluster`.
        """
        assert self._server is None, "there is a server already"
        self.members = VirtualCluster(
            self.network,
            self.history,
            setup or Setup(),
            config=config,
            hop_config=self._hop(SERVER, self._server_security),
            new_trace=self._new_trace,
            sync_s=self._sync_s,
            new_disk=partial(self._new_disk, SERVER) if self._new_disk else VirtualStore.new_disk,
        )
        self.members.start()
        return self.members

    def find(self, who: str) -> VirtualProcess | Member | None:
        """Return a process that is up; ``server`` is the home of a cluster, ``s2`` one of its."""
        process: VirtualProcess | Member | None = self.clients.get(who)
        if self.members is not None:
            process = process or self.members.find(who)
        elif who == SERVER:
            process = self.server()
        return process if process is not None and process.up else None

    def lose_server_disk(self) -> None:
        """Let the server, all of it, go on with an empty disk."""
        if self.members is not None:
            self.members.lose_disk()
        else:
            self.server().lose_disk()

    def client(
        self,
        user: str,
        device: str = "phone",
        *,
        durable: bool = True,
        start: bool = True,
        config: ClientConfig | None = None,
    ) -> VirtualClient:
        """Return a new client; it dials the server at once.

        Args:
            user: Its user.
            device: Its device.
            durable: Whether its store survives a crash.
            start: Whether it is started now.
            config: Its node's limits, and the same user and device; None for the defaults.
        """
        client = VirtualClient(
            self._surroundings(f"{user}/{device}", durable=durable),
            config or ClientConfig(user=user, device=device, exchange=self._exchange),
            self._hop(f"{user}/{device}", partial(self._client_security, f"{user}/{device}")),
            ports=lambda: next(self._ports),
        )
        assert client.host not in self.clients, f"{client.host} is there already"
        if self.members is not None:
            client.servers = self.members.addresses(len(self.clients))
        self.clients[client.host] = client
        self.server().known_users.add(user)
        if start:
            client.start()
        return client

    def _surroundings(self, host: str, *, durable: bool) -> Surroundings:
        new_disk = self._new_disk
        store = VirtualStore(
            self.clock,
            f"disk of {host}",
            durable=durable,
            sync_s=self._sync_s,
            new_disk=partial(new_disk, host) if new_disk and durable else None,
        )
        return {
            "seed": self.seed,
            "network": self.network,
            "history": self.history,
            "store": store,
        }

    def _key(self, host: str) -> KeyPair:
        if host not in self._keys:
            dice = Random(f"{self.seed}:{host}:key")
            self._keys[host] = X25519_DH.key_pair(dice.randbytes(KEY_BYTES))
        return self._keys[host]

    def _server_security(self) -> ServerSecurity:
        return ServerSecurity(static=self._key(SERVER))

    def _client_security(self, host: str) -> ClientSecurity:
        return ClientSecurity(static=self._key(host), server_key=self._key(SERVER).public)

    def _hop(self, host: str, security: Callable[[], Security]) -> HopConfig:
        """The settings of a node's connections, which the network can read along."""
        hop = self._hop_config
        if self._new_trace is not None:
            hop = replace(hop, trace=self._new_trace(host))
        if not self._encrypted:
            return hop
        return replace(hop, security=security(), key_log=self.network.wiretap.learn)

    @property
    def servers(self) -> list[VirtualServer] | list[Member]:
        """The server, or the processes of a cluster."""
        return [self.server()] if self.members is None else self.members.members

    @property
    def processes(self) -> list[VirtualProcess | Member]:
        """The server's processes, and all clients."""
        return [*self.servers, *self.clients.values()]

    # --- Time ---

    def run(self, for_s: float) -> None:
        """Let time pass."""
        self.clock.run_until(self.clock.now + for_s)

    def run_until(self, predicate: Callable[[], bool], within_s: float = 60.0) -> None:
        """Let time pass until ``predicate`` holds.

        Raises:
            AssertionError: If it does not hold in time.
        """
        end = self.clock.now + within_s
        while not predicate():
            due = self.clock.next_at()
            late = due is None or due > end
            assert not late, f"not within {within_s:g} s\n{self.story()}"
            self.clock.step()

    def online(self, within_s: float = 60.0) -> None:
        """Let time pass until every client that is up is logged in, or closed for good."""
        self.run_until(
            lambda: all(c.online or c.closed for c in self.clients.values() if c.up), within_s
        )

    def settle(self, within_s: float = LIVENESS_S, *, stored: bool = False) -> None:
        """Let time pass until nobody's message is open.

        Args:
            within_s: How long at most.
            stored: Whether STORED is enough.
        """
        end = self.clock.now + within_s
        self.run(POLL_S)  # what was sent in this instant is accepted only now
        while any(True for _ in self._waiting(stored=stored)):
            assert self.clock.now < end, f"not settled within {within_s:g} s\n{self.story()}"
            self.run(POLL_S)

    def check(self, *, empty: bool = False) -> None:
        """Let the oracle judge, and expect that nothing is left to do at the clients that run.

        Args:
            empty: Whether it is all right if nothing happened.
        """
        for client in self.clients.values():
            assert not client.alarms, client.alarms[:5]
        for msgid in [m for m in self.history.open if self._is_over(m, stored=False)]:
            self.history.open.discard(msgid)
        up = [host for host, client in self.clients.items() if client.up]
        self.oracle.check_settled(up, empty=empty)

    def check_quiet(self, for_s: float = 60.0) -> None:
        """Heal the network, let acks fade away, and expect nothing but keepalives (I15)."""
        self.network.heal()
        self.run(20.0)
        since_s = self.clock.now
        self.run(for_s)
        self.oracle.check_quiet(since_s, self._hop_config.keepalive_s)

    def unsettled(self, *, stored: bool = False) -> int:
        """Count accepted messages, of senders that are up, that show no final state."""
        return sum(1 for _ in self._waiting(stored=stored))

    def _waiting(self, *, stored: bool) -> Iterator[MsgId]:
        up = {host for host, client in self.clients.items() if client.up}
        for msgid in self.history.open:
            host = f"{msgid.stream.user}/{msgid.stream.device}"
            if host in up and not self._is_over(msgid, stored=stored):
                yield msgid

    def _is_over(self, msgid: MsgId, *, stored: bool) -> bool:
        """Tell whether a message without a final state has to wait for nothing.

        Of a memory inbox a sender can only learn that the outcome is UNKNOWN (PROTOCOL §5.1), and
        so it is with a membership that a server lost. Then the row is gone: I9 judges the deletion.
        Of a group that a server lost, its members are not asked by anybody any more.
        """
        state = self.history.last_state(msgid)
        if state is MessageState.UNKNOWN:
            if is_group(msgid.stream.conversation) and SERVER in self.history.lost_disks:
                return True
            sender = self.clients[f"{msgid.stream.user}/{msgid.stream.device}"]
            stream = sender.node.outbox.stream(msgid.stream)
            return stream is not None and msgid.seq < stream.floor
        return stored and state is MessageState.STORED

    def heal_and_settle(self, *, stored: bool = False) -> None:
        """End every fault, start who is down, and demand the liveness of I14."""
        self.heal()
        for process in self.processes:
            if not process.up:
                process.start()
            process.resume()
        self.settle(stored=stored)

    def heal(self) -> None:
        """End every fault of the network, and of what joins the processes of a cluster."""
        self.network.heal()
        if self.members is not None:
            self.members.heal()

    def story(self) -> str:
        """Tell what is still open, for a failing test."""
        lines = [f"seed {self.seed!r}", f"network {dict(self.network.counters)}"]
        for process in self.processes:
            state = "down"
            if isinstance(process, VirtualClient) and process.up:
                state = f"{process.node.state.value} {process.node.drops}"
            elif isinstance(process, Member) and process.up:
                state = "home" if process.is_home else "gate"
            elif isinstance(process, VirtualServer) and process.up:
                state = f"up {process.node.drops} {process.node.router.drops}"
            disk = "disk" if process.store.durable else "memory"
            lines.append(f"{process.host}: {disk}, life {process.life}, {state}, {process.errors}")
        for msgid in sorted(self.history.open)[:10]:
            lines.append(f"{msgid}: {self.history.last_state(msgid).name}")
        return "\n".join(lines)
