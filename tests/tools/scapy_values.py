# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of the scapy layer share: declared values as scapy packets and as plain data.

construct's containers and scapy's packets become the same nested dicts, tuples, ints and bytes.
"""

from scapy.fields import FieldLenField
from scapy.packet import Packet, Raw

from udpim_tools.layer_im import IM_PACKETS
from udpim_tools.layer_parts import (
    DeviceSeen,
    EpochRun,
    Member,
    Section,
    SeqRange,
    StreamName,
    TallyEntry,
)

RANGES = ("ranges", "delivered", "void", "stored", "excused", "asked")
ITEMS = {
    **dict.fromkeys(RANGES, SeqRange),
    "runs": EpochRun,
    "members": Member,
    "entries": TallyEntry,
    "devices": DeviceSeen,
}
RENAMED = {"name": "stream", "payload": "content"}
"""What scapy packets have of their own."""


def declared(value):
    """A value that construct parsed, as plain data, under the layer's names."""
    if isinstance(value, dict):
        pairs = ((k, v) for k, v in value.items() if not k.startswith("_") and v is not None)
        return {RENAMED.get(k, k): declared(v) for k, v in pairs}
    if isinstance(value, list | tuple):
        return tuple(map(declared, value))
    return value.encode() if isinstance(value, str) else value


def dissected(value):
    """A scapy packet as plain data, without the counts and lengths that construct hides."""
    if isinstance(value, Raw):
        return value.load
    if isinstance(value, Packet):
        names = [f.name for f in value.fields_desc if f.name in value.fields]
        declared_fields = (getattr(f, "fld", f) for f in value.fields_desc)
        hidden = {f.name for f in declared_fields if isinstance(f, FieldLenField)}
        told = ("count",) if isinstance(value, TallyEntry) else ("bitmap_bytes", "count")
        shown = [n for n in names if n not in hidden or n in told]
        fields = ((n, value.getfieldval(n)) for n in shown)
        return {n: dissected(v) for n, v in fields if v is not None}
    if isinstance(value, list | tuple):
        return tuple(map(dissected, value))
    return int(value) if isinstance(value, int) or hasattr(value, "flagrepr") else value


def fields_of(container):
    """Arguments for a scapy packet: only what a user gives, no count and no length."""
    arguments = {}
    for key, value in declared(container).items():
        if key in ITEMS or (key == "settled" and isinstance(value, tuple)):
            arguments[key] = [ITEMS.get(key, SeqRange)(**fields_of(item)) for item in value]
        elif key == "stream":
            arguments[key] = StreamName(**value)
        elif key == "section":
            arguments[key] = Section(
                first=value["first"],
                stamps=list(value["stamps"]),
                payloads=list(value["payloads"]),
            )
        else:
            arguments[key] = list(value) if isinstance(value, tuple) else value
    return arguments


def im_packet_of(container):
    """The scapy packet with the content of a parsed IM packet."""
    return IM_PACKETS[container.kind](**fields_of(container))


def rebuilt(packet):
    """The bytes of a dissected packet, built from its fields and not remembered."""
    again = packet.copy()
    again.clear_cache()
    return bytes(again)
