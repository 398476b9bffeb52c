"""The values of IM packets: what the codecs of `im_codec` and `im_schema` exchange.

An IM packet travels in one frame between two neighbours (PROTOCOL §4): in a reliable one, or, if
it is a signal, in one that is sent once.
Those that concern a stream name it by a *handle*, a small number that the packet's sender
chose for it on this connection; until one such packet has been acked the stream's *name*
rides along, so that no packet ever waits for another one.

Named tuples, not dataclasses: these are made once per frame on the hot path.
"""

from __future__ import annotations

from typing import NamedTuple

from udpim.model import Endpoint, StreamId
from udpim.ranges import Range
from udpim.wire.im_group_packets import (
    Gone,
    GroupA,
    GroupR,
    ReadA,
    ReadN,
    ReadR,
    Tally,
    TallyEntry,
)
from udpim.wire.im_kinds import Kind
from udpim.wire.im_login_packets import Login, LoginOk, LoginRefused

Ranges = tuple[Range, ...]


class EpochRun(NamedTuple):
    """From ``first`` on (until the next run) the seqs carry membership ``epoch``."""

    first: int
    epoch: int


class Section(NamedTuple):
    """A run of messages of one stream, as bytes that the server passes on untouched.

    Attributes:
        first: Seq of the first message.
        count: How many, ≥ 1.
        raw: The encoded section (PROTOCOL §4.4): first, count, lengths, stamps, payloads.
    """

    first: int
    count: int  # type: ignore[assignment]  # hides the method of tuple, which nobody calls
    raw: bytes

    @property
    def last(self) -> int:
        """Seq of the last message."""
        return self.first + self.count - 1


class MsgR(NamedTuple):
    """A → S: deliver this run. Also carries what R1 and R2 need."""

    handle: int
    name: StreamId | None
    floor: int
    runs: tuple[EpochRun, ...]
    settled: int
    """Bitmap over ordinals: endpoints that need no further copy."""
    section: Section


class MsgA(NamedTuple):
    """S → A: the server has these and is routing them."""

    handle: int
    rtt_us: int
    ranges: Ranges


class MsgN(NamedTuple):
    """S → B: here they are."""

    handle: int
    name: StreamId | None
    floor: int
    base: int
    section: Section


class AckR(NamedTuple):
    """B → S: B's verdicts. With ``pulled`` it is the offlineack:R."""

    handle: int
    name: StreamId | None
    pulled: bool
    delivered: Ranges
    void: Ranges
    settled: Ranges = ()
    """Below a floor that A has told: B has forgotten what became of them."""


class AckA(NamedTuple):
    """S → B: the server has B's receipt, and it cannot get lost any more."""

    handle: int
    ranges: Ranges


class AckN(NamedTuple):
    """S → A: verdicts of one endpoint. STORED and EXCUSED are the server's own word."""

    handle: int
    name: StreamId | None
    ordinal: int
    incarnation: int
    store_epoch: int
    delivered: Ranges
    void: Ranges
    stored: Ranges
    excused: Ranges


class Refuse(NamedTuple):
    """S → A: these copies are refused; ``to`` says where to send REDIRECTED ones instead."""

    handle: int
    code: int
    ranges: Ranges
    to: str = ""


class Member(NamedTuple):
    """One line of a conversation's membership history."""

    ordinal: int
    user: str
    device: str
    incarnation: int
    renewed: int
    """Number of the server's change that brought this incarnation."""
    joined: int
    left: int
    """First epoch without this endpoint, 0 while it belongs to the conversation."""

    @property
    def endpoint(self) -> Endpoint:
        """Whose line it is."""
        return Endpoint(self.user, self.device)

    @property
    def changed(self) -> int:
        """Number of the change that made the line as it is."""
        return max(self.renewed, self.joined, self.left)


class Members(NamedTuple):
    """S → A: who belongs to the conversation; stamp anew what does not fit it."""

    handle: int
    name: StreamId | None
    whole: bool
    """These are all present members; otherwise only the lines that changed."""
    store_epoch: int
    epoch: int
    members: tuple[Member, ...]


class CancelR(NamedTuple):
    """A → S: give up on these."""

    handle: int
    name: StreamId | None
    floor: int
    runs: tuple[EpochRun, ...]
    ranges: Ranges


class CancelN(NamedTuple):
    """S → B: A gave up on these; what is not committed becomes void."""

    handle: int
    name: StreamId | None
    floor: int
    base: int
    ranges: Ranges


class StatusR(NamedTuple):
    """A → S: what is known of these?"""

    handle: int
    name: StreamId | None
    floor: int
    runs: tuple[EpochRun, ...]
    ranges: Ranges


class StatusN(NamedTuple):
    """S → B: offer your receipts of this stream again."""

    handle: int
    name: StreamId | None
    floor: int
    base: int


class StatusA(NamedTuple):
    """S → A: of the ``asked`` seqs exactly the ``stored`` ones are in the queue."""

    handle: int
    name: StreamId | None
    ordinal: int
    store_epoch: int
    asked: Ranges
    stored: Ranges


class OfflineR(NamedTuple):
    """B → S: give me at most this much of my queue."""

    bytes_max: int


class OfflineA(NamedTuple):
    """S → B: one of the ``total`` parts of a pull's answer; none when ``total`` is 0."""

    handle: int
    name: StreamId | None
    batch: int
    total: int
    more: bool
    floor: int
    base: int
    void: Ranges
    section: Section | None


class Nudge(NamedTuple):
    """S → B: your queue is not empty."""


class SignalR(NamedTuple):
    """Client → S: tell whoever of this conversation is online now."""

    conversation: str
    payload: bytes


class SignalN(NamedTuple):
    """S → client: somebody signals."""

    user: str
    device: str
    conversation: str
    payload: bytes


class PresenceR(NamedTuple):
    """Client → S: who of this user is there?"""

    request: int
    user: str


class DeviceSeen(NamedTuple):
    """One device in a presence:A."""

    device: str
    online: bool
    seen_s: int
    """Seconds since it had a session; `im_schema.NEVER_SEEN_S`: not known."""


class PresenceA(NamedTuple):
    """S → client: these are; or the code says why nobody is named."""

    request: int
    code: int
    devices: tuple[DeviceSeen, ...]


ImPacket = (
    MsgR
    | MsgA
    | MsgN
    | AckR
    | AckA
    | AckN
    | Refuse
    | Members
    | CancelR
    | CancelN
    | StatusR
    | StatusN
    | StatusA
    | OfflineR
    | OfflineA
    | Nudge
    | Tally
    | Gone
    | GroupR
    | GroupA
    | ReadR
    | ReadN
    | ReadA
    | SignalR
    | SignalN
    | PresenceR
    | PresenceA
    | Login
    | LoginOk
    | LoginRefused
)

FRAME_BODY_BYTES_MAX = 1164
"""Largest IM packet that travels in one frame (PROTOCOL §3.4)."""
PAYLOADS = (MsgR, MsgN, OfflineA)
"""IM packets that travel as bulk: they wait for the receiver's credit (PROTOCOL §3.8)."""
SIGNALS = (SignalR, SignalN)
"""IM packets that travel in DATAGRAM frames: sent once, soon or never (PROTOCOL §3.9)."""


def is_bulk(packet: ImPacket, size_bytes: int) -> bool:
    """Tell whether a packet of this size travels as bulk: with payloads, or too large otherwise."""
    return isinstance(packet, PAYLOADS) or size_bytes > FRAME_BODY_BYTES_MAX


__all__ = [
    "AckA",
    "AckN",
    "AckR",
    "CancelN",
    "CancelR",
    "DeviceSeen",
    "Endpoint",
    "EpochRun",
    "Gone",
    "GroupA",
    "GroupR",
    "ImPacket",
    "Kind",
    "Login",
    "LoginOk",
    "LoginRefused",
    "Member",
    "Members",
    "MsgA",
    "MsgN",
    "MsgR",
    "Nudge",
    "OfflineA",
    "OfflineR",
    "PresenceA",
    "PresenceR",
    "Range",
    "Ranges",
    "ReadA",
    "ReadN",
    "ReadR",
    "Refuse",
    "Section",
    "SignalN",
    "SignalR",
    "StatusA",
    "StatusN",
    "StatusR",
    "StreamId",
    "Tally",
    "TallyEntry",
]
