# SPDX-License-Identifier: GPL-2.0-only
# scapy.contrib.description = udpim frames (inside short packets)
# scapy.contrib.status = library

"""The frames of udpim as scapy packets (PROTOCOL §3.1), whole or in outline.

They stand in the short packets of :mod:`udpim_tools.layer`. An outline leaves the bodies of MESSAGE
frames alone: enough to name what a datagram carries, in a fraction of the time.
"""

from __future__ import annotations

from typing import Any

from scapy.config import conf
from scapy.fields import (
    ByteEnumField,
    ByteField,
    FieldLenField,
    IntField,
    LongField,
    PacketLenField,
    ShortField,
    StrField,
    XStrFixedLenField,
)
from scapy.packet import Packet

from udpim_tools.layer_im import guess_im_packet
from udpim_tools.layer_im_head import LABELS
from udpim_tools.layer_parts import UDPIMPart, prefixed, value_of

_FRAME_TYPES = {
    0x00: "PADDING",
    0x01: "PING",
    0x02: "ACK",
    0x03: "CLOSE",
    0x04: "MESSAGE",
    0x05: "PATH_CHALLENGE",
    0x06: "PATH_RESPONSE",
    0x07: "FRAGMENT",
    0x08: "CREDIT",
    0x09: "BULK",
    0x0A: "DATAGRAM",
    0x0B: "NEW_CID",
    0x0C: "RETIRE_CID",
    0x0D: "BINDING_PROBE",
    0x0E: "BINDING_ASK",
    0x0F: "BINDING_ANSWER",
    0x10: "BINDING_REPORT",
}


class _ZerosField(StrField):
    """All zero bytes that stand here."""

    def getfield(self, _pkt: Packet, s: bytes) -> tuple[bytes, bytes]:
        rest = s.lstrip(b"\0")
        return rest, bytes(len(s) - len(rest))


class _BitmapField(StrField):
    """The whole bitmap as bytes; on the wire a mask, then the bytes that are not 0xFF."""

    def addfield(self, _pkt: Packet, s: bytes, val: bytes) -> bytes:
        mask = sum(1 << at for at, byte in enumerate(val) if byte != 0xFF)
        return s + mask.to_bytes((len(val) + 7) // 8, "little") + val.replace(b"\xff", b"")

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, bytes]:
        count = pkt.bitmap_bytes
        size = (count + 7) // 8
        mask, s = int.from_bytes(s[:size], "little"), s[size:]
        bitmap = b""
        for at in range(count):
            sent = mask >> at & 1
            bitmap += s[:1] if sent else b"\xff"
            s = s[sent:]
        return s, bitmap


class UDPIMFrame(UDPIMPart):
    """What every frame is; by itself, one without fields."""

    name = "udpim frame"
    fields_desc: Any = (ByteEnumField("type", 0x01, _FRAME_TYPES),)


class UDPIMPadding(UDPIMFrame):
    """A run of PADDING frames: the one that is `type`, and those after it."""

    name = "udpim PADDING"
    fields_desc = (
        ByteEnumField("type", 0x00, _FRAME_TYPES),
        _ZerosField("more", b""),
    )


class UDPIMPing(UDPIMFrame):
    """Are you there?"""

    name = "udpim PING"


class UDPIMAck(UDPIMFrame):
    """Bit k of the bitmap (least significant first) is packet largest - 1 - k."""

    name = "udpim ACK"
    fields_desc = (
        ByteEnumField("type", 0x02, _FRAME_TYPES),
        IntField("largest", 0),
        ShortField("delay", 0),
        FieldLenField("bitmap_bytes", None, length_of="bitmap", fmt="B"),
        _BitmapField("bitmap", b""),
    )


class UDPIMClose(UDPIMFrame):
    """The connection is over."""

    name = "udpim CLOSE"
    fields_desc = (
        ByteEnumField("type", 0x03, _FRAME_TYPES),
        ShortField("code", 0),
        *prefixed("reason"),
    )


class UDPIMMessage(UDPIMFrame):
    """A reliable frame with one IM packet in it."""

    name = "udpim MESSAGE"
    fields_desc = (
        ByteEnumField("type", 0x04, _FRAME_TYPES),
        IntField("hop_seq", 0),
        FieldLenField("body_bytes", None, length_of="body", fmt="H"),
        PacketLenField("body", None, guess_im_packet, length_from=value_of("body_bytes")),
    )


class UDPIMPathChallenge(UDPIMFrame):
    """Say these bytes back."""

    name = "udpim PATH_CHALLENGE"
    fields_desc = (
        ByteEnumField("type", 0x05, _FRAME_TYPES),
        XStrFixedLenField("data", bytes(8), 8),
    )


class UDPIMPathResponse(UDPIMFrame):
    """These are the bytes."""

    name = "udpim PATH_RESPONSE"
    fields_desc = (
        ByteEnumField("type", 0x06, _FRAME_TYPES),
        XStrFixedLenField("data", bytes(8), 8),
    )


class UDPIMFragment(UDPIMFrame):
    """A reliable frame with one piece of a bulk body; the pieces are not put together here."""

    name = "udpim FRAGMENT"
    fields_desc = (
        ByteEnumField("type", 0x07, _FRAME_TYPES),
        IntField("hop_seq", 0),
        IntField("group", 0),
        ShortField("index", 0),
        ShortField("count", 2),
        *prefixed("body", "H"),
    )


class UDPIMCredit(UDPIMFrame):
    """How many bytes of bulk may be sent in all."""

    name = "udpim CREDIT"
    fields_desc = (
        ByteEnumField("type", 0x08, _FRAME_TYPES),
        LongField("bulk_bytes_max", 0),
    )


class UDPIMBulk(UDPIMFrame):
    """A reliable frame with one IM packet that counts against the credit."""

    name = "udpim BULK"
    fields_desc = (
        ByteEnumField("type", 0x09, _FRAME_TYPES),
        *UDPIMMessage.fields_desc[1:],
    )


class UDPIMDatagram(UDPIMFrame):
    """A frame with one IM packet that is sent once."""

    name = "udpim DATAGRAM"
    fields_desc = (
        ByteEnumField("type", 0x0A, _FRAME_TYPES),
        *UDPIMMessage.fields_desc[2:],
    )


class UDPIMNewCid(UDPIMFrame):
    """One more connection id that its sender may be sent to."""

    name = "udpim NEW_CID"
    fields_desc = (
        ByteEnumField("type", 0x0B, _FRAME_TYPES),
        IntField("sequence", 0),
        XStrFixedLenField("cid", bytes(8), 8),
        *prefixed("reset_token"),
    )


class UDPIMRetireCid(UDPIMFrame):
    """This one is not used any more."""

    name = "udpim RETIRE_CID"
    fields_desc = (
        ByteEnumField("type", 0x0C, _FRAME_TYPES),
        IntField("sequence", 0),
    )


class UDPIMBindingProbe(UDPIMFrame):
    """Remember where this came from."""

    name = "udpim BINDING_PROBE"
    fields_desc = (
        ByteEnumField("type", 0x0D, _FRAME_TYPES),
        XStrFixedLenField("data", bytes(8), 8),
    )


class UDPIMBindingAsk(UDPIMFrame):
    """Say something there now."""

    name = "udpim BINDING_ASK"
    fields_desc = (
        ByteEnumField("type", 0x0E, _FRAME_TYPES),
        XStrFixedLenField("data", bytes(8), 8),
    )


class UDPIMBindingAnswer(UDPIMFrame):
    """Whoever reads this has a binding that lives."""

    name = "udpim BINDING_ANSWER"
    fields_desc = (
        ByteEnumField("type", 0x0F, _FRAME_TYPES),
        XStrFixedLenField("data", bytes(8), 8),
    )


class UDPIMBindingReport(UDPIMFrame):
    """Whether anything was said there."""

    name = "udpim BINDING_REPORT"
    fields_desc = (
        ByteEnumField("type", 0x10, _FRAME_TYPES),
        XStrFixedLenField("data", bytes(8), 8),
        ByteField("sent", 0),
    )


class UDPIMExtension(UDPIMFrame):
    """A frame (0x40 to 0x7F) that whoever does not know it skips."""

    name = "udpim extension"
    fields_desc = (
        ByteField("type", 0x40),
        *prefixed("body", "H"),
    )


_FRAMES: dict[int, type[UDPIMFrame]] = {
    0x00: UDPIMPadding,
    0x01: UDPIMPing,
    0x02: UDPIMAck,
    0x03: UDPIMClose,
    0x04: UDPIMMessage,
    0x05: UDPIMPathChallenge,
    0x06: UDPIMPathResponse,
    0x07: UDPIMFragment,
    0x08: UDPIMCredit,
    0x09: UDPIMBulk,
    0x0A: UDPIMDatagram,
    0x0B: UDPIMNewCid,
    0x0C: UDPIMRetireCid,
    0x0D: UDPIMBindingProbe,
    0x0E: UDPIMBindingAsk,
    0x0F: UDPIMBindingAnswer,
    0x10: UDPIMBindingReport,
    **dict.fromkeys(range(0x40, 0x80), UDPIMExtension),
}


def guess_frame(_packet: Packet, _before: object, _last: object, rest: bytes) -> type[Packet]:
    """The class of the frame that `rest` begins with, as a PacketListField asks for it."""
    return _FRAMES.get(rest[0], conf.raw_layer)


class UDPIMMessageOutline(UDPIMFrame):
    """A MESSAGE frame whose body stays bytes."""

    name = "udpim MESSAGE outline"
    fields_desc = (
        *UDPIMMessage.fields_desc[:2],
        *prefixed("body", "H"),
    )


class UDPIMBulkOutline(UDPIMMessageOutline):
    """A BULK frame whose body stays bytes."""

    name = "udpim BULK outline"
    fields_desc = (
        *UDPIMBulk.fields_desc[:2],
        *prefixed("body", "H"),
    )


class UDPIMDatagramOutline(UDPIMMessageOutline):
    """A DATAGRAM frame whose body stays bytes."""

    name = "udpim DATAGRAM outline"
    fields_desc = (
        UDPIMDatagram.fields_desc[0],
        *prefixed("body", "H"),
    )


_OUTLINES: dict[type[Packet], type[Packet]] = {
    UDPIMMessage: UDPIMMessageOutline,
    UDPIMBulk: UDPIMBulkOutline,
    UDPIMDatagram: UDPIMDatagramOutline,
}


def guess_outline(packet: Packet, before: object, last: object, rest: bytes) -> type[Packet]:
    """The same, for outlines."""
    found = guess_frame(packet, before, last, rest)
    return _OUTLINES.get(found, found)


def label_of(frame: Packet) -> str:
    """Name one frame of an outline; one with an IM packet goes by the name of that."""
    if isinstance(frame, UDPIMMessageOutline):
        return LABELS.get(frame.body[0], "other") if frame.body else "other"
    if isinstance(frame, UDPIMExtension):
        return "extension"
    return _FRAME_TYPES[frame.type] if isinstance(frame, UDPIMFrame) else "other"
