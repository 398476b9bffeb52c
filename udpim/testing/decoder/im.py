"""An IM packet: kind, flags, and the rest by `im_exchange` and `im_rare` (PROTOCOL §4.1)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from udpim.errors import DecodeError
from udpim.testing.decoder import im_exchange as x
from udpim.testing.decoder import im_rare as y
from udpim.wire.im_packets import ImPacket

EXTENSION = "extension"
"""Label of what is skipped: kinds from 0x80 on, and frames that extend the protocol."""
SKIPPED_FIRST = 0x80


class Layout(NamedTuple):
    """What a kind says about the rest of its packet."""

    label: str
    flags: int
    """Bits that may be set."""
    read: Callable[[bytes], tuple[ImPacket, int]]
    """The value, and the offset behind it."""


LAYOUTS = {
    0x01: Layout("msg:R", x.NAMED, x.msg_r),
    0x02: Layout("msg:A", 0, x.msg_a),
    0x03: Layout("msg:N", x.NAMED, x.msg_n),
    0x04: Layout("ack:R", x.NAMED | x.SETTLED, x.ack_r),
    0x05: Layout("ack:A", 0, x.ack_a),
    0x06: Layout("ack:N", x.NAMED, x.ack_n),
    0x07: Layout("refuse", 0, x.refuse),
    0x08: Layout("members", x.NAMED | x.WHOLE, x.members),
    0x09: Layout("cancel:R", x.NAMED, x.cancel_r),
    0x0A: Layout("cancel:N", x.NAMED, x.cancel_n),
    0x0B: Layout("status:R", x.NAMED, x.status_r),
    0x0C: Layout("status:N", x.NAMED, x.status_n),
    0x0D: Layout("status:A", x.NAMED, x.status_a),
    0x0E: Layout("tally", x.NAMED, y.tally),
    0x0F: Layout("gone", x.NAMED, y.gone),
    0x10: Layout("offline:R", 0, x.offline_r),
    0x11: Layout("offline:A", x.NAMED | x.MORE, x.offline_a),
    0x12: Layout("offlineack:R", x.NAMED | x.SETTLED, x.ack_r),
    0x13: Layout("nudge", 0, x.nudge),
    0x14: Layout("group:R", 0, y.group_r),
    0x15: Layout("group:A", 0, y.group_a),
    0x18: Layout("signal:R", 0, y.signal_r),
    0x19: Layout("signal:N", 0, y.signal_n),
    0x1A: Layout("presence:R", 0, y.presence_r),
    0x1B: Layout("presence:A", 0, y.presence_a),
    0x1C: Layout("read:R", x.NAMED, y.read_r),
    0x1D: Layout("read:N", x.NAMED, y.read_n),
    0x1E: Layout("read:A", 0, y.read_a),
    0x20: Layout("login", y.CONTINUES | y.FOUR, y.login),
    0x21: Layout("login-ok", y.DURABLE | y.WAITING, y.login_ok),
    0x22: Layout("login-refused", 0, y.login_refused),
}
"""By kind."""


def parse_im(body: bytes) -> tuple[str, ImPacket | None]:
    """Read an IM packet: its label, and its value, None for one that is skipped.

    Raises:
        DecodeError: If it is malformed.
    """
    try:
        layout = LAYOUTS.get(body[0])
        if layout is None:
            if body[0] < SKIPPED_FIRST:
                raise DecodeError("an unknown kind")
            return EXTENSION, None
        if body[1] & ~layout.flags:
            raise DecodeError("an unknown flag")
        packet, end = layout.read(body)
    except (struct.error, IndexError):
        raise DecodeError("an IM packet is cut") from None
    if end != len(body):
        raise DecodeError("bytes behind an IM packet")
    return layout.label, packet
