"""The words that every floor shares: addresses, endpoints, streams, states and codes.

Values only, no behaviour that belongs to a floor. Semantics: PROTOCOL §1.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

Address = tuple[str, int]
"""Host and port of a UDP socket."""


class Endpoint(NamedTuple):
    """One device login of a user."""

    user: str
    device: str

    def __str__(self) -> str:
        """Return ``user/device``."""
        return f"{self.user}/{self.device}"


class StreamId(NamedTuple):
    """The messages of one sender incarnation in one conversation.

    Attributes:
        user: The sender's user name.
        device: The sender's device.
        incarnation: 64 random bits drawn when the sender's store was created.
        conversation: For a direct conversation the recipient's user name, for a group its name.
    """

    user: str
    device: str
    incarnation: int
    conversation: str


class MsgId(NamedTuple):
    """A message's identity for ever: the key of every deduplication."""

    stream: StreamId
    seq: int

    def __str__(self) -> str:
        """Return a short form for people and logs."""
        s = self.stream
        return f"{s.user}/{s.device}→{s.conversation}#{self.seq}"


class MessageState(IntEnum):
    """What a sender can know of a message (PROTOCOL §5.1)."""

    PENDING = 0
    ACCEPTED = 1
    STORED = 2
    DELIVERED = 3
    READ = 4
    VOID = 5
    REJECTED = 6
    EXCUSED = 7
    UNKNOWN = 8


FINAL_STATES = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.READ,
        MessageState.VOID,
        MessageState.REJECTED,
        MessageState.EXCUSED,
    }
)


class RejectCode(IntEnum):
    """Why the server refuses a copy (PROTOCOL §5.6). Codes below 16 are transient."""

    NO_DEVICE = 1
    FULL = 2
    RATE = 3
    BUSY = 4
    UNKNOWN_RECIPIENT = 16
    FORBIDDEN = 17
    TOO_LARGE = 18
    NOT_MEMBER = 19
    CLOCK = 20
    EXPIRED = 21
    REDIRECTED = 22

    @property
    def transient(self) -> bool:
        """Whether the sender only slows down and tries again."""
        return self < 16


GROUP_MARK = "#"
"""A group's name begins with it, and no user's does."""


def is_group(conversation: str) -> bool:
    """Tell whether a conversation is a group."""
    return conversation.startswith(GROUP_MARK)


class GroupAction(IntEnum):
    """What a client asks of a group (PROTOCOL §4.5)."""

    CREATE = 1
    JOIN = 2
    LEAVE = 3
    LIST = 4


class GroupCode(IntEnum):
    """What became of it (PROTOCOL §5.10)."""

    DONE = 0
    BUSY = 1
    FULL = 2
    UNKNOWN_GROUP = 16
    FORBIDDEN = 17
    EXISTS = 18
    UNKNOWN_USER = 19
    MALFORMED = 20


class LoginCode(IntEnum):
    """Why the server refuses a login (PROTOCOL §4.2)."""

    BAD_CREDENTIALS = 1
    STALE_STORE = 2
    BUSY = 3
    REPLACED = 16
    """Never travels: another login of the same endpoint ended the session (PROTOCOL §3.3)."""
    REVOKED = 17
    """Never travels: the server ended the session for good (PROTOCOL §3.3)."""


class PresenceCode(IntEnum):
    """What a presence:A says (PROTOCOL §4.5.22)."""

    OK = 0
    REFUSED = 1
    UNKNOWN_USER = 2


SEQ_MAX = 2**64 - 1
"""Largest sequence number of a stream."""
