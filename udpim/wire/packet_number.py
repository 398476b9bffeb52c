"""Truncated counters: the low 32 bits travel, the receiver rebuilds all 64.

Used for packet numbers, for the numbers inside an ACK and for hop_seq.
Specification: PROTOCOL §2.2; the arithmetic is RFC 9000 appendix A.3 for 32 bits.
"""

from __future__ import annotations

MASK = 0xFFFF_FFFF
_SPAN = 1 << 32
_HALF = 1 << 31


def expand(truncated: int, expected: int) -> int:
    """Rebuild a counter from its low 32 bits.

    Args:
        truncated: What travelled, 0 to 2**32 - 1.
        expected: The value the receiver would find most likely (largest seen + 1).

    Returns:
        The value closest to ``expected`` that has these low bits and is not negative.
    """
    candidate = (expected & ~MASK) | truncated
    if candidate <= expected - _HALF:
        return candidate + _SPAN
    if candidate > expected + _HALF and candidate >= _SPAN:
        return candidate - _SPAN
    return candidate
