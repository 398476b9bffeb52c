"""``struct`` codec of the control packets that every session has: logins, memberships, refusals.

Frequent enough, where many clients come at once, to go without the declarations of `im_schema`
(PROTOCOL §4). `udpim.wire.im_codec` finds its readers and writers here by kind and by class.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from udpim.wire.im_fields import (
    check_end,
    read_head,
    read_ranges,
    read_text,
    refuse,
    write_head,
    write_ranges,
    write_text,
)
from udpim.wire.im_packets import (
    ImPacket,
    Kind,
    Login,
    LoginOk,
    Member,
    Members,
    Refuse,
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
_TWO_U64 = struct.Struct(">QQ")
_LOGIN_OK = struct.Struct(">BBQIH")
_MEMBERS = struct.Struct(">QIH")
_MEMBER = struct.Struct(">QIII")


def _decode_login(body: bytes) -> Login:
    flags = body[1]
    if flags & ~(FLAG_CONTINUES | FLAG_FOUR):
        refuse("flags")
    user, at = read_text(body, 2, 1)
    device, at = read_text(body, at, 1)
    end = at + 2 + _U16.unpack_from(body, at)[0]
    incarnation, login_count = _TWO_U64.unpack_from(body, end)
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


READERS: dict[int, Callable[[bytes], ImPacket]] = {
    Kind.LOGIN: _decode_login,
    Kind.LOGIN_OK: _decode_login_ok,
    Kind.REFUSE: _decode_refuse,
    Kind.MEMBERS: _decode_members,
}


def _encode_login(packet: Login) -> bytes:
    flags = FLAG_CONTINUES * packet.continues | FLAG_FOUR * packet.four_packets
    return b"".join(
        (
            bytes((Kind.LOGIN, flags)),
            write_text(packet.user),
            write_text(packet.device),
            _U16.pack(len(packet.token)) + packet.token,
            _TWO_U64.pack(packet.incarnation, packet.login_count),
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


WRITERS: dict[type, Callable[[Any], bytes]] = {
    Login: _encode_login,
    LoginOk: _encode_login_ok,
    Refuse: _encode_refuse,
    Members: _encode_members,
}
