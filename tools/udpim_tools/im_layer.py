# SPDX-License-Identifier: GPL-2.0-only
# scapy.contrib.description = udpim IM packets (the bodies of MESSAGE frames)
# scapy.contrib.status = library

"""The IM packets of udpim as scapy packets: the six, and the control exchanges.

They are the bodies of MESSAGE frames in :mod:`udpim_tools.layer`. The fields are declared here
once more, from PROTOCOL §4 and not from udpim's codecs, so that a mistake there shows. Counts and
lengths are computed when they are left out; other contradictions are built as asked, since a
tester wants them. The field that PROTOCOL calls `name` is called `stream` here, because every
scapy packet has a `name` of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scapy.config import conf
from scapy.fields import (
    ByteEnumField,
    ByteField,
    ConditionalField,
    Field,
    FieldLenField,
    FieldListField,
    FlagsField,
    IntField,
    LongField,
    PacketField,
    PacketListField,
    ShortEnumField,
    ShortField,
    StrLenField,
    XLongField,
)
from scapy.packet import Packet

ITEMS_MAX = 1200
"""More than a datagram can hold; scapy's own limit of 100 items would cut a section."""

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
    0x10: "offline:R",
    0x11: "offline:A",
    0x12: "offlineack:R",
    0x13: "nudge",
    0x20: "login",
    0x21: "login-ok",
    0x22: "login-refused",
}
"""What people call each kind, by its first byte."""

_REFUSE_CODES = {
    1: "NO_DEVICE",
    2: "FULL",
    16: "UNKNOWN_RECIPIENT",
    17: "FORBIDDEN",
    18: "TOO_LARGE",
}
_LOGIN_CODES = {1: "BAD_CREDENTIALS", 2: "STALE_STORE", 3: "BUSY"}
_FLAGS = ["named", "flag1", "more", "durable", "waiting", "flag5", "flag6", "flag7"]


class UDPIMPart(Packet):
    """Something that ends by itself: what follows belongs to whatever it is a part of."""

    name = "udpim part"

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """Leave all the rest to the packet around this one."""
        return b"", s


# Pieces of declarations.


def value_of(name: str) -> Callable[[Packet], Any]:
    """What a count_from or length_from reads: another field of the same packet."""
    return lambda packet: packet.getfieldval(name)


def prefixed(name: str, fmt: str = "B") -> list[Field]:
    """Bytes behind their length."""
    length = f"{name}_bytes"
    return [
        FieldLenField(length, None, length_of=name, fmt=fmt),
        StrLenField(name, b"", length_from=value_of(length)),
    ]


def _counted(name: str, item: type[Packet], fmt: str = "B") -> list[Field]:
    """Packets behind their count."""
    count = f"{name}_count"
    return [
        FieldLenField(count, None, count_of=name, fmt=fmt),
        PacketListField(name, [], item, count_from=value_of(count), max_count=ITEMS_MAX),
    ]


def _head(kind: int) -> list[Field]:
    return [ByteEnumField("kind", kind, LABELS), FlagsField("flags", 0, 8, _FLAGS)]


def _stream_head(kind: int) -> list[Field]:
    named = PacketField("stream", StreamName(), StreamName)
    return [
        *_head(kind),
        IntField("handle", 0),
        ConditionalField(named, lambda packet: packet.flags.named),
    ]


class _LengthsField(FieldListField):
    """Lengths of the payloads; an empty list is computed from them."""

    def addfield(self, pkt: Packet, s: bytes, val: list[int]) -> bytes:
        return super().addfield(pkt, s, val or [len(item) for item in pkt.payloads])


class _PayloadsField(Field):
    """As many byte strings as there are lengths, one behind the other."""

    islist = 1

    def i2count(self, _pkt: Packet, val: list[bytes]) -> int:
        return len(val)

    def addfield(self, _pkt: Packet, s: bytes, val: list[bytes]) -> bytes:
        return s + b"".join(val)

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, list[bytes]]:
        payloads = []
        for length in pkt.lengths:
            payloads.append(s[:length])
            s = s[length:]
        return s, payloads


class StreamName(UDPIMPart):
    """Whose messages, to whom (PROTOCOL §4.1)."""

    name = "udpim stream name"
    fields_desc = [
        XLongField("incarnation", 0),
        *prefixed("conversation"),
        *prefixed("user"),
        *prefixed("device"),
    ]


class SeqRange(UDPIMPart):
    """Seqs from first to last, both included."""

    name = "udpim range"
    fields_desc = [LongField("first", 1), LongField("last", 1)]


class EpochRun(UDPIMPart):
    """From this seq on the messages carry this membership epoch."""

    name = "udpim epoch run"
    fields_desc = [LongField("first", 1), IntField("epoch", 0)]


class Member(UDPIMPart):
    """One line of a conversation's membership history."""

    name = "udpim member"
    fields_desc = [
        ShortField("ordinal", 0),
        *prefixed("device"),
        XLongField("incarnation", 0),
        IntField("joined", 0),
        IntField("left", 0),
    ]


class Section(UDPIMPart):
    """A run of messages of one stream (PROTOCOL §4.4)."""

    name = "udpim section"
    fields_desc = [
        LongField("first", 1),
        FieldLenField("count", None, count_of="payloads", fmt="H"),
        _LengthsField(
            "lengths", [], IntField("", 0), count_from=value_of("count"), max_count=ITEMS_MAX
        ),
        FieldListField(
            "stamps", [], LongField("", 0), count_from=value_of("count"), max_count=ITEMS_MAX
        ),
        _PayloadsField("payloads", []),
    ]


# The IM packets (PROTOCOL §4).


class UDPIMImPacket(UDPIMPart):
    """What every IM packet is; by itself, the head that all of them share."""

    name = "udpim IM packet"
    fields_desc = _head(0x13)

    def mysummary(self) -> str:
        """The name that people use."""
        return LABELS.get(self.kind, "IM packet")


class MsgR(UDPIMImPacket):
    """A → S: deliver this run."""

    name = "udpim msg:R"
    fields_desc = [
        *_stream_head(0x01),
        LongField("floor", 1),
        *_counted("runs", EpochRun),
        *prefixed("settled"),
        PacketField("section", Section(), Section),
    ]


class MsgA(UDPIMImPacket):
    """S → A: the server has these and is routing them."""

    name = "udpim msg:A"
    fields_desc = [*_stream_head(0x02), IntField("rtt_us", 0), *_counted("ranges", SeqRange)]


class MsgN(UDPIMImPacket):
    """S → B: here they are."""

    name = "udpim msg:N"
    fields_desc = [
        *_stream_head(0x03),
        LongField("floor", 1),
        LongField("base", 1),
        PacketField("section", Section(), Section),
    ]


class AckR(UDPIMImPacket):
    """B → S: B's verdicts."""

    name = "udpim ack:R"
    fields_desc = [
        *_stream_head(0x04),
        *_counted("delivered", SeqRange),
        *_counted("void", SeqRange),
    ]


class AckA(UDPIMImPacket):
    """S → B: the server has B's receipt."""

    name = "udpim ack:A"
    fields_desc = [*_stream_head(0x05), *_counted("ranges", SeqRange)]


class AckN(UDPIMImPacket):
    """S → A: verdicts of one endpoint, or the server's own."""

    name = "udpim ack:N"
    fields_desc = [
        *_stream_head(0x06),
        ShortField("ordinal", 0),
        XLongField("incarnation", 0),
        XLongField("store_epoch", 0),
        *_counted("delivered", SeqRange),
        *_counted("void", SeqRange),
        *_counted("stored", SeqRange),
        *_counted("excused", SeqRange),
    ]


class Refuse(UDPIMImPacket):
    """S → A: these copies are refused."""

    name = "udpim refuse"
    fields_desc = [
        *_stream_head(0x07),
        ShortEnumField("code", 16, _REFUSE_CODES),
        *_counted("ranges", SeqRange),
    ]


class Members(UDPIMImPacket):
    """S → A: the membership history."""

    name = "udpim members"
    fields_desc = [
        *_stream_head(0x08),
        XLongField("store_epoch", 0),
        IntField("epoch", 0),
        *_counted("members", Member, "H"),
    ]


class CancelR(UDPIMImPacket):
    """A → S: give up on these."""

    name = "udpim cancel:R"
    fields_desc = [
        *_stream_head(0x09),
        LongField("floor", 1),
        *_counted("runs", EpochRun),
        *_counted("ranges", SeqRange),
    ]


class CancelN(UDPIMImPacket):
    """S → B: A gave up on these."""

    name = "udpim cancel:N"
    fields_desc = [
        *_stream_head(0x0A),
        LongField("floor", 1),
        LongField("base", 1),
        *_counted("ranges", SeqRange),
    ]


class StatusR(UDPIMImPacket):
    """A → S: what is known of these?"""

    name = "udpim status:R"
    fields_desc = [
        *_stream_head(0x0B),
        LongField("floor", 1),
        *_counted("runs", EpochRun),
        *_counted("ranges", SeqRange),
    ]


class StatusN(UDPIMImPacket):
    """S → B: offer your receipts of this stream again."""

    name = "udpim status:N"
    fields_desc = [*_stream_head(0x0C), LongField("floor", 1), LongField("base", 1)]


class StatusA(UDPIMImPacket):
    """S → A: of the asked seqs exactly these are in the queue."""

    name = "udpim status:A"
    fields_desc = [
        *_stream_head(0x0D),
        ShortField("ordinal", 0),
        XLongField("store_epoch", 0),
        *_counted("asked", SeqRange),
        *_counted("stored", SeqRange),
    ]


class OfflineR(UDPIMImPacket):
    """B → S: give me at most this much of my queue."""

    name = "udpim offline:R"
    fields_desc = [*_head(0x10), IntField("bytes_max", 0)]


class OfflineA(UDPIMImPacket):
    """S → B: one part of a pull's answer."""

    name = "udpim offline:A"
    fields_desc = [
        *_stream_head(0x11),
        IntField("batch", 0),
        ShortField("total", 0),
        LongField("floor", 1),
        LongField("base", 1),
        *_counted("void", SeqRange),
        ByteField("has_section", 0),
        ConditionalField(
            PacketField("section", Section(), Section), lambda packet: packet.has_section
        ),
    ]


class OfflineAckR(UDPIMImPacket):
    """B → S: B's verdicts on what it pulled."""

    name = "udpim offlineack:R"
    fields_desc = [
        *_stream_head(0x12),
        *_counted("delivered", SeqRange),
        *_counted("void", SeqRange),
    ]


class Nudge(UDPIMImPacket):
    """S → B: your queue is not empty."""

    name = "udpim nudge"
    fields_desc = _head(0x13)


class Login(UDPIMImPacket):
    """Client → S: who I am."""

    name = "udpim login"
    fields_desc = [
        *_head(0x20),
        *prefixed("user"),
        *prefixed("device"),
        *prefixed("token", "H"),
        XLongField("incarnation", 0),
        LongField("login_count", 1),
    ]


class LoginOk(UDPIMImPacket):
    """S → client: welcome."""

    name = "udpim login-ok"
    fields_desc = [
        *_head(0x21),
        XLongField("store_epoch", 0),
        IntField("payload_bytes_max", 0),
        ShortField("window", 0),
    ]


class LoginRefused(UDPIMImPacket):
    """S → client: no."""

    name = "udpim login-refused"
    fields_desc = [*_head(0x22), ShortEnumField("code", 1, _LOGIN_CODES), *prefixed("reason")]


IM_PACKETS: dict[int, type[UDPIMImPacket]] = {
    packet.fields_desc[0].default: packet for packet in UDPIMImPacket.__subclasses__()
}
"""The class of each kind, by its first byte."""


def guess_im_packet(body: bytes, **context: Any) -> Packet:
    """Dissect the body of a MESSAGE frame; an unknown kind stays raw bytes."""
    return IM_PACKETS.get(body[0], conf.raw_layer)(body, **context)
