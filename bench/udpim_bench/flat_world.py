"""Clients and one server as nodes in memory, whose driver costs the same however many there are.

Datagrams are handed over at once. Timers stand in one heap, so that neither an idle session nor a
message in flight costs the driver anything. Acks are held back for 20 µs only: everything that a
step causes is over within 100 µs of virtual time, and so the next step finds the same state at
every level. Nodes, stores and effect executor are those of production; PROTOCOL §5.
"""

from __future__ import annotations

import random
from collections import deque
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any

from udpim.config import ClientConfig, ServerConfig
from udpim.hop.config import HopConfig
from udpim.model import Address, MessageState, StreamId
from udpim.node.client import ClientNode
from udpim.node.effects import Authenticate, NotifyOffline
from udpim.node.events import MessagesReleased, ReceiptsChanged
from udpim.node.server import ServerNode
from udpim.node.state import LinkState
from udpim.store.executor import EffectExecutor
from udpim.store.memory import MemoryStore
from udpim_bench.measure import WrongCounts

STEP_S = 100e-6
"""Virtual time of one step, in which everything that it causes comes to rest."""
HOP = HopConfig(max_ack_delay_s=20e-6, grease_packets_max=0)
SERVER: Address = ("192.0.2.1", 9000)
SPARE_TIMERS = 64
NUMBER_BYTES = 8
"""A payload begins with its number in the conversation."""


class Host:
    """A node under its effect executor."""

    __slots__ = ("address", "executor", "inbox", "node", "timeout")

    def __init__(self, address: Address, node: ClientNode | ServerNode) -> None:
        """Take a node; the executor comes with its store."""
        self.address = address
        self.node = node
        self.executor: EffectExecutor
        self.inbox: list[tuple[bytes, Address]] = []
        self.timeout = inf


class Client(Host):
    """A client, and what its application has not finished with."""

    __slots__ = ("waiting",)

    def __init__(self, user: str, node: ClientNode) -> None:
        """Take a node."""
        super().__init__((user, 1), node)
        self.waiting: deque[tuple[StreamId, int, list[bytes]]] = deque()
        """Released and not handled: stream, first seq, payloads."""

    @property
    def client(self) -> ClientNode:
        """The node by its class."""
        assert isinstance(self.node, ClientNode)
        return self.node


class World:
    """One server and any number of clients."""

    def __init__(self, *, size_bytes: int = 128, seed: int = 1) -> None:
        """Start a server without sessions; payloads are of this size."""
        self._random = random.Random(seed)
        self._filler = bytes(size_bytes - NUMBER_BYTES)
        self.now = 0.0
        self._timers: list[tuple[float, int, Host]] = []
        self._timers_set = 0
        self._awake: dict[Host, None] = {}
        self._hosts: dict[Address, Host] = {}
        self.sent = self.receipted = self.handled = self.datagrams = 0
        self._numbers: dict[tuple[str, str], int] = {}
        self._got: dict[tuple[str, str], list[bytes]] = {}
        self.server = self._make_server()

    # --- Who is there ---

    def _make_server(self) -> Host:
        store = MemoryStore()
        node = ServerNode(
            ServerConfig(),
            store.load_server(),
            durable=store.durable,
            random_bytes=self._random.randbytes,
            known_user=lambda user: False,
            hop_config=HOP,
        )
        host = Host(SERVER, node)

        def authenticate(effect: Authenticate) -> None:
            node.on_authenticated(effect.token, None, self.now)

        def ignore(effect: NotifyOffline) -> None:
            """Nobody is to be woken here."""

        handlers: dict[type, Any] = {Authenticate: authenticate, NotifyOffline: ignore}
        host.executor = EffectExecutor(node, store, handlers)
        self._hosts[host.address] = host
        return host

    def log_in(self, user: str) -> Client:
        """Add a client and wait until it is online.

        Raises:
            WrongCounts: If it does not come online.
        """
        store = MemoryStore()
        node = ClientNode(
            ClientConfig(user=user, device="d"),
            store.load_client(),
            durable=store.durable,
            random_bytes=self._random.randbytes,
            now=self.now,
            hop_config=HOP,
        )
        client = Client(user, node)
        client.executor = EffectExecutor(node, store)
        self._hosts[client.address] = client
        node.connect(SERVER, self.now)
        self._awake[client] = None
        self.step()
        self.step()
        if node.state is not LinkState.ONLINE:
            raise WrongCounts(f"{user} could not log in")
        return client

    # --- What happens ---

    def send(self, client: Client, user: str, count: int) -> None:
        """Send so many messages; they leave with the next step."""
        key = (client.address[0], user)
        first = self._numbers.get(key, 0)
        self._numbers[key] = first + count
        payloads = [
            number.to_bytes(NUMBER_BYTES, "big") + self._filler
            for number in range(first, first + count)
        ]
        wall_ms = int(self.now * 1000)
        client.client.send_messages(user, payloads, now=self.now, wall_ms=wall_ms)
        self.sent += count
        self._awake[client] = None

    def handle(self, client: Client, count: int) -> None:
        """Let the application finish with the ``count`` messages that wait longest."""
        while count:
            stream, first, payloads = client.waiting.popleft()
            done = payloads[:count]
            if len(done) < len(payloads):
                client.waiting.appendleft((stream, first + count, payloads[count:]))
            client.client.handled(stream, first, sum(map(len, done)), len(done))
            self._got.setdefault((stream.user, stream.conversation), []).extend(done)
            self.handled += len(done)
            count -= len(done)
        self._awake[client] = None

    def ping(self, client: Client) -> None:
        """Let a client say what it says when it has nothing to say."""
        connection = client.client.connection
        assert connection is not None, "it is online"
        connection.ping()
        self._awake[client] = None

    def step(self) -> None:
        """Hand over what is to be said, until all is quiet and the step's time is over."""
        until = self.now + STEP_S
        self._turns()
        timers = self._timers
        while timers and timers[0][0] <= until:
            when, _, host = heappop(timers)
            if when != host.timeout:
                continue
            self.now = max(self.now, when)
            host.timeout = inf
            host.node.handle_timeout(self.now)
            self._awake[host] = None
            self._turns()
        self.now = until

    def _turns(self) -> None:
        awake = self._awake
        while awake:
            host = next(iter(awake))
            del awake[host]
            if host.inbox:
                burst, host.inbox = host.inbox, []
                host.node.receive_datagrams(burst, self.now)
            self._turn(host)

    def _turn(self, host: Host) -> None:
        """Drain a node's outputs, as a driver does after every wake-up."""
        node, now = host.node, self.now
        host.executor.settle(now)
        if isinstance(host, Client):
            self._events(host)
        else:
            while node.next_event() is not None:
                """Sessions come; nobody watches."""
        for data, to in node.datagrams_to_send(now):
            target = self._hosts[to]
            target.inbox.append((data, host.address))
            self._awake[target] = None
            self.datagrams += 1
        timeout = node.next_timeout()
        if timeout != host.timeout:
            self._arm(host, inf if timeout is None else timeout)

    def _arm(self, host: Host, timeout: float) -> None:
        host.timeout = timeout
        self._timers_set += 1
        timers = self._timers
        heappush(timers, (timeout, self._timers_set, host))
        if len(timers) > 4 * len(self._hosts) + SPARE_TIMERS:
            # Most are outdated; thrown away here, the heap grows with the hosts and not with time.
            present = {entry[2]: entry for entry in timers if entry[0] == entry[2].timeout}
            timers[:] = present.values()
            heapify(timers)

    def _events(self, client: Client) -> None:
        while (event := client.node.next_event()) is not None:
            if isinstance(event, MessagesReleased):
                for run in event.runs:
                    payloads = [payload for _, _, payload in run.messages]
                    client.waiting.append((run.stream, run.messages[0][0], payloads))
            elif isinstance(event, ReceiptsChanged):
                for change in event.changes:
                    if change.state is MessageState.DELIVERED:
                        self.receipted += change.last - change.first + 1

    # --- Checking ---

    def check(self) -> None:
        """Verify that what was handled came once, in order, and is receipted.

        Raises:
            WrongCounts: If not.
        """
        for key, got in self._got.items():
            numbers = [int.from_bytes(payload[:NUMBER_BYTES], "big") for payload in got]
            if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
                raise WrongCounts(f"{key[1]} got something else than {key[0]} sent")
            # The last one stays, so that the next check sees a gap between the two.
            del got[:-1]
        if self.handled != self.receipted:
            raise WrongCounts(f"{self.handled} handled, {self.receipted} receipted")

    def resent(self) -> int:
        """Return how many messages were sent again end to end."""
        nodes = (host.node for host in self._hosts.values())
        return sum(node.outbox.resent_messages for node in nodes if isinstance(node, ClientNode))
