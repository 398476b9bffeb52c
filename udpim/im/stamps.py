"""Stamps: a hybrid logical clock, so that all devices show messages in one order (R12).

Milliseconds since 1970 above a counter of 16 bits. Never below a stamp given or received before, so
an answer is stamped after what it answers, whatever the clocks say. PROTOCOL §5.12.
"""

from __future__ import annotations

from udpim import config


def next_stamp(given: int, heard: int, wall_ms: int) -> int:
    """Return the stamp of the next message.

    Args:
        given: The last stamp that this device gave.
        heard: The highest stamp that it received; an absurd one says nothing.
        wall_ms: Wall clock, milliseconds since 1970.
    """
    if heard >> 16 > wall_ms + config.SKEW_MS_MAX:
        heard = 0
    return max(given, heard, (wall_ms << 16) - 1) + 1
