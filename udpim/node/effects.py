"""What a node asks of its surroundings; the executor and the facade carry it out.

A node goes on without waiting. Whatever promises something waits inside the node for the token
of the write that it depends on (PROTOCOL §5.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from udpim.im.group_desk import GroupRequest
from udpim.im.records import Op, ReadQueue
from udpim.model import Endpoint, StreamId
from udpim.ranges import Range
from udpim.wire.im_packets import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Make these operations durable in one transaction, then call ``on_commit_done``."""

    token: int
    ops: tuple[Op, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadQueueItems:
    """Read offline queue rows, then call ``on_queue_read``."""

    token: int
    request: ReadQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate:
    """Ask the authenticate hook, then call ``on_authenticated``."""

    token: int
    endpoint: Endpoint
    secret: bytes = field(repr=False)
    key: bytes | None = None
    """The public key whose owner the connection's handshake has proved the client to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaySee:
    """Ask the hook whether an endpoint may know who of a user is there; then ``on_may_see``."""

    token: int
    endpoint: Endpoint
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MaySend:
    """Ask the hook whether an endpoint may write to a conversation; then ``on_may_send``."""

    token: int
    endpoint: Endpoint
    conversation: str


class Verdicts(NamedTuple):
    """What the on_message hook says of a run."""

    rejected: list[Range]
    """Seqs that must not be delivered."""
    failed: list[Range]
    """Seqs that it could not decide on; they are to come again."""
    rerouted: dict[str, list[Range]]
    """Seqs that are for somebody else, by that one's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspect:
    """Ask the hook about each message of a run, or some of them; then ``on_inspected``."""

    token: int
    stream: StreamId
    section: Section
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyOffline:
    """Messages were stored for an endpoint without a session: the place for a push service."""

    endpoint: Endpoint
    stream: StreamId
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeGroup:
    """Ask the membership hook, then call ``on_group_authorized``."""

    token: int
    request: GroupRequest
    allowed: bool
    """What holds where there is no hook."""


Effect = (
    Commit
    | ReadQueueItems
    | Authenticate
    | MaySee
    | MaySend
    | Inspect
    | NotifyOffline
    | AuthorizeGroup
)
