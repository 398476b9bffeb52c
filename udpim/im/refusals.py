"""What a refusal leads to, and how a redirected message goes on (PROTOCOL §5.6).

A part of the sender's machine. A refusal is about a copy (R6): it is final where no other copy can
have been forwarded; elsewhere it starts a cancel, and the endpoints decide.

A redirect is a refusal that names somebody else to send the message to. It never makes two
deliveries of one message: the payload leaves as a new message, with a msgid of its own, in the
transaction in which the old seq is closed for good: refused as above, or VOID at everybody it was
for. Until then it is a seq that is given up, but shows no UNKNOWN, for its sender goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from udpim.im.changes import Change, Rerouted
from udpim.im.deciding import without_a_taker
from udpim.im.records import OutStreamRecord, Reroute
from udpim.model import MessageState, RejectCode, StreamId
from udpim.ranges import Range, RangeSet, without
from udpim.wire.im_packets import Refuse

if TYPE_CHECKING:
    from udpim.im.deadlines import Deadlines
    from udpim.im.out_stream import OutStream
    from udpim.im.sender import Outbox

_T = TypeVar("_T", int, str)

REDIRECTS_MAX = 4
"""How often one message is sent on; then it is REJECTED: two hooks that disagree end somewhere."""


class Released(NamedTuple):
    """A message that may be sent to somebody else now."""

    seq: int
    to: str
    payload: bytes
    hops: int


class Onward:
    """Where the messages of one stream go on, if they do."""

    __slots__ = ("hops", "pending", "released", "rerouted")

    def __init__(self, record: OutStreamRecord) -> None:
        """Restore from the stream's record."""
        self.pending = _by_seq(record.redirects)
        """Given up, and to be sent to somebody else once they are VOID: seq → to whom."""
        self.hops = _by_seq(record.hops)
        """How often an open message was sent on until here, if it was."""
        self.rerouted = list(record.rerouted)
        """What was sent on."""
        self.released: list[Released] = []
        """What is sent on in the next transaction."""

    def record(self) -> tuple[tuple[Any, ...], ...]:
        """Return the last fields of the stream's record."""
        pending = tuple((seq, seq, to) for seq, to in self.pending.items())
        hops = tuple((seq, seq, count) for seq, count in self.hops.items())
        return pending, hops, tuple(self.rerouted)

    def floor_passed(self, floor: int) -> None:
        """Messages below it are not open any more."""
        if self.hops:
            self.hops = {seq: count for seq, count in self.hops.items() if seq >= floor}

    def find(self, seq: int) -> Reroute | None:
        """Return as what a message went on."""
        return next((one for one in self.rerouted if one.first <= seq <= one.last), None)


def _by_seq(runs: Iterable[tuple[int, int, _T]]) -> dict[int, _T]:
    return {seq: value for first, last, value in runs for seq in range(first, last + 1)}


def take_refusal(stream: OutStream, packet: Refuse) -> list[Change]:
    """Take a permanent refusal, with or without somebody else to send to."""
    changes: list[Change] = []
    open_ = without(stream.used(packet.ranges), stream.settled)
    for part in without(open_, without_a_taker(stream)):
        if stream.store_epoch == 0:
            changes += _close(stream, part, packet)
            continue
        for kept in without([part], stream.cancelled):
            for fresh in without([kept], stream.resent):
                changes += _close(stream, fresh, packet)
        for doubtful in without([part], stream.cancelled):
            changes += _give_up(stream, doubtful, packet)
    return changes


def _close(stream: OutStream, part: Range, packet: Refuse) -> list[Change]:
    """Nobody can have got a copy of these."""
    for seq in _redirected(stream, without([part], stream.cancelled), packet):
        _release(stream, seq, packet.to)
    return stream.close(*part, packet.code)


def _give_up(stream: OutStream, part: Range, packet: Refuse) -> list[Change]:
    """Another copy of these may have been forwarded: the endpoints decide."""
    redirected = _redirected(stream, [part], packet)
    stream.onward.pending |= dict.fromkeys(redirected, packet.to)
    stream.give_up(*part)
    unknown = without(stream.delivered.missing(*part), RangeSet((seq, seq) for seq in redirected))
    return [(low, high, MessageState.UNKNOWN) for low, high in unknown]


def _redirected(stream: OutStream, ranges: Iterable[Range], packet: Refuse) -> list[int]:
    """Return which of these seqs go on to somebody else."""
    if packet.code != RejectCode.REDIRECTED or not packet.to:
        return []
    return [
        seq
        for first, last in ranges
        for seq in range(first, last + 1)
        if seq not in stream.delivered and stream.onward.hops.get(seq, 0) < REDIRECTS_MAX
    ]


def _release(stream: OutStream, seq: int, to: str) -> None:
    _, payload = stream.rows[seq]
    stream.onward.released.append(Released(seq, to, payload, stream.onward.hops.get(seq, 0) + 1))


def decide_redirects(stream: OutStream) -> None:
    """Look which given-up seqs have their last word: only VOID lets them go on."""
    for seq, to in list(stream.onward.pending.items()):
        if seq in stream.delivered or seq in stream.decided:
            del stream.onward.pending[seq]
            if seq in stream.void and seq not in stream.delivered:
                _release(stream, seq, to)


def end_redirects(stream: OutStream, first: int, last: int) -> list[Change]:
    """The application has given up on first..last: they go nowhere else.

    Returns:
        What shows UNKNOWN now.
    """
    ended = [seq for seq in stream.onward.pending if first <= seq <= last]
    for seq in ended:
        del stream.onward.pending[seq]
    return [(seq, seq, MessageState.UNKNOWN) for seq in ended]


def send_on(outbox: Outbox, stream: OutStream, deadlines: Deadlines) -> list[Rerouted]:
    """Send what is released as new messages, in the transaction that closes the old ones.

    Their stamps follow all that were given: here is no clock to look at.
    """
    released, stream.onward.released = stream.onward.released, []
    sent = []
    for seq, to, payload, hops in released:
        when = deadlines.of(stream, seq)
        ttl_s = None if when is None else max(0.001, when - outbox.now)
        target, number = outbox.send(to, (payload,), now=outbox.now, wall_ms=0, ttl_s=ttl_s)
        target.onward.hops[number] = hops
        stream.onward.rerouted.append(Reroute(seq, seq, target.id.incarnation, to, number))
        sent.append(Rerouted(stream, seq, target, number))
    return sent


def retarget(streams: Iterable[OutStream], old: StreamId, new: StreamId, fresh: int) -> None:
    """What was sent on to ``old`` and never left has a msgid of ``new`` (R7)."""
    for stream in streams:
        stream.onward.rerouted = [
            one._replace(incarnation=new.incarnation)
            if (one.incarnation, one.conversation) == (old.incarnation, old.conversation)
            and one.new_first >= fresh
            else one
            for one in stream.onward.rerouted
        ]
