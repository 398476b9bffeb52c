"""What limits cost: what is known of one beside its value, and the memory of one entry of a table.

`udpim.config` builds `Limits` of it, and the estimates of the worst case (PROTOCOL §5.9).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of one field of `udpim.config.Limits`, beside its default and its docstring."""

    least: int = 1
    most: int = 2**31 - 1
    of: str
    """Who has it: "client", "server" or "both"."""
    per: str
    """What there is one table for: the "process", or each "session", "endpoint" or "sender"."""
    worst: Callable[[Any], int]
    """Bytes that one such table takes at most, given the `Limits`; 0 where it is only a share of
    another limit's."""
    outcome: str
    """What happens at the limit."""
