"""The single facts of a history: who sent, saw, was handed what, and what went over the wire.

`udpim.testing.history` collects them; the invariants compare them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from udpim.im.records import Op, PutOutStream
from udpim.model import Endpoint, MessageState, MsgId, StreamId
from udpim.ranges import Range
from udpim.wire import im_packets as p

SERVER = "server"
"""Host of the server; a client's host is ``user/device``."""
ByIncarnation = tuple[Endpoint, int]
"""One inbox: an endpoint and the incarnation of its store."""

Stamps = dict[int, tuple[int, int]]
"""By store epoch: a row's last stamp, and when it first had one."""


@lru_cache(maxsize=256)
def endpoint_of(host: str) -> Endpoint:
    """Return the endpoint whose host this is."""
    user, _, device = host.partition("/")
    return Endpoint(user, device)


def msgids_in(stream: StreamId, ranges: Iterable[Range]) -> Iterable[MsgId]:
    """Yield the msgids of a stream's ranges."""
    for first, last in ranges:
        for seq in range(first, last + 1):
            yield MsgId(stream, seq)


def store_epoch_of(number: int, ops: Sequence[Op]) -> int:
    """Return under which store a client's stream stands after a transaction; 0 for none."""
    records = (op.record for op in ops if isinstance(op, PutOutStream))
    return next((record.store_epoch for record in records if record.number == number), 0)


@dataclass(slots=True, kw_only=True)
class Send:
    """One message that an application sent."""

    msgid: MsgId
    payload: bytes
    asked: int
    accepted: int | None = None
    """When its outbox row was durable and the sender was told; None: `send()` never returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A sender's application saw a state."""

    order: int
    at: float
    life: int
    """Number of the sender's process."""
    state: MessageState
    incarnations: tuple[tuple[Endpoint, int], ...]
    """Incarnation of each of the recipient's endpoints at that moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """An application was given a message."""

    order: int
    at: float
    endpoint: Endpoint
    incarnation: int
    life: int
    msgid: MsgId
    payload: bytes


@dataclass(slots=True, kw_only=True)
class SeenFrame:
    """One IM packet on the wire: its first transmission; the hop's repetitions are not counted."""

    sent: int
    at: float
    source: str
    destination: str
    connection: bytes
    """Connection id that it was sent to."""
    packet: p.ImPacket
    stream: StreamId | None
    incarnation: int
    """With which the client of this connection logged in."""
    size: int
    """Payload bytes of messages."""
    arrived: int | None = None
    undone: int = 0
    """When an old copy was put back of the disk of which its sender said this; 0: never."""
    _msgids: dict[str, list[MsgId]] = field(default_factory=dict, init=False, repr=False)
    """What was asked for before: many an invariant looks at the same lists."""

    @property
    def inboxes(self) -> tuple[ByIncarnation, ...]:
        """The inbox that a client speaks of; and, if it was put back since, what it was then."""
        endpoint = endpoint_of(self.source)
        now = endpoint, self.incarnation
        return ((endpoint, self.incarnation + (self.undone << 64)), now) if self.undone else (now,)

    def ranges(self, name: str) -> Sequence[MsgId]:
        """Return the msgids in one of the packet's lists of ranges."""
        ranges: Sequence[Range] = getattr(self.packet, name)
        assert self.stream is not None
        if not ranges:
            return ()
        known = self._msgids.get(name)
        if known is None:
            known = self._msgids[name] = [*msgids_in(self.stream, ranges)]
        return known

    def section(self) -> Sequence[MsgId]:
        """Return the msgids of the messages in it."""
        section = getattr(self.packet, "section", None)
        if section is None:
            return ()
        known = self._msgids.get("section")
        if known is None:
            assert self.stream is not None
            run = [(section.first, section.last)]
            known = self._msgids["section"] = [*msgids_in(self.stream, run)]
        return known


def left_since(frames: Iterable[SeenFrame], msgid: MsgId, order: int) -> bool:
    """Tell whether a copy of a message left its sender after ``order``."""
    late = (f for f in frames if f.stream == msgid.stream and f.sent > order)
    return any(msgid in f.section() for f in late if isinstance(f.packet, p.MsgR))


def is_stamped(frame: SeenFrame, seq: int) -> bool:
    """Tell whether a msg:R gives a message an epoch, without which no server routes it."""
    assert isinstance(frame.packet, p.MsgR)
    return [run.epoch for run in frame.packet.runs if run.first <= seq][-1:] > [0]
