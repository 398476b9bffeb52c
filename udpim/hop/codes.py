"""How connections end: states, close codes, and what is known about an end.

Used by the connection and by whoever owns one. Specification: PROTOCOL §3.3.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

Address = tuple[str, int]
"""Host and port; IPv6 addresses arrive normalised to this."""


class Role(enum.Enum):
    """Which end of the connection this is."""

    CLIENT = "client"
    """It dialled, and it keeps the path alive."""
    SERVER = "server"
    """It was dialled."""


class ConnectionState(enum.Enum):
    """Where a connection is in its life."""

    OPEN = "open"
    """Frames travel."""
    CLOSING = "closing"
    """We said CLOSE and repeat it to whoever still sends."""
    CLOSED = "closed"
    """Nothing is sent or received any more."""


class CloseCode(enum.IntEnum):
    """The code of a CLOSE frame; applications have theirs from 256."""

    NO_ERROR = 0
    """Done, goodbye."""
    IDLE_TIMEOUT = 1
    """Nothing was heard for too long; never travels."""
    PROTOCOL_ERROR = 2
    """The peer broke PROTOCOL.md."""
    REPLACED = 3
    """Another login of the same endpoint took this one's place."""
    SHUTDOWN = 4
    """The process is going down."""
    STORE_FAILED = 5
    """What was promised can no longer be kept."""
    LOGIN_REFUSED = 6
    """The login was not accepted."""
    RESET = 7
    """The peer has forgotten the connection; never travels."""
    DEAD = 8
    """Nothing was acked for too long; never travels."""
    TOO_MANY_STREAMS = 9
    """More streams were named than fit one connection; the next one starts counting anew."""
    KEYS_USED_UP = 10
    """A key has reached what it may do (PROTOCOL §2.9); the next connection has others."""
    REVOKED = 11
    """The server has ended the session for good: who it was admitted by may not go on."""
    APPLICATION_FIRST = 256
    """The first code that is the application's."""


class CloseKind(enum.Enum):
    """How the end came about."""

    CLOSED = "closed"
    """One side said CLOSE."""
    ERROR = "error"
    """The peer broke the protocol, and we said CLOSE."""
    IDLE = "idle"
    """Silence."""
    RESET = "reset"
    """The peer said RESET."""
    DEAD = "dead"
    """Frames were in flight and no ack came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseInfo:
    """What is known about a connection's end."""

    code: int
    """A :class:`CloseCode`, or an application's code from 256."""
    reason: str
    """Words for people."""
    by_peer: bool
    """Whether the peer ended it."""
    kind: CloseKind
    """How it came about."""
