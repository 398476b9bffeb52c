# SPDX-License-Identifier: GPL-2.0-only
# scapy.contrib.description = udpim: pieces that its packets are made of
# scapy.contrib.status = library

"""What the scapy layer's frames and IM packets are made of: prefixed bytes, ranges, sections.

Declared from PROTOCOL §4.1 to §4.4. Counts and lengths are computed when they are left out; other
contradictions are built as asked, since a tester wants them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scapy.fields import (
    ByteEnumField,
    ByteField,
    Field,
    FieldLenField,
    FieldListField,
    IntField,
    LongField,
    PacketListField,
    ShortField,
    StrLenField,
    XLongField,
)
from scapy.packet import Packet

ITEMS_MAX = 1200
"""More than a datagram can hold; scapy's own limit of 100 items would cut a section."""
MEMBERS_MAX = 0xFFFF
"""As many lines as a membership can have."""
VERDICTS = {0: "delivered", 1: "void", 2: "stored", 3: "excused"}
"""What an entry of a tally says."""


class UDPIMPart(Packet):
    """Something that ends by itself: what follows belongs to whatever it is a part of."""

    name = "udpim part"
    fields_desc: Any

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """Leave all the rest to the packet around this one."""
        return b"", s


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


def counted(name: str, item: type[Packet], fmt: str = "B") -> list[Field]:
    """Packets behind their count."""
    count = f"{name}_count"
    most = MEMBERS_MAX if fmt == "H" else ITEMS_MAX
    return [
        FieldLenField(count, None, count_of=name, fmt=fmt),
        PacketListField(name, [], item, count_from=value_of(count), max_count=most),
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


class _NamesField(Field):
    """Names, each behind its length; as many as the field before it says."""

    islist = 1

    def i2count(self, _pkt: Packet, val: list[bytes]) -> int:
        return len(val)

    def addfield(self, _pkt: Packet, s: bytes, val: list[bytes]) -> bytes:
        return s + b"".join(bytes((len(name),)) + name for name in val)

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, list[bytes]]:
        names = []
        for _ in range(pkt.getfieldval(f"{self.name}_count")):
            end = 1 + s[0] if s else 0
            names.append(s[1:end])
            s = s[end:]
        return s, names


def names(name: str) -> list[Field]:
    """Names behind their count."""
    return [FieldLenField(f"{name}_count", None, count_of=name, fmt="H"), _NamesField(name, [])]


class StreamName(UDPIMPart):
    """Whose messages, to whom (PROTOCOL §4.3)."""

    name = "udpim stream name"
    fields_desc = (
        XLongField("incarnation", 0),
        *prefixed("conversation"),
        *prefixed("user"),
        *prefixed("device"),
    )


class SeqRange(UDPIMPart):
    """Seqs from first to last, both included."""

    name = "udpim range"
    fields_desc = (
        LongField("first", 1),
        LongField("last", 1),
    )


class EpochRun(UDPIMPart):
    """From this seq on the messages carry this membership epoch."""

    name = "udpim epoch run"
    fields_desc = (
        LongField("first", 1),
        IntField("epoch", 0),
    )


class Member(UDPIMPart):
    """One line of a conversation's membership."""

    name = "udpim member"
    fields_desc = (
        ShortField("ordinal", 0),
        *prefixed("user"),
        *prefixed("device"),
        XLongField("incarnation", 0),
        IntField("renewed", 0),
        IntField("joined", 0),
        IntField("left", 0),
    )


class DeviceSeen(UDPIMPart):
    """One device in a presence:A."""

    name = "udpim device"
    fields_desc = (
        *prefixed("device"),
        ByteField("online", 0),
        IntField("seen_s", 0xFFFF_FFFF),
    )


class TallyEntry(UDPIMPart):
    """The same verdict of several endpoints for the same seqs."""

    name = "udpim tally entry"
    fields_desc = (
        ByteEnumField("verdict", 0, VERDICTS),
        *counted("ranges", SeqRange),
        ShortField("first", 0),
        *prefixed("bitmap", "H"),
    )


class Section(UDPIMPart):
    """A run of messages of one stream (PROTOCOL §4.4)."""

    name = "udpim section"
    fields_desc = (
        LongField("first", 1),
        FieldLenField("count", None, count_of="payloads", fmt="H"),
        _LengthsField(
            "lengths", [], IntField("", 0), count_from=value_of("count"), max_count=ITEMS_MAX
        ),
        FieldListField(
            "stamps", [], LongField("", 0), count_from=value_of("count"), max_count=ITEMS_MAX
        ),
        _PayloadsField("payloads", []),
    )
