"""The server's side of one recipient endpoint: push it, queue it, or hand it over (PROTOCOL §5.5).

Stands below the router, which knows who is due a message; here it is brought to one endpoint. What
is pushed waits in memory for its receipt, what is queued waits on disk for its verdict, and a
message is never in both.

::

    deliver ─┬─► queue not empty ── append a row ─(commit)─► stored, nudge
             ├─► endpoint online ── msg:N ──► receipted
             └─► endpoint away   ── row ─(commit)─► stored
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from udpim.config import Limits
from udpim.im.answers import RANGES_A_PACKET
from udpim.im.conversations import Conversations
from udpim.im.endings import Endings
from udpim.im.held import HeldBytes
from udpim.im.ledger import Ledger
from udpim.im.offline_queue import OfflineQueue
from udpim.im.puller import nudge_blocked
from udpim.im.queue_writer import QueueWriter
from udpim.im.session import Named, Session
from udpim.model import SEQ_MAX, Endpoint, StreamId
from udpim.ranges import Range, chunked, without
from udpim.wire.im_codec import cut_section
from udpim.wire.im_packets import CancelN, Gone, MsgN, Nudge, Section, StatusN

EXPIRED_ROWS_MAX = 4096
"""Rows that one look makes void items of: a transaction that nobody has to wait for."""

Head = tuple[int, int]
"""Floor and base."""
Stored = Callable[[Endpoint, StreamId, list[Range]], None]


class Delivery:
    """Brings messages, cancels and questions to endpoints."""

    def __init__(
        self,
        limits: Limits,
        queue: OfflineQueue,
        ledger: Ledger,
        conversations: Conversations,
        endings: Endings,
        *,
        durable: bool,
        stored: Stored,
    ) -> None:
        """Start without sessions; tell ``stored`` what became durable."""
        self._limits = limits
        self._queue = queue
        self._conversations = conversations
        self._endings = endings
        self._durable = durable
        self._stored = stored
        self.held = HeldBytes()
        """What waits for the disk, by sender."""
        self._writer = QueueWriter(queue, ledger, self._on_stored, limits, self.held)
        self.sessions: dict[Endpoint, Session] = {}
        self.pushed_bytes = 0
        """What all sessions were pushed and have not receipted."""
        self._outstanding: Counter[StreamId] = Counter()
        """How many pushes of a stream are not receipted, at all its recipients."""
        self.drops: Counter[str] = Counter()
        self.expired_messages = 0
        """Messages that waited in queues for too long."""

    # --- To recipients ---

    def deliver(
        self,
        endpoint: Endpoint,
        stream: StreamId,
        head: Head,
        section: Section,
        ranges: list[Range],
    ) -> bool:
        """Bring ``ranges`` of a run: by push while nothing of the stream is queued, else by queue.

        What is pushed is the recipient's, and bounded by its limit, so that a slow one does not
        use up the credit that its senders need for others (PROTOCOL §3.8).

        Returns:
            False when there is no room for it.
        """
        queued = self._queue.find(endpoint, stream)
        online = self.sessions.get(endpoint)
        crowded = online is not None and self._is_crowded(online)
        if online is not None and crowded:
            ranges = without(ranges, self._endings.push(online, stream).unreceipted)
        if queued is not None or online is None or crowded:
            if ranges and (self._writer.is_full(endpoint) or (crowded and not self._durable)):
                return False
            self._writer.store(endpoint, stream, head, section, ranges)
            return True
        for low, high in without(ranges, self._endings.push(online, stream).unreceipted):
            self._push(online, stream, head, cut_section(section, low, high))
        return True

    def _is_crowded(self, online: Session) -> bool:
        """Tell whether so much is pushed, to it or to all, that the rest has to be queued."""
        limits = self._limits
        room = min(limits.session_bytes_max, limits.pushed_bytes_max - self.pushed_bytes)
        return online.pushed_bytes >= room or online.unreceipted >= limits.session_messages_max

    def _push(self, online: Session, stream: StreamId, head: Head, section: Section) -> None:
        online.pushed(stream, head, section)
        self.pushed_bytes += len(section.raw)
        self._outstanding[stream] += section.count
        handle, name = online.outbound.of(stream)
        tag = None if name is None else Named(stream)
        online.send(MsgN(handle, name, head[0], head[1], section), tag)

    def cancel(self, endpoint: Endpoint, stream: StreamId, head: Head, ranges: list[Range]) -> None:
        """Pass a cancel on, or leave it as void items: only B says VOID (R4)."""
        online = self.sessions.get(endpoint)
        if self._queue.find(endpoint, stream) is not None or online is None:
            self._store_voids(endpoint, stream, head, ranges)
        if online is None:
            return
        push = self._endings.push(online, stream)
        push.raise_head(*head)
        push.cancels.update(ranges)
        for part in chunked(ranges, RANGES_A_PACKET):
            handle, name = online.outbound.of(stream)
            online.send(CancelN(handle, name, *head, part), Named(stream))

    def _store_voids(
        self, endpoint: Endpoint, stream: StreamId, head: Head, ranges: list[Range]
    ) -> None:
        if not self._writer.store_voids(endpoint, stream, head, ranges):
            self.drops["cancel beyond the queue's limit"] += 1

    def ask(self, endpoint: Endpoint, stream: StreamId, head: Head) -> None:
        """Have an endpoint that is online offer its receipts of a stream again."""
        online = self.sessions.get(endpoint)
        if online is not None:
            handle, name = online.outbound.of(stream)
            online.send(StatusN(handle, name, *head), Named(stream))

    def floor_passed(self, endpoint: Endpoint, stream: StreamId, floor: int) -> None:
        """The sender has the verdicts for what is below its floor.

        What waits for the endpoint says so, however it gets there: a newer incarnation of it learns
        from nothing else that the rest will not come.
        """
        self._writer.floor_passed(endpoint, stream, floor)
        online = self.sessions.get(endpoint)
        push = None if online is None else online.pushes.get(stream)
        if push is not None:
            push.raise_head(floor, floor)
        nudge_blocked(self._queue, online)

    # --- From recipients ---

    def receipted(self, session: Session, stream: StreamId, verdicts: Sequence[Range]) -> bool:
        """An endpoint gave its verdicts.

        Returns:
            Whether nothing of this stream, pushed or queued, waits for a receipt any more.
        """
        self._freed(stream, session.receipted(stream, verdicts))
        self._writer.delete(session.endpoint, stream, verdicts)
        nudge_blocked(self._queue, session)
        return stream not in self._outstanding and not self._queue.holds(stream)

    def _freed(self, stream: StreamId, freed: tuple[int, int]) -> None:
        count, size_bytes = freed
        self.pushed_bytes -= size_bytes
        if count:
            self._outstanding[stream] -= count
            if not self._outstanding[stream]:
                del self._outstanding[stream]

    # --- Sessions and memberships ---

    def session_closed(self, session: Session) -> None:
        """Hand what is unreceipted to the queue (R10)."""
        endpoint = session.endpoint
        del self.sessions[endpoint]
        self._queue.session_ended(endpoint)
        for stream, push in session.pushes.items():
            if self._conversations.line(stream, endpoint) is not None:
                head = (push.floor, push.base)
                for section, parts in push.open_sections():
                    self._writer.store(endpoint, stream, head, section, parts)
                self._store_voids(endpoint, stream, head, list(push.cancels))
            self._freed(stream, session.receipted(stream, ((1, SEQ_MAX),)))
        self._endings.session_closed(session)

    def left(self, endpoint: Endpoint) -> None:
        """An endpoint left a conversation: nothing waits for it there, and nothing comes (R5)."""
        for stream in self._queue.streams(endpoint):
            if self._conversations.line(stream, endpoint) is None:
                self._writer.delete(endpoint, stream, ((1, SEQ_MAX),))
        session = self.sessions.get(endpoint)
        if session is None:
            return
        for stream in session.pushes:
            if self._conversations.line(stream, endpoint) is None:
                self._freed(stream, session.receipted(stream, ((1, SEQ_MAX),)))
                self.gone(session, stream)

    @staticmethod
    def gone(session: Session, stream: StreamId) -> None:
        """Tell one that is no member: what is missing will not come."""
        handle, name = session.outbound.of(stream)
        session.send(Gone(handle, name), Named(stream))

    def expire(self) -> bool:
        """Make void items of messages that have waited for too long: only B says VOID (R8, R4).

        Returns:
            Whether there may be more of them.
        """
        count = self._writer.expire(EXPIRED_ROWS_MAX)
        self.expired_messages += count
        return count == EXPIRED_ROWS_MAX

    # --- After a commit of queue rows ---

    def _on_stored(self, endpoint: Endpoint, stream: StreamId, ranges: list[Range]) -> None:
        if self._conversations.line(stream, endpoint) is None:
            self._writer.delete(endpoint, stream, ((1, SEQ_MAX),))
            return
        online = self.sessions.get(endpoint)
        if online is not None:
            online.send(Nudge())
        self._stored(endpoint, stream, ranges)
