"""The values of IM packets: what the codecs of `im_codec` and `im_schema` exchange.

An IM packet travels in one frame between two neighbours (PROTOCOL §4): in a reliable one, or, if
it is a signal, in one that is sent once.
Those that concern a stream name it by a *handle*, a small number that the packet's sender
chose for it on this connection; until one such packet has been acked the stream's *name*
rides along, so that no packet ever waits for another one.

Named tuples, not dataclasses: these are made once per frame on the hot path.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from udpim.model import Endpoint, MsgId, StreamId
from udpim.ranges import Range

Ranges = tuple[Range, ...]


class Kind(IntEnum):
    """First byte of an IM packet. Kinds from 0x80 on are skipped when unknown."""

    MSG_R = 0x01
    MSG_A = 0x02
    MSG_N = 0x03
    ACK_R = 0x04
    ACK_A = 0x05
    ACK_N = 0x06
    REFUSE = 0x07
    MEMBERS = 0x08
    CANCEL_R = 0x09
    CANCEL_N = 0x0A
    STATUS_R = 0x0B
    STATUS_N = 0x0C
    STATUS_A = 0x0D
    OFFLINE_R = 0x10
    OFFLINE_A = 0x11
    OFFLINEACK_R = 0x12
    NUDGE = 0x13
    SIGNAL_R = 0x18
    SIGNAL_N = 0x19
    PRESENCE_R = 0x1A
    PRESENCE_A = 0x1B
    LOGIN = 0x20
    LOGIN_OK = 0x21
    LOGIN_REFUSED = 0x22

    @property
    def label(self) -> str:
        """The name that people use: ``msg:R``."""
        words, _, last = self.name.lower().rpartition("_")
        # One of an exchange: request, answer, notification.
        return f"{words}:{last.upper()}" if len(last) == 1 else self.name.lower().replace("_", "-")


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
    """S → A: these copies are refused."""

    handle: int
    code: int
    ranges: Ranges


class Member(NamedTuple):
    """One line of a conversation's membership history."""

    ordinal: int
    device: str
    incarnation: int
    joined: int
    left: int
    """First epoch without this endpoint, 0 while it belongs to the conversation."""


class Members(NamedTuple):
    """S → A: the membership history up to ``epoch``; stamp anew what does not fit it."""

    handle: int
    name: StreamId | None
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


class Login(NamedTuple):
    """Client → S: who I am."""

    user: str
    device: str
    token: bytes
    incarnation: int
    login_count: int
    """Rises by one with every login, durably; a lower one betrays a restored store."""
    continues: bool = False
    """Messages of an older incarnation are still under way; without it, that one has ended."""


class LoginOk(NamedTuple):
    """S → client: welcome."""

    store_epoch: int
    durable: bool
    queue_waiting: bool
    payload_bytes_max: int
    window: int


class LoginRefused(NamedTuple):
    """S → client: no."""

    code: int
    reason: str


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
    | SignalR
    | SignalN
    | PresenceR
    | PresenceA
    | Login
    | LoginOk
    | LoginRefused
)

__all__ = [
    "AckA",
    "AckN",
    "AckR",
    "CancelN",
    "CancelR",
    "DeviceSeen",
    "Endpoint",
    "EpochRun",
    "ImPacket",
    "Kind",
    "Login",
    "LoginOk",
    "LoginRefused",
    "Member",
    "Members",
    "MsgA",
    "MsgId",
    "MsgN",
    "MsgR",
    "Nudge",
    "OfflineA",
    "OfflineR",
    "PresenceA",
    "PresenceR",
    "Range",
    "Ranges",
    "Refuse",
    "Section",
    "SignalN",
    "SignalR",
    "StatusA",
    "StatusN",
    "StatusR",
    "StreamId",
]

PAYLOADS = (MsgR, MsgN, OfflineA)
"""IM packets that travel as bulk: they wait for the receiver's credit (PROTOCOL §3.8)."""
SIGNALS = (SignalR, SignalN)
"""IM packets that travel in DATAGRAM frames: sent once, soon or never (PROTOCOL §3.9)."""
