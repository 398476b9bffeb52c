"""Messages that the application looks at before they are routed: may_send and on_message.

Stands between the server node, which takes msg:R and cancel:R, and the router; without a hook the
node goes straight to the router. While a hook thinks, its run waits here, and what else comes of
the same stream waits behind it: in memory only, counted against the sender's credit, so a crash
loses it and the sender's retransmission brings it back (PROTOCOL §5.5).

::

    msg:R ─► may_send? ─► admitted? ─► routed before? ─► on_message? ─► router ─► msg:A
                │ no           │ no                            │ no
                └─ FORBIDDEN   └─ the router says why          └─ FORBIDDEN, or REDIRECTED;
                                                                  the others go on
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import NamedTuple

from udpim.config import Limits
from udpim.im.answers import RANGES_A_PACKET
from udpim.im.router import Router
from udpim.im.session import Session
from udpim.model import RejectCode, StreamId
from udpim.node.effects import Effect, Inspect, MaySend, Verdicts
from udpim.ranges import Range, RangeSet, chunked, without
from udpim.wire.im_codec import cut_section
from udpim.wire.im_packets import CancelR, MsgR, Refuse

PASSED_RUNS_MAX = 64
"""Of one stream, that are remembered; beyond, the hook is asked again."""
MAY_SEND_S = 60.0
"""How long an answer of may_send holds for one session and conversation."""
NOTHING_INSPECTED = {"inspected_messages": 0, "inspected_bytes": 0}
"""Sizes where there is no hook."""

Inspected = MsgR | CancelR


class _Lane:
    """One stream of one session."""

    __slots__ = ("allowed", "asked", "parked", "passed", "until", "waiting")

    def __init__(self) -> None:
        """Start with nothing known and nothing waiting."""
        self.asked = False
        """A hook has the first run that waits."""
        self.parked: deque[Inspected] = deque()
        """What came behind it, in order of arrival."""
        self.waiting = RangeSet()
        """Seqs of all these runs."""
        self.passed = RangeSet()
        """Seqs that on_message let pass and the router did not take: first it tells the sender
        whom they are due to, and the sender stamps them anew."""
        self.allowed = False
        self.until = float("-inf")
        """When the hook's word on the whole stream is too old."""

    def remember(self, first: int, last: int) -> None:
        """The next copy of these needs no question."""
        if len(self.passed) >= PASSED_RUNS_MAX:
            self.passed.clear()
        self.passed.add(first, last)


class _Question(NamedTuple):
    """What a hook was asked about."""

    session: Session
    stream: StreamId
    packet: MsgR


class Inspection:
    """Asks the hooks, and routes what they let pass."""

    def __init__(
        self,
        router: Router,
        limits: Limits,
        effects: deque[Effect],
        asks: Collection[type],
    ) -> None:
        """Start with nothing waiting.

        Args:
            router: Takes what has passed.
            limits: How much may wait.
            effects: Where questions to the hooks are put.
            asks: Which of them to ask, `MaySend` or `Inspect` or both.
        """
        self._router = router
        self._limits = limits
        self._may_send = MaySend in asks
        self._on_message = Inspect in asks
        self._effects = effects
        self._lanes: dict[Session, dict[StreamId, _Lane]] = {}
        self._questions: dict[int, _Question] = {}
        self._token = 0
        self._messages = 0
        self._bytes = 0

    # --- Inputs ---

    def receive(self, session: Session, stream: StreamId, packet: Inspected, now: float) -> None:
        """Take a run or a cancel of a stream: route it, refuse it, or let it wait."""
        lane = self._lanes.setdefault(session, {}).setdefault(stream, _Lane())
        if not lane.asked:
            if self._examine(session, stream, packet, now):
                self._tidy(session, stream)
        elif isinstance(packet, MsgR) and not without(_whole(packet), lane.waiting):
            self._router.drop("copy of a message before a hook")
        elif self._take_room(session, stream, packet):
            lane.parked.append(packet)

    def on_may_send(self, token: int, now: float, *, allowed: bool | None) -> None:
        """The may_send hook has answered: yes, no, or None for "ask again later"."""
        question = self._answered(token)
        if question is None:
            return
        session, stream, packet = question
        if allowed is None:
            self._refuse(session, packet, RejectCode.BUSY, _whole(packet))
        else:
            lane = self._lanes[session][stream]
            lane.allowed, lane.until = allowed, now + MAY_SEND_S
            if not self._examine(session, stream, packet, now):
                return
        self._go_on(session, stream, now)

    def on_inspected(self, token: int, verdicts: Verdicts, now: float) -> None:
        """The on_message hook has answered."""
        question = self._answered(token)
        if question is None:
            return
        session, stream, packet = question
        rejected, failed, rerouted = verdicts
        stopped = RangeSet((*rejected, *(part for ranges in rerouted.values() for part in ranges)))
        self._refuse(session, packet, RejectCode.BUSY, failed)
        for low, high in without(_whole(packet), RangeSet((*stopped, *failed))):
            if not self._route(session, stream, packet, (low, high)):
                self._lanes[session][stream].remember(low, high)
        for to, ranges in (("", rejected), *rerouted.items()):
            code = RejectCode.REDIRECTED if to else RejectCode.FORBIDDEN
            self._refuse(session, packet, code, ranges, to)
        self._go_on(session, stream, now)

    def session_ended(self, session: Session) -> None:
        """Forget what waits behind a hook; what the hook has counts until it answers."""
        for stream, lane in self._lanes.pop(session, {}).items():
            for packet in lane.parked:
                self._count(stream, packet, -1)

    def sizes(self) -> dict[str, int]:
        """Return how full the tables are now."""
        return {"inspected_messages": self._messages, "inspected_bytes": self._bytes}

    # --- One packet after the other ---

    def _examine(self, session: Session, stream: StreamId, packet: Inspected, now: float) -> bool:
        """Bring a packet as far as it gets; False when a hook has it now."""
        if isinstance(packet, CancelR):
            self._router.receive_cancel_r(session, stream, packet)
            return True
        if self._may_send:
            lane = self._lanes[session][stream]
            if lane.until <= now:
                return not self._ask_may_send(_Question(session, stream, packet))
            if not lane.allowed:
                self._refuse(session, packet, RejectCode.FORBIDDEN, _whole(packet))
                return True
        if self._on_message:
            if not self._router.admits(session, stream, packet):
                return True
            known = _routed(self._router, stream, packet.section.first, packet.section.last)
            known.update(self._lanes[session][stream].passed)
            if fresh := without(_whole(packet), known):
                return not self._ask_about(_Question(session, stream, packet), fresh)
        if self._router.receive_msg_r(session, stream, packet) and self._on_message:
            self._lanes[session][stream].passed.subtract(_whole(packet))
        return True

    def _route(self, session: Session, stream: StreamId, packet: MsgR, part: Range) -> bool:
        return self._router.receive_msg_r(
            session, stream, packet._replace(section=cut_section(packet.section, *part))
        )

    def _go_on(self, session: Session, stream: StreamId, now: float) -> None:
        """The first run is done with: bring on what waits behind it."""
        parked = self._lanes[session][stream].parked
        while parked:
            packet = parked.popleft()
            self._give_room(session, stream, packet)
            if not self._examine(session, stream, packet, now):
                return
        self._tidy(session, stream)

    def _tidy(self, session: Session, stream: StreamId) -> None:
        """Forget a lane that nothing waits in; the word of may_send is kept."""
        lanes = self._lanes[session]
        if not self._may_send and not lanes[stream].passed:
            del lanes[stream]
            if not lanes:
                del self._lanes[session]

    # --- Questions ---

    def _ask_may_send(self, question: _Question) -> bool:
        """Ask the hook; False when there is no room to wait."""
        if not self._wait(question):
            return False
        endpoint, conversation = question.session.endpoint, question.stream.conversation
        self._effects.append(
            MaySend(token=self._token, endpoint=endpoint, conversation=conversation)
        )
        return True

    def _ask_about(self, question: _Question, ranges: list[Range]) -> bool:
        """Ask the hook about a run; False when there is no room to wait."""
        if not self._wait(question):
            return False
        stream, section = question.stream, question.packet.section
        self._effects.append(
            Inspect(token=self._token, stream=stream, section=section, ranges=tuple(ranges))
        )
        return True

    def _wait(self, question: _Question) -> bool:
        session, stream, packet = question
        if not self._take_room(session, stream, packet):
            return False
        self._token += 1
        self._questions[self._token] = question
        self._lanes[session][stream].asked = True
        return True

    def _answered(self, token: int) -> _Question | None:
        """Return the question of this token, None when its session is over."""
        question = self._questions.pop(token)
        session, stream, packet = question
        self._give_room(session, stream, packet)
        if session not in self._lanes:
            return None
        self._lanes[session][stream].asked = False
        return question

    def _refuse(
        self,
        session: Session,
        packet: Inspected,
        code: RejectCode,
        ranges: Sequence[Range],
        to: str = "",
    ) -> None:
        for part in chunked(list(RangeSet(ranges)), RANGES_A_PACKET):
            session.send(Refuse(packet.handle, code, part, to))

    # --- Room ---

    def _take_room(self, session: Session, stream: StreamId, packet: Inspected) -> bool:
        """Count what has to wait; False when that is too much, and its sender was told."""
        limits = self._limits
        full = (
            self._messages >= limits.inspected_messages_max
            or self._bytes >= limits.inspected_bytes_max
        )
        if full:
            ranges = packet.ranges if isinstance(packet, CancelR) else _whole(packet)
            self._refuse(session, packet, RejectCode.FULL, ranges)
            return False
        self._count(stream, packet, 1)
        if isinstance(packet, MsgR):
            self._lanes[session][stream].waiting.update(_whole(packet))
        return True

    def _give_room(self, session: Session, stream: StreamId, packet: Inspected) -> None:
        self._count(stream, packet, -1)
        lanes = self._lanes.get(session)
        if lanes is not None and isinstance(packet, MsgR):
            lanes[stream].waiting.subtract(_whole(packet))

    def _count(self, stream: StreamId, packet: Inspected, sign: int) -> None:
        if isinstance(packet, CancelR):
            self._messages += sign
            return
        size_bytes = len(packet.section.raw)
        self._messages += sign * packet.section.count
        self._bytes += sign * size_bytes
        self._router.delivery.held.add(stream, sign * size_bytes)


def inspection_for(
    router: Router, limits: Limits, effects: deque[Effect], asks: Collection[type]
) -> Inspection | None:
    """Return what asks the hooks, None where there is none to ask."""
    return Inspection(router, limits, effects, asks) if asks else None


def _routed(router: Router, stream: StreamId, first: int, last: int) -> RangeSet:
    """Return what of first..last passed before, as far as pushes, queue and receipts know it."""
    known = RangeSet()
    for line in router.conversations.present(stream):
        online = router.sessions.get(line.endpoint)
        push = None if online is None else online.pushes.get(stream)
        if push is not None:
            known.update(push.unreceipted.within(first, last))
        queued = router.queue.find(line.endpoint, stream)
        if queued is not None:
            known.update(queued.messages.within(first, last))
            known.update(queued.voids.within(first, last))
        row = router.receipts.find(stream, line.endpoint)
        if row is not None:
            known.update(row.delivered.within(first, last))
    return known


def _whole(packet: MsgR) -> list[Range]:
    return [(packet.section.first, packet.section.last)]
