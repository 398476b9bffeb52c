"""What the server does with each IM packet of a session.

Between the server node, which takes hop packets whole or not at all, and the machines: for each IM
packet there is a handler, to be called once its frame is taken, or none, and then its packet is
left untaken. The answers to what a handler asks the store or a hook come back here by their token.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from udpim.im.group_desk import GroupRequest
from udpim.im.puller import answer_pull, plan_pull
from udpim.im.records import QueueItems
from udpim.im.router import Router
from udpim.im.session import Session
from udpim.model import GroupCode, StreamId
from udpim.node.effects import AuthorizeGroup, Effect, ReadQueueItems
from udpim.node.inspection import Inspection
from udpim.node.link import Link
from udpim.node.presence import PresenceDesk
from udpim.node.rates import SenderRates
from udpim.node.signals import SignalRelay
from udpim.wire import im_packets as p

GROUP_REQUESTS_MAX = 1024
"""Questions to the membership hook that are not answered; one more is told to come again."""

UNNAMED = ("", "")
"""User and device as a sender gives them, who need not be named."""

Handler = Callable[[float], None]
"""Called with the time."""


class Dispatch:
    """The way from an IM packet to the machine that it is for."""

    def __init__(
        self,
        router: Router,
        *,
        tokens: Iterator[int],
        effects: deque[Effect],
        rates: SenderRates,
        inspection: Inspection | None,
        presence: PresenceDesk,
        signals: SignalRelay,
        drops: dict[str, int],
    ) -> None:
        """Start with nothing asked.

        Args:
            router: For all that concerns messages.
            tokens: Where the numbers of questions come from.
            effects: Where questions to store and hooks are put.
            rates: Stands before everything that concerns messages.
            inspection: Stands before the router where there are hooks that decide on messages.
            presence: For questions about who is there.
            signals: For signals.
            drops: Where what is dropped is counted, by reason.
        """
        self._router = router
        self._tokens = tokens
        self._effects = effects
        self._rates = rates
        self._inspection = inspection
        self._presence = presence
        self._signals = signals
        self._drops = drops
        self._reading: dict[int, Session] = {}
        self._group_requests: dict[int, tuple[Session, int, GroupRequest]] = {}

    def handlers(self, link: Link, packets: Sequence[p.ImPacket | None]) -> list[Handler] | None:
        """Return what to do with each packet, None if one of them is not acceptable.

        Args:
            link: Where they came from; it has a session.
            packets: None stands for a kind to skip.
        """
        handlers = []
        for packet in packets:
            if packet is None:
                self._drop("IM packet of an unknown kind")
                continue
            handler = self._handler(link, packet)
            if handler is None:
                return None
            handlers.append(handler)
        return handlers

    def _handler(self, link: Link, packet: p.ImPacket) -> Handler | None:
        session = link.session
        assert session is not None, "before that there are only logins"
        if isinstance(packet, p.OfflineR):
            return lambda now: self._on_pull(session, packet.bytes_max)
        if isinstance(packet, p.SignalR):
            return lambda now: self._signals.receive(link, session, packet, now)
        if isinstance(packet, p.PresenceR):
            return lambda now: self._on_presence(session, packet)
        if isinstance(packet, p.MsgR | p.CancelR | p.StatusR):
            return self._rates.limited(session, packet, self._on_sender(session, packet))
        if isinstance(packet, p.AckR | p.ReadR):
            return self._on_recipient(session, packet)
        if isinstance(packet, p.GroupR):
            return lambda now: self._on_group(session, packet)
        return None

    def _on_sender(
        self, session: Session, packet: p.MsgR | p.CancelR | p.StatusR
    ) -> Handler | None:
        """The sender is the session's identity, whatever the name says (R13)."""
        user, device = session.endpoint
        name = packet.name
        if name is not None:
            if (name.user, name.device) not in (session.endpoint, UNNAMED):
                self._drop("name of another sender")
            name = name._replace(user=user, device=device)
        stream = session.inbound.resolve(packet.handle, name)
        if stream is None or (stream.user, stream.device) != session.endpoint:
            return None
        inspection = self._inspection
        if inspection is not None and not isinstance(packet, p.StatusR):
            return lambda now: inspection.receive(session, stream, packet, now)
        method = _ROUTER_METHODS[type(packet)]

        def route(now: float) -> None:
            method(self._router, session, stream, packet)

        return route

    def _on_recipient(self, session: Session, packet: p.AckR | p.ReadR) -> Handler | None:
        stream = session.inbound.resolve(packet.handle, packet.name)
        if stream is None:
            return None
        if isinstance(packet, p.ReadR):
            return lambda now: self._router.reads.receive_read_r(session, stream, packet)
        return lambda now: self._router.receive_ack_r(session, stream, packet)

    # --- Groups ---

    def _on_group(self, session: Session, packet: p.GroupR) -> None:
        desk = self._router.desk
        if len(self._group_requests) >= GROUP_REQUESTS_MAX:
            desk.answer(session, packet.request, GroupCode.BUSY)
            return
        request = desk.read(session, packet)
        if request is not None:
            token = next(self._tokens)
            self._group_requests[token] = (session, packet.request, request)
            allowed = desk.allowed_by_default(request)
            self._effects.append(AuthorizeGroup(token=token, request=request, allowed=allowed))

    def on_group_authorized(self, token: int, allowed: bool | None) -> None:
        """The membership hook has answered: yes, no, or None for "ask again later"."""
        session, number, request = self._group_requests.pop(token)
        if allowed:
            self._router.desk.carry_out(session, number, request)
        else:
            code = GroupCode.BUSY if allowed is None else GroupCode.FORBIDDEN
            self._router.desk.answer(session, number, code)

    # --- Presence ---

    def _on_presence(self, session: Session, packet: p.PresenceR) -> None:
        question = self._presence.receive(session, packet, next(self._tokens))
        if question is not None:
            self._effects.append(question)

    # --- The offline queue ---

    def _on_pull(self, session: Session, bytes_max: int) -> None:
        if session.reading:
            self._drop("offline:R during another one")
            return
        token = next(self._tokens)
        self._reading[token] = session
        request = plan_pull(self._router.queue, session, bytes_max)
        self._effects.append(ReadQueueItems(token=token, request=request))

    def on_queue_read(self, token: int, items: tuple[QueueItems, ...]) -> None:
        """Rows for an offline:A are here."""
        session = self._reading.pop(token)
        if self._router.sessions.get(session.endpoint) is session:
            answer_pull(self._router.queue, session, items)
            self._router.endings.pulled(session, items)

    def _drop(self, reason: str) -> None:
        self._drops[reason] = self._drops.get(reason, 0) + 1

    def sizes(self) -> dict[str, int]:
        """Return how many questions wait for an answer."""
        return {
            "queue_reads": len(self._reading),
            "presence_questions": len(self._presence),
            "group_questions": len(self._group_requests),
        }


_ROUTER_METHODS: dict[type, Callable[[Router, Session, StreamId, Any], object]] = {
    p.MsgR: Router.receive_msg_r,
    p.CancelR: Router.receive_cancel_r,
    p.StatusR: Router.receive_status_r,
}
