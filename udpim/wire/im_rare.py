"""The rare IM packets (control, cancel, status, signals) through their construct declarations.

Every kind but those that carry messages can be built here, the logins and memberships that have a
twin in `im_session_codec` too.
`to_value` also turns what the declarations parse of a *hot* packet into its value: that is how the
tests hold the ``struct`` codecs against the normative format.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from construct import Container

from udpim.errors import DecodeError
from udpim.model import StreamId
from udpim.wire import im_packets as p
from udpim.wire import im_schema
from udpim.wire.im_packets import ImPacket, Kind


def _name(parsed: Any) -> StreamId | None:
    name = parsed.name
    if name is None:
        return None
    return StreamId(name.user, name.device, name.incarnation, name.conversation)


def _ranges(items: Any) -> p.Ranges:
    return tuple((item.first, item.last) for item in items)


def _ack_r(parsed: Any, *, pulled: bool) -> p.AckR:
    lists = (parsed.delivered, parsed.void, parsed.settled or ())
    return p.AckR(parsed.handle, _name(parsed), pulled, *map(_ranges, lists))


def _runs(items: Any) -> tuple[p.EpochRun, ...]:
    return tuple(p.EpochRun(item.first, item.epoch) for item in items)


def _section(parsed: Any) -> p.Section | None:
    if parsed is None:
        return None
    return p.Section(parsed.first, parsed.count, im_schema.SECTION.build(parsed))


def _members(items: Any) -> tuple[p.Member, ...]:
    return tuple(
        p.Member(m.ordinal, m.user, m.device, m.incarnation, m.renewed, m.joined, m.left)
        for m in items
    )


def _entries(items: Any) -> tuple[p.TallyEntry, ...]:
    return tuple(
        p.TallyEntry(e.verdict, _ranges(e.ranges), e.first, int.from_bytes(e.bitmap, "little"))
        for e in items
    )


def _entry_fields(entry: p.TallyEntry) -> Container[Any]:
    size = (entry.bitmap.bit_length() + 7) // 8
    return Container(
        verdict=entry.verdict,
        ranges=[Container(first=a, last=b) for a, b in entry.ranges],
        first=entry.first,
        bitmap=entry.bitmap.to_bytes(size, "little"),
    )


def _seen(items: Any) -> tuple[p.DeviceSeen, ...]:
    return tuple(p.DeviceSeen(d.device, bool(d.online), d.seen_s) for d in items)


_TO_VALUE: dict[Kind, Callable[[Any], Any]] = {
    Kind.MSG_R: lambda c: p.MsgR(
        c.handle,
        _name(c),
        c.floor,
        _runs(c.runs),
        int.from_bytes(c.settled, "little"),
        _section(c.section),  # type: ignore[arg-type]  # always there in this declaration
    ),
    Kind.MSG_A: lambda c: p.MsgA(c.handle, c.rtt_us, _ranges(c.ranges)),
    Kind.MSG_N: lambda c: p.MsgN(
        c.handle,
        _name(c),
        c.floor,
        c.base,
        _section(c.section),  # type: ignore[arg-type]  # always there in this declaration
    ),
    Kind.ACK_R: lambda c: _ack_r(c, pulled=False),
    Kind.OFFLINEACK_R: lambda c: _ack_r(c, pulled=True),
    Kind.ACK_A: lambda c: p.AckA(c.handle, _ranges(c.ranges)),
    Kind.ACK_N: lambda c: p.AckN(
        c.handle,
        _name(c),
        c.ordinal,
        c.incarnation,
        c.store_epoch,
        _ranges(c.delivered),
        _ranges(c.void),
        _ranges(c.stored),
        _ranges(c.excused),
    ),
    Kind.REFUSE: lambda c: p.Refuse(c.handle, c.code, _ranges(c.ranges), c.to),
    Kind.MEMBERS: lambda c: p.Members(
        c.handle,
        _name(c),
        bool(c.flags & im_schema.FLAG_WHOLE),
        c.store_epoch,
        c.epoch,
        _members(c.members),
    ),
    Kind.TALLY: lambda c: p.Tally(c.handle, _name(c), c.store_epoch, c.as_of, _entries(c.entries)),
    Kind.GONE: lambda c: p.Gone(c.handle, _name(c)),
    Kind.READ_R: lambda c: p.ReadR(c.handle, _name(c), c.read),
    Kind.READ_N: lambda c: p.ReadN(c.handle, _name(c), c.ordinal, c.incarnation, c.read),
    Kind.READ_A: lambda c: p.ReadA(c.handle, c.read),
    Kind.GROUP_R: lambda c: p.GroupR(c.request, c.action, c.group, c.user),
    Kind.GROUP_A: lambda c: p.GroupA(c.request, c.code, tuple(c.names)),
    Kind.CANCEL_R: lambda c: p.CancelR(
        c.handle, _name(c), c.floor, _runs(c.runs), _ranges(c.ranges)
    ),
    Kind.CANCEL_N: lambda c: p.CancelN(c.handle, _name(c), c.floor, c.base, _ranges(c.ranges)),
    Kind.STATUS_R: lambda c: p.StatusR(
        c.handle, _name(c), c.floor, _runs(c.runs), _ranges(c.ranges)
    ),
    Kind.STATUS_N: lambda c: p.StatusN(c.handle, _name(c), c.floor, c.base),
    Kind.STATUS_A: lambda c: p.StatusA(
        c.handle, _name(c), c.ordinal, c.store_epoch, _ranges(c.asked), _ranges(c.stored)
    ),
    Kind.OFFLINE_R: lambda c: p.OfflineR(c.bytes_max),
    Kind.OFFLINE_A: lambda c: p.OfflineA(
        c.handle,
        _name(c),
        c.batch,
        c.total,
        bool(c.flags & im_schema.FLAG_MORE),
        c.floor,
        c.base,
        _ranges(c.void),
        _section(c.section),
    ),
    Kind.NUDGE: lambda c: p.Nudge(),
    Kind.SIGNAL_R: lambda c: p.SignalR(c.conversation, c.payload),
    Kind.SIGNAL_N: lambda c: p.SignalN(c.user, c.device, c.conversation, c.payload),
    Kind.PRESENCE_R: lambda c: p.PresenceR(c.request, c.user),
    Kind.PRESENCE_A: lambda c: p.PresenceA(c.request, c.code, _seen(c.devices)),
    Kind.LOGIN: lambda c: p.Login(
        c.user,
        c.device,
        c.token,
        c.incarnation,
        c.login_count,
        bool(c.flags & im_schema.FLAG_CONTINUES),
        bool(c.flags & im_schema.FLAG_FOUR),
    ),
    Kind.LOGIN_OK: lambda c: p.LoginOk(
        c.store_epoch,
        bool(c.flags & im_schema.FLAG_DURABLE),
        bool(c.flags & im_schema.FLAG_WAITING),
        c.payload_bytes_max,
        c.window,
    ),
    Kind.LOGIN_REFUSED: lambda c: p.LoginRefused(c.code, c.reason),
}


def decode(body: bytes) -> ImPacket:
    """Read any IM packet through its declaration.

    Raises:
        DecodeError: If it is not exactly one IM packet of a known kind.
    """
    parsed = im_schema.parse(body)
    value: ImPacket = _TO_VALUE[Kind(parsed.kind)](parsed)
    return value


_KINDS: dict[type, Kind] = {
    p.Refuse: Kind.REFUSE,
    p.Members: Kind.MEMBERS,
    p.CancelR: Kind.CANCEL_R,
    p.CancelN: Kind.CANCEL_N,
    p.StatusR: Kind.STATUS_R,
    p.StatusN: Kind.STATUS_N,
    p.StatusA: Kind.STATUS_A,
    p.OfflineR: Kind.OFFLINE_R,
    p.Nudge: Kind.NUDGE,
    p.Tally: Kind.TALLY,
    p.Gone: Kind.GONE,
    p.GroupR: Kind.GROUP_R,
    p.GroupA: Kind.GROUP_A,
    p.ReadR: Kind.READ_R,
    p.ReadN: Kind.READ_N,
    p.ReadA: Kind.READ_A,
    p.SignalR: Kind.SIGNAL_R,
    p.SignalN: Kind.SIGNAL_N,
    p.PresenceR: Kind.PRESENCE_R,
    p.PresenceA: Kind.PRESENCE_A,
    p.Login: Kind.LOGIN,
    p.LoginOk: Kind.LOGIN_OK,
    p.LoginRefused: Kind.LOGIN_REFUSED,
}

_FLAG_FIELDS = {
    "durable": im_schema.FLAG_DURABLE,
    "queue_waiting": im_schema.FLAG_WAITING,
    "continues": im_schema.FLAG_CONTINUES,
    "four_packets": im_schema.FLAG_FOUR,
    "whole": im_schema.FLAG_WHOLE,
}
_RANGE_FIELDS = ("ranges", "asked", "stored")


def encode(packet: ImPacket) -> bytes:
    """Build one of the rare IM packets through its declaration."""
    fields: dict[str, Any] = packet._asdict()
    flags = 0
    name = fields.get("name")
    if name is not None:
        fields["name"] = name._asdict()
        flags |= im_schema.FLAG_NAMED
    for key, flag in _FLAG_FIELDS.items():
        if fields.pop(key, False):
            flags |= flag
    if "entries" in fields:
        fields["entries"] = [_entry_fields(entry) for entry in fields["entries"]]
    for key in _RANGE_FIELDS:
        if key in fields:
            fields[key] = [Container(first=a, last=b) for a, b in fields[key]]
    for key in ("runs", "members", "devices"):
        if key in fields:
            fields[key] = [Container(**item._asdict()) for item in fields[key]]
    fields.setdefault("name", None)
    return im_schema.build(_KINDS[type(packet)], {"flags": flags, **fields})


__all__ = ["DecodeError", "decode", "encode"]
