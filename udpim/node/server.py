"""The server node: connections, logins, and the router between them.

Contract as for the client node: inputs, then drain `next_effect` (through the effect executor),
`datagrams_to_send` and `next_event`, then arm one timer at `next_timeout`.

Message flow: datagram → connection → IM packets → router → sessions' frames → connections →
datagrams; what the router promises waits for the ledger's commits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from itertools import count

from udpim.config import ServerConfig
from udpim.crypto.tokens import AddressTokens, ConnectionIdIssuer
from udpim.errors import DecodeError, StoreError, StoreFull
from udpim.hop.codes import CloseCode, ConnectionState
from udpim.hop.config import HopConfig
from udpim.hop.connection import Connection
from udpim.hop.intake import IncomingPacket
from udpim.hop.listen import Listener
from udpim.im.records import PutMeta, QueueItems, ServerSnapshot
from udpim.im.router import Router
from udpim.im.session import Session
from udpim.model import Address, GroupAction, GroupCode
from udpim.node.aging import Aging
from udpim.node.dispatch import Dispatch
from udpim.node.early import Early
from udpim.node.effects import Commit, Effect, NotifyOffline, Verdicts
from udpim.node.events import Event, StoreFailed
from udpim.node.inspection import NOTHING_INSPECTED, inspection_for
from udpim.node.link import Link, Links, LinkTimers, Proof
from udpim.node.logins import REFUSED, Logins
from udpim.node.packets import TOO_MANY_STREAMS, read_im_packets
from udpim.node.presence import PresenceDesk
from udpim.node.rates import SenderRates
from udpim.node.signals import SignalRelay
from udpim.node.totals import HopTotals
from udpim.wire import im_codec
from udpim.wire import im_packets as p
from udpim.wire.packet import destination_cid, is_long


class ServerNode:
    """One server process."""

    def __init__(
        self,
        config: ServerConfig,
        snapshot: ServerSnapshot,
        *,
        durable: bool,
        random_bytes: Callable[[int], bytes],
        known_user: Callable[[str], bool],
        wall_ms: Callable[[], int] | None = None,
        server_id: int = 0,
        hop_config: HopConfig | None = None,
        asks: Collection[type] = (),
    ) -> None:
        """Restore a server from its store, or begin a new one.

        Args:
            config: Limits and times.
            snapshot: What the store holds.
            durable: Whether the store survives a crash.
            random_bytes: Source of secrets and connection ids.
            known_user: Whether a user may log in one day; decides what an unknown recipient is.
            wall_ms: Tells milliseconds since 1970, to refuse absurd stamps; None for never.
            server_id: Names the process in its connection ids, 0 to 255.
            hop_config: Settings of the connections.
            asks: What to ask before routing: `MaySend`, `Inspect`, both or nothing.
        """
        self.config = config
        meta, fresh = _own_values(snapshot, random_bytes)
        self.router = Router(
            config.limits,
            snapshot,
            store_epoch=int.from_bytes(meta["store_epoch"], "big"),
            durable=durable,
            known_user=known_user,
            wall_ms=wall_ms,
        )
        self._is_baseless = False
        self._write_own_values(fresh)
        self._listener = Listener(
            config=(hop_config or HopConfig()).within(config.limits),
            issuer=ConnectionIdIssuer(meta["secret"], server_id),
            tokens=AddressTokens(meta["secret"]),
            random_bytes=random_bytes,
        )
        self._links = Links()
        self._touched: dict[Link, None] = {}
        self._outgoing: dict[Session, None] = {}
        self._timers = LinkTimers()
        self._gone = HopTotals()  # of connections that are closed
        self._effects: deque[Effect] = deque()
        self._events: deque[Event] = deque()
        self.drops: dict[str, int] = {}
        self._rates = SenderRates(config.limits, self.drops)
        self._early = Early()
        self._presence = PresenceDesk(self.router, known_user, self.drops)
        self._inspection = inspection_for(self.router, config.limits, self._effects, asks)
        self._logins = Logins(
            config,
            self.router,
            durable=durable,
            touched=self._touched,
            outgoing=self._outgoing,
            events=self._events,
            last_seen=self._presence.last_seen,
            opened=self._session_opened,
            ended=self._session_ended,
        )
        self._aging = Aging(self.router, meta, config.retire_after_s, config.limits.queue_ttl_s)
        self._tokens = count(1)
        self._dispatch = self._new_dispatch()

    def _new_dispatch(self) -> Dispatch:
        signals = SignalRelay(
            self.config.limits, self.router, self._logins, touched=self._touched, drops=self.drops
        )
        return Dispatch(
            self.router,
            tokens=self._tokens,
            effects=self._effects,
            rates=self._rates,
            inspection=self._inspection,
            presence=self._presence,
            signals=signals,
            drops=self.drops,
        )

    # --- Inputs ---

    def receive_datagrams(self, datagrams: Sequence[tuple[bytes, Address]], now: float) -> None:
        """Take one burst: all datagrams of one wake-up."""
        for data, path in datagrams:
            link = None
            if data and not is_long(data):
                cid = destination_cid(data)
                link = self._links.get(cid) if cid is not None else None
            if link is not None:
                self._receive(link, data, path, now)
                continue
            connection = self._listener.receive_datagram(data, path, now, self._links)
            if connection is not None:
                link = Link(connection, now + self.config.login_s_max)
                self._links.add(link)
                self._touched[link] = None
                for early, source in self._listener.early_datagrams():
                    self._receive(link, early, source, now)
        self._after_input(now)

    def _receive(self, link: Link, data: bytes, path: Address, now: float) -> None:
        connection = link.connection
        incoming = connection.receive_packet(data, path, now)
        if incoming is None:
            return
        self._touched[link] = None
        if connection.state is not ConnectionState.OPEN:
            connection.take(incoming, now)  # only to repeat our CLOSE (PROTOCOL §3.3)
            return
        if incoming.fragments and link.session is None:
            # Who has not logged in gets no memory for bodies in pieces.
            connection.refuse("body in pieces without a session")
            return
        try:
            packets = read_im_packets(incoming)
        except DecodeError:
            connection.refuse("malformed IM packet")
            return
        if link.session is None:
            self._receive_before_session(link, incoming, packets, now)
            return
        handlers = self._dispatch.handlers(link, packets)
        if handlers is None:
            connection.refuse("IM packet not acceptable now")
            if link.session.inbound.overflowed:
                connection.close(*TOO_MANY_STREAMS, now)
            return
        connection.take(incoming, now)
        for handler in handlers:
            handler(now)

    def _receive_before_session(
        self, link: Link, incoming: IncomingPacket, packets: list[p.ImPacket | None], now: float
    ) -> None:
        """Take a login, and keep what comes with it or behind it until it is answered."""
        connection = link.connection
        login, early = None, packets
        if packets and isinstance(packets[0], p.Login) and not link.login_taken:
            login, early = packets[0], packets[1:]
        second = any(isinstance(packet, p.Login) for packet in early)
        if second or (early and login is None and not link.login_taken):
            connection.refuse("IM packet not acceptable now")
            return
        size_bytes = sum(map(len, incoming.frames))
        if early and not self._early.keep(link, early, size_bytes):
            connection.refuse("no room before the login")
            connection.close(CloseCode.SHUTDOWN, "too much before the login", now)
            return
        connection.take(incoming, now)
        if login is not None:
            token = next(self._tokens)
            self._effects.append(self._logins.receive_login(link, login, token))

    def _session_opened(self, link: Link, now: float) -> None:
        """Route what came before the login was answered; nobody will send it again."""
        for packet in self._early.take(link):
            handlers = self._dispatch.handlers(link, [packet])
            if handlers is None:
                link.connection.close(CloseCode.PROTOCOL_ERROR, "not acceptable with a login", now)
                return
            for handler in handlers:
                handler(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due; early or twice is harmless."""
        for link in self._timers.due(now):
            self._touched[link] = None
            link.connection.handle_timeout(now)
            if link.login_by is not None and link.login_by <= now:
                link.login_by = None
                link.connection.close(CloseCode.LOGIN_REFUSED, "no login in time", now)
        self._after_input(now)

    def on_commit_done(self, token: int, error: StoreError | None, now: float) -> None:
        """A transaction is durable, or did not happen."""
        self._logins.now = now
        self.router.ledger.on_committed(ok=error is None and not self._is_baseless)
        if error is not None:
            is_final = self._is_baseless or not isinstance(error, StoreFull)
            self._events.append(StoreFailed(error=error, is_final=is_final))

    def _write_own_values(self, fresh: list[PutMeta]) -> None:
        """Make them durable, or promise nothing: there would be no epoch (PROTOCOL §5.8-26)."""

        def written(ok: bool) -> None:
            self._is_baseless = not ok

        self.router.ledger.put_all(fresh)
        self.router.ledger.when_durable(written)

    def on_queue_read(self, token: int, items: tuple[QueueItems, ...], now: float) -> None:
        """Rows for an offline:A are here."""
        self._dispatch.on_queue_read(token, items)

    def on_authenticated(
        self, token: int, refusal: str | None, now: float, *, busy: bool = False
    ) -> None:
        """The authenticate hook has answered: None for yes, else the reason.

        Args:
            token: Of the `Authenticate` effect.
            refusal: None lets in, words do not.
            now: The time.
            busy: The refusal says nothing about the credentials; the client tries again later.
        """
        self._logins.on_authenticated(token, refusal, now, busy=busy)

    def revoke(self, is_over: Callable[[Proof], bool], reason: str, now: float) -> int:
        """End sessions at once and for good, and refuse logins that are on their way.

        Nothing more of them is taken; what is stored stays. Whether they may come back is the
        authenticate hook's word.

        Args:
            is_over: Asked with what each of them was admitted by, or is to be.
            reason: Words for the client.
            now: The time.

        Returns:
            How many there were.
        """
        return self._logins.revoke(self._links, is_over, reason, now)

    def on_may_see(self, token: int, now: float, *, allowed: bool) -> None:
        """The may_see hook has answered."""
        self._presence.on_may_see(token, now, allowed=allowed)

    def on_may_send(self, token: int, now: float, *, allowed: bool | None) -> None:
        """The may_send hook has answered: yes, no, or None for "ask again later"."""
        assert self._inspection is not None, "it has asked"
        self._inspection.on_may_send(token, now, allowed=allowed)

    def on_inspected(self, token: int, verdicts: Verdicts, now: float) -> None:
        """The on_message hook has answered."""
        assert self._inspection is not None, "it has asked"
        self._inspection.on_inspected(token, verdicts, now)

    def _session_ended(self, session: Session) -> None:
        if self._inspection is not None:
            self._inspection.session_ended(session)

    def shutdown(self, now: float) -> None:
        """Say goodbye to everybody; unreceipted pushes go to the queue."""
        for link in self._links:
            link.connection.close(CloseCode.SHUTDOWN, "the server is going down", now)
            self._touched[link] = None
        self._after_input(now)

    def _after_input(self, now: float) -> None:
        """Look at what happened to the connections of this turn."""
        self._aging.tick(now)
        for link in list(self._touched):
            connection = link.connection
            for tag in connection.acked_tags():
                if tag is REFUSED:
                    connection.close(CloseCode.LOGIN_REFUSED, "login refused", now)
                else:
                    assert link.session is not None, "its end took all tags along"
                    self.router.on_acked(link.session, tag)
            if connection.state is not ConnectionState.OPEN and link.session is not None:
                self._logins.end_session(link, now)

    # --- Groups ---

    def on_group_authorized(self, token: int, allowed: bool | None, now: float) -> None:
        """The membership hook has answered: yes, no, or None for "ask again later"."""
        self._dispatch.on_group_authorized(token, allowed)

    def change_group(
        self, action: GroupAction, group: str, user: str, after: Callable[[bool], None]
    ) -> GroupCode:
        """Change a group on the server's own behalf; see `udpim.im.group_desk.GroupDesk.change`."""
        return self.router.desk.change(action, group, user, after)

    # --- Outputs ---

    def next_effect(self) -> Effect | None:
        """Return the next effect: one commit for everything since the last one comes first."""
        if self._is_baseless:
            return None
        ops = self.router.ledger.take_ops()
        if ops:
            return Commit(token=next(self._tokens), ops=tuple(ops))
        for endpoint, stream, first, last in self.router.stored_for_absent:
            self._effects.append(
                NotifyOffline(endpoint=endpoint, stream=stream, first=first, last=last)
            )
        self.router.stored_for_absent.clear()
        return self._effects.popleft() if self._effects else None

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Return everything that may leave now."""
        if self._is_baseless:
            return []
        self.router.answers.send_tallies(now)
        self._drain_sessions(now)
        self._tell_held()
        out = self._listener.datagrams_to_send(now)
        for link in self._touched:
            out += link.connection.datagrams_to_send(now)
            self._links.follow(link)
            if link.connection.state is ConnectionState.CLOSED:
                self._forget(link)
            else:
                self._timers.arm(link)
        self._touched.clear()
        return out

    def _forget(self, link: Link) -> None:
        """Its connection is closed, so nothing touches it any more."""
        self._links.remove(link)
        self._early.take(link)
        self._timers.disarm(link)
        self._gone.add(link.connection)

    def _drain_sessions(self, now: float) -> None:
        """Move the sessions' IM packets into their connections."""
        encode, limits = im_codec.encode, self.config.limits
        for session in list(self._outgoing):
            link = self._logins.link(session.endpoint)
            if link is None or link.session is not session:
                continue
            self._touched[link] = None
            connection = link.connection
            if session.outbound.overflowed:
                self._logins.end_session(link, now)
                connection.close(*TOO_MANY_STREAMS, now)
                continue
            if connection.queued_frames + len(session.frames) > limits.send_queue_frames_max:
                self._logins.end_session(link, now)
                connection.close(CloseCode.SHUTDOWN, "too far behind", now)
                continue
            for packet, tag in session.frames:
                body = encode(packet)
                bulk = p.is_bulk(packet, len(body))
                connection.send_frame(body, tag, now, bulk=bulk)
            session.frames.clear()
        self._outgoing.clear()

    def _tell_held(self) -> None:
        """A sender gets credit for what has left memory, and only for that."""
        held = self.router.delivery.held
        for endpoint in held.take_changed():
            link = self._logins.link(endpoint)
            if link is not None:
                link.connection.hold(held.of(endpoint))
                self._touched[link] = None

    def next_event(self) -> Event | None:
        """Return the next event, None when drained."""
        return self._events.popleft() if self._events else None

    def next_timeout(self) -> float | None:
        """Return when `handle_timeout` has something to do."""
        soonest = self._aging.next_timeout()
        for at in (self._timers.next_timeout(), self.router.answers.tallies.next_timeout()):
            if at is not None and at < soonest:
                soonest = at
        return soonest

    @property
    def links(self) -> int:
        """Connections, logged in or not."""
        return len(self._links)

    def sizes(self) -> dict[str, int]:
        """Return how full the tables are now."""
        return {
            "connections": self.links,
            "sessions": len(self.router.sessions),
            **self._logins.sizes(),
            "early_bytes": self._early.bytes,
            **self._dispatch.sizes(),
            "rated_users": len(self._rates),
            **(NOTHING_INSPECTED if self._inspection is None else self._inspection.sizes()),
        }

    @property
    def revoked_logins(self) -> int:
        """How many sessions, and logins on their way, were revoked so far."""
        return self._logins.revoked

    def connections(self) -> list[Connection]:
        """Return the present connections, for their statistics."""
        return [link.connection for link in self._links]

    @property
    def listener(self) -> Listener:
        """What answers datagrams of no known connection, for its statistics."""
        return self._listener

    def hop_totals(self) -> HopTotals:
        """Return the counters of every connection so far, the present ones included."""
        totals = self._gone.copy()
        for connection in self.connections():
            totals.add(connection)
        return totals


def _own_values(
    snapshot: ServerSnapshot, random_bytes: Callable[[int], bytes]
) -> tuple[dict[str, bytes], list[PutMeta]]:
    """Return what is a store's own for ever, and what of it was drawn only now."""
    meta = dict(snapshot.meta)
    fresh = [
        PutMeta(key, random_bytes(size))
        for key, size in (("store_epoch", 8), ("secret", 32))
        if key not in meta
    ]
    meta.update({op.key: op.value for op in fresh})
    return meta, fresh
