"""The packets of the model: what A, S and B tell each other, one message or one verdict at a time.

A *session* names what its login settled: the store epoch and the client's incarnation. The hop
keeps packets of other connections out; the model keeps out only those of another store, incarnation
or disk, which is less than the hop does, and so a harder test.
"""

from typing import NamedTuple

DELIVERED, VOID, EXCUSED = "DELIVERED", "VOID", "EXCUSED"
SETTLED = "SETTLED"
"""What B says below its floor: there is nothing more to come, and no word about what it was."""
STORED = "STORED"


class Session(NamedTuple):
    who: object  # "A", or the number of an endpoint
    store: int
    incarnation: int
    disk: int  # which disk the client runs on; a restored one is another


class Payload(NamedTuple):
    number: int
    mark: int  # its place in A's life, as the stamp of a real message


class Head(NamedTuple):
    """What a packet of A tells of the stream."""

    floor: int
    epochs: dict  # seq → membership epoch, ascending from floor on


class MsgR(NamedTuple):
    session: Session
    stream: int
    seq: int
    payload: object
    head: Head
    settled: frozenset  # endpoints that need no copy
    again: bool  # not the first copy
    refused: bool  # this copy will be refused for good, whenever it arrives


class CancelR(NamedTuple):
    session: Session
    stream: int
    seq: int
    head: Head
    settled: frozenset


class StatusR(NamedTuple):
    session: Session
    stream: int
    asked: tuple
    head: Head


class GotN(NamedTuple):
    """A's session has acknowledged ack:N: what it said is recorded."""

    session: Session
    stream: int
    endpoint: int
    incarnation: int
    verdicts: tuple


class MsgA(NamedTuple):
    store: int
    stream: int
    seq: int


class Refuse(NamedTuple):
    store: int
    stream: int
    seq: int


class Members(NamedTuple):
    store: int
    history: tuple  # by membership epoch: who belongs
    incarnations: tuple  # (endpoint, newest incarnation, its number)


class AckN(NamedTuple):
    """``incarnation`` is None where S speaks in its own name."""

    store: int
    stream: int
    endpoint: int
    incarnation: int | None
    verdicts: tuple  # (seq, DELIVERED or VOID, STORED or EXCUSED)
    number: int = 0  # of the incarnation


class StatusA(NamedTuple):
    store: int
    stream: int
    endpoint: int
    asked: tuple
    stored: frozenset


class Due(NamedTuple):
    """What every packet to B tells of the stream: A's floor, B's base, B's membership."""

    floor: int
    base: int
    joined: int


class MsgN(NamedTuple):
    store: int
    stream: int
    seq: int
    payload: object
    due: Due
    again: bool


class CancelN(NamedTuple):
    store: int
    stream: int
    seq: int
    due: Due


class StatusN(NamedTuple):
    store: int
    stream: int
    due: Due


class Ended(NamedTuple):
    """cancel:N for all seqs from ``end`` on, but for those that are queued: nothing more comes."""

    store: int
    stream: int
    end: int
    queued: frozenset
    due: Due


class Membership(NamedTuple):
    """The receiver left, or was away and joined anew, at this epoch."""

    store: int
    epoch: int


class Nudge(NamedTuple):
    store: int


class AckR(NamedTuple):
    """``claims`` is honest but where a client forges."""

    session: Session
    claims: int
    stream: int
    mark: int  # as the payload's, of B's life
    verdicts: tuple  # (seq, DELIVERED, VOID or SETTLED)


class Asks(NamedTuple):
    """An ack:R without ranges: does this stream go on?"""

    session: Session
    stream: int


class OfflineR(NamedTuple):
    session: Session
