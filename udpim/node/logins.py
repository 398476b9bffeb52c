"""Who is logged in at the server: from a login packet to the session, and to the session's end.

The server node owns it and gives it the login packets, the hook's answers and the connections that
are over; the router learns of each session (PROTOCOL §4.2, §5.8).

::

    login ─► Authenticate ─► answer ─► refused
                               └─► place taken ─► commit ─► session ─► ended, place free
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from hashlib import sha256

from udpim.config import WINDOW, ServerConfig
from udpim.hop.codes import CloseCode, ConnectionState
from udpim.im.last_seen import LastSeen
from udpim.im.router import Router
from udpim.im.session import Session
from udpim.model import GROUP_MARK, Endpoint, LoginCode, is_group
from udpim.node.effects import Authenticate
from udpim.node.events import Event, SessionChanged
from udpim.node.link import Link, Proof
from udpim.wire import im_codec
from udpim.wire import im_packets as p

REASON_CHARS_MAX = 60
"""Of a refusal's words: at most 240 bytes of UTF-8 in a field of 255."""
REFUSED = object()
"""Tag of a login refusal: once it is acked the connection is closed."""


class Logins:
    """The endpoints that are logged in, and the logins on their way."""

    def __init__(
        self,
        config: ServerConfig,
        router: Router,
        *,
        durable: bool,
        touched: dict[Link, None],
        outgoing: dict[Session, None],
        events: deque[Event],
        last_seen: LastSeen,
        opened: Callable[[Link, float], None],
        ended: Callable[[Session], None],
    ) -> None:
        """Start with nobody logged in.

        Args:
            config: Limits.
            router: Knows the devices, and hears of sessions.
            durable: Whether the store survives a crash; the client is told.
            touched: Where a link enters itself when its connection has something to send.
            outgoing: Where a session that has frames to send enters itself.
            events: Where logins and ends of sessions are told.
            last_seen: Notes who leaves.
            opened: Called with every link that has a session now, after its welcome.
            ended: Called with every session that is over.
        """
        self._limits = config.limits
        self._router = router
        self._durable = durable
        self._touched = touched
        self._outgoing = outgoing
        self._events = events
        self._last_seen = last_seen
        self._opened = opened
        self._ended = ended
        self._by_endpoint: dict[Endpoint, Link] = {}
        self._seats: Counter[Endpoint] = Counter()
        """Whom a place is taken by: a session, or a login whose commit is on its way."""
        self._authenticating: dict[int, tuple[Link, p.Login]] = {}
        self.revoked = 0
        """Sessions, and logins on their way, that were revoked so far."""
        self.now = 0.0
        """The time of the commit that is being told of."""

    # --- Inputs ---

    def receive_login(self, link: Link, login: p.Login, token: int) -> Authenticate:
        """Take a login; return the question to the hook."""
        link.login_taken = True
        self._authenticating[token] = (link, login)
        endpoint = Endpoint(login.user, login.device)
        key = link.connection.peer_static
        link.proof = Proof(endpoint, sha256(login.token).digest(), key)
        return Authenticate(token=token, endpoint=endpoint, secret=login.token, key=key)

    def on_authenticated(self, token: int, refusal: str | None, now: float, *, busy: bool) -> None:
        """The hook has answered; see `udpim.node.server.ServerNode.on_authenticated`."""
        link, login = self._authenticating.pop(token)
        if link.connection.state is not ConnectionState.OPEN:
            return
        self._touched[link] = None
        endpoint = Endpoint(login.user, login.device)
        registry = self._router.registry
        if is_group(endpoint.user):
            words = f"a user's name does not begin with {GROUP_MARK}"
            self._refuse(link, LoginCode.BAD_CREDENTIALS, words, now)
        elif refusal is not None:
            code = LoginCode.BUSY if busy else LoginCode.BAD_CREDENTIALS
            self._refuse(link, code, refusal, now)
        elif self._is_stale(endpoint, login):
            words = "the store was restored from an old copy"
            self._refuse(link, LoginCode.STALE_STORE, words, now)
        elif self._is_crowded(endpoint):
            self._refuse(link, LoginCode.BUSY, "too many sessions or devices", now)
        else:
            self._seats[endpoint] += 1
            record = registry.logged_in(
                endpoint,
                login.incarnation,
                login.login_count,
                continues=login.continues,
                age_s=self._router.age_s,
            )
            self._router.register(record, lambda ok: self._registered(link, endpoint, login, ok))

    def end_session(self, link: Link, now: float) -> None:
        """The session of this link is over; unreceipted pushes go to the queue."""
        session = link.session
        assert session is not None
        link.session = None
        del self._by_endpoint[session.endpoint]
        self._leave_seat(session.endpoint)
        self._last_seen.left(session.endpoint, now)
        self._ended(session)
        self._touched[link] = None
        self._router.session_closed(session, link.connection.unacked_tags())
        self._events.append(SessionChanged(endpoint=session.endpoint, online=False))

    def revoke(
        self, links: Iterable[Link], is_over: Callable[[Proof], bool], reason: str, now: float
    ) -> int:
        """End sessions and logins on their way; see `udpim.node.server.ServerNode.revoke`."""
        count = 0
        for link in links:
            open_ = link.connection.state is ConnectionState.OPEN
            if not open_ or link.proof is None or not is_over(link.proof):
                continue
            if link.session is not None:
                self.end_session(link, now)
            # What still waits for a hook or a commit finds the connection closed.
            link.connection.close(CloseCode.REVOKED, reason, now)
            self._touched[link] = None
            count += 1
        self.revoked += count
        return count

    # --- Looking at it ---

    def link(self, endpoint: Endpoint) -> Link | None:
        """Return the link of an endpoint's session."""
        return self._by_endpoint.get(endpoint)

    def sizes(self) -> dict[str, int]:
        """Return how full the tables are now."""
        return {
            "logins_authenticating": len(self._authenticating),
            "logins_committing": self._seats.total() - len(self._by_endpoint),
        }

    # --- Private ---

    def _is_stale(self, endpoint: Endpoint, login: p.Login) -> bool:
        """Tell whether the client's store is an old copy: its mark has been passed (R7)."""
        session = self._router.sessions.get(endpoint)
        incarnation, count = login.incarnation, login.login_count
        if session is not None and session.incarnation == incarnation and count <= session.mark:
            return True
        return self._router.registry.is_stale(endpoint, incarnation, count)

    def _is_crowded(self, endpoint: Endpoint) -> bool:
        seats = self._seats
        if len(seats) >= self._limits.sessions_max and endpoint not in seats:
            return True
        registry = self._router.registry
        known = registry.latest(endpoint.user).get(endpoint.device)
        if known is not None and not known.left:
            return False
        return registry.latest_count(endpoint.user) >= self._limits.devices_per_user_max

    def _refuse(self, link: Link, code: LoginCode, reason: str, now: float) -> None:
        # A stale store logs in again, as a new incarnation; nobody else gets a second guess.
        link.login_taken = code is not LoginCode.STALE_STORE
        tag = REFUSED if link.login_taken else None
        packet = p.LoginRefused(code, reason[:REASON_CHARS_MAX])
        link.connection.send_frame(im_codec.encode(packet), tag, now)

    def _registered(self, link: Link, endpoint: Endpoint, login: p.Login, ok: bool) -> None:
        """The login is durable: open the session in place of any other of this endpoint."""
        connection = link.connection
        if connection.state is not ConnectionState.OPEN:
            self._leave_seat(endpoint)
            return
        self._touched[link] = None
        now = self.now
        if not ok:
            self._leave_seat(endpoint)
            self._refuse(link, LoginCode.BUSY, "the store refused the login", now)
            return
        other = self._by_endpoint.get(endpoint)
        if other is not None:
            self.end_session(other, now)
            other.connection.close(CloseCode.REPLACED, "another login of this device", now)
        session = Session(
            endpoint,
            login.incarnation,
            lambda: connection.rtt.smoothed_rtt,
            self._outgoing,
            streams_max=self._limits.streams_per_session_max,
            four_packets=login.four_packets,
        )
        link.session = session
        link.login_by = None
        self._by_endpoint[endpoint] = link
        connection.hold(self._router.delivery.held.of(endpoint))
        self._router.session_opened(session)
        self._events.append(SessionChanged(endpoint=endpoint, online=True))
        welcome = p.LoginOk(
            self._router.store_epoch,
            self._durable,
            self._router.queue.count(endpoint) > 0,
            self._limits.payload_bytes_max,
            WINDOW,
        )
        connection.send_frame(im_codec.encode(welcome), None, now)
        self._opened(link, now)

    def _leave_seat(self, endpoint: Endpoint) -> None:
        self._seats[endpoint] -= 1
        if not self._seats[endpoint]:
            del self._seats[endpoint]
