"""The parameters of a handshake, as they stand in the clear or under Noise (PROTOCOL §2.4).

Whether their values are within bounds is for whoever agrees to them.
"""

from __future__ import annotations

from udpim.errors import DecodeError

NAMES = {
    1: ("idle_timeout_ms", 4),
    2: ("max_datagram_bytes", 2),
    3: ("frame_window", 2),
    4: ("max_ack_delay_us", 4),
    5: ("reset_token", 16),
    6: ("nonce", 16),
    7: ("bulk_window_bytes", 4),
    8: ("connection_id", 8),
}
"""What each id is called, and the bytes of its value."""
MANDATORY = ("idle_timeout_ms", "max_datagram_bytes", "frame_window", "max_ack_delay_us", "nonce")
BYTES = ("reset_token", "nonce", "connection_id")
"""Whose values are no numbers."""

Parameters = dict[str, int | bytes]


def parse_parameters(payload: bytes) -> Parameters:
    """Read a list of parameters; unknown ones are skipped.

    Raises:
        DecodeError: If one is there twice, has a wrong length, or is missing.
    """
    found: Parameters = {}
    seen = set()
    at = 0
    while at < len(payload):
        head = payload[at : at + 2]
        value = payload[at + 2 : at + 2 + head[-1]]
        at += 2 + head[-1]
        if len(head) < 2 or at > len(payload) or head[0] in seen:
            raise DecodeError("a parameter that is cut, or there twice")
        seen.add(head[0])
        name, size = NAMES.get(head[0], ("", len(value)))
        if size != len(value):
            raise DecodeError(f"{name} has a wrong length")
        if name:
            found[name] = value if name in BYTES else int.from_bytes(value, "big")
    if any(name not in found for name in MANDATORY):
        raise DecodeError("a mandatory parameter is missing")
    return found
