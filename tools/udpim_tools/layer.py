# SPDX-License-Identifier: GPL-2.0-only
# scapy.contrib.description = udpim (instant messaging over UDP)
# scapy.contrib.status = loads

"""udpim's datagrams as scapy packets, on UDP port 9000.

``UDPIM`` looks at the first byte and becomes the short packet or one of the long ones
(PROTOCOL §2); frames and IM packets (:mod:`udpim_tools.layer_im`) follow inside. The fields are
declared here once more and share nothing with udpim's codecs; the tests hold both formats against
each other. Lengths, counts, checksums and padding are computed when they are left out, but no macs.
Of encrypted datagrams there is what is in the clear; other versions and unknown frames stay raw.

    IP(dst=server) / UDP(dport=9000) / UDPIMShort(destination_cid=cid, frames=[UDPIMPing()])
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
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
from scapy.packet import Packet, bind_bottom_up, bind_layers

from udpim_tools.layer_frames import guess_frame, guess_outline, label_of
from udpim_tools.layer_parts import ITEMS_MAX, UDPIMPart, prefixed, value_of

PORT = 9000
CHECKSUM_BYTES = 4
_SHORT_HEADER_BYTES = 13
_LONG_TYPES = {0: "HELLO", 1: "RETRY", 2: "WELCOME", 3: "RESET", 4: "VERSION", 5: "FINISH"}
_PATTERNS = {1: "XK", 2: "XX", 3: "XKpsk3", 4: "XXpsk3"}
_SUITES = {1: "25519_ChaChaPoly_BLAKE2s", 2: "25519_AESGCM_SHA256"}
_PARAMETERS = {
    1: "idle_timeout_ms",
    2: "max_datagram_bytes",
    3: "frame_window",
    4: "max_ack_delay_us",
    5: "reset_token",
    6: "nonce",
    7: "bulk_window_bytes",
    8: "connection_id",
}


# Datagrams (PROTOCOL §3.1 and §3.2).


class UDPIMParameter(UDPIMPart):
    """One handshake parameter."""

    name = "udpim parameter"
    fields_desc = (
        ByteEnumField("id", 1, _PARAMETERS),
        FieldLenField("value_bytes", None, length_of="value", fmt="B"),
        MultipleTypeField(
            [
                (IntField("value", 0), lambda p: p.id in (1, 4, 7) and p.value_bytes in (None, 4)),
                (ShortField("value", 0), lambda p: p.id in (2, 3) and p.value_bytes in (None, 2)),
            ],
            XStrLenField("value", b"", length_from=value_of("value_bytes")),
        ),
    )


class UDPIM(Packet):
    """Any plaintext datagram: becomes the class that its first byte names."""

    name = "udpim"
    fields_desc: Any
    bytes_min = 0
    """What the datagram is padded to before its checksum is computed."""

    @classmethod
    def dispatch_hook(
        cls, _pkt: bytes | None = None, *_args: object, **_kwargs: object
    ) -> type[Packet]:
        """Choose the class by the flags."""
        if not _pkt:
            return cls
        kind = _DATAGRAMS.get(_pkt[0], conf.raw_layer)
        return conf.raw_layer if kind is UDPIMSealed and len(_pkt) < UDPIMSealed.bytes_min else kind

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Pad, and write the CRC-32, where the user left the checksum out."""
        if self.getfieldval("checksum") is None:
            body = pkt[:-CHECKSUM_BYTES].ljust(self.bytes_min - CHECKSUM_BYTES, b"\0")
            pkt = body + zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big")
        return pkt + pay

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """Nothing follows a datagram."""
        return b"", s


def _rest(header_bytes: int) -> Callable[[Packet], int]:
    """A length_from: all between a header of this size and the checksum."""
    return lambda packet: max(len(packet.original) - header_bytes - CHECKSUM_BYTES, 0)


def _padding_bytes(packet: Packet) -> int:
    before = 1 + 16 + 1 + packet.token_bytes + 2 + packet.parameters_bytes
    return max(len(packet.original) - before - CHECKSUM_BYTES, 0)


def _long_head(kind: int, encrypted: int = 0) -> list[Field]:
    return [
        BitField("long", 1, 1),
        BitField("encrypted", encrypted, 1),
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
    fields_desc = (
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
            next_cls_cb=guess_frame,
            length_from=_rest(_SHORT_HEADER_BYTES),
            max_count=ITEMS_MAX,
        ),
        XIntField("checksum", None),
    )


class UDPIMOutline(UDPIMShort):
    """The same without a look inside the IM packets."""

    name = "udpim short packet outline"
    fields_desc = (
        *UDPIMShort.fields_desc[:7],
        PacketListField(
            "frames",
            [],
            next_cls_cb=guess_outline,
            length_from=_rest(_SHORT_HEADER_BYTES),
            max_count=ITEMS_MAX,
        ),
        XIntField("checksum", None),
    )


class UDPIMHello(UDPIM):
    """A client asks for a connection."""

    name = "udpim HELLO"
    bytes_min = 300
    fields_desc = (
        *_long_head(0),
        *prefixed("token"),
        *_PARAMETER_LIST,
        StrLenField("padding", b"", length_from=_padding_bytes),
        XIntField("checksum", None),
    )


class UDPIMRetry(UDPIM):
    """A server wants to see its token in a second HELLO."""

    name = "udpim RETRY"
    fields_desc = (
        *_long_head(1),
        *prefixed("token"),
        XIntField("checksum", None),
    )


class UDPIMWelcome(UDPIM):
    """A server opened the connection."""

    name = "udpim WELCOME"
    fields_desc = (
        *_long_head(2),
        *_PARAMETER_LIST,
        XIntField("checksum", None),
    )


class UDPIMReset(UDPIM):
    """The peer does not know the connection any more; there is no checksum."""

    name = "udpim RESET"
    fields_desc = (
        *_long_head(3)[:4],
        StrFixedLenField("cid", bytes(8), 8),
        XStrFixedLenField("token", bytes(16), 16),
    )

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Leave it as it is: the token is the proof."""
        return pkt + pay


class UDPIMVersion(UDPIM):
    """The versions a server speaks."""

    name = "udpim VERSION"
    fields_desc = (
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
    )


# Datagrams that are encrypted (PROTOCOL §2.8 and §2.9): `noise` is a message of the handshake.


class UDPIMSecure(UDPIM):
    """A packet of the encrypted handshake: there is no checksum."""

    name = "udpim encrypted handshake"

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Leave it as it is: only who has the keys can write macs and tags."""
        return pkt + pay


class UDPIMSecureHello(UDPIMSecure):
    """A client asks for an encrypted connection."""

    name = "udpim encrypted HELLO"
    bytes_min = 300
    fields_desc = (
        *_long_head(0, 1),
        ByteEnumField("pattern", 1, _PATTERNS),
        ByteEnumField("suite", 1, _SUITES),
        *prefixed("token"),
        *prefixed("noise", "H"),
        FieldLenField("padding_bytes", None, length_of="padding", fmt="H"),
        StrLenField("padding", None, length_from=value_of("padding_bytes")),
        XStrFixedLenField("mac", bytes(16), 16),
    )

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Pad where the user left the padding out."""
        missing = self.bytes_min - len(pkt)
        if self.getfieldval("padding") is None and missing > 0:
            pkt = pkt[:-18] + missing.to_bytes(2, "big") + bytes(missing) + pkt[-16:]
        return pkt + pay


class UDPIMSecureRetry(UDPIMSecure):
    """A server wants to see its token in another HELLO."""

    name = "udpim encrypted RETRY"
    fields_desc = (
        *_long_head(1, 1),
        *prefixed("token"),
        XStrFixedLenField("mac", bytes(16), 16),
    )


class UDPIMSecureWelcome(UDPIMSecure):
    """The server's message."""

    name = "udpim encrypted WELCOME"
    fields_desc = (*_long_head(2, 1), *prefixed("noise", "H"))


class UDPIMFinish(UDPIMSecure):
    """The client's last message."""

    name = "udpim FINISH"
    fields_desc = (*_long_head(5, 1), *prefixed("noise", "H"))


class UDPIMSealed(UDPIMSecure):
    """A packet of a connection: key phase and number are masked, the frames are sealed."""

    name = "udpim encrypted short packet"
    bytes_min = 32
    fields_desc = (
        BitField("long", 0, 1),
        BitField("encrypted", 1, 1),
        *UDPIMShort.fields_desc[2:6],
        XIntField("packet_number", 0),
        StrField("sealed", b""),
    )


_DATAGRAMS: dict[int, type[UDPIM]] = {
    0x01: UDPIMShort,
    0x81: UDPIMHello,
    0x89: UDPIMRetry,
    0x91: UDPIMWelcome,
    0x99: UDPIMReset,
    0xA1: UDPIMVersion,
    0xC1: UDPIMSecureHello,
    0xC9: UDPIMSecureRetry,
    0xD1: UDPIMSecureWelcome,
    0xE9: UDPIMFinish,
    0x41: UDPIMSealed,
    0x61: UDPIMSealed,
}


def labels_of(datagram: bytes) -> list[str]:
    """Say what a datagram carries: its long type, or its frames and IM packets in their order.

    A MESSAGE frame goes by the name of its IM packet. Only frames are dissected, which takes a
    fraction of the time of the whole datagram.

    Returns:
        Labels like ``HELLO``, ``ACK`` or ``msg:A``; ``encrypted`` for a packet whose frames nobody
        can see, ``other`` for whatever is not known.
    """
    kind = _DATAGRAMS.get(datagram[0]) if datagram else None
    short = kind in (UDPIMShort, UDPIMSealed)
    if kind is None or (short and len(datagram) < UDPIMShort.bytes_min):
        return ["other"]
    if kind is UDPIMSealed:
        return ["encrypted"]
    if kind is not UDPIMShort:
        return [_LONG_TYPES[datagram[0] >> 3 & 7]]
    return [label_of(frame) for frame in UDPIMOutline(datagram).frames]


def bind_port(port: int) -> None:
    """Dissect UDP from and to this port as udpim as well."""
    bind_bottom_up(UDP, UDPIM, dport=port)
    bind_bottom_up(UDP, UDPIM, sport=port)


bind_port(PORT)
bind_layers(UDP, UDPIM, sport=PORT, dport=PORT)
