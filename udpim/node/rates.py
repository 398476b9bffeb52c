"""How much each user may send: messages and bytes, from all the user's devices together.

Stands in the server node before the hooks and the router. What comes too fast is refused as RATE,
a transient code: its sender waits and sends it again, and nobody else notices. Cancels, receipts
and questions are never refused, for they bring to an end what was begun (PROTOCOL §5.6).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from udpim.config import Limits
from udpim.hop.bucket import TokenBucket
from udpim.im.session import Session
from udpim.model import RejectCode
from udpim.wire.im_packets import ImPacket, MsgR, Refuse, Section

Handler = Callable[[float], None]
"""Does with a packet what is to be done, at this time."""


class SenderRates:
    """Two token buckets for each user who has sent lately: messages and bytes."""

    def __init__(self, limits: Limits, drops: dict[str, int]) -> None:
        """Start with nobody; count in ``drops`` the messages that are refused."""
        self._limits = limits
        self._drops = drops
        # Who sent last stands last. A full bucket knows no more than a new one, so those that have
        # filled up are dropped, from the front.
        self._users: OrderedDict[str, tuple[TokenBucket, TokenBucket]] = OrderedDict()

    def limited(
        self, session: Session, packet: ImPacket, handler: Handler | None
    ) -> Handler | None:
        """Return the handler of a sender's packet, behind its user's rate if it brings messages."""
        if handler is None or not isinstance(packet, MsgR):
            return handler

        def handle(now: float) -> None:
            if self._take(session.endpoint.user, packet.section, now):
                handler(now)
            else:
                self._refuse(session, packet)

        return handle

    def _take(self, user: str, section: Section, now: float) -> bool:
        """Charge a run to its user. A copy is charged, too: it is as much work as the first."""
        messages, size_bytes = self._buckets(user, now)
        if not (messages.ready(now) and size_bytes.ready(now)):
            return False
        messages.take(now, section.count)
        size_bytes.take(now, len(section.raw))
        return True

    def _buckets(self, user: str, now: float) -> tuple[TokenBucket, TokenBucket]:
        users, limits = self._users, self._limits
        buckets = users.get(user)
        if buckets is None:
            buckets = users[user] = (
                TokenBucket(limits.user_messages_per_s_max, limits.user_messages_burst_max),
                TokenBucket(limits.user_bytes_per_s_max, limits.user_bytes_burst_max),
            )
            self._forget_some(now)
        else:
            users.move_to_end(user)
        return buckets

    def _forget_some(self, now: float) -> None:
        """Drop what is full; beyond the limit, who sent longest ago begins anew."""
        users = self._users
        while True:
            user, buckets = next(iter(users.items()))
            crowded = len(users) > self._limits.sessions_max
            # The last one has only just come.
            if len(users) == 1 or not (crowded or all(b.is_full(now) for b in buckets)):
                return
            del users[user]

    def _refuse(self, session: Session, packet: MsgR) -> None:
        section = packet.section
        reason = "message beyond its user's rate"
        self._drops[reason] = self._drops.get(reason, 0) + section.count
        session.send(Refuse(packet.handle, RejectCode.RATE, ((section.first, section.last),)))

    def __len__(self) -> int:
        """Return how many users are remembered."""
        return len(self._users)
