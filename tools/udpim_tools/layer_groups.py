# SPDX-License-Identifier: GPL-2.0-only
# scapy.contrib.description = udpim: IM packets about groups and reading
# scapy.contrib.status = library

"""The IM packets about groups and reading as scapy packets (PROTOCOL §4.5, §5.10, §5.11).

A part of :mod:`udpim_tools.layer_im`, which finds the class of each kind.
"""

from __future__ import annotations

from scapy.fields import (
    ByteEnumField,
    IntField,
    LongField,
    ShortEnumField,
    ShortField,
    XLongField,
)

from udpim_tools.layer_im_head import UDPIMImPacket, head, stream_head
from udpim_tools.layer_parts import TallyEntry, counted, names, prefixed

_GROUP_ACTIONS = {1: "CREATE", 2: "JOIN", 3: "LEAVE", 4: "LIST"}
_GROUP_CODES = {
    0: "DONE",
    1: "BUSY",
    2: "FULL",
    16: "UNKNOWN_GROUP",
    17: "FORBIDDEN",
    18: "EXISTS",
    19: "UNKNOWN_USER",
    20: "MALFORMED",
}


class Tally(UDPIMImPacket):
    """S → A: verdicts of a group's members, collected."""

    name = "udpim tally"
    fields_desc = (
        *stream_head(0x0E),
        XLongField("store_epoch", 0),
        IntField("as_of", 0),
        *counted("entries", TallyEntry),
    )


class Gone(UDPIMImPacket):
    """S → B: you are no member any more."""

    name = "udpim gone"
    fields_desc = stream_head(0x0F)


class GroupR(UDPIMImPacket):
    """Client → S: change or list a group."""

    name = "udpim group:R"
    fields_desc = (
        *head(0x14),
        IntField("request", 0),
        ByteEnumField("action", 4, _GROUP_ACTIONS),
        *prefixed("group"),
        *prefixed("user"),
    )


class GroupA(UDPIMImPacket):
    """S → client: what became of it."""

    name = "udpim group:A"
    fields_desc = (
        *head(0x15),
        IntField("request", 0),
        ShortEnumField("code", 0, _GROUP_CODES),
        *names("names"),
    )


class ReadR(UDPIMImPacket):
    """B → S: the application has read everything up to here."""

    name = "udpim read:R"
    fields_desc = (
        *stream_head(0x1C),
        LongField("read", 1),
    )


class ReadN(UDPIMImPacket):
    """S → A: an endpoint has read everything up to here."""

    name = "udpim read:N"
    fields_desc = (
        *stream_head(0x1D),
        ShortField("ordinal", 0),
        XLongField("incarnation", 0),
        LongField("read", 1),
    )


class ReadA(UDPIMImPacket):
    """S → B: this cannot get lost any more."""

    name = "udpim read:A"
    fields_desc = (
        *stream_head(0x1E),
        LongField("read", 1),
    )
