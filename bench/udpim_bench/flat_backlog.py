"""The server's router and its store beside an offline queue that holds a backlog.

A cycle puts a burst into the queue while the recipient is away, lets it come online, takes as much
out by offline:R, and lets it go; so the backlog stays as it is. Beside it two other users, both
online, exchange as many messages. Everything the router says is encoded and taken for received.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Event

from udpim.config import Limits
from udpim.im.puller import answer_pull, plan_pull
from udpim.im.records import QueueItems, ReadQueue
from udpim.im.router import Router
from udpim.im.session import Session
from udpim.model import Endpoint, StreamId
from udpim.ranges import Range
from udpim.store.base import Store
from udpim.store.memory import MemoryStore
from udpim.store.sqlite import SQLiteStore
from udpim.wire.im_codec import encode, encode_section
from udpim.wire.im_packets import AckR, EpochRun, ImPacket, MsgN, MsgR, OfflineA
from udpim_bench.flat_meter import Meter
from udpim_bench.measure import WrongCounts

BURST = 10
SIZE_BYTES = 64
"""Of a payload; a burst of them fits one packet."""
AWAY = Endpoint("bob", "d")
SHARE_MIN = 100
"""Messages that each of several senders has in the queue at least."""
FILL_BURSTS = 50
"""Bursts in one commit while the backlog is made."""
STORE_S_MAX = 60.0
_PAYLOADS = [bytes(SIZE_BYTES)] * BURST


class Sender:
    """A user online who writes to one other user."""

    def __init__(self, session: Session, recipient: str, router: Router) -> None:
        """Write from this session, with the membership that the router knows now."""
        self.session = session
        user, device = session.endpoint
        self.stream = StreamId(user, device, session.incarnation, recipient)
        self._runs = (EpochRun(1, router.conversations.epoch(self.stream)),)
        self.next_seq = 1
        self.floor = 1

    def burst(self) -> MsgR:
        """Return the next burst as msg:R."""
        first = self.next_seq
        self.next_seq += BURST
        stamps = range(first << 16, (first << 16) + BURST)
        return MsgR(1, None, self.floor, self._runs, 0, encode_section(first, stamps, _PAYLOADS))


class Backlog:
    """A queue of ``backlog`` messages for one endpoint, from up to ``streams`` senders."""

    def __init__(self, backlog: int, streams: int, cycles: int, *, sqlite: bool) -> None:
        """Make the store and the backlog in it."""
        self._backlog = backlog
        self._cycles = cycles
        self._folder = tempfile.TemporaryDirectory() if sqlite else None
        self._store: Store = (
            SQLiteStore(str(Path(self._folder.name) / "server.db"), kind="server")
            if self._folder is not None
            else MemoryStore()
        )
        self._done = Event()
        self._store.set_wake(self._done.set)
        self._tokens = 0
        self._router = Router(
            Limits(queue_messages_max=backlog + BURST),
            self._store.load_server(),
            store_epoch=1,
            durable=self._store.durable,
            known_user=lambda user: False,
        )
        self._outgoing: dict[Session, None] = {}
        self._bob = self._log_in(AWAY)
        carol = self._log_in(Endpoint("carol", "d"))
        self._other = Sender(self._log_in(Endpoint("dave", "d")), "carol", self._router)
        self._carol = carol
        # Each has as much as one pull plans for, so that every pull looks at one stream.
        count = max(1, min(streams, backlog // SHARE_MIN))
        self._senders = deque(
            Sender(self._log_in(Endpoint(f"a{i}", "d")), "bob", self._router) for i in range(count)
        )
        self._by_stream = {sender.stream: sender for sender in self._senders}
        self._moved = {"insert": 0, "pull": 0, "beside": 0}
        self._leave()
        for number in range(backlog // BURST):
            self._put()
            if number % FILL_BURSTS == 0:
                self._settle()
        self._settle()
        self._cycle(Meter())
        self.check()

    # --- Sessions ---

    def _log_in(self, endpoint: Endpoint) -> Session:
        record = self._router.registry.logged_in(endpoint, 1, 1)
        self._router.register(record, lambda ok: None)
        self._commit()
        session = Session(endpoint, 1, lambda: 0.0, self._outgoing)
        self._router.session_opened(session)
        return session

    def _come(self) -> None:
        self._bob = Session(AWAY, 1, lambda: 0.0, self._outgoing)
        self._router.session_opened(self._bob)

    def _leave(self) -> None:
        self._router.session_closed(self._bob, ())
        self._settle()

    # --- The store ---

    def _commit(self) -> bool:
        """Make durable what the router wants to be so; tell whether that was something."""
        ops = self._router.ledger.take_ops()
        if not ops:
            return False
        self._tokens += 1
        self._store.submit(self._tokens, ops)
        self._await()
        self._router.ledger.on_committed(ok=True)
        self._router.stored_for_absent.clear()
        return True

    def _read(self, request: ReadQueue) -> tuple[QueueItems, ...]:
        self._tokens += 1
        self._store.read_queue(self._tokens, request)
        return self._await()

    def _await(self) -> tuple[QueueItems, ...]:
        while True:
            for completion in self._store.completed():
                if completion.error is not None:
                    raise WrongCounts(f"the store says: {completion.error}")
                return completion.items
            if not self._done.wait(STORE_S_MAX):
                raise WrongCounts("the store does not answer")
            self._done.clear()

    # --- What is measured ---

    def _settle(self, take: Callable[[ImPacket], None] | None = None) -> None:
        """Commit, and let everybody have what the router says, until it says nothing more."""
        router = self._router
        while True:
            changed = self._commit()
            sessions = list(self._outgoing)
            self._outgoing.clear()
            for session in sessions:
                frames, session.frames[:] = session.frames[:], []
                for packet, tag in frames:
                    encode(packet)
                    if tag is not None:
                        router.on_acked(session, tag)
                    if take is not None:
                        take(packet)
            if not sessions and not changed:
                return

    def _put(self) -> None:
        """One burst of the next sender reaches the server."""
        sender = self._senders[0]
        self._senders.rotate(-1)
        self._router.receive_msg_r(sender.session, sender.stream, sender.burst())

    def _pull(self) -> None:
        """Bob asks for a burst's worth and gives his verdicts on what comes."""
        router, bob = self._router, self._bob
        request = plan_pull(router.queue, bob, BURST * SIZE_BYTES)
        answer_pull(router.queue, bob, self._read(request))
        answers: list[tuple[int, Range]] = []

        def take(packet: ImPacket) -> None:
            if isinstance(packet, OfflineA) and packet.section is not None:
                span = (packet.section.first, packet.section.last)
                answers.append((packet.handle, span))

        self._settle(take)
        for handle, span in answers:
            stream = bob.outbound.stream(handle)
            assert stream is not None, "the server named it"
            self._verdict(bob, stream, span, is_pulled=True)
            self._by_stream[stream].floor = span[1] + 1
            self._moved["pull"] += span[1] - span[0] + 1
        self._settle()

    def _verdict(self, session: Session, stream: StreamId, span: Range, *, is_pulled: bool) -> None:
        self._router.receive_ack_r(session, stream, AckR(1, None, is_pulled, (span,), ()))

    def _beside(self) -> None:
        """Two others exchange a burst."""
        sender = self._other
        self._router.receive_msg_r(sender.session, sender.stream, sender.burst())
        spans: list[Range] = []

        def take(packet: ImPacket) -> None:
            if isinstance(packet, MsgN):
                spans.append((packet.section.first, packet.section.last))

        self._settle(take)
        for span in spans:
            self._verdict(self._carol, sender.stream, span, is_pulled=False)
            self._moved["beside"] += span[1] - span[0] + 1
        sender.floor = sender.next_seq
        self._settle()

    def _cycle(self, meter: Meter) -> None:
        with meter.section("insert", BURST):
            self._put()
            self._settle()
        self._moved["insert"] += BURST
        self._come()
        self._settle()
        with meter.section("pull", BURST):
            self._pull()
        self._leave()
        with meter.section("beside", BURST):
            self._beside()

    def run(self, meter: Meter) -> None:
        """See `FlatCase.run`."""
        for _ in range(self._cycles):
            self._cycle(meter)

    def check(self) -> None:
        """See `FlatCase.check`."""
        queued = self._router.queue.count(AWAY)
        if queued != self._backlog:
            raise WrongCounts(f"{queued} messages are queued, and not {self._backlog}")
        if len(set(self._moved.values())) != 1:
            raise WrongCounts(f"not as many of each: {self._moved}")

    def counts(self) -> dict[str, int]:
        """See `FlatCase.counts`."""
        return {"backlog": self._router.queue.count(AWAY), **self._moved}

    def close(self) -> None:
        """See `FlatCase.close`."""
        self._store.close()
        if self._folder is not None:
            self._folder.cleanup()
