# SPDX-License-Identifier: GPL-2.0-only
# scapy.contrib.description = udpim (instant messaging over UDP), plaintext format
# scapy.contrib.status = loads

"""udpim's plaintext datagrams as scapy packets, on UDP port 9000.

``UDPIM`` looks at the first byte and becomes the short packet or one of the five long ones
(PROTOCOL §3); frames and IM packets (:mod:`udpim_tools.im_layer`) follow inside. The fields are
declared here once more and share nothing with udpim's codecs; the tests hold both formats against
each other. Lengths, counts, checksums and padding are computed when they are left out. Encrypted
datagrams, other versions and unknown frames stay raw bytes.

    >>> load_contrib is not needed: import this module, then
    >>> IP(dst=server)/UDP(dport=9000)/UDPIMShort(destination_cid=cid, frames=[UDPIMPing()])
"""

from __future__ import annotations

import zlib
from typing import Any

from scapy.config import conf
from scapy.fields import (
    BitEnumField,
    BitField,
    ByteEnumField,
    ByteField,
    Field,
    FieldLenField,
    FieldListField,
    IntField,
    MultipleTypeField,
    PacketLenField,
    PacketListField,
    ShortField,
    StrField,
    StrFixedLenField,
    StrLenField,
    XIntField,
    XStrFixedLenField,
    XStrLenField,
)
from scapy.layers.inet import UDP
from scapy.packet import Packet, bind_bottom_up, bind_layers, split_bottom_up

from udpim_tools.im_layer import ITEMS_MAX, UDPIMPart, guess_im_packet, prefixed, value_of

PORT = 9000
CHECKSUM_BYTES = 4
_SHORT_HEADER_BYTES = 13
_LONG_TYPES = {0: "HELLO", 1: "RETRY", 2: "WELCOME", 3: "RESET", 4: "VERSION"}
_FRAME_TYPES = {
    0x00: "PADDING",
    0x01: "PING",
    0x02: "ACK",
    0x03: "CLOSE",
    0x04: "MESSAGE",
    0x05: "PATH_CHALLENGE",
    0x06: "PATH_RESPONSE",
}
_PARAMETERS = {
    1: "idle_timeout_ms",
    2: "max_datagram_bytes",
    3: "frame_window",
    4: "max_ack_delay_us",
    5: "reset_token",
    6: "nonce",
}


# Frames (PROTOCOL §3.3).


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
    fields_desc = [ByteEnumField("type", 0x01, _FRAME_TYPES)]


class UDPIMPadding(UDPIMFrame):
    """A run of PADDING frames: the one that is `type`, and those after it."""

    name = "udpim PADDING"
    fields_desc = [ByteEnumField("type", 0x00, _FRAME_TYPES), _ZerosField("more", b"")]


class UDPIMPing(UDPIMFrame):
    """Are you there?"""

    name = "udpim PING"


class UDPIMAck(UDPIMFrame):
    """Bit k of the bitmap (least significant first) is packet largest - 1 - k."""

    name = "udpim ACK"
    fields_desc = [
        ByteEnumField("type", 0x02, _FRAME_TYPES),
        IntField("largest", 0),
        ShortField("delay", 0),
        FieldLenField("bitmap_bytes", None, length_of="bitmap", fmt="B"),
        _BitmapField("bitmap", b""),
    ]


class UDPIMClose(UDPIMFrame):
    """The connection is over."""

    name = "udpim CLOSE"
    fields_desc = [
        ByteEnumField("type", 0x03, _FRAME_TYPES),
        ShortField("code", 0),
        *prefixed("reason"),
    ]


class UDPIMMessage(UDPIMFrame):
    """A reliable frame with one IM packet in it."""

    name = "udpim MESSAGE"
    fields_desc = [
        ByteEnumField("type", 0x04, _FRAME_TYPES),
        IntField("hop_seq", 0),
        FieldLenField("body_bytes", None, length_of="body", fmt="H"),
        PacketLenField("body", None, guess_im_packet, length_from=value_of("body_bytes")),
    ]


class UDPIMPathChallenge(UDPIMFrame):
    """Say these bytes back."""

    name = "udpim PATH_CHALLENGE"
    fields_desc = [
        ByteEnumField("type", 0x05, _FRAME_TYPES),
        XStrFixedLenField("data", bytes(8), 8),
    ]


class UDPIMPathResponse(UDPIMFrame):
    """These are the bytes."""

    name = "udpim PATH_RESPONSE"
    fields_desc = [
        ByteEnumField("type", 0x06, _FRAME_TYPES),
        XStrFixedLenField("data", bytes(8), 8),
    ]


class UDPIMExtension(UDPIMFrame):
    """A frame (0x40 to 0x7F) that whoever does not know it skips."""

    name = "udpim extension"
    fields_desc = [ByteField("type", 0x40), *prefixed("body", "H")]


_FRAMES: dict[int, type[UDPIMFrame]] = {
    0x00: UDPIMPadding,
    0x01: UDPIMPing,
    0x02: UDPIMAck,
    0x03: UDPIMClose,
    0x04: UDPIMMessage,
    0x05: UDPIMPathChallenge,
    0x06: UDPIMPathResponse,
    **dict.fromkeys(range(0x40, 0x80), UDPIMExtension),
}


def _guess_frame(_packet: Packet, _before: list[Any], _last: Any, rest: bytes) -> type[Packet]:
    return _FRAMES.get(rest[0], conf.raw_layer)


# Datagrams (PROTOCOL §3.1 and §3.2).


class UDPIMParameter(UDPIMPart):
    """One handshake parameter."""

    name = "udpim parameter"
    fields_desc = [
        ByteEnumField("id", 1, _PARAMETERS),
        FieldLenField("value_bytes", None, length_of="value", fmt="B"),
        MultipleTypeField(
            [
                (IntField("value", 0), lambda p: p.id in (1, 4) and p.value_bytes in (None, 4)),
                (ShortField("value", 0), lambda p: p.id in (2, 3) and p.value_bytes in (None, 2)),
            ],
            XStrLenField("value", b"", length_from=value_of("value_bytes")),
        ),
    ]


class UDPIM(Packet):
    """Any plaintext datagram: becomes the class that its first byte names."""

    name = "udpim"
    bytes_min = 0
    """What the datagram is padded to before its checksum is computed."""

    @classmethod
    def dispatch_hook(
        cls, _pkt: bytes | None = None, *_args: Any, **_kwargs: Any
    ) -> type[Packet]:
        """Choose the class by the flags."""
        return _DATAGRAMS.get(_pkt[0], conf.raw_layer) if _pkt else cls

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Pad, and write the CRC-32, where the user left the checksum out."""
        if self.getfieldval("checksum") is None:
            body = pkt[:-CHECKSUM_BYTES].ljust(self.bytes_min - CHECKSUM_BYTES, b"\0")
            pkt = body + zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big")
        return pkt + pay

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """Nothing follows a datagram."""
        return b"", s


def _rest(header_bytes: int) -> Any:
    """A length_from: all between a header of this size and the checksum."""
    return lambda packet: max(len(packet.original) - header_bytes - CHECKSUM_BYTES, 0)


def _padding_bytes(packet: Packet) -> int:
    before = 1 + 16 + 1 + packet.token_bytes + 2 + packet.parameters_bytes
    return max(len(packet.original) - before - CHECKSUM_BYTES, 0)


def _long_head(kind: int) -> list[Field]:
    return [
        BitField("long", 1, 1),
        BitField("encrypted", 0, 1),
        BitEnumField("type", kind, 3, _LONG_TYPES),
        BitField("version", 1, 3),
        StrFixedLenField("destination_cid", bytes(8), 8),
        StrFixedLenField("source_cid", bytes(8), 8),
    ]


_PARAMETER_LIST = [
    FieldLenField("parameters_bytes", None, length_of="parameters", fmt="H"),
    PacketListField(
        "parameters",
        [],
        UDPIMParameter,
        length_from=value_of("parameters_bytes"),
        max_count=ITEMS_MAX,
    ),
]


class UDPIMShort(UDPIM):
    """A packet of a connection: frames."""

    name = "udpim short packet"
    bytes_min = 32
    fields_desc = [
        BitField("long", 0, 1),
        BitField("encrypted", 0, 1),
        BitField("key_phase", 0, 1),
        BitField("reserved", 0, 2),
        BitField("version", 1, 3),
        StrFixedLenField("destination_cid", bytes(8), 8),
        IntField("packet_number", 0),
        PacketListField(
            "frames",
            [],
            next_cls_cb=_guess_frame,
            length_from=_rest(_SHORT_HEADER_BYTES),
            max_count=ITEMS_MAX,
        ),
        XIntField("checksum", None),
    ]


class UDPIMHello(UDPIM):
    """A client asks for a connection."""

    name = "udpim HELLO"
    bytes_min = 300
    fields_desc = [
        *_long_head(0),
        *prefixed("token"),
        *_PARAMETER_LIST,
        StrLenField("padding", b"", length_from=_padding_bytes),
        XIntField("checksum", None),
    ]


class UDPIMRetry(UDPIM):
    """A server wants to see its token in a second HELLO."""

    name = "udpim RETRY"
    fields_desc = [*_long_head(1), *prefixed("token"), XIntField("checksum", None)]


class UDPIMWelcome(UDPIM):
    """A server opened the connection."""

    name = "udpim WELCOME"
    fields_desc = [*_long_head(2), *_PARAMETER_LIST, XIntField("checksum", None)]


class UDPIMReset(UDPIM):
    """The peer does not know the connection any more; there is no checksum."""

    name = "udpim RESET"
    fields_desc = [
        *_long_head(3)[:4],
        StrFixedLenField("cid", bytes(8), 8),
        XStrFixedLenField("token", bytes(16), 16),
    ]

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Leave it as it is: the token is the proof."""
        return pkt + pay


class UDPIMVersion(UDPIM):
    """The versions a server speaks."""

    name = "udpim VERSION"
    fields_desc = [
        *_long_head(4),
        FieldLenField("versions_count", None, count_of="versions", fmt="B"),
        FieldListField(
            "versions",
            [],
            ByteField("", 1),
            count_from=value_of("versions_count"),
            max_count=ITEMS_MAX,
        ),
        XIntField("checksum", None),
    ]


_DATAGRAMS: dict[int, type[UDPIM]] = {
    0x01: UDPIMShort,
    0x81: UDPIMHello,
    0x89: UDPIMRetry,
    0x91: UDPIMWelcome,
    0x99: UDPIMReset,
    0xA1: UDPIMVersion,
}

# What the injector reads: the same datagram without a look inside the IM packets.


class UDPIMMessageOutline(UDPIMFrame):
    """A MESSAGE frame whose body stays bytes."""

    name = "udpim MESSAGE (outline)"
    fields_desc = [
        ByteEnumField("type", 0x04, _FRAME_TYPES),
        IntField("hop_seq", 0),
        *prefixed("body", "H"),
    ]


def bind_port(port: int) -> None:
    """Dissect UDP from and to this port as udpim as well."""
    bind_bottom_up(UDP, UDPIM, dport=port)
    bind_bottom_up(UDP, UDPIM, sport=port)


bind_port(PORT)
bind_layers(UDP, UDPIM, sport=PORT, dport=PORT)
