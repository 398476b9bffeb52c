"""Streams that have ended: their sender came back as another incarnation (PROTOCOL §5.8).

A sender whose memory or disk is lost takes unsent messages with it, and those behind the gap would
wait at the recipient for ever. Only the server knows that the sender is a new one, so it tells the
recipients that nothing more will come. What it still holds for them itself is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from udpim.im.answers import RANGES_A_PACKET
from udpim.im.devices import Registry
from udpim.im.offline_queue import OfflineQueue
from udpim.im.records import QueueItems
from udpim.im.session import Named, Push, Session
from udpim.model import SEQ_MAX, Endpoint, StreamId
from udpim.ranges import Range, chunked, without
from udpim.wire.im_packets import CancelN


class Endings:
    """Who is to be told when a sender's streams end."""

    def __init__(self, registry: Registry, queue: OfflineQueue) -> None:
        """Look up senders and what waits for recipients."""
        self._registry = registry
        self._queue = queue
        self._listeners: dict[Endpoint, dict[Session, None]] = {}
        """By sender: sessions that were pushed to, or that asked."""

    def push(self, session: Session, stream: StreamId) -> Push:
        """Return what was pushed of a stream; the session will hear of the stream's end."""
        push = session.pushes.get(stream)
        if push is None:
            sender = Endpoint(stream.user, stream.device)
            self._listeners.setdefault(sender, {})[session] = None
            push = session.push(stream)
        return push

    def session_closed(self, session: Session) -> None:
        """It hears no more."""
        for sender in {Endpoint(stream.user, stream.device) for stream in session.pushes}:
            del self._listeners[sender][session]
            if not self._listeners[sender]:
                del self._listeners[sender]

    def logged_in(self, sender: Endpoint) -> None:
        """A login of this device is durable: tell who listens what has ended with it."""
        for session in self._listeners.get(sender, ()):
            for stream in session.pushes:
                if (stream.user, stream.device) == sender:
                    self.tell(session, stream)

    def pulled(self, session: Session, items: Sequence[QueueItems]) -> None:
        """It pulled rows of these streams, which may be the last that is left of them."""
        for item in items:
            self.tell(session, item.stream)

    def tell(self, session: Session, stream: StreamId) -> None:
        """If the stream has ended, have all of it voided that is neither queued nor pushed."""
        unreceipted = self.push(session, stream).unreceipted
        if not self._registry.has_ended(stream):
            return
        ranges: list[Range] = [(1, SEQ_MAX)]
        queued = self._queue.find(session.endpoint, stream)
        if queued is not None:
            ranges = queued.missing(1, SEQ_MAX)
        for part in chunked(without(ranges, unreceipted), RANGES_A_PACKET):
            handle, name = session.outbound.of(stream)
            session.send(CancelN(handle, name, 1, 1, part), Named(stream))
