"""I12: nobody says more than he must: few repetitions, and no answer to an answer (PROTOCOL §5).

What is sent again is counted per session against what it sent as new, and the answers that a host
gets against what it asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from operator import itemgetter

from udpim.config import RESEND_MESSAGES_BURST, RESEND_RATIO
from udpim.model import MsgId
from udpim.testing.facts import SERVER, SeenFrame
from udpim.testing.history import History
from udpim.testing.promises import Stories
from udpim.wire import im_packets as p


class _Session:
    """Payload that one session sent as new and again."""

    def __init__(self) -> None:
        self.new = self.again = 0.0
        self._known: set[MsgId] = set()
        self._started_s: float | None = None
        self._largest = 1.0

    def sent(self, frame: SeenFrame) -> bool:
        """Count a msg:R; tell whether that was too much."""
        assert isinstance(frame.packet, p.MsgR)
        if frame.packet.runs[0].epoch == 0:  # it asks for the membership, and is not forwarded
            return False
        if self._started_s is None:
            self._started_s = frame.at
        msgids = set(frame.section())
        mean = frame.size / len(msgids)
        repeated = len(msgids & self._known)
        self._known |= msgids
        self.again += mean * repeated
        self.new += mean * (len(msgids) - repeated)
        self._largest = max(self._largest, mean)
        excess_messages = (self.again - RESEND_RATIO * self.new) / self._largest
        return excess_messages > RESEND_MESSAGES_BURST + 1 + frame.at - self._started_s

    def forget(self, frame: SeenFrame, members: dict[object, object]) -> None:
        """What follows a recipient's new incarnation or a lapsed STORED is not a repetition.

        ``members``: what this sender was told before, on any session, by stream.
        """
        if isinstance(frame.packet, p.StatusA):
            self._known -= set(frame.ranges("asked"))
        elif isinstance(frame.packet, p.Members):
            now = {member.endpoint: member.incarnation for member in frame.packet.members}
            if members.setdefault(frame.stream, now) != now:
                members[frame.stream] = now
                self._known = {m for m in self._known if m.stream != frame.stream}


def i12_restraint(h: History) -> Stories:
    """Re-sent payload bytes per session ≤ 20 % of new ones + 1 message/s averaged over 60 s.

    And no answer to an answer: nobody is told more than he asked for.
    """
    sessions: dict[tuple[str, bytes], _Session] = defaultdict(_Session)
    latest: dict[str, _Session] = {}
    members: dict[str, dict[object, object]] = defaultdict(dict)
    sent = [(f.sent, f) for f in _frames(h, p.MsgR)]
    heard = [(f.arrived, f) for f in _frames(h, p.Members, p.StatusA) if f.arrived is not None]
    for _, frame in sorted(sent + heard, key=itemgetter(0)):
        if isinstance(frame.packet, p.MsgR):
            latest[frame.source] = session = sessions[frame.source, frame.connection]
            if session.sent(frame):
                yield f"{frame.source} re-sent {session.again} bytes of {session.new}"
        elif frame.destination in latest:
            latest[frame.destination].forget(frame, members[frame.destination])
    asked: Counter[str] = Counter()
    reported: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    for frame in h.frames:
        reported[frame.source] += isinstance(frame.packet, p.AckR)
        asked[frame.source] += frame.destination == SERVER
        answers[frame.destination] += isinstance(frame.packet, p.MsgA | p.AckA)
    for host in {frame.source for frame in h.frames if frame.source != SERVER}:
        if answers[host] > 2 * asked[host] + reported[host]:
            yield f"{host} sent {asked[host]} IM packets and got {answers[host]} answers"


def _frames(h: History, *types: type) -> list[SeenFrame]:
    return [f for f in h.frames if isinstance(f.packet, types) and f.stream is not None]
