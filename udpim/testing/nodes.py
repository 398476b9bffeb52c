"""Virtual processes: production nodes under the production effect executor, without sockets.

A process can crash and start again from what its disk holds, be paused, move to another address,
and have clocks that jump. Its inputs are bursts of datagrams, its timer, and its store's wake; after
each it drains the node as the nodes' contract says (`udpim.node`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from udpim.config import ClientConfig, ServerConfig
from udpim.hop.config import HopConfig
from udpim.im.out_stream import OutStream
from udpim.model import Address, Endpoint, MessageState, MsgId, StreamId
from udpim.node import events as ev
from udpim.node.client import ClientNode
from udpim.node.effects import Authenticate, NotifyOffline
from udpim.node.server import ServerNode
from udpim.node.state import LinkState
from udpim.store.executor import EffectExecutor
from udpim.testing.history import SERVER, History
from udpim.testing.network import VirtualNetwork
from udpim.testing.storage import VirtualStore

SERVER_ADDRESS = (SERVER, 9000)
SOCKET_BUFFER_DATAGRAMS = 512
"""What waits for a paused process; more is lost, as in a socket's buffer."""
SPINS_MAX = 1000
"""Timers of one node in one instant; more is a node that asks for nothing but to be asked."""
WALL_MS = 1_800_000_000_000
"""Wall clock at virtual time 0."""


class VirtualProcess:
    """What a client's and a server's process have in common.

    Attributes:
        host: ``server``, or ``user/device``.
        address: Where datagrams reach it now.
        store: Its disk or memory.
        life: Number of the present process, from 1.
        clock_skew_s: What its monotonic clock is ahead of the world's.
        wall_skew_ms: What its wall clock is ahead of the world's.
        errors: What its store refused.
    """

    def __init__(
        self,
        host: str,
        address: Address,
        *,
        seed: object,
        network: VirtualNetwork,
        history: History,
        store: VirtualStore,
    ) -> None:
        """Describe a process; `start` runs it."""
        self.host = host
        self.address = address
        self.store = store
        self.life = 0
        self.history = history
        self.clock_skew_s = 1e5 * random.Random(f"{seed}:{host}:skew").random()
        self.wall_skew_ms = 0
        self.errors: list[Exception] = []
        self._seed = seed
        self._network = network
        self._clock = network.clock
        self._node: ClientNode | ServerNode | None = None
        self._executor: EffectExecutor | None = None
        self._buffer: list[tuple[bytes, Address]] = []
        self._paused = False
        self._draining = False
        self._armed: float | None = None
        self._spins = 0
        self._spun_at = -1.0
        store.observe = lambda ops: history.on_durable(host, ops)

    # --- Life and death ---

    @property
    def up(self) -> bool:
        """Whether the process runs; a paused one does too."""
        return self._node is not None

    @property
    def now(self) -> float:
        """Its monotonic clock."""
        return self._clock.now + self.clock_skew_s

    def start(self) -> None:
        """Run a new process on what the disk holds."""
        assert self._node is None, f"{self.host} is up already"
        self.life += 1
        random_bytes = random.Random(f"{self._seed}:{self.host}:{self.life}").randbytes
        self._node = self._make(random_bytes)
        self._executor = EffectExecutor(self._node, self.store, self._handlers())
        self.store.set_wake(self._turn)
        self._network.bind(self.address, self._arrive)
        self._started()
        self._turn()

    def crash(self, *, landing: int = 0) -> None:
        """Die at once; see `VirtualStore.crash`."""
        assert self._node is not None, f"{self.host} is down already"
        self._node = self._executor = None
        self._armed = None
        self._buffer.clear()
        self._paused = False
        self._network.unbind(self.address)
        self.store.crash(landing=landing)
        if not self.store.durable:
            self.history.on_disk_lost(self.host)

    def restart(self, *, landing: int = 0) -> None:
        """Crash, if it is up, and start again."""
        if self.up:
            self.crash(landing=landing)
        self.start()

    def lose_disk(self) -> None:
        """Crash, if it is up, and start with an empty disk."""
        if self.up:
            self.crash()
        self.store.lose_disk()
        self.history.on_disk_lost(self.host)
        self.start()

    def restore(self, backup: Any) -> None:
        """Crash, if it is up, and start with an old copy of the disk."""
        if self.up:
            self.crash()
        self.store.restore(backup)
        self.history.on_disk_lost(self.host)
        self.start()

    def pause(self) -> None:
        """Stop the process as a debugger or a suspended machine does."""
        self._paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self._paused = False
        self._turn()

    def jump_clock(self, seconds: float) -> None:
        """Let the monotonic clock jump ahead, as after a suspension."""
        self.clock_skew_s += seconds
        self._armed = None
        self._turn()

    # --- For subclasses ---

    def _make(self, random_bytes: Callable[[int], bytes]) -> ClientNode | ServerNode:
        raise NotImplementedError

    def _handlers(self) -> dict[type, Callable[[Any], None]]:
        return {}

    def _started(self) -> None:
        pass

    def _on_event(self, event: ev.Event) -> None:
        raise NotImplementedError

    # --- Inputs and outputs ---

    def _arrive(self, data: bytes, source: Address) -> None:
        if len(self._buffer) >= SOCKET_BUFFER_DATAGRAMS:
            return
        self._buffer.append((data, source))
        if len(self._buffer) == 1:
            life = self.life
            # Once more round the clock: what arrives in the same instant is one burst.
            self._clock.call_later(0.0, lambda: self._turn() if self.life == life else None)

    def _turn(self) -> None:
        """Take in what waits and drain the node until it has nothing more to say."""
        node = self._node
        if node is None or self._paused or self._draining:
            return
        self._draining = True
        try:
            while self._node is node and self._drain(node):
                pass
        finally:
            self._draining = False
        if self._node is node:
            self._arm(node)

    def _drain(self, node: ClientNode | ServerNode) -> bool:
        """One round; tell whether there was anything."""
        busy = False
        if self._buffer:
            busy = True
            burst, self._buffer = self._buffer, []
            node.receive_datagrams(burst, self.now)
        executor = self._executor
        assert executor is not None
        executor.settle(self.now)
        if self._node is not node:
            return False
        for data, destination in node.datagrams_to_send(self.now):
            busy = True
            self._network.send(self.address, destination, data)
            if self._node is not node:
                return False
        while (event := node.next_event()) is not None:
            busy = True
            self._on_event(event)
            if self._node is not node:
                return False
        return busy

    def _arm(self, node: ClientNode | ServerNode) -> None:
        when = node.next_timeout()
        if when is None or when == self._armed:
            return
        self._armed = when
        skew_s = self.clock_skew_s
        self._clock.call_at(when - skew_s, lambda: self._on_timer(node, when, skew_s))

    def _on_timer(self, node: ClientNode | ServerNode, when: float, skew_s: float) -> None:
        if self._node is not node or self._armed != when or skew_s != self.clock_skew_s:
            return
        if self._paused:
            self._clock.call_later(0.1, lambda: self._on_timer(node, when, skew_s))
            return
        self._armed = None
        self._spins = self._spins + 1 if self._spun_at == self._clock.now else 0
        self._spun_at = self._clock.now
        assert self._spins < SPINS_MAX, f"{self.host} wants its timer at {when} for ever"
        node.handle_timeout(max(when, self.now))
        self._turn()


class VirtualServer(VirtualProcess):
    """The server's process.

    Attributes:
        config: Limits of the next process.
        refuse: Returns why a login is refused, None when it is welcome.
        known_users: Users that may log in one day; others are unknown recipients.
        offline_notices: What the on_offline hook was told.
    """

    def __init__(self, *, hop_config: HopConfig, config: ServerConfig, **common: Any) -> None:
        """Describe the server; see `VirtualProcess`."""
        super().__init__(SERVER, SERVER_ADDRESS, **common)
        self.config = config
        self.refuse: Callable[[Endpoint, bytes], str | None] = lambda endpoint, token: None
        self.known_users: set[str] = set()
        self.offline_notices: list[NotifyOffline] = []
        self._hop_config = hop_config

    @property
    def node(self) -> ServerNode:
        """The present node; the process must be up."""
        assert isinstance(self._node, ServerNode)
        return self._node

    def _make(self, random_bytes: Callable[[int], bytes]) -> ServerNode:
        return ServerNode(
            self.config,
            self.store.load_server(),
            durable=self.store.durable,
            random_bytes=random_bytes,
            known_user=self.known_users.__contains__,
            hop_config=self._hop_config,
        )

    def _handlers(self) -> dict[type, Callable[[Any], None]]:
        def authenticate(effect: Authenticate) -> None:
            refusal = self.refuse(effect.endpoint, effect.secret)
            self.node.on_authenticated(effect.token, refusal, self.now)

        return {Authenticate: authenticate, NotifyOffline: self.offline_notices.append}

    def _on_event(self, event: ev.Event) -> None:
        if isinstance(event, ev.StoreFailed):
            self.errors.append(event.error)

    def shutdown(self) -> None:
        """Say goodbye to everybody."""
        self.node.shutdown(self.now)
        self._turn()


@dataclass(frozen=True, slots=True)
class Sent:
    """Messages that one `VirtualClient.send` put into the outbox."""

    stream: StreamId
    first: int
    last: int

    @property
    def msgids(self) -> list[MsgId]:
        """Every message's identity."""
        return [MsgId(self.stream, seq) for seq in range(self.first, self.last + 1)]


class VirtualClient(VirtualProcess):
    """A client's process, its application included.

    Attributes:
        handle_after_s: When the application has finished with a message; None: on command.
        waiting: What the application was given and has not finished with.
        links: Every state of the link, with its code.
        alarms: How often the view of a message differed from the event that announced it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        config: ClientConfig,
        hop_config: HopConfig,
        ports: Callable[[], int],
        **common: Any,
    ) -> None:
        """Describe a client; see `VirtualProcess`."""
        super().__init__(str(endpoint), (str(endpoint), 0), **common)
        self.endpoint = endpoint
        self.config = config
        self.handle_after_s: float | None = 0.0
        self.waiting: list[tuple[StreamId, int, bytes]] = []
        self.links: list[tuple[LinkState, int]] = []
        self.alarms: list[str] = []
        self._hop_config = hop_config
        self._ports = ports

    @property
    def node(self) -> ClientNode:
        """The present node; the process must be up."""
        assert isinstance(self._node, ClientNode)
        return self._node

    @property
    def online(self) -> bool:
        """Whether it is logged in, as far as it knows."""
        return self.up and self.node.state is LinkState.ONLINE

    # --- What a user does ---

    def send(
        self, recipient: str, payloads: bytes | Sequence[bytes], *, ttl_s: float | None = None
    ) -> Sent:
        """Send one message or a run of them."""
        if isinstance(payloads, bytes):
            payloads = [payloads]
        wall_ms = WALL_MS + int(self._clock.now * 1000) + self.wall_skew_ms
        stream, first = self.node.send_messages(
            recipient, payloads, now=self.now, wall_ms=wall_ms, ttl_s=ttl_s
        )
        self.history.on_send(stream.id, first, payloads)
        self._turn()
        return Sent(stream.id, first, first + len(payloads) - 1)

    def cancel(self, sent: Sent) -> None:
        """Give up on messages."""
        self.node.outbox.cancel(self._stream(sent.stream), sent.first, sent.last)
        self._turn()

    def resend(self, msgid: MsgId) -> None:
        """Send one message again by hand."""
        self.node.outbox.resend(self._stream(msgid.stream), msgid.seq)
        self._turn()

    def state(self, msgid: MsgId) -> MessageState:
        """Return what the node shows of a message now."""
        return self._stream(msgid.stream).state(msgid.seq)

    def states(self, sent: Sent) -> Counter[str]:
        """Count what the node shows of messages now."""
        return Counter(self.state(msgid).name for msgid in sent.msgids)

    def handle(self, count: int | None = None) -> None:
        """Let the application finish with the oldest messages that wait."""
        done, self.waiting = self.waiting[:count], self.waiting[len(self.waiting[:count]) :]
        for message in done:
            self._handled(*message)
        self._turn()

    def close(self) -> None:
        """Say goodbye; the process stays, but no longer connects."""
        self.node.close(self.now)
        self._turn()

    def rebind(self) -> None:
        """Let a NAT give it another address."""
        self._network.unbind(self.address)
        self.address = (self.host, self._ports())
        self._network.bind(self.address, self._arrive)

    # --- The process ---

    def _make(self, random_bytes: Callable[[int], bytes]) -> ClientNode:
        self.address = (self.host, self._ports())
        self.waiting.clear()
        return ClientNode(
            self.config,
            self.store.load_client(),
            durable=self.store.durable,
            random_bytes=random_bytes,
            now=self.now,
            hop_config=self._hop_config,
        )

    def _started(self) -> None:
        for msgid, send in self.history.sends.items():
            sender = Endpoint(msgid.stream.user, msgid.stream.device)
            if sender == self.endpoint and send.accepted is not None:
                stream = self.node.outbox.stream(msgid.stream)
                if stream is not None and msgid.seq < stream.next_seq:
                    self.history.on_shown(msgid, stream.state(msgid.seq), self.life)
        self.node.connect(SERVER_ADDRESS, self.now)

    def _stream(self, id_: StreamId) -> OutStream:
        stream = self.node.outbox.stream(id_)
        assert stream is not None, f"{self.host} has no stream {id_}"
        return stream

    def _on_event(self, event: ev.Event) -> None:
        if isinstance(event, ev.OutboxCommitted):
            for stream, last in event.streams:
                self._accepted(stream.id, last)
        elif isinstance(event, ev.ReceiptsChanged):
            self._shown(event)
        elif isinstance(event, ev.MessagesReleased):
            for run in event.runs:
                for seq, _, payload in run.messages:
                    self._handed_over(run.stream, seq, payload)
        elif isinstance(event, ev.LinkChanged):
            self.links.append((event.state, event.code))
        elif isinstance(event, ev.StoreFailed):
            self.errors.append(event.error)

    def _accepted(self, stream: StreamId, last: int) -> None:
        seq = last
        while (send := self.history.sends.get(MsgId(stream, seq))) and send.accepted is None:
            self.history.on_accepted(send.msgid)
            seq -= 1

    def _shown(self, event: ev.ReceiptsChanged) -> None:
        last: dict[MsgId, MessageState] = {}
        for stream, first, end, state in event.changes:
            for seq in range(first, end + 1):
                msgid = MsgId(stream.id, seq)
                self.history.on_shown(msgid, state, self.life)
                last[msgid] = state
        for msgid, state in last.items():
            if self.state(msgid) is not state:
                self.alarms.append(f"{msgid}: told {state.name}, is {self.state(msgid).name}")

    def _handed_over(self, stream: StreamId, seq: int, payload: bytes) -> None:
        self.history.on_handover(self.endpoint, self.life, MsgId(stream, seq), payload)
        self.waiting.append((stream, seq, payload))
        after_s = self.handle_after_s
        if after_s == 0:
            self.waiting.pop()
            self._handled(stream, seq, payload)
        elif after_s is not None:
            life = self.life

            def later() -> None:
                if self.life == life and self.up and (stream, seq, payload) in self.waiting:
                    self.waiting.remove((stream, seq, payload))
                    self._handled(stream, seq, payload)
                    self._turn()

            self._clock.call_later(after_s, later)

    def _handled(self, stream: StreamId, seq: int, payload: bytes) -> None:
        if not self.store.durable:
            self.history.on_handled_in_memory(self.endpoint, MsgId(stream, seq))
        self.node.handled(stream, seq, len(payload))
