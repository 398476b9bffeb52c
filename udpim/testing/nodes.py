"""The processes of a virtual world: a server, and clients with their applications.

What a user does (send, cancel, finish with a message) are methods of `VirtualClient`; all that its
application sees goes into the history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from udpim.config import ClientConfig, ServerConfig
from udpim.hop.config import HopConfig
from udpim.im.group_desk import GroupRequest
from udpim.im.out_stream import OutStream
from udpim.im.records import AsideRow
from udpim.model import Address, Endpoint, GroupAction, MessageState, MsgId, StreamId
from udpim.node import events as ev
from udpim.node.client import ClientNode
from udpim.node.effects import Authenticate, AuthorizeGroup, MaySee, NotifyOffline
from udpim.node.server import ServerNode
from udpim.node.state import LinkState
from udpim.testing.facts import SERVER
from udpim.testing.process import Surroundings, VirtualProcess
from udpim.testing.put_back import find_moved
from udpim.wire import im_codec
from udpim.wire.im_packets import SIGNALS, GroupA, ImPacket, PresenceA, SignalN, is_bulk

SERVER_ADDRESS = (SERVER, 9000)
WALL_MS = 1_800_000_000_000
"""Wall clock at virtual time 0."""


class VirtualServer(VirtualProcess):
    """The server's process.

    Attributes:
        config: Limits of the next process.
        refuse: Returns why a login is refused, None when it is welcome.
        may_change_group: The membership hook: a request, and what holds without a hook.
        known_users: Users that may log in one day; others are unknown recipients.
        offline_notices: What the on_offline hook was told.
        may_see: Whether an endpoint may know who of a user is there.
    """

    def __init__(
        self, surroundings: Surroundings, config: ServerConfig, hop_config: HopConfig
    ) -> None:
        """Describe the server; see `VirtualProcess`."""
        super().__init__(SERVER, SERVER_ADDRESS, surroundings)
        self.config = config
        self.refuse: Callable[[Endpoint, bytes], str | None] = lambda endpoint, token: None
        self.known_users: set[str] = set()
        self.may_change_group: Callable[[GroupRequest, bool], bool | None] = (
            lambda request, allowed: allowed
        )
        self.offline_notices: list[NotifyOffline] = []
        self.may_see: Callable[[Endpoint, str], bool] = lambda endpoint, subject: True
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
            wall_ms=lambda: WALL_MS + int(self._clock.now * 1000) + self.wall_skew_ms,
            hop_config=self._hop_config,
        )

    def _handlers(self) -> dict[type, Callable[[Any], None]]:
        def authenticate(effect: Authenticate) -> None:
            refusal = self.refuse(effect.endpoint, effect.secret)
            self.node.on_authenticated(effect.token, refusal, self.now)

        def authorize(effect: AuthorizeGroup) -> None:
            allowed = self.may_change_group(effect.request, effect.allowed)
            self.node.on_group_authorized(effect.token, allowed, self.now)

        def may_see(effect: MaySee) -> None:
            allowed = self.may_see(effect.endpoint, effect.subject)
            self.node.on_may_see(effect.token, self.now, allowed=allowed)

        return {
            Authenticate: authenticate,
            AuthorizeGroup: authorize,
            MaySee: may_see,
            NotifyOffline: self.offline_notices.append,
        }

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
        alarms: Where the view of a message differed from the event that announced it.
        signals: What others signalled, and when it came.
        presences: What the server said of who is there.
        servers: Where it dials, in turn.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        config: ClientConfig,
        hop_config: HopConfig,
        ports: Callable[[], int],
    ) -> None:
        """Describe a client; see `VirtualProcess`.

        Args:
            surroundings: What it shares with the others.
            config: User, device and limits of its node.
            hop_config: Settings of its connections.
            ports: Draws a port that nobody has used.
        """
        self.endpoint = endpoint = Endpoint(config.user, config.device)
        super().__init__(str(endpoint), (str(endpoint), 0), surroundings)
        self.config = config
        self.handle_after_s: float | None = 0.0
        self.waiting: list[tuple[StreamId, int, bytes]] = []
        self.links: list[tuple[LinkState, int]] = []
        self.alarms: list[str] = []
        self.group_answers: list[GroupA] = []
        self.signals: list[tuple[float, SignalN]] = []
        self.presences: list[PresenceA] = []
        self.servers: tuple[Address, ...] = (SERVER_ADDRESS,)
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

    @property
    def closed(self) -> bool:
        """Whether it will not connect any more."""
        return self.up and self.node.state is LinkState.CLOSED

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

    def signal(self, recipient: str, payload: bytes) -> bool:
        """Signal once; tell whether the link took it."""
        taken = self.node.send_signal(recipient, payload, self.now)
        self._turn()
        return taken

    def ask(self, user: str) -> int:
        """Ask who of a user is there; return the question's number."""
        request = self.node.inquiries.ask(user)
        self._turn()
        return request

    def cancel(self, sent: Sent) -> None:
        """Give up on messages."""
        for msgid in map(self._present, sent.msgids):
            self.node.outbox.cancel(self._stream(msgid.stream), msgid.seq, msgid.seq)
        self._turn()

    def ask_group(self, action: GroupAction, group: str = "", user: str = "") -> int:
        """Create, join, leave or list; returns the number of the answer to come."""
        number = self.node.groups.ask(action, group, user)
        self._turn()
        return number

    def read(self, msgid: MsgId) -> None:
        """The user has read this message and all before it."""
        self.node.read(msgid.stream, msgid.seq)
        self._turn()

    def resend(self, msgid: MsgId) -> None:
        """Send one message again by hand."""
        msgid = self._present(msgid)
        self.node.outbox.resend(self._stream(msgid.stream), msgid.seq)
        self._turn()

    def state(self, msgid: MsgId) -> MessageState:
        """Return what the node shows of a message now."""
        msgid = self._present(msgid)
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

    def set_aside(self) -> bool:
        """Let the application set aside the oldest message that waits; tell whether it could."""
        stream, seq, payload = self.waiting[0]
        done = self.node.inbox.set_aside(AsideRow(stream, seq, 0, payload, "poison"))
        if done:
            del self.waiting[0]
        self._turn()
        return done

    def inject(self, packet: ImPacket) -> None:
        """Send any IM packet on the present connection, as a hostile client would."""
        connection = self.node.connection
        assert connection is not None, f"{self.host} has no connection"
        body = im_codec.encode(packet)
        if isinstance(packet, SIGNALS):
            connection.send_datagram(body, self.now)
        else:
            connection.send_frame(body, None, self.now, bulk=is_bulk(packet, len(body)))
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

    def migrate(self) -> None:
        """Go over to another network, and know it."""
        self.rebind()
        self.node.rebound(self.now)
        self._turn()

    # --- The process ---

    def _make(self, random_bytes: Callable[[int], bytes]) -> ClientNode:
        self.address = (self.host, self._ports())
        self.waiting.clear()
        snapshot = self.store.load_client()
        self.history.on_opened(self.endpoint, snapshot.meta)
        find_moved(self.history, self.endpoint, snapshot)
        return ClientNode(
            self.config,
            snapshot,
            durable=self.store.durable,
            random_bytes=random_bytes,
            now=self.now,
            hop_config=self._hop_config,
        )

    def _started(self) -> None:
        for msgid, send in self.history.sends.items():
            sender = Endpoint(msgid.stream.user, msgid.stream.device)
            if sender == self.endpoint:
                stream = self.node.outbox.stream(msgid.stream)
                if stream is not None and msgid.seq < stream.next_seq:
                    if send.accepted is None:  # its commit landed in the crash
                        self.history.on_accepted(msgid, untold=True)
                    self.history.on_shown(msgid, stream.state(msgid.seq), self.life)
        first, *others = self.servers
        self.node.connect(first, self.now, *others)

    def _present(self, msgid: MsgId) -> MsgId:
        """Return the msgid that a message has now, as its receipt does."""
        while msgid in self.history.moved:
            msgid = self.history.moved[msgid]
        return msgid

    def _stream(self, id_: StreamId) -> OutStream:
        stream = self.node.outbox.stream(id_)
        assert stream is not None, f"{self.host} has no stream {id_}"
        return stream

    def _on_event(self, event: ev.Event) -> None:
        if isinstance(event, ev.OutboxCommitted):
            for stream, last in event.streams:
                self._accepted(stream.id, last)
        elif isinstance(event, ev.StreamsReborn):
            for old, new, first, last in event.streams:
                self.history.on_reborn(old, new, first, last)
        elif isinstance(event, ev.MessagesRerouted):
            for one in event.messages:
                payload = self.history.sends[MsgId(one.stream.id, one.seq)].payload
                self.history.on_send(one.new_stream.id, one.new_seq, [payload])
        elif isinstance(event, ev.ReceiptsChanged):
            self._shown(event)
        elif isinstance(event, ev.GroupAnswered):
            self.group_answers += event.answers
        elif isinstance(event, ev.MessagesReleased):
            for run in event.runs:
                for seq, _, payload in run.messages:
                    self._handed_over(run.stream, seq, payload)
        elif isinstance(event, ev.SignalsReceived):
            self.signals += [(self._clock.now, signal) for signal in event.signals]
        elif isinstance(event, ev.PresenceAnswered):
            self.presences += event.answers
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
            self._turn()
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
