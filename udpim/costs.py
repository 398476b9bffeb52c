"""What a limit costs: the memory behind one entry of each table, and what is said of each limit.

Below `udpim.config`, whose `Limits` is made of these. PROTOCOL §5.9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from udpim.config import Limits

# What one entry of a table costs beside the payload in it, at most: CPython 3.11 on 64 bits,
# rounded up from what tests/test_worst_memory.py measures.
SESSION_BYTES = 16 * 1024
"""A connection, its login and its session, with nothing in them."""
MESSAGE_BYTES = 1024
"""One message that waits somewhere in memory."""
FRAME_BYTES = 512
"""One frame on its way out, or one group of pieces on its way in."""
FRAME_WIRE_BYTES = 1200
"""The bytes of a frame in flight."""
STREAM_BYTES = 4 * 1024
"""One stream on one connection: its name, its numbers each way, what was said of it."""
INCOMING_STREAM_BYTES = 20 * 1024
"""A recipient's memory of one stream with all the void runs that it may have."""
CONVERSATION_BYTES = 96 * 1024
"""A sender's memory of one stream with all its history; most take a tenth."""
QUEUE_ROW_BYTES = 2 * 1024
"""The index of one row of an offline queue that is alone in its stream; its payload is on disk."""
DEVICE_BYTES = 4 * 1024
"""One registered device with all the incarnations that are remembered."""
USER_RATE_BYTES = 1024
"""What is remembered of how much one user has sent lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of one field of `Limits`, beside its default and its docstring."""

    least: int = 1
    most: int = 2**31 - 1
    of: str
    """Who has it: "client", "server" or "both"."""
    per: str
    """What there is one table for: the "process", or each "session", "endpoint", "user" or
    "sender"."""
    worst: Callable[[Limits], int]
    """Bytes that one such table takes at most; 0 where it is only a share of another limit's."""
    outcome: str
    """What happens at the limit."""


def limit(default: int, **about: Any) -> int:  # noqa: ANN401  # the fields of About
    """Declare a field of `Limits`."""
    return field(default=default, metadata={"about": About(**about)})


class Estimates:
    """What `Limits` can say of the worst case: all tables full at once."""

    __slots__ = ()
    sessions_max: int

    def worst_client_bytes(self, *, senders: int = 10, conversations: int = 100) -> int:
        """Estimate the memory that a client's tables take when all are full.

        Of a store in memory the rows come on top, and in any case what the application keeps.

        Args:
            senders: Users who ever sent to this device, from as many stores as one may.
            conversations: Users to whom this device ever sent.
        """
        tables = self._worst("client", {"process": 1, "session": 1, "sender": senders})
        return tables + conversations * CONVERSATION_BYTES

    def worst_server_bytes(self, *, endpoints: int | None = None) -> int:
        """Estimate the memory that a server's tables take when all are full.

        This is what logged-in clients could do to it if all of them tried. On top come receipts
        that wait for senders who are away, 1 KiB per stream and device, and of a store in memory
        the rows.

        Args:
            endpoints: Registered devices, whose number is up to the authenticate hook; None for
                as many as there may be sessions.
        """
        if endpoints is None:
            endpoints = self.sessions_max
        sessions = self.sessions_max
        counts = {"process": 1, "session": sessions, "endpoint": endpoints, "user": sessions}
        return self._worst("server", counts)

    def _worst(self, of: str, counts: dict[str, int]) -> int:
        abouts = [item.metadata["about"] for item in fields(self)]  # type: ignore[arg-type]  # of the dataclass below
        return sum(a.worst(self) * counts[a.per] for a in abouts if a.of in (of, "both"))
