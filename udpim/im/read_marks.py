"""Read watermarks on their way from recipients to senders (PROTOCOL §5.11).

A recipient's application says how far it has read a stream. That is a fact of the recipient's
stream state, so it survives like a receipt: passed on to a sender that is online, kept in the
receipt row for one that is away, and acknowledged once it cannot get lost any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from udpim.im.session import ReadRelay, Session
from udpim.model import Endpoint, StreamId
from udpim.wire.im_packets import ReadA, ReadR

if TYPE_CHECKING:
    from udpim.im.router import Router


class ReadMarks:
    """The part of the router that is about reading."""

    def __init__(self, router: Router) -> None:
        """Work for this router."""
        self._router = router

    def receive_read_r(self, session: Session, stream: StreamId, packet: ReadR) -> None:
        """Pass B's watermark on, or keep it for A."""
        router = self._router
        relay = ReadRelay(stream, session.endpoint, session.incarnation, packet.read)
        if router.conversations.line(stream, session.endpoint) is None:
            router.drop("read mark for somebody else's stream")
            return
        sender = router.sessions.get(Endpoint(stream.user, stream.device))
        if sender is None:
            self.keep(relay)
        else:
            router.answers.read(sender, relay)

    def session_closed(self, tags: Iterable[object]) -> None:
        """A is gone; ``tags`` are those of packets that it has not acked."""
        for tag in tags:
            if isinstance(tag, ReadRelay):
                self.keep(tag)

    def keep(self, relay: ReadRelay) -> None:
        """A is away, or went before it heard of this."""
        if self._router.relays.may_keep(relay):
            self._router.receipts.keep_read(
                relay.stream,
                relay.recipient,
                relay.incarnation,
                relay.read,
                after=partial(self._kept, relay),
            )

    def _kept(self, relay: ReadRelay, ok: bool) -> None:
        if ok and self._router.ledger.durable:
            self._acknowledge(relay)

    def sender_came(self, sender: Session) -> None:
        """A is back: tell it what waits."""
        for stream, recipient, row in self._router.receipts.reads_for(sender.endpoint):
            relay = ReadRelay(stream, recipient, row.incarnation, row.read)
            self._router.answers.read(sender, relay)

    def told(self, relay: ReadRelay) -> None:
        """A's session has acked it."""
        self._router.receipts.read_told(relay.stream, relay.recipient, relay.read)
        self._acknowledge(relay)

    def _acknowledge(self, relay: ReadRelay) -> None:
        """read:A: the watermark cannot get lost any more."""
        session = self._router.sessions.get(relay.recipient)
        if session is None or session.incarnation != relay.incarnation:
            return
        if (handle := session.inbound.number(relay.stream)) is not None:
            session.send(ReadA(handle, relay.read))
