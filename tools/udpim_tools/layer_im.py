# SPDX-License-Identifier: GPL-2.0-only
# scapy.contrib.description = udpim IM packets (the bodies of MESSAGE frames)
# scapy.contrib.status = library

"""The IM packets of udpim as scapy packets: the six, and the control exchanges.

They are the bodies of MESSAGE frames in :mod:`udpim_tools.layer_frames`. The fields are declared
here once more, from PROTOCOL §4 and not from udpim's codecs, so that a mistake there shows. The
fields that PROTOCOL calls `name` and `payload` are called `stream` and `content` here, because
every scapy packet has a name and a payload of its own.
"""

from __future__ import annotations

from scapy.config import conf
from scapy.fields import (
    ByteField,
    ConditionalField,
    IntField,
    LongField,
    PacketField,
    ShortEnumField,
    ShortField,
    XLongField,
)
from scapy.packet import Packet

from udpim_tools import layer_groups  # noqa: F401  # its classes are found below
from udpim_tools.layer_im_head import UDPIMImPacket, head, stream_head
from udpim_tools.layer_parts import (
    DeviceSeen,
    EpochRun,
    Member,
    Section,
    SeqRange,
    counted,
    prefixed,
)

_REFUSE_CODES = {
    1: "NO_DEVICE",
    2: "FULL",
    3: "RATE",
    4: "BUSY",
    16: "UNKNOWN_RECIPIENT",
    17: "FORBIDDEN",
    18: "TOO_LARGE",
    19: "NOT_MEMBER",
    20: "CLOCK",
    21: "EXPIRED",
    22: "REDIRECTED",
}
_PRESENCE_CODES = {0: "OK", 1: "REFUSED", 2: "UNKNOWN_USER"}
_LOGIN_CODES = {1: "BAD_CREDENTIALS", 2: "STALE_STORE", 3: "BUSY"}


class MsgR(UDPIMImPacket):
    """A → S: deliver this run."""

    name = "udpim msg:R"
    fields_desc = (
        *stream_head(0x01),
        LongField("floor", 1),
        *counted("runs", EpochRun),
        *prefixed("settled", "H"),
        PacketField("section", Section(), Section),
    )


class MsgA(UDPIMImPacket):
    """S → A: the server has these and is routing them."""

    name = "udpim msg:A"
    fields_desc = (
        *stream_head(0x02),
        IntField("rtt_us", 0),
        *counted("ranges", SeqRange),
    )


class MsgN(UDPIMImPacket):
    """S → B: here they are."""

    name = "udpim msg:N"
    fields_desc = (
        *stream_head(0x03),
        LongField("floor", 1),
        LongField("base", 1),
        PacketField("section", Section(), Section),
    )


_SETTLED = [
    ConditionalField(field, lambda packet: packet.flags.settled)
    for field in counted("settled", SeqRange)
]


class AckR(UDPIMImPacket):
    """B → S: B's verdicts."""

    name = "udpim ack:R"
    fields_desc = (
        *stream_head(0x04),
        *counted("delivered", SeqRange),
        *counted("void", SeqRange),
        *_SETTLED,
    )


class AckA(UDPIMImPacket):
    """S → B: the server has B's receipt."""

    name = "udpim ack:A"
    fields_desc = (
        *stream_head(0x05),
        *counted("ranges", SeqRange),
    )


class AckN(UDPIMImPacket):
    """S → A: verdicts of one endpoint, or the server's own."""

    name = "udpim ack:N"
    fields_desc = (
        *stream_head(0x06),
        ShortField("ordinal", 0),
        XLongField("incarnation", 0),
        XLongField("store_epoch", 0),
        *counted("delivered", SeqRange),
        *counted("void", SeqRange),
        *counted("stored", SeqRange),
        *counted("excused", SeqRange),
    )


class Refuse(UDPIMImPacket):
    """S → A: these copies are refused."""

    name = "udpim refuse"
    fields_desc = (
        *stream_head(0x07),
        ShortEnumField("code", 16, _REFUSE_CODES),
        *prefixed("to"),
        *counted("ranges", SeqRange),
    )


class Members(UDPIMImPacket):
    """S → A: who belongs to the conversation."""

    name = "udpim members"
    fields_desc = (
        *stream_head(0x08),
        XLongField("store_epoch", 0),
        IntField("epoch", 0),
        *counted("members", Member, "H"),
    )


class CancelR(UDPIMImPacket):
    """A → S: give up on these."""

    name = "udpim cancel:R"
    fields_desc = (
        *stream_head(0x09),
        LongField("floor", 1),
        *counted("runs", EpochRun),
        *counted("ranges", SeqRange),
    )


class CancelN(UDPIMImPacket):
    """S → B: A gave up on these."""

    name = "udpim cancel:N"
    fields_desc = (
        *stream_head(0x0A),
        LongField("floor", 1),
        LongField("base", 1),
        *counted("ranges", SeqRange),
    )


class StatusR(UDPIMImPacket):
    """A → S: what is known of these?"""

    name = "udpim status:R"
    fields_desc = (
        *stream_head(0x0B),
        LongField("floor", 1),
        *counted("runs", EpochRun),
        *counted("ranges", SeqRange),
    )


class StatusN(UDPIMImPacket):
    """S → B: offer your receipts of this stream again."""

    name = "udpim status:N"
    fields_desc = (
        *stream_head(0x0C),
        LongField("floor", 1),
        LongField("base", 1),
    )


class StatusA(UDPIMImPacket):
    """S → A: of the asked seqs exactly these are in the queue."""

    name = "udpim status:A"
    fields_desc = (
        *stream_head(0x0D),
        ShortField("ordinal", 0),
        XLongField("store_epoch", 0),
        *counted("asked", SeqRange),
        *counted("stored", SeqRange),
    )


class OfflineR(UDPIMImPacket):
    """B → S: give me at most this much of my queue."""

    name = "udpim offline:R"
    fields_desc = (
        *head(0x10),
        IntField("bytes_max", 0),
    )


class OfflineA(UDPIMImPacket):
    """S → B: one part of a pull's answer."""

    name = "udpim offline:A"
    fields_desc = (
        *stream_head(0x11),
        IntField("batch", 0),
        ShortField("total", 0),
        LongField("floor", 1),
        LongField("base", 1),
        *counted("void", SeqRange),
        ByteField("has_section", 0),
        ConditionalField(
            PacketField("section", Section(), Section), lambda packet: packet.has_section
        ),
    )


class OfflineAckR(UDPIMImPacket):
    """B → S: B's verdicts on what it pulled."""

    name = "udpim offlineack:R"
    fields_desc = (
        *stream_head(0x12),
        *counted("delivered", SeqRange),
        *counted("void", SeqRange),
        *_SETTLED,
    )


class Nudge(UDPIMImPacket):
    """S → B: your queue is not empty."""

    name = "udpim nudge"
    fields_desc = head(0x13)


class SignalR(UDPIMImPacket):
    """Client → S: tell whoever of this conversation is online now."""

    name = "udpim signal:R"
    fields_desc = (
        *head(0x18),
        *prefixed("conversation"),
        *prefixed("content", "H"),
    )


class SignalN(UDPIMImPacket):
    """S → client: somebody signals."""

    name = "udpim signal:N"
    fields_desc = (
        *head(0x19),
        *prefixed("user"),
        *prefixed("device"),
        *prefixed("conversation"),
        *prefixed("content", "H"),
    )


class PresenceR(UDPIMImPacket):
    """Client → S: who of this user is there?"""

    name = "udpim presence:R"
    fields_desc = (
        *head(0x1A),
        IntField("request", 0),
        *prefixed("user"),
    )


class PresenceA(UDPIMImPacket):
    """S → client: these are."""

    name = "udpim presence:A"
    fields_desc = (
        *head(0x1B),
        IntField("request", 0),
        ShortEnumField("code", 0, _PRESENCE_CODES),
        *counted("devices", DeviceSeen),
    )


class Login(UDPIMImPacket):
    """Client → S: who I am."""

    name = "udpim login"
    fields_desc = (
        *head(0x20),
        *prefixed("user"),
        *prefixed("device"),
        *prefixed("token", "H"),
        XLongField("incarnation", 0),
        LongField("login_count", 1),
    )


class LoginOk(UDPIMImPacket):
    """S → client: welcome."""

    name = "udpim login-ok"
    fields_desc = (
        *head(0x21),
        XLongField("store_epoch", 0),
        IntField("payload_bytes_max", 0),
        ShortField("window", 0),
    )


class LoginRefused(UDPIMImPacket):
    """S → client: no."""

    name = "udpim login-refused"
    fields_desc = (
        *head(0x22),
        ShortEnumField("code", 1, _LOGIN_CODES),
        *prefixed("reason"),
    )


IM_PACKETS: dict[int, type[UDPIMImPacket]] = {
    packet.fields_desc[0].default: packet for packet in UDPIMImPacket.__subclasses__()
}
"""The class of each kind, by its first byte."""


def guess_im_packet(body: bytes, **context: object) -> Packet:
    """Dissect the body of a MESSAGE frame; an unknown kind stays raw bytes."""
    return IM_PACKETS.get(body[0], conf.raw_layer)(body, **context)
