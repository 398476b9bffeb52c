"""The client as applications see it.

Stands on the driver and a client node. Application → `send` → node → outbox → … and … → inbox →
node → iteration → application. Reconnecting, retransmission and receipts are the node's work.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from udpim.aside import Aside
from udpim.crypto.noise.suites import KeyPair
from udpim.errors import (
    ConfigError,
    ConnectionClosed,
    Error,
    LoginError,
    ServerKeyChanged,
)
from udpim.groups import Groups
from udpim.handling import Handler, Handling, Patience
from udpim.hop.codes import CloseCode
from udpim.im.records import ClientSnapshot
from udpim.message import Incoming, Message, Messages
from udpim.model import Address, LoginCode, MsgId
from udpim.node.client import ClientNode
from udpim.node.events import (
    Event,
    GroupAnswered,
    LinkChanged,
    MessagesReleased,
    MessagesRerouted,
    OutboxCommitted,
    PresenceAnswered,
    ReceiptsChanged,
    ReceiptsTouched,
    SignalsReceived,
    StoreFailed,
)
from udpim.node.state import LinkState
from udpim.node.stats import client_stats
from udpim.outgoing import Outgoing
from udpim.presence import Presence, Presences
from udpim.receipt import Receipt, ReceiptBook
from udpim.runtime.client_sockets import ClientSockets
from udpim.runtime.driver import Driver, internal_error
from udpim.runtime.endpoint import format_address
from udpim.runtime.keys import format_key
from udpim.runtime.protection import client_hop
from udpim.runtime.settings import ClientSettings, close_store
from udpim.signals import SignalQueue, Signals, check_signal
from udpim.store.base import Store

COMMIT_S_MAX = 5.0
"""How long closing waits for the verdict on the last commit; the store finishes it in any case."""


def _closed() -> ConnectionClosed:
    return ConnectionClosed(CloseCode.NO_ERROR, "the client was closed")


class Client:
    """One device of a user, logged in. Made by `connect`.

    Iterate over it for the messages that arrive. A message counts as handled when the body of the
    loop returns, that is at the loop's next step; left by an exception or ``break`` it comes again,
    to the next iteration or, from a store file, after a restart: at once, first, and however often.
    `run` calls a handler instead, and sets aside what it cannot handle. One iteration or `run` at a
    time: a new one ends the one before.

    Attributes:
        groups: The groups of the server; see `udpim.Groups`.
        aside: What was set aside, in earlier runs included; see `udpim.Aside`.
    """

    def __init__(
        self, settings: ClientSettings, store: Store, snapshot: ClientSnapshot, key: KeyPair | None
    ) -> None:
        """Made by `connect`."""
        config = settings.config
        self._key = key
        self._settings = settings
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._node = ClientNode(
            config,
            snapshot,
            durable=store.durable,
            random_bytes=os.urandom,
            now=self._loop.time(),
            hop_config=client_hop(
                settings.hop, key, settings.trust, settings.secrets, self._accepts
            ),
        )
        self._driver = Driver(
            self._node,
            store,
            on_event=self._on_event,
            on_failure=self._on_failure,
            before_turn=self._before_turn,
        )
        self._sockets = ClientSockets(self._node, self._driver)
        self._book = ReceiptBook(self._node.outbox, self._driver.wake)
        self._incoming = Incoming(self._driver.wake)
        self.aside = Aside(self._node.inbox, self._incoming, self._driver.wake)
        self._handling = Handling(self._incoming, self.aside)
        self._signals = SignalQueue(config.limits.signals_waiting_max)
        self._presences = Presences(self._node, self._driver.wake)
        self.groups = Groups(self._node, self._driver.wake)
        self._outgoing = Outgoing(self._node, self._book, self._driver.wake)
        self._error: Error | None = None
        self._closing: asyncio.Task[None] | None = None
        self._online = self._loop.create_future()
        self._last_loss: LinkChanged | None = None
        self._logins = 0

    # --- Beginning and end ---

    async def start(self, family: socket.AddressFamily, where: Address, *others: Address) -> None:
        """Dial, and wait for the login; `udpim.connect` does it and limits the time."""
        await self._sockets.open(family)
        self._node.connect(where, self._loop.time(), *others)
        self._driver.wake()
        await self._online

    @property
    def public_key(self) -> str | None:
        """This device's public key, by which a server can admit it; None in plain text."""
        return None if self._key is None else format_key(self._key.public)

    @property
    def last_loss(self) -> LinkChanged | None:
        """How the last attempt or connection ended."""
        return self._last_loss

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()

    async def close(self, timeout: float | None = None) -> None:
        """Drain, say goodbye, and stop; calling it again waits for the same end.

        Draining waits until every message sent by this object is settled, STORED or given up, and
        the receipts of handled messages have reached the server. What is left after that stays in
        the store file for the next time; with a store in memory it is gone. A message whose
        handling ends only after the call comes again. Cancelling the call does not stop the
        closing.

        Args:
            timeout: How long to drain, seconds; None for the ``close_timeout`` of `connect`.
        """
        if self._closing is None:
            if timeout is None:
                timeout = self._settings.close_timeout_s
            self._outgoing.refuse(_closed())
            self._closing = self._loop.create_task(self._close(timeout))
        await asyncio.shield(self._closing)

    async def _close(self, timeout_s: float) -> None:
        try:
            if timeout_s > 0 and self._error is None:
                await self._driver.wait_until(self._is_drained, timeout_s)
        finally:
            if not self._driver.stopped:
                self._node.close(self._loop.time())
            # Nothing of this needs the network: the disk decides how long it takes.
            await self._driver.wait_until(
                lambda: self._driver.commits_in_progress == 0, COMMIT_S_MAX
            )
            self._end(None)
            self._driver.stop()
            await self._sockets.close()
            await close_store(self._store, self._settings.store)

    def _is_drained(self) -> bool:
        if self._error is not None:
            return True
        if self._driver.commits_in_progress or not self._outgoing.is_done():
            return False
        connection = self._node.connection
        if self._node.state is not LinkState.ONLINE or connection is None:
            # A store file offers the receipts again at the next login (PROTOCOL §5.4).
            return self._store.durable or not self._incoming.handled_count
        return not (connection.queued_frames or connection.in_flight_frames)

    def _end(self, error: Error | None) -> None:
        """Nothing will happen any more: tell everybody who waits."""
        if self._error is not None:
            return
        self._error = error or _closed()
        self._incoming.end(error)
        self._signals.end(error)
        self._presences.end(self._error)
        self.groups.end(self._error)
        self._book.fail(self._error)
        self._outgoing.end(self._error)
        self.aside.end(self._error)
        if not self._online.done():
            self._online.set_exception(self._error)
            self._online.exception()  # seen, should nobody wait for it any more

    # --- Which server is the right one ---

    def _accepts(self, key: bytes) -> bool:
        """Tell whether the server may have this key: that of the first contact, or a first one."""
        known_hosts = self._settings.trust.known_hosts
        assert known_hosts is not None, "without a pinned key there is a list"
        try:
            known_hosts.check(format_address(self._settings.addresses[0]), key)
        except (ConfigError, ServerKeyChanged) as error:
            self._loop.call_soon(self._distrust, error)
            return False
        return True

    def _distrust(self, error: Error) -> None:
        """Dial no more: what is at the other end is not the server."""
        self._node.close(self._loop.time())
        self._driver.wake()
        self._end(error)

    # --- What the node says ---

    def _on_event(self, event: Event) -> None:
        match event:
            case ReceiptsChanged(changes=changes):
                self._book.changed(changes)
            case OutboxCommitted(streams=streams):
                self._outgoing.committed(streams)
            case MessagesRerouted(messages=messages):
                self._outgoing.rerouted(messages)
            case MessagesReleased(runs=runs):
                self._incoming.add(runs)
            case SignalsReceived(signals=signals):
                self._signals.add(signals)
            case GroupAnswered(answers=group_answers):
                self.groups.answered(group_answers)
            case ReceiptsTouched(streams=touched):
                self._book.touched(touched)
            case PresenceAnswered(answers=answers):
                self._presences.answered(answers)
            case LinkChanged():
                self._on_link(event)
            case StoreFailed(error=error):
                self._end(error)

    def _on_link(self, event: LinkChanged) -> None:
        if event.state is LinkState.ONLINE:
            self._logins += 1
            if not self._online.done():
                self._online.set_result(None)
        elif event.state is LinkState.WAITING:
            self._last_loss = event
        elif event.login_refused:
            self._end(LoginError(event.code, event.reason))
        elif event.code == CloseCode.REPLACED:
            words = "another login of this device took this one's place"
            self._end(LoginError(LoginCode.REPLACED, words))
        elif event.code == CloseCode.REVOKED:
            self._end(LoginError(LoginCode.REVOKED, event.reason))

    def _on_failure(self, error: Exception) -> None:
        self._end(internal_error(error))

    # --- Sending ---

    async def send(self, to: str, payload: bytes, *, deadline: float | None = None) -> Receipt:
        """Put one message into the outbox and return when it is there for good.

        Waits while the outbox, or the recipient's share of it, is full, then for its commit;
        never for the network. Cancelled while it waits for room, nothing was queued; cancelled
        later, the message is in the outbox and will be sent. There is no third case.

        Args:
            to: The recipient's user name, or a group that this user belongs to.
            payload: At most `Limits.payload_bytes_max`, 1 MiB.
            deadline: Give up after so many seconds; None for never.

        Raises:
            PayloadTooLarge: Nothing was sent.
            ConfigError: An argument is wrong; nothing was sent.
            Error: The client was closed or has ended: ConnectionClosed, LoginError, StoreError.
        """
        return (await self._outgoing.send_many(to, (payload,), deadline))[0]

    async def send_many(
        self, to: str, payloads: Sequence[bytes], *, deadline: float | None = None
    ) -> list[Receipt]:
        """Put several messages into the outbox in one commit; else like `send`.

        Raises:
            OutboxFull: They are more than the outbox may ever hold.
        """
        return await self._outgoing.send_many(to, payloads, deadline)

    def send_nowait(self, to: str, payload: bytes, *, deadline: float | None = None) -> Receipt:
        """Put one message into the outbox without waiting; the commit follows.

        Raises:
            OutboxFull: There is no room; nothing was queued.
        """
        return self._outgoing.send_nowait(to, payload, deadline)

    def receipt(self, msgid: MsgId) -> Receipt:
        """Return the receipt of a message that this device sent, in an earlier run included.

        What a store file kept of it is shown at once: delivered, void and rejected stay known.

        Raises:
            ConfigError: No message of this store has the msgid: another device sent it, or another
                file, or a run with a store in memory.
        """
        stream = self._node.outbox.stream(msgid.stream)
        if stream is None or not 1 <= msgid.seq < stream.next_seq:
            raise ConfigError(f"this store has sent no message {msgid}")
        return Receipt(self._book, stream, msgid.seq)

    def signal(self, to: str, payload: bytes) -> bool:
        """Signal what is worth something now only ("typing"), to whoever of a user is online.

        It is sent once: not stored, not receipted, not repeated, and dropped when it is late.

        Args:
            to: The recipient's user name, or a group that this user belongs to.
            payload: At most 1024 bytes.

        Returns:
            Whether the link took it. False when this client is offline or closed, or signals more
            than `Limits.signals_per_s_max`.

        Raises:
            PayloadTooLarge: Nothing was sent.
            ConfigError: An argument is wrong; nothing was sent.
        """
        check_signal(to, payload)
        if self._error is not None or not self._node.send_signal(to, payload, self._loop.time()):
            return False
        self._driver.wake()
        return True

    async def presence(self, user: str) -> Presence:
        """Ask the server which devices of a user are online; whose is up to its ``may_see`` hook.

        Waits for the link, and asks again after a reconnect; cancelling it is safe.

        Raises:
            PresenceRefused: This user may not know.
            UnknownUser: There is no such user.
            TooManyInquiries: 64 questions are open already; nothing was asked.
            ConfigError: It is no name; nothing was asked.
            Error: The client was closed or has ended.
        """
        return await self._presences.of(user)

    # --- Receiving ---

    def __aiter__(self) -> Messages:
        """Begin an iteration over the messages."""
        return self._incoming.read()

    def signals(self) -> Signals:
        """Begin an iteration over what others signal: ``async for signal in client.signals()``.

        What waits for longer than 2 s, or behind more than `Limits.signals_waiting_max` newer ones,
        is dropped. One iteration at a time: a new one ends the one before.
        """
        return self._signals.read()

    def handled(self, message: Message) -> None:
        """Say early that the message handed out last is handled, for instance before ``break``.

        Raises:
            LocalProtocolError: It is not the one handed out last.
        """
        self._incoming.finish(message)

    async def run(
        self,
        handler: Handler,
        *,
        retries: int = 5,
        backoff_s_min: float = 0.1,
        backoff_s_max: float = 30.0,
    ) -> None:
        """Call a handler for each message, one after the other, until the client is closed.

        A message counts as handled when its handler returns. When it raises an `Exception`, it is
        called again for that message after a back-off; what is behind it in the same stream waits,
        other streams go on. After the last retry the message is *set aside*, with a line in the log
        of "udpim", and its stream goes on; it stays in the store, see `aside`. While no more can be
        set aside (`Limits`), the message is tried on. Where the call is cancelled, or left by
        another exception, the message comes again. Attempts are not counted beyond one run.

        Args:
            handler: A function or coroutine function that takes a `Message`.
            retries: How often to try again before a message is set aside.
            backoff_s_min: Pause before the first retry, seconds; it doubles with each further one.
            backoff_s_max: Longest pause, seconds.

        Raises:
            ConfigError: An argument is wrong.
            Error: The client has ended: LoginError, StoreError, ConnectionClosed.
            LocalProtocolError: Another iteration or run has begun.
        """
        patience = Patience(
            retries=retries, backoff_s_min=backoff_s_min, backoff_s_max=backoff_s_max
        )
        await self._handling.run(handler, patience)

    def mark_read(self, message: Message) -> None:
        """Say that the user has read this message and all before it from the same sender's device.

        The sender's receipts show READ, also if the sender is away now; a store file remembers it
        until the sender has heard.
        """
        self._node.read(message.stream, message.seq)
        self._driver.wake()

    def _before_turn(self) -> None:
        self._sockets.turn()
        for run in self._incoming.take_handled():
            self._node.handled(run.stream, run.first, run.size_bytes, run.count)

    # --- The network below ---

    async def rebind(self, local_host: str | None = None) -> None:
        """Go on from another socket, without a reconnect: the way to the network is another one.

        Call it when the machine has changed networks. What is on its way goes again at once, and
        nothing on the new way shows that it belongs to the old one. A change that a NAT makes needs
        no call.

        Args:
            local_host: Which address of this machine to go on from; None leaves it to the system.

        Raises:
            ConnectError: There is no such address; nothing has changed.
            Error: The client was closed or has ended: ConnectionClosed, LoginError, StoreError.
        """
        if self._error is not None:
            raise self._error
        await self._sockets.move(local_host)

    # --- Looking at it ---

    @property
    def user(self) -> str:
        """Who is logged in."""
        return self._settings.config.user

    @property
    def device(self) -> str:
        """On which device."""
        return self._settings.config.device

    @property
    def state(self) -> LinkState:
        """Where the link to the server is."""
        return self._node.state

    def stats(self) -> dict[str, Any]:
        """Return all counters, and how full the tables are now; README explains every key.

        Those of the hop are of all connections so far; its tables, round trip and congestion window
        are of the present one.
        """
        stats = client_stats(self._node)
        stats["logins"] = self._logins
        stats["inbox"]["handled_messages"] = self._incoming.handled_count
        stats["inbox"]["handler_failures"] = self._handling.failures
        stats["outbox"] |= self._outgoing.sizes()
        self._signals.add_to(stats)
        stats["receipts_awaited"] = self._book.waiting
        return stats | self._driver.stats(stats["drops"])
