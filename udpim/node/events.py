"""What a node tells the facade; lists, never one event per message."""

from __future__ import annotations

from dataclasses import dataclass

from udpim.errors import StoreError
from udpim.im.changes import Rerouted, StreamChanged, StreamReborn
from udpim.im.out_stream import OutStream
from udpim.im.receiver import Released
from udpim.model import Endpoint
from udpim.node.state import LinkState
from udpim.ranges import Range
from udpim.wire.im_packets import GroupA, PresenceA, SignalN


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChanged:
    """The client's link has moved."""

    state: LinkState
    code: int
    """Close code of PROTOCOL §3.3, or the login's refusal."""
    reason: str
    login_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptsChanged:
    """Messages show new states, in order."""

    changes: list[StreamChanged]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsReborn:
    """The store was an old copy: what had not left has new msgids."""

    streams: list[StreamReborn]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesRerouted:
    """Messages go on as new ones, to whom the server said."""

    messages: list[Rerouted]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxCommitted:
    """Per stream the last seq that is now durable."""

    streams: list[tuple[OutStream, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesReleased:
    """Messages that the application may see now."""

    runs: list[Released]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsReceived:
    """Somebody signals; worth something now only."""

    signals: list[SignalN]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceAnswered:
    """The server has answered questions about who is there."""

    answers: list[PresenceA]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFailed:
    """The store refused a transaction; what waits for it is not promised."""

    error: StoreError
    is_final: bool = True
    """Whether the node promises nothing more: it is to be ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged:
    """An endpoint logged in or its session ended, at the server."""

    endpoint: Endpoint
    online: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptsTouched:
    """Endpoints gave verdicts, whether or not the messages show another state now."""

    streams: list[tuple[OutStream, list[Range]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAnswered:
    """The server has answered questions about groups."""

    answers: list[GroupA]


Event = (
    GroupAnswered
    | ReceiptsTouched
    | LinkChanged
    | ReceiptsChanged
    | StreamsReborn
    | MessagesRerouted
    | OutboxCommitted
    | MessagesReleased
    | SignalsReceived
    | PresenceAnswered
    | StoreFailed
    | SessionChanged
)
