"""A client node: one device, its outbox and inbox, and the connection to its server.

Contract: one or more inputs or commands, then drain `next_effect` (through the effect executor),
`datagrams_to_send` and `next_event`, then arm one timer at `next_timeout`. The runtime and the
virtual network drive it alike.

Message flow: `send_messages` → outbox row → Commit → (done) → msg:R → connection → datagram; and
datagram → connection → IM packets → outbox (receipts), inbox (messages) → Commit → (done) → ack:R.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from udpim.config import ClientConfig
from udpim.errors import DecodeError, LocalProtocolError, StoreError
from udpim.hop.codes import CloseCode, ConnectionState
from udpim.hop.config import HopConfig
from udpim.hop.connection import Connection
from udpim.hop.dial import Dialer
from udpim.im.group_questions import GroupQuestions
from udpim.im.handles import InHandles, OutHandles
from udpim.im.inquiries import Inquiries
from udpim.im.out_stream import OutStream
from udpim.im.receiver import Inbox
from udpim.im.records import ClientSnapshot, QueueItems
from udpim.im.sender import Outbox
from udpim.im.waiting_ack import Flight
from udpim.model import Address, LoginCode, StreamId
from udpim.node.announcing import announce
from udpim.node.backoff import Backoff
from udpim.node.commits import Commits
from udpim.node.early import fits_early
from udpim.node.effects import Effect
from udpim.node.events import Event, LinkChanged, OutboxCommitted, StoreFailed
from udpim.node.identity import Identity
from udpim.node.outflow import Outflow
from udpim.node.packets import TOO_MANY_STREAMS, read_im_packets
from udpim.node.reception import Reception
from udpim.node.signals import signal_rate
from udpim.node.spare_port import SparePort
from udpim.node.state import TRANSITIONS, LinkInput, LinkState
from udpim.node.totals import HopTotals
from udpim.wire import im_codec
from udpim.wire import im_packets as p
from udpim.wire.packet import Reset, is_long, parse_long

_LIVE = (LinkState.LOGGING_IN, LinkState.ONLINE)


class ClientNode:
    """One device of one user."""

    def __init__(
        self,
        config: ClientConfig,
        snapshot: ClientSnapshot,
        *,
        durable: bool,
        random_bytes: Callable[[int], bytes],
        now: float,
        hop_config: HopConfig | None = None,
    ) -> None:
        """Restore a device from its store, or begin a new one.

        Raises:
            ConfigError: If the store belongs to another endpoint.
        """
        self.config = config
        self._hop_config = (hop_config or HopConfig()).within(config.limits)
        self._random_bytes = random_bytes
        self._identity = Identity(config, snapshot.meta, durable=durable, random_bytes=random_bytes)
        self._events: deque[Event] = deque()
        self.outbox = Outbox(config, self._identity.incarnation, snapshot, now)
        self._outbox_epoch: int | None = None
        """The store epoch under which messages leave; None while none may."""
        self._early_due = False
        """The login has left, and what is open leaves with it."""
        self.outbox.stamp = max(self.outbox.stamp, self._identity.login_count)
        self.inbox = Inbox(snapshot, durable=durable, limits=config.limits)
        self._commits = Commits(self._identity, self.outbox, self.inbox, self._outbox_committed)
        self.state = LinkState.IDLE
        self.store_epoch = 0
        self.payload_bytes_max = config.limits.payload_bytes_max
        """Largest payload to send: our own limit, or the server's where it said a lower one."""
        self._addresses: deque[Address] = deque()
        """Of the server; the first one is dialled."""
        self._dialer: Dialer | None = None
        self._connection: Connection | None = None
        self._outbound = OutHandles()
        self._deadline: float | None = None
        """End of the present attempt, login or back-off."""
        self._backoff = Backoff(config, random_bytes)
        self._signal_rate = signal_rate(config.limits)
        learns = self._hop_config.learn_keepalive
        self.spare_port = SparePort(random_bytes, learns=learns)
        """What it wants of a second socket; its owner sees to it."""
        self._gone = HopTotals()
        """Of earlier dialers and connections."""
        self.drops: dict[str, int] = {}
        self._reception = Reception(
            self.outbox,
            self.inbox,
            self.drops,
            welcomed=self._on_login_ok,
            refused=self._on_login_refused,
        )
        self._outflow = Outflow(config.limits, self.outbox, self.inbox, self._reception)

    # --- Commands ---

    def connect(self, address: Address, now: float, *others: Address) -> None:
        """Dial the server, and again after every loss, until `close`.

        Args:
            address: Of the server.
            now: The time.
            others: Where it can be reached too; after a loss the next one is tried, in turn.

        Raises:
            LocalProtocolError: If the node was connected or closed before.
        """
        if self.state is not LinkState.IDLE:
            raise LocalProtocolError(f"cannot connect while {self.state.value}")
        self._addresses.extend((address, *others))
        self._dial(now)

    def send_messages(
        self,
        recipient: str,
        payloads: Sequence[bytes],
        *,
        now: float,
        wall_ms: int,
        ttl_s: float | None = None,
    ) -> tuple[OutStream, int]:
        """Put messages into the outbox; see `udpim.im.sender.Outbox.send`."""
        return self.outbox.send(recipient, payloads, now=now, wall_ms=wall_ms, ttl_s=ttl_s)

    def send_signal(self, recipient: str, payload: bytes, now: float) -> bool:
        """Signal once, soon or never; tell whether the link took it."""
        connection = self._connection
        if self.state is not LinkState.ONLINE or connection is None:
            return False
        if not self._signal_rate.take(now):
            return False
        connection.send_datagram(im_codec.encode(p.SignalR(recipient, payload)), now)
        return True

    def handled(self, stream: StreamId, seq: int, size_bytes: int, count: int = 1) -> None:
        """The application has finished with ``count`` messages from ``seq`` on."""
        self.inbox.handled(stream, seq, size_bytes, count)

    def read(self, stream: StreamId, seq: int) -> None:
        """The application has read this message and all before it in its stream."""
        self.inbox.read(stream, seq)

    @property
    def groups(self) -> GroupQuestions:
        """The questions about groups."""
        return self._reception.groups

    def rebound(self, now: float) -> None:
        """Datagrams leave from another address from now on; the connection goes on there."""
        if self._connection is not None:
            self._connection.migrate()
        self.spare_port.rebound(now)

    def close(self, now: float) -> None:
        """Say goodbye and stop. What is not settled stays in the outbox."""
        self._stop(CloseCode.NO_ERROR, "closed", now)

    def _stop(self, code: int, reason: str, now: float, *, refused: bool = False) -> None:
        if self._connection is not None:
            said = CloseCode.LOGIN_REFUSED if refused else code
            self._connection.close(said, reason, now)
            self._end_session()
        self._end_dialer()
        self._deadline = None
        self._move(LinkInput.STOP, code, reason, refused=refused)

    # --- Inputs ---

    def receive_datagrams(self, datagrams: Sequence[tuple[bytes, Address]], now: float) -> None:
        """Take one burst: all datagrams of one wake-up."""
        self.outbox.now = now
        for data, path in datagrams:
            if self._dialer is not None:
                self._dialer.receive_datagram(data, path, now)
                self._look_at_dialer(now)
            elif self._connection is not None and data:
                self._receive(self._connection, data, path, now)
            else:
                self._drop("no connection")
        self._after_input(now)

    def _receive(self, connection: Connection, data: bytes, path: Address, now: float) -> None:
        if is_long(data):
            self._receive_long(connection, data, now)
            return
        incoming = connection.receive_packet(data, path, now)
        if incoming is None:
            return
        if self.state not in _LIVE:
            connection.take(incoming, now)  # only to repeat our CLOSE (PROTOCOL §3.3)
            return
        try:
            packets = read_im_packets(incoming)
        except DecodeError:
            connection.refuse("malformed IM packet")
            return
        handlers = self._reception.handlers(packets, online=self.state is LinkState.ONLINE)
        if handlers is None:
            connection.refuse("IM packet not acceptable now")
            if self._reception.inbound.overflowed:
                connection.close(*TOO_MANY_STREAMS, now)
            return
        connection.take(incoming, now)
        if incoming.others and self.spare_port.wanted:
            self.spare_port.look(incoming, now)
        for handler in handlers:
            handler(now)

    def _receive_long(self, connection: Connection, data: bytes, now: float) -> None:
        try:
            packet = parse_long(data)
        except DecodeError:
            packet = None
        if isinstance(packet, Reset) and packet.cid == connection.remote_cid:
            connection.receive_reset(packet.token, now)
        else:
            self._drop("unexpected handshake packet")

    def handle_timeout(self, now: float) -> None:
        """Do what is due; early or twice is harmless."""
        self.outbox.now = now
        if self._dialer is not None:
            self._dialer.handle_timeout(now)
        if self._connection is not None:
            self._connection.handle_timeout(now)
        self.spare_port.handle_timeout(now)
        self.outbox.handle_timeout(now)
        self.inbox.handle_timeout(now)
        if self._deadline is not None and self._deadline <= now:
            self._deadline = None
            if self.state is LinkState.WAITING:
                self._dial(now)
            else:
                self._lost(CloseCode.DEAD, f"no answer while {self.state.value}", now)
        self._after_input(now)

    def on_commit_done(self, token: int, error: StoreError | None, now: float) -> None:
        """A transaction is durable, or failed: then nothing can be promised any more."""
        waiters = self._commits.take_waiters(token)
        if error is None:
            for waiter in waiters:
                waiter()
            return
        self._commits.fail()
        if self.state is not LinkState.CLOSED:
            self._events.append(StoreFailed(error=error))
            self._stop(CloseCode.STORE_FAILED, str(error), now)

    def on_queue_read(self, token: int, items: tuple[QueueItems, ...], now: float) -> None:
        """A client never asks for this; here for the executor's interface."""
        raise AssertionError("a client reads no queue")

    def _after_input(self, now: float) -> None:
        connection = self._connection
        if connection is None:
            return
        for tag in connection.acked_tags():
            if isinstance(tag, Flight):
                self.outbox.on_acked(tag, now)
            else:
                assert isinstance(tag, StreamId)
                self.inbox.on_acked(tag)
        if self.outbox.rolled_back:
            self.outbox.new_incarnation(self._identity.renew(), now)
            self._lost(CloseCode.NO_ERROR, "the store was restored from an old copy", now)
        elif connection.state is not ConnectionState.OPEN and self.state in _LIVE:
            info = connection.closed
            assert info is not None, "a connection that is not open knows why"
            if info.by_peer and info.code in (CloseCode.REPLACED, CloseCode.REVOKED):
                self._stop(info.code, info.reason, now)
            else:
                self._lost(info.code, info.reason, now)

    # --- The link ---

    def _move(self, input_: LinkInput, code: int, reason: str, *, refused: bool = False) -> None:
        self.state = TRANSITIONS[self.state, input_]
        self._events.append(
            LinkChanged(state=self.state, code=code, reason=reason, login_refused=refused)
        )

    def _dial(self, now: float) -> None:
        self._move(LinkInput.DIAL, 0, "")
        if self._connection is not None:
            self._gone.add(self._connection)
            self._connection = None
        self._dialer = Dialer(
            server=self._addresses[0],
            config=self._hop_config,
            random_bytes=self._random_bytes,
            now=now,
        )
        self._deadline = now + self.config.hello_s_max

    def _look_at_dialer(self, now: float) -> None:
        assert self._dialer is not None
        if self._dialer.failed is not None:
            self._lost(CloseCode.PROTOCOL_ERROR, self._dialer.failed, now)
        elif self._dialer.connection is not None:
            self._connection = self._dialer.connection
            self._end_dialer()
            streams_max = self.config.limits.streams_per_session_max
            self._reception.inbound = InHandles(streams_max)
            self._outbound = OutHandles(streams_max)
            self._deadline = now + self.config.login_s_max
            self._move(LinkInput.CONNECTED, 0, "")
            self._login(self._connection, now)

    def _end_dialer(self) -> None:
        if self._dialer is not None:
            self._gone.add(self._dialer)
            self._dialer = None

    def _login(self, connection: Connection, now: float) -> None:
        """Count the login durably, then say who we are."""
        login = self._identity.next_login(continues=self.outbox.continues)
        self.outbox.stamp = max(self.outbox.stamp, login.login_count)

        def say() -> None:
            if connection.state is ConnectionState.OPEN:
                connection.send_frame(im_codec.encode(login), None, now)
                if self._identity.known and fits_early(self.outbox):
                    self._early_due = True
                    self._start_outbox(self.store_epoch, now)

        self._commits.waiters.append(say)

    def _lost(self, code: int, reason: str, now: float) -> None:
        """The attempt or the connection is over: back off with full jitter, then dial again.

        After a RESET the first dial comes at once, for the server is there; after anything else
        it is the turn of the server's next address.
        """
        if code != CloseCode.RESET:
            self._addresses.rotate(-1)
        if self._connection is not None:
            self._connection.close(CloseCode.NO_ERROR, reason, now)
        self._end_session()
        self._end_dialer()
        self._deadline = now + self._backoff.next_wait_s(at_once=code == CloseCode.RESET)
        self._move(LinkInput.LOST, code, reason)

    def _start_outbox(self, store_epoch: int, now: float) -> None:
        self._outbox_epoch = store_epoch
        self.outbox.session_started(self._outbound, store_epoch, now)

    def _end_session(self) -> None:
        self.spare_port.offline()
        self._outbox_epoch = None
        self._early_due = False
        self._reception.held = None
        self.outbox.session_ended()

    # --- The login's answer ---

    def _on_login_ok(self, packet: p.LoginOk, now: float) -> None:
        self.store_epoch = packet.store_epoch
        own_bytes = self.config.limits.payload_bytes_max
        self.payload_bytes_max = min(own_bytes, packet.payload_bytes_max)
        self._deadline = None
        self._backoff.succeeded()
        self._move(LinkInput.WELCOME, 0, "")
        connection = self._connection
        assert connection is not None, "the answer came on it"
        self.spare_port.online(connection, now)

        def start() -> None:
            if self._connection is connection and self.state is LinkState.ONLINE:
                self._start_outbox(packet.store_epoch, now)
                self._reception.release(now)

        if self._identity.let_in():
            self._reception.held = []
            self._commits.waiters.append(start)
        elif self._outbox_epoch != packet.store_epoch:  # else messages have left with the login
            start()
        self.inbox.session_started(self._outbound, queue_waiting=packet.queue_waiting)
        self.groups.session_started()
        self.inquiries.session_started()

    def _on_login_refused(self, packet: p.LoginRefused, now: float) -> None:
        connection = self._connection
        assert connection is not None, "the refusal came on it"
        if packet.code == LoginCode.STALE_STORE:
            early = self._outbox_epoch is not None
            self.outbox.new_incarnation(self._identity.renew(), now)
            if early:  # the server may have taken some of it, under handles that name it
                self._lost(CloseCode.LOGIN_REFUSED, packet.reason, now)
            else:
                self._login(connection, now)
        elif packet.code == LoginCode.BUSY:
            self._lost(CloseCode.LOGIN_REFUSED, packet.reason, now)
        else:
            self._stop(packet.code, packet.reason, now, refused=True)

    def _drop(self, reason: str) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1

    # --- Outputs ---

    def next_effect(self) -> Effect | None:
        """Return the next effect: one commit for everything since the last one."""
        return self._commits.next()

    def _outbox_committed(self) -> None:
        self._events.append(OutboxCommitted(streams=self.outbox.on_committed()))

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Return everything that may leave now."""
        if self._dialer is not None:
            return self._dialer.datagrams_to_send(now)
        connection = self._connection
        if connection is None:
            return []
        if self._early_due:
            self._early_due = False
            self._outflow.with_login(connection, now)
        if self.state is LinkState.ONLINE:
            self._outflow.transmit(connection, now, messages=self._outbox_epoch is not None)
            if self._outbound.overflowed:
                connection.close(*TOO_MANY_STREAMS, now)
                self._lost(*TOO_MANY_STREAMS, now)
        connection.hold(self.inbox.held_bytes)
        return connection.datagrams_to_send(now)

    def next_event(self) -> Event | None:
        """Return the next event, None when drained."""
        announce(self._events, self.outbox, self.inbox, self._reception)
        return self._events.popleft() if self._events else None

    def next_timeout(self) -> float | None:
        """Return when `handle_timeout` has something to do."""
        link = self._dialer or self._connection
        soonest = None if link is None else link.next_timeout()
        for at in (
            self._deadline,
            self.outbox.next_timeout(),
            self.inbox.next_timeout(),
            self.spare_port.next_timeout(),
        ):
            if at is not None and (soonest is None or at < soonest):
                soonest = at
        return soonest

    @property
    def connection(self) -> Connection | None:
        """The present connection, for its statistics."""
        return self._connection

    @property
    def inquiries(self) -> Inquiries:
        """Questions about who is there; asked here, and answered by an event."""
        return self._reception.inquiries

    @property
    def receipts_acknowledged(self) -> int:
        """How many ack:A have come."""
        return self._reception.receipts_acknowledged

    def hop_totals(self) -> HopTotals:
        """Return the counters of every dialer and connection so far, the present ones included."""
        totals = self._gone.copy()
        if self._dialer is not None:
            totals.add(self._dialer)
        if self._connection is not None:
            totals.add(self._connection)
        return totals
