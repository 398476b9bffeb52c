"""Recipients that wait at a gap, and the floor that lets them go on (PROTOCOL §5.8).

A part of the router. What is settled below its sender's floor never comes again, and a recipient
that does not know it waits for ever. So one that waits asks, and one that offers receipts below
the floor shows that it may: it is told the floor that the sender told, and the sender, which may
be further, is asked to tell it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from udpim.im.session import Named, Session
from udpim.model import Endpoint, StreamId, is_group
from udpim.ranges import Range
from udpim.wire.im_packets import CancelN, Member

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from udpim.im.router import Router


class Standstills:
    """The part of the router that brings floors to who waits for them."""

    def __init__(self, router: Router) -> None:
        """Work for this router."""
        self._router = router
        self._waiting: dict[Endpoint, dict[tuple[Session, StreamId], None]] = {}
        """By sender: who asked, and was told no floor since."""

    def asked(self, session: Session, stream: StreamId) -> None:
        """Messages of this stream wait behind a gap, and its sender may still close it."""
        if self._router.registry.has_ended(stream):
            return
        sender = Endpoint(stream.user, stream.device)
        session.waiting.add(stream)
        self._waiting.setdefault(sender, {})[session, stream] = None
        online = self._router.sessions.get(sender)
        if online is not None:
            self._router.answers.question(online, stream, session.endpoint)
            self.floor_told(stream, online.floors.get(stream, 0))

    def sender_came(self, sender: Session) -> None:
        """Ask what could not be asked while it was away."""
        for session, stream in self._waiting.get(sender.endpoint, ()):
            self._router.answers.question(sender, stream, session.endpoint)

    def floor_told(self, stream: StreamId, floor: int) -> None:
        """A sender has told its floor: pass it on to who asked."""
        waiting = self._waiting.get(Endpoint(stream.user, stream.device), {})
        for session, asked in list(waiting):
            if asked == stream and floor > session.floors_told.get(stream, 1):
                self._forget(session, stream)
                self._tell(session, stream, floor)

    def offered(
        self, session: Session, stream: StreamId, verdicts: Sequence[Range], floor: int
    ) -> None:
        """Receipts came for what lies all below the floor that the sender has told, or not."""
        if max(last for _, last in verdicts) < floor:
            self._tell(session, stream, floor)

    def told_alone(self, stream: StreamId, lines: Iterable[Member], floor: int) -> None:
        """A sender tells its floor because somebody offered or waits below it.

        Of a group whoever waits has asked, and the others learn it from the next message.
        """
        if is_group(stream.conversation):
            return
        for line in lines:
            session = self._router.sessions.get(line.endpoint)
            if session is not None and floor > session.floors_told.get(stream, 1):
                self._tell(session, stream, floor)

    def session_closed(self, session: Session) -> None:
        """It asks again at its next login."""
        for stream in list(session.waiting):
            self._forget(session, stream)

    def _forget(self, session: Session, stream: StreamId) -> None:
        sender = Endpoint(stream.user, stream.device)
        session.waiting.discard(stream)
        waiting = self._waiting[sender]
        del waiting[session, stream]
        if not waiting:
            del self._waiting[sender]

    @staticmethod
    def _tell(session: Session, stream: StreamId, floor: int) -> None:
        """What is not here of all below the floor will not come."""
        session.floors_told[stream] = floor
        handle, name = session.outbound.of(stream)
        session.send(CancelN(handle, name, floor, floor, ((1, floor - 1),)), Named(stream))

    def __len__(self) -> int:
        """Return how many questions are open."""
        return sum(map(len, self._waiting.values()))
