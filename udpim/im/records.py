"""What the IM machines keep durably, and the operations that change it.

A machine never calls a store: it hands out operations; the effect executor commits them in one
transaction and tells the machine when that is durable (PROTOCOL §5.2). The stores under
`udpim.store` apply these operations and load the snapshots.

Ordering contract: transactions are applied in the order in which they were submitted, each whole
or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from udpim.im.group_records import DropMember, GroupRecord, MemberRecord, PutGroup, PutMember
from udpim.model import Endpoint, StreamId
from udpim.ranges import Range

Ranges = tuple[Range, ...]

# --- Sender's side ---


class OutMember(NamedTuple):
    """One endpoint of a conversation as its sender knows it, with its verdicts."""

    user: str
    device: str
    ordinal: int
    incarnation: int
    renewed: int
    joined: int
    left: int
    """First epoch without it; 0 while it belongs to the conversation."""
    delivered: Ranges
    void: Ranges
    stored: Ranges
    excused: Ranges
    read: int = 0
    """Watermark: its application has read everything up to here."""


class Reroute(NamedTuple):
    """Messages first..last go on in another conversation, the first of them as ``new_first``."""

    first: int
    last: int
    incarnation: int
    conversation: str
    new_first: int


class OutStreamRecord(NamedTuple):
    """The small state of one outgoing stream; its payloads are outbox rows."""

    number: int
    """Local number of the stream in this store, from 1."""
    incarnation: int
    conversation: str
    next_seq: int
    floor: int
    store_epoch: int
    """Store epoch of the server under which ``epoch`` and the ordinals hold."""
    epoch: int
    members: tuple[OutMember, ...]
    cancelled: Ranges
    rejected: tuple[tuple[int, int, int], ...]
    """(first seq, last seq, code)."""
    delivered: Ranges = ()
    """What was shown as DELIVERED, whoever said so: it stays shown (R7)."""
    void: Ranges = ()
    """What was shown as VOID."""
    doubtful: Ranges = ()
    """Due to an endpoint that a server lost together with its store: nobody can say VOID for it."""
    redirects: tuple[tuple[int, int, str], ...] = ()
    """(first seq, last seq, to whom): sent there once they are VOID."""
    hops: tuple[tuple[int, int, int], ...] = ()
    """(first seq, last seq, how often these messages were sent on until here)."""
    rerouted: tuple[Reroute, ...] = ()
    """What was sent on, and as what."""


class OutboxRow(NamedTuple):
    """One unsettled message as `ClientSnapshot` brings it back."""

    number: int
    seq: int
    epoch: int
    ttl_ms: int
    """Remaining time until its deadline, milliseconds; 0 means none."""
    stamp: int
    payload: bytes


class PutOutStream(NamedTuple):
    """Insert or replace one stream's record."""

    record: OutStreamRecord


class PutOutbox(NamedTuple):
    """Insert the rows ``first_seq`` … of one stream."""

    number: int
    first_seq: int
    epoch: int
    ttl_ms: int
    stamps: tuple[int, ...]
    payloads: tuple[bytes, ...]


class StampOutbox(NamedTuple):
    """Set the membership epoch of the rows ``first`` … ``last``."""

    number: int
    first: int
    last: int
    epoch: int


class TrimOutbox(NamedTuple):
    """Delete the rows ``first`` … ``last``: nobody needs another copy."""

    number: int
    first: int
    last: int


# --- Receiver's side ---


class InStreamRecord(NamedTuple):
    """B's memory of one stream: the receipt itself (PROTOCOL §5.4).

    Bit i of the bitmaps stands for seq cum + 1 + i.
    """

    stream: StreamId
    cum: int
    delivered: int
    void: int
    floor: int
    void_runs: Ranges
    """Seqs between floor and cum that are void, normally none."""
    read: int = 0
    """Watermark: the application has read everything up to here."""
    read_told: int = 0
    """What of it the server has answered for."""


class InboxRow(NamedTuple):
    """One message that the application has not finished with."""

    stream: StreamId
    seq: int
    stamp: int
    payload: bytes


class PutInStream(NamedTuple):
    """Insert or replace one stream's memory."""

    record: InStreamRecord


class PutInbox(NamedTuple):
    """Insert messages of one stream, not yet handled."""

    stream: StreamId
    seqs: tuple[int, ...]
    stamps: tuple[int, ...]
    payloads: tuple[bytes, ...]


class MarkHandled(NamedTuple):
    """The application has finished with these; the rows may stay as history."""

    stream: StreamId
    ranges: Ranges


class AsideRow(NamedTuple):
    """One message that the application set aside, and why."""

    stream: StreamId
    seq: int
    stamp: int
    payload: bytes
    words: str


class SetAside(NamedTuple):
    """The application cannot handle this one: the row stays, and no longer waits for it."""

    stream: StreamId
    seq: int
    words: str


class TakeBack(NamedTuple):
    """This one is set aside no more; whoever marks such a row as handled takes it back first."""

    stream: StreamId
    seq: int


# --- Server's side ---


class DeviceRecord(NamedTuple):
    """A registered endpoint (PROTOCOL §5.5)."""

    user: str
    device: str
    ordinal: int
    joined: int
    """Number of the change that registered it, and first membership epoch that has it."""
    incarnation: int
    """The newest incarnation that logged in."""
    retired: tuple[int, ...]
    """Older incarnations, oldest first."""
    login_count: int
    continues: bool = False
    """At its last login messages of an older incarnation were still under way."""
    renewed: int = 0
    """Number of the change that brought its incarnation."""
    left: int = 0
    """Number of the change that retired it; 0 while it belongs to its user."""
    seen_s: int = 0
    """Age of the server when the device was last seen, seconds."""


class QueueRow(NamedTuple):
    """One item of an offline queue: a message, or the instruction to void one."""

    seq: int
    void: bool
    stamp: int
    payload: bytes
    age_s: int = 0
    """Age of the server when it became a row, seconds; 0 of a void item, which lives on."""


class QueueIndex(NamedTuple):
    """Which seqs of one stream wait for one endpoint."""

    endpoint: Endpoint
    stream: StreamId
    messages: Ranges
    voids: Ranges
    large: tuple[tuple[int, int], ...] = ()
    """Seq and payload bytes of what is larger than `udpim.config.QUEUE_ENTRY_BYTES`."""
    ages: tuple[tuple[int, int, int], ...] = ()
    """(age, first seq, last seq) of the messages, oldest first."""


class QueueItems(NamedTuple):
    """Rows that `ReadQueue` brought, ascending by seq."""

    stream: StreamId
    floor: int
    base: int
    rows: tuple[QueueRow, ...]


class ReceiptRecord(NamedTuple):
    """A receipt that waits for its sender: one row per (stream, endpoint)."""

    stream: StreamId
    endpoint: Endpoint
    """The recipient's."""
    incarnation: int
    delivered: Ranges
    void: Ranges
    read: int = 0
    """Read watermark that the sender has not heard of; 0 for none."""


class PutDevice(NamedTuple):
    """Insert or replace a device."""

    record: DeviceRecord


class PutQueue(NamedTuple):
    """Insert items, unique per (endpoint, stream, seq).

    An existing row keeps its content, except that a void item replaces a message. The floor and
    base of the (endpoint, stream) pair only rise.
    """

    endpoint: Endpoint
    stream: StreamId
    floor: int
    base: int
    rows: tuple[QueueRow, ...]


class DeleteQueue(NamedTuple):
    """Delete items: B has given its verdict."""

    endpoint: Endpoint
    stream: StreamId
    ranges: Ranges


class PutReceipt(NamedTuple):
    """Insert or replace a receipt row."""

    record: ReceiptRecord


class DropReceipt(NamedTuple):
    """Delete a receipt row, if it is there."""

    stream: StreamId
    endpoint: Endpoint


# --- Both ---


class PutMeta(NamedTuple):
    """Set one named value: incarnation, store epoch, secrets."""

    key: str
    value: bytes

    def __repr__(self) -> str:
        """Show which value, and not the value."""
        return f"PutMeta(key={self.key!r})"


Op = (
    PutMeta
    | PutOutStream
    | PutOutbox
    | StampOutbox
    | TrimOutbox
    | PutInStream
    | PutInbox
    | MarkHandled
    | SetAside
    | TakeBack
    | PutDevice
    | PutQueue
    | DeleteQueue
    | PutReceipt
    | DropReceipt
    | PutGroup
    | PutMember
    | DropMember
)


class ReadQueue(NamedTuple):
    """Ask for queue items: at most ``bytes_max`` of payload, but at least one row if any exists.

    Rows come in the order of ``wanted``, ascending within a stream.
    """

    endpoint: Endpoint
    wanted: tuple[tuple[StreamId, Ranges], ...]
    bytes_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSnapshot:
    """Everything that a client node needs to go on."""

    meta: dict[str, bytes] = field(default_factory=dict, repr=False)
    out_streams: tuple[OutStreamRecord, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()
    """Ascending by (number, seq)."""
    in_streams: tuple[InStreamRecord, ...] = ()
    inbox: tuple[InboxRow, ...] = ()
    """Not handled yet, in order of arrival."""
    aside: tuple[AsideRow, ...] = ()
    """Set aside, in order of arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSnapshot:
    """Everything that a server node needs to go on; no payloads."""

    meta: dict[str, bytes] = field(default_factory=dict, repr=False)
    devices: tuple[DeviceRecord, ...] = ()
    queue: tuple[QueueIndex, ...] = ()
    receipts: tuple[ReceiptRecord, ...] = ()
    groups: tuple[GroupRecord, ...] = ()
    members: tuple[MemberRecord, ...] = ()
