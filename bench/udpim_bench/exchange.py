"""The whole exchange in memory: client A, server and clients B as nodes, without sockets.

One *round*: A tops up what is in flight, then datagrams are handed over by direct calls and timers
are served until the virtual clock has reached the round's end. A message is *in flight* from the
moment that A's node accepted it until A's receipt shows DELIVERED. The clock moves 40 µs per
message, that is 25 000 messages/s in every case, so timers stand equally close everywhere.

Two shapes keep ``n`` in flight:

* burst: no latency. A sends all that was settled at once, up to n messages a round.
* pipe: A sends the same few messages every round, whatever n is; n comes from the latency, which
  lasts n / (messages a round) rounds for the four crossings together.

Specification: PROTOCOL §5; nodes and stores are those of production.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Any

from udpim.config import WINDOW, ClientConfig, ServerConfig
from udpim.crypto.security import SUITES
from udpim.model import Address, MessageState
from udpim.node.client import ClientNode
from udpim.node.effects import Authenticate, NotifyOffline
from udpim.node.events import MessagesReleased, ReceiptsChanged
from udpim.node.server import ServerNode
from udpim.node.state import LinkState
from udpim.ranges import RangeSet
from udpim.store.executor import EffectExecutor
from udpim.store.memory import MemoryStore
from udpim_bench.measure import WrongCounts
from udpim_bench.security import client_hop, server_hop

MESSAGE_S = 40e-6
"""Virtual time per message: the budget of 25 000 messages/s."""
SETUP_S = 1.0
"""Virtual time for handshakes, logins and the first exchange of memberships."""
ROUNDS_WITHOUT_PROGRESS_MAX = 100_000
SERVER: Address = ("192.0.2.1", 9000)
_SLACK_S = 1e-9
"""Datagrams that are due within the rounding of the clock are due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One way to keep messages in flight."""

    in_flight: int
    streams: int
    """Recipients; each is a client node of its own."""
    per_round: int | None = None
    """Messages a round of a pipe; None for bursts."""
    size_bytes: int = 128
    suite: int | None = None
    """How it is encrypted, a number of `udpim.crypto.security.SUITES`; None for plaintext."""

    def __post_init__(self) -> None:
        """Refuse what could never be in flight."""
        if self.in_flight > self.streams * WINDOW:
            raise ValueError(f"{self.streams} streams hold {self.streams * WINDOW} at most")

    @property
    def name(self) -> str:
        """Name the shape in reports."""
        kind = "burst" if self.per_round is None else f"pipe of {self.per_round}"
        words = f"{kind}, {self.in_flight} in flight, {self.streams} streams"
        return words if self.suite is None else f"{words}, {SUITES[self.suite].cipher.name}"

    @property
    def latency_rounds(self) -> tuple[int, int]:
        """Rounds that a datagram travels to the server, and from it."""
        if self.per_round is None:
            return 0, 0
        there_and_back = self.in_flight // self.per_round // 2
        return there_and_back // 2, there_and_back - there_and_back // 2


class Host:
    """A node with its store, as one process of production would hold it."""

    __slots__ = ("address", "executor", "inbox", "node", "timeout")

    def __init__(self, address: Address, node: ClientNode | ServerNode) -> None:
        """Take a node; the executor comes with its store."""
        self.address = address
        self.node = node
        self.executor: EffectExecutor
        self.inbox: list[tuple[bytes, Address]] = []
        """Datagrams of the present wake-up."""
        self.timeout = inf


class Exchange:
    """A → S → B → A, again and again: a `udpim_bench.measure.Case`."""

    def __init__(self, shape: Shape, messages: int, *, seed: int = 1) -> None:
        """Log everybody in and bring the shape to its steady state.

        Args:
            shape: What to keep in flight.
            messages: How many receipted messages one `run` waits for, at least.
            seed: Of ids and secrets.
        """
        self.name = shape.name
        self.shape = shape
        self._messages = messages
        self._random = random.Random(seed)
        self.now = 0.0
        up, down = shape.latency_rounds
        self._round_s = MESSAGE_S * (shape.per_round or 1)
        self._latency_up_s, self._latency_down_s = up * self._round_s, down * self._round_s
        self._to_server: deque[tuple[float, Host, bytes, Address]] = deque()
        self._to_clients: deque[tuple[float, Host, bytes, Address]] = deque()
        self.rounds = self.wakeups = self.datagrams = 0
        self.sent = self.settled = self.received = 0
        self.in_flight_max = self._in_flight_sum = 0
        self._numbers = 0
        self._pool: deque[bytes] = deque()
        self._due: dict[str, deque[bytes]] = {}
        self._got: dict[str, list[bytes]] = {}
        self._open: dict[str, int] = {}
        self._receipted: dict[str, list[tuple[int, int]]] = {}
        self._proven: dict[str, RangeSet] = {}
        self._server = self._make_server()
        self._sender = self._make_client("alice")
        self._receivers = [self._make_client(f"bob{i}") for i in range(shape.streams)]
        self._hosts = [self._server, self._sender, *self._receivers]
        self._by_address = {host.address: host for host in self._hosts}
        self._recipients = [f"bob{i}" for i in range(shape.streams)]
        for user in self._recipients:
            self._due[user], self._got[user] = deque(), []
            self._open[user], self._receipted[user], self._proven[user] = 0, [], RangeSet()
        self._log_in()
        self.warm_up(max(2000, 5 * shape.in_flight))

    # --- Building ---

    def _make_server(self) -> Host:
        store = MemoryStore()
        node = ServerNode(
            ServerConfig(),
            store.load_server(),
            durable=store.durable,
            random_bytes=self._random.randbytes,
            known_user=lambda user: False,
            hop_config=server_hop(self.shape.suite),
        )
        host = Host(SERVER, node)

        def authenticate(effect: Authenticate) -> None:
            node.on_authenticated(effect.token, None, self.now)

        def ignore(effect: NotifyOffline) -> None:
            """Nobody is to be woken here."""

        handlers: dict[type, Any] = {Authenticate: authenticate, NotifyOffline: ignore}
        host.executor = EffectExecutor(node, store, handlers)
        return host

    def _make_client(self, user: str) -> Host:
        store = MemoryStore()
        node = ClientNode(
            ClientConfig(user=user, device="d"),
            store.load_client(),
            durable=store.durable,
            random_bytes=self._random.randbytes,
            now=0.0,
            hop_config=client_hop(self.shape.suite, self._random),
        )
        host = Host((user, 1), node)
        host.executor = EffectExecutor(node, store)
        return host

    def _client(self, host: Host) -> ClientNode:
        assert isinstance(host.node, ClientNode)
        return host.node

    def _log_in(self) -> None:
        clients = [self._sender, *self._receivers]
        for host in clients:
            self._client(host).connect(SERVER, self.now)
            self._turn(host)
        self._advance(self.now + SETUP_S + 8 * (self._latency_up_s + self._latency_down_s))
        if any(self._client(host).state is not LinkState.ONLINE for host in clients):
            raise WrongCounts(f"{self.name}: somebody could not log in")

    def warm_up(self, messages: int) -> None:
        """Exchange so many messages untimed."""
        self._fill_pool(messages)
        self._exchange(messages)
        self.check()
        self.rounds = self.wakeups = self.datagrams = 0
        self.in_flight_max = self._in_flight_sum = 0
        self._fill_pool(self._messages)

    def _fill_pool(self, messages: int) -> None:
        """Make payloads, each different, before the time is taken."""
        filler = bytes(self.shape.size_bytes - 8)
        while len(self._pool) < messages + 2 * self.shape.in_flight:
            self._pool.append(self._numbers.to_bytes(8, "big") + filler)
            self._numbers += 1

    # --- Running ---

    def run(self) -> int:
        """Exchange messages until enough more are receipted; return how many were."""
        return self._exchange(self._messages)

    def _exchange(self, messages: int) -> int:
        before = self.settled
        target = before + messages
        stuck = 0
        while self.settled < target:
            settled = self.settled
            self._round()
            stuck = 0 if self.settled > settled else stuck + 1
            if stuck > ROUNDS_WITHOUT_PROGRESS_MAX:
                raise WrongCounts(f"{self.name}: {self.sent - self.settled} messages hang")
        return self.settled - before

    def _round(self) -> None:
        """Top up, hand over, let time pass."""
        sent = self._top_up()
        in_flight = self.sent - self.settled
        self.rounds += 1
        self._in_flight_sum += in_flight
        self.in_flight_max = max(self.in_flight_max, in_flight)
        if sent:
            self._turn(self._sender)
        self._advance(self.now + max(self._round_s, MESSAGE_S * sent))

    def _top_up(self) -> int:
        """Send what may be sent in this round; return how much it was."""
        shape = self.shape
        if shape.per_round is not None:
            count = min(shape.per_round, shape.in_flight - self.sent + self.settled)
            if count:
                self._send(self._recipients[self.rounds % shape.streams], count)
            return count
        total = 0
        share, rest = divmod(shape.in_flight, shape.streams)
        for index, user in enumerate(self._recipients):
            count = share + (index < rest) - self._open[user]
            if count:
                self._send(user, count)
                total += count
        return total

    def _send(self, user: str, count: int) -> None:
        pool = self._pool
        payloads = [pool.popleft() for _ in range(count)]
        self._due[user] += payloads
        self._open[user] += count
        self.sent += count
        wall_ms = int(self.now * 1000)
        self._client(self._sender).send_messages(user, payloads, now=self.now, wall_ms=wall_ms)

    def _advance(self, until: float) -> None:
        """Hand over what arrives and serve what is due, instant by instant."""
        hosts = self._hosts
        queues = (self._to_server, self._to_clients)
        while True:
            at = min(host.timeout for host in hosts)
            for queue in queues:
                if queue and queue[0][0] < at:
                    at = queue[0][0]
            if at > until + _SLACK_S:
                break
            self.now = max(self.now, at)
            limit = self.now + _SLACK_S
            awake: dict[Host, None] = {}
            for queue in queues:
                while queue and queue[0][0] <= limit:
                    _, host, data, source = queue.popleft()
                    host.inbox.append((data, source))
                    awake[host] = None
            for host in hosts:
                if host.timeout <= self.now:
                    host.node.handle_timeout(self.now)
                    awake[host] = None
            for host in awake:
                if host.inbox:
                    burst, host.inbox = host.inbox, []
                    host.node.receive_datagrams(burst, self.now)
                self._turn(host)
        self.now = max(self.now, until)

    def _turn(self, host: Host) -> None:
        """Drain a node's outputs, as a driver does after every wake-up."""
        node, now = host.node, self.now
        self.wakeups += 1
        host.executor.settle(now)
        if host is not self._server and self._events(self._client(host)):
            host.executor.settle(now)
        datagrams = node.datagrams_to_send(now)
        self.datagrams += len(datagrams)
        if host is self._server:
            at, queue = now + self._latency_down_s, self._to_clients
            while node.next_event() is not None:
                """Sessions come and go; nobody watches."""
        else:
            at, queue = now + self._latency_up_s, self._to_server
        for data, to in datagrams:
            queue.append((at, self._by_address[to], data, host.address))
        timeout = node.next_timeout()
        host.timeout = inf if timeout is None else timeout

    def _events(self, node: ClientNode) -> bool:
        """Let the application see a client's events; tell whether it finished messages."""
        handled = False
        while (event := node.next_event()) is not None:
            if isinstance(event, MessagesReleased):
                for run in event.runs:
                    user = run.stream.conversation
                    for seq, _, payload in run.messages:
                        self._handle(user, payload)
                        node.handled(run.stream, seq, len(payload))
                handled = True
            elif isinstance(event, ReceiptsChanged):
                for stream, first, last, state in event.changes:
                    if state is MessageState.DELIVERED:
                        user = stream.id.conversation
                        self._receipted[user].append((first, last))
                        self._open[user] -= last - first + 1
                        self.settled += last - first + 1
        return handled

    def _handle(self, user: str, payload: bytes) -> None:
        """The application's handler at B."""
        self._got[user].append(payload)
        self.received += 1

    # --- Checking ---

    def check(self) -> None:
        """Verify that all so far arrived once, in order, and was receipted once.

        Raises:
            WrongCounts: If not.
        """
        for user in self._recipients:
            due, got, proven = self._due[user], self._got[user], self._proven[user]
            expected = [due.popleft() for _ in range(min(len(got), len(due)))]
            if got != expected:
                raise WrongCounts(f"{self.name}: {user} got something else than was sent")
            got.clear()
            for first, last in self._receipted[user]:
                if proven.within(first, last):
                    raise WrongCounts(f"{self.name}: {user} has a receipt twice")
                proven.add(first, last)
            self._receipted[user].clear()
        if self.settled != sum(proven.count() for proven in self._proven.values()):
            raise WrongCounts(f"{self.name}: receipts do not add up")
        if self.settled > self.received or self.received > self.sent:
            raise WrongCounts(f"{self.name}: more receipts than messages")
        self._fill_pool(self._messages)

    def drain(self) -> None:
        """Stop sending, let everything settle, and check that nothing is left.

        Raises:
            WrongCounts: If a message was lost, doubled or not receipted.
        """
        until = self.now + 60.0
        while self.settled < self.sent and self.now < until:
            self._advance(self.now + 0.1)
        self.check()
        left = sum(map(len, self._due.values()))
        if left or not self.sent == self.received == self.settled:
            raise WrongCounts(
                f"{self.name}: {self.sent} sent, {self.received} delivered, "
                f"{self.settled} receipted"
            )

    def counts(self) -> dict[str, Any]:
        """Return what was done since the warm-up, and since the start, in numbers."""
        server = self._server.node
        assert isinstance(server, ServerNode)
        sender = self._client(self._sender)
        ends = [self._client(host).connection for host in (self._sender, *self._receivers)]
        connections = [*server.connections(), *(end for end in ends if end is not None)]
        rounds = max(1, self.rounds)
        return {
            "sent": self.sent,
            "delivered": self.received,
            "receipted": self.settled,
            "in_flight_mean": round(self._in_flight_sum / rounds, 1),
            "in_flight_max": self.in_flight_max,
            "rounds": self.rounds,
            "wakeups": self.wakeups,
            "datagrams": self.datagrams,
            "resent_messages": sender.outbox.resent_messages,
            "packets_lost": sum(end.stats.packets_lost for end in connections),
            "probes_sent": sum(end.stats.probes_sent for end in connections),
        }
