"""The server's part in presence: who asks, whether they may know, and the answer.

From a presence:R that the server node took, over the hook that decides, to a presence:A for the
session that asked (PROTOCOL §4.5.21). Nothing of it is written; a question that a crash or the end
of a session swallows is asked again by its client.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from udpim.config import INQUIRIES_MAX
from udpim.im.last_seen import LastSeen
from udpim.im.router import Router
from udpim.im.session import Session
from udpim.model import Endpoint, PresenceCode
from udpim.node.effects import MaySee
from udpim.wire.im_packets import DeviceSeen, PresenceA, PresenceR


class PresenceDesk:
    """Answers questions about who is there."""

    def __init__(
        self, router: Router, known_user: Callable[[str], bool], drops: dict[str, int]
    ) -> None:
        """Start without a question.

        Args:
            router: Knows devices and sessions.
            known_user: Whether a user who never logged in exists.
            drops: Where questions that get no honest answer are counted, by reason.
        """
        self._router = router
        self._known_user = known_user
        self._drops = drops
        self._asking: dict[int, tuple[Session, PresenceR]] = {}
        self._open: Counter[Endpoint] = Counter()
        """Questions before the hook, by who asks: another login is no way to have more."""
        self.last_seen = LastSeen()

    def receive(self, session: Session, packet: PresenceR, token: int) -> MaySee | None:
        """Take a question; return the one to the hook, None if there are too many already."""
        endpoint = session.endpoint
        if self._open[endpoint] >= INQUIRIES_MAX:
            self._drop("presence:R beyond the limit, refused")
            session.send(PresenceA(packet.request, PresenceCode.REFUSED, ()))
            return None
        self._open[endpoint] += 1
        self._asking[token] = (session, packet)
        return MaySee(token=token, endpoint=endpoint, subject=packet.user)

    def on_may_see(self, token: int, now: float, *, allowed: bool) -> None:
        """The hook has answered."""
        session, packet = self._asking.pop(token)
        endpoint, router = session.endpoint, self._router
        self._open[endpoint] -= 1
        if not self._open[endpoint]:
            del self._open[endpoint]
        if router.sessions.get(endpoint) is not session:
            self._drop("presence for a session that has ended")
            return
        # Whoever may not see a user does not learn either whether there is one of that name.
        code = PresenceCode.REFUSED
        devices: tuple[DeviceSeen, ...] = ()
        if allowed:
            devices = self.last_seen.devices(
                packet.user, registry=router.registry, online=router.sessions, now=now
            )
            known = devices or self._known_user(packet.user)
            code = PresenceCode.OK if known else PresenceCode.UNKNOWN_USER
        session.send(PresenceA(packet.request, code, devices))

    def __len__(self) -> int:
        """Return how many questions are before the hook."""
        return len(self._asking)

    def _drop(self, reason: str) -> None:
        self._drops[reason] = self._drops.get(reason, 0) + 1
