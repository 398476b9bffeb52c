"""The server's part in signals: pass on or drop, at a limited rate, and keep nothing.

From a signal:R that the server node took to the connections of whoever hears it. Nothing waits but
in the connections' own queues, nothing is written, and nobody is told what became of it
(PROTOCOL §3.9, §4.5.19).
"""

from __future__ import annotations

from udpim.config import Limits
from udpim.hop.bucket import TokenBucket
from udpim.im.router import Router
from udpim.im.session import Session
from udpim.im.signals import recipients
from udpim.node.link import Link
from udpim.node.logins import Logins
from udpim.wire import im_codec
from udpim.wire.im_packets import SignalN, SignalR


def signal_rate(limits: Limits) -> TokenBucket:
    """Return what bounds the signals of one client, at both ends alike."""
    return TokenBucket(limits.signals_per_s_max, limits.signals_burst_max)


class SignalRelay:
    """Passes signals on."""

    def __init__(
        self,
        limits: Limits,
        router: Router,
        logins: Logins,
        *,
        touched: dict[Link, None],
        drops: dict[str, int],
    ) -> None:
        """Start with nobody's signals.

        Args:
            limits: How many signals a session may send.
            router: Knows who is there.
            logins: Knows their connections.
            touched: Where a link enters itself when its connection has something to send.
            drops: Where signals that nobody hears are counted, by reason.
        """
        self._limits = limits
        self._router = router
        self._logins = logins
        self._touched = touched
        self._drops = drops

    def receive(self, link: Link, session: Session, packet: SignalR, now: float) -> None:
        """Pass one on to whoever hears it now; the sender is the session's identity (R13)."""
        if link.signal_rate is None:
            link.signal_rate = signal_rate(self._limits)
        if not link.signal_rate.take(now):
            self._drop("signal beyond the rate")
            return
        sender, router = session.endpoint, self._router
        heard_by = recipients(
            packet.conversation,
            sender,
            registry=router.registry,
            groups=router.groups,
            sessions=router.sessions,
        )
        if not heard_by:
            self._drop("signal to somebody unknown or offline")
            return
        body = im_codec.encode(SignalN(*sender, packet.conversation, packet.payload))
        for online in heard_by:
            other = self._logins.link(online.endpoint)
            assert other is not None, "a session has a link until it ends"
            other.connection.send_datagram(body, now)
            self._touched[other] = None

    def _drop(self, reason: str) -> None:
        self._drops[reason] = self._drops.get(reason, 0) + 1
