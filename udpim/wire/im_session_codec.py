"""``struct`` codec of control packets: logins, memberships, groups, refusals, cancels, questions.

Frequent enough, where many clients come at once, to go without the declarations of `im_schema`
(PROTOCOL §4). `udpim.wire.im_codec` finds its readers and writers here by kind and by class.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from udpim.model import StreamId
from udpim.wire.im_fields import (
    RUN,
    TWO_U64,
    U64,
    check_end,
    read_head,
    read_ranges,
    read_runs,
    read_text,
    refuse,
    write_head,
    write_ranges,
    write_text,
)
from udpim.wire.im_packets import (
    CancelN,
    CancelR,
    EpochRun,
    GroupA,
    GroupR,
    ImPacket,
    Kind,
    Login,
    LoginOk,
    Member,
    Members,
    OfflineR,
    Ranges,
    Refuse,
    StatusR,
)
from udpim.wire.im_schema import (
    FLAG_CONTINUES,
    FLAG_DURABLE,
    FLAG_FOUR,
    FLAG_NAMED,
    FLAG_WAITING,
    FLAG_WHOLE,
)

_U16 = struct.Struct(">H")
_LOGIN_OK = struct.Struct(">BBQIH")
_MEMBERS = struct.Struct(">QIH")
_MEMBER = struct.Struct(">QIII")
_GROUP_R = struct.Struct(">BBIB")
_GROUP_A = struct.Struct(">BBIHH")
_OFFLINE_R = struct.Struct(">BBI")


def _decode_login(body: bytes) -> Login:
    flags = body[1]
    if flags & ~(FLAG_CONTINUES | FLAG_FOUR):
        refuse("flags")
    user, at = read_text(body, 2, 1)
    device, at = read_text(body, at, 1)
    end = at + 2 + _U16.unpack_from(body, at)[0]
    incarnation, login_count = TWO_U64.unpack_from(body, end)
    check_end(body, end + 16)
    continues, four = bool(flags & FLAG_CONTINUES), bool(flags & FLAG_FOUR)
    return Login(user, device, body[at + 2 : end], incarnation, login_count, continues, four)


def _decode_login_ok(body: bytes) -> LoginOk:
    _, flags, store_epoch, payload_bytes_max, window = _LOGIN_OK.unpack_from(body)
    if flags & ~(FLAG_DURABLE | FLAG_WAITING):
        refuse("flags")
    check_end(body, _LOGIN_OK.size)
    durable, waiting = bool(flags & FLAG_DURABLE), bool(flags & FLAG_WAITING)
    return LoginOk(store_epoch, durable, waiting, payload_bytes_max, window)


def _decode_refuse(body: bytes) -> Refuse:
    _, handle, _, at = read_head(body, 0)
    (code,) = _U16.unpack_from(body, at)
    to, at = read_text(body, at + 2, 0)
    ranges, at = read_ranges(body, at, 1)
    check_end(body, at)
    return Refuse(handle, code, ranges, to)


def _decode_members(body: bytes) -> Members:
    flags, handle, name, at = read_head(body, FLAG_NAMED | FLAG_WHOLE)
    store_epoch, epoch, count = _MEMBERS.unpack_from(body, at)
    at += _MEMBERS.size
    members = []
    for _ in range(count):
        (ordinal,) = _U16.unpack_from(body, at)
        user, at = read_text(body, at + 2, 1)
        device, at = read_text(body, at, 1)
        members.append(Member(ordinal, user, device, *_MEMBER.unpack_from(body, at)))
        at += _MEMBER.size
    check_end(body, at)
    return Members(handle, name, bool(flags & FLAG_WHOLE), store_epoch, epoch, tuple(members))


def _decode_group_r(body: bytes) -> GroupR:
    _, flags, request, action = _GROUP_R.unpack_from(body)
    if flags:
        refuse("flags")
    group, at = read_text(body, _GROUP_R.size, 0)
    user, at = read_text(body, at, 0)
    check_end(body, at)
    return GroupR(request, action, group, user)


def _decode_group_a(body: bytes) -> GroupA:
    _, flags, request, code, count = _GROUP_A.unpack_from(body)
    if flags:
        refuse("flags")
    at, names = _GROUP_A.size, []
    for _ in range(count):
        name, at = read_text(body, at, 1)
        names.append(name)
    check_end(body, at)
    return GroupA(request, code, tuple(names))


def _decode_offline_r(body: bytes) -> OfflineR:
    _, flags, bytes_max = _OFFLINE_R.unpack_from(body)
    if flags:
        refuse("flags")
    check_end(body, _OFFLINE_R.size)
    return OfflineR(bytes_max)


def _decode_cancel_r(body: bytes) -> CancelR:
    return CancelR(*_read_claims(body))


def _decode_status_r(body: bytes) -> StatusR:
    return StatusR(*_read_claims(body))


def _read_claims(body: bytes) -> tuple[int, StreamId | None, int, tuple[EpochRun, ...], Ranges]:
    _, handle, name, at = read_head(body, FLAG_NAMED)
    (floor,) = U64.unpack_from(body, at)
    if floor < 1:
        refuse("seq 0")
    runs, at = read_runs(body, at + 8)
    ranges, at = read_ranges(body, at, 1)
    check_end(body, at)
    return handle, name, floor, runs, ranges


def _decode_cancel_n(body: bytes) -> CancelN:
    _, handle, name, at = read_head(body, FLAG_NAMED)
    floor, base = TWO_U64.unpack_from(body, at)
    if not (floor and base):
        refuse("seq 0")
    ranges, at = read_ranges(body, at + 16, 1)
    check_end(body, at)
    return CancelN(handle, name, floor, base, ranges)


READERS: dict[int, Callable[[bytes], ImPacket]] = {
    Kind.LOGIN: _decode_login,
    Kind.LOGIN_OK: _decode_login_ok,
    Kind.REFUSE: _decode_refuse,
    Kind.MEMBERS: _decode_members,
    Kind.GROUP_R: _decode_group_r,
    Kind.GROUP_A: _decode_group_a,
    Kind.OFFLINE_R: _decode_offline_r,
    Kind.CANCEL_R: _decode_cancel_r,
    Kind.CANCEL_N: _decode_cancel_n,
    Kind.STATUS_R: _decode_status_r,
}


def _encode_login(packet: Login) -> bytes:
    flags = FLAG_CONTINUES * packet.continues | FLAG_FOUR * packet.four_packets
    return b"".join(
        (
            bytes((Kind.LOGIN, flags)),
            write_text(packet.user),
            write_text(packet.device),
            _U16.pack(len(packet.token)) + packet.token,
            TWO_U64.pack(packet.incarnation, packet.login_count),
        )
    )


def _encode_login_ok(packet: LoginOk) -> bytes:
    flags = FLAG_DURABLE * packet.durable | FLAG_WAITING * packet.queue_waiting
    numbers = packet.store_epoch, packet.payload_bytes_max, packet.window
    return _LOGIN_OK.pack(Kind.LOGIN_OK, flags, *numbers)


def _encode_refuse(packet: Refuse) -> bytes:
    head = write_head(Kind.REFUSE, packet.handle, None) + _U16.pack(packet.code)
    return head + write_text(packet.to) + write_ranges(packet.ranges)


def _encode_members(packet: Members) -> bytes:
    flags = FLAG_WHOLE * packet.whole
    head = write_head(Kind.MEMBERS, packet.handle, packet.name, flags)
    parts = [head, _MEMBERS.pack(packet.store_epoch, packet.epoch, len(packet.members))]
    for ordinal, user, device, *numbers in packet.members:
        parts += (_U16.pack(ordinal), write_text(user), write_text(device), _MEMBER.pack(*numbers))
    return b"".join(parts)


def _encode_group_r(packet: GroupR) -> bytes:
    head = _GROUP_R.pack(Kind.GROUP_R, 0, packet.request, packet.action)
    return head + write_text(packet.group) + write_text(packet.user)


def _encode_group_a(packet: GroupA) -> bytes:
    head = _GROUP_A.pack(Kind.GROUP_A, 0, packet.request, packet.code, len(packet.names))
    return head + b"".join(map(write_text, packet.names))


def _encode_offline_r(packet: OfflineR) -> bytes:
    return _OFFLINE_R.pack(Kind.OFFLINE_R, 0, packet.bytes_max)


def _encode_cancel_r(packet: CancelR) -> bytes:
    return _write_claims(Kind.CANCEL_R, packet)


def _encode_status_r(packet: StatusR) -> bytes:
    return _write_claims(Kind.STATUS_R, packet)


def _write_claims(kind: Kind, packet: CancelR | StatusR) -> bytes:
    head = write_head(kind, packet.handle, packet.name) + U64.pack(packet.floor)
    runs = bytes((len(packet.runs),)) + b"".join(RUN.pack(*run) for run in packet.runs)
    return head + runs + write_ranges(packet.ranges)


def _encode_cancel_n(packet: CancelN) -> bytes:
    head = write_head(Kind.CANCEL_N, packet.handle, packet.name)
    return head + TWO_U64.pack(packet.floor, packet.base) + write_ranges(packet.ranges)


WRITERS: dict[type, Callable[[Any], bytes]] = {
    Login: _encode_login,
    LoginOk: _encode_login_ok,
    Refuse: _encode_refuse,
    Members: _encode_members,
    GroupR: _encode_group_r,
    GroupA: _encode_group_a,
    OfflineR: _encode_offline_r,
    CancelR: _encode_cancel_r,
    CancelN: _encode_cancel_n,
    StatusR: _encode_status_r,
}
