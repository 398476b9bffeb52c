# SPDX-License-Identifier: GPL-2.0-only
# scapy.contrib.description = udpim: how its IM packets begin
# scapy.contrib.status = library

"""What every IM packet of the scapy layer begins with: kind, flags, and whose stream it is about.

Declared from PROTOCOL §4.1 and §4.3. The field that PROTOCOL calls `name` is called `stream` here,
because every scapy packet has a `name` of its own.
"""

from __future__ import annotations

from typing import Any

from scapy.fields import ByteEnumField, ConditionalField, Field, FlagsField, IntField, PacketField

from udpim_tools.layer_parts import StreamName, UDPIMPart

LABELS = {
    0x01: "msg:R",
    0x02: "msg:A",
    0x03: "msg:N",
    0x04: "ack:R",
    0x05: "ack:A",
    0x06: "ack:N",
    0x07: "refuse",
    0x08: "members",
    0x09: "cancel:R",
    0x0A: "cancel:N",
    0x0B: "status:R",
    0x0C: "status:N",
    0x0D: "status:A",
    0x0E: "tally",
    0x0F: "gone",
    0x10: "offline:R",
    0x11: "offline:A",
    0x12: "offlineack:R",
    0x13: "nudge",
    0x14: "group:R",
    0x15: "group:A",
    0x18: "signal:R",
    0x19: "signal:N",
    0x1A: "presence:R",
    0x1B: "presence:A",
    0x1C: "read:R",
    0x1D: "read:N",
    0x1E: "read:A",
    0x20: "login",
    0x21: "login-ok",
    0x22: "login-refused",
}
"""What people call each kind, by its first byte."""

_FLAGS = ["named", "whole", "more", "durable", "waiting", "continues", "four", "settled"]


def head(kind: int) -> list[Field]:
    """Kind and flags."""
    return [ByteEnumField("kind", kind, LABELS), FlagsField("flags", 0, 8, _FLAGS)]


def stream_head(kind: int) -> list[Field]:
    """Kind and flags, handle, and the stream if it is named."""
    named = PacketField("stream", StreamName(), StreamName)
    return [
        *head(kind),
        IntField("handle", 0),
        ConditionalField(named, lambda packet: packet.flags.named),
    ]


class UDPIMImPacket(UDPIMPart):
    """What every IM packet is; by itself, the head that all of them share."""

    name = "udpim IM packet"
    fields_desc: Any = head(0x13)

    def mysummary(self) -> str:
        """The name that people use."""
        return LABELS.get(self.kind, "IM packet")
