"""Receipts on their way from recipients to senders (PROTOCOL §5.5).

A part of the router. A receipt is relayed to a sender that is online, kept in the receipt row for
one that is away, and acknowledged to the recipient once it cannot get lost any more (R3).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from udpim.im.answers import RANGES_A_PACKET
from udpim.im.session import ReadRelay, Relay, Round
from udpim.ranges import RangeSet, chunked
from udpim.wire.im_packets import AckA

if TYPE_CHECKING:
    from udpim.im.router import Router


class Relays:
    """The part of the router that brings receipts home."""

    def __init__(self, router: Router) -> None:
        """Work for this router."""
        self._router = router

    def acked(self, tag: Relay | Round) -> None:
        """A's session has acked what carried these receipts."""
        if isinstance(tag, Relay):
            self.acknowledge(tag)
            return
        tag.packets_left -= 1
        if not tag.packets_left:
            for relay in tag.relays:
                self.acknowledge(relay)

    def session_closed(self, untold: list[Relay], tags: Iterable[object]) -> None:
        """A is gone: what it may lack goes to rows. ``tags`` are those of unacked packets."""
        for tag in tags:
            if isinstance(tag, Relay):
                untold.append(tag)
            elif isinstance(tag, Round):
                untold += tag.relays
                tag.relays = []
        for relay in untold:
            self.keep(relay)

    def may_keep(self, relay: Relay | ReadRelay) -> bool:
        """Tell whether a row may be kept for what an endpoint said."""
        router = self._router
        line = router.conversations.line(relay.stream, relay.recipient)
        reason = None
        if line is None or line.incarnation != relay.incarnation:
            reason = "receipt of an older incarnation"
        elif router.registry.has_ended(relay.stream):
            reason = "receipt for a stream that has ended"
        elif not router.registry.is_sender(relay.stream):
            reason = "receipt for an unknown sender"
        if reason is not None:
            router.drop(reason)
        return reason is None

    def keep(self, relay: Relay) -> None:
        """A is away: the row is the receipt's home until A's floor passes it."""
        if self.may_keep(relay):
            self._router.receipts.keep(
                relay.stream,
                relay.recipient,
                relay.incarnation,
                relay.delivered,
                relay.void,
                after=partial(self._kept, relay),
            )

    def _kept(self, relay: Relay, ok: bool) -> None:
        if ok and self._router.ledger.durable:
            self.acknowledge(relay)

    def acknowledge(self, relay: Relay) -> None:
        """ack:A: the receipt cannot get lost any more; in four packets nothing says so."""
        session = self._router.sessions.get(relay.recipient)
        if session is None or session.four_packets or session.incarnation != relay.incarnation:
            return
        handle = session.inbound.number(relay.stream)
        if handle is None:
            return
        ranges = RangeSet(relay.delivered + relay.void)
        for part in chunked(list(ranges), RANGES_A_PACKET):
            session.send(AckA(handle, part))
