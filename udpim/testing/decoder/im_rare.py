"""IM packets of logins, signals, presence, groups and reading (PROTOCOL §4.5.16–§4.5.29).

As those of `im_exchange`.
"""

from __future__ import annotations

import struct

from udpim.errors import DecodeError
from udpim.testing.decoder import fields as f
from udpim.testing.decoder.im_exchange import handle_and_name
from udpim.wire import im_packets as p

CONTINUES = 0x20
FOUR = 0x40
DURABLE = 0x08
WAITING = 0x10

SIGNAL_BYTES_MAX = 1024
DEVICES_MAX = 16
TALLY_ENTRIES_MAX = 64
VERDICTS = 4

_u16 = struct.Struct(">H").unpack_from
_u32 = struct.Struct(">I").unpack_from
_two_u64 = struct.Struct(">QQ").unpack_from
_welcome = struct.Struct(">QIH").unpack_from
_request_code = struct.Struct(">IH").unpack_from
_request_action = struct.Struct(">IB").unpack_from
_seen = struct.Struct(">BI").unpack_from
_epochs = struct.Struct(">QI").unpack_from
_ordinal_incarnation = struct.Struct(">HQ").unpack_from
_handle_seq = struct.Struct(">IQ").unpack_from


def login(body: bytes) -> tuple[p.Login, int]:
    """Client → S: who I am."""
    user, at = f.text(body, 2)
    device, at = f.text(body, at)
    token, at = f.long_bytes(body, at)
    incarnation, login_count = _two_u64(body, at)
    continues, four = bool(body[1] & CONTINUES), bool(body[1] & FOUR)
    return p.Login(user, device, token, incarnation, login_count, continues, four), at + 16


def login_ok(body: bytes) -> tuple[p.LoginOk, int]:
    """S → client: welcome."""
    store_epoch, payload_bytes_max, window = _welcome(body, 2)
    durable, waiting = bool(body[1] & DURABLE), bool(body[1] & WAITING)
    return p.LoginOk(store_epoch, durable, waiting, payload_bytes_max, window), 16


def login_refused(body: bytes) -> tuple[p.LoginRefused, int]:
    """S → client: no."""
    (code,) = _u16(body, 2)
    reason, at = f.words(body, 4)
    return p.LoginRefused(code, reason), at


def _signal(body: bytes, at: int) -> tuple[bytes, int]:
    payload, at = f.long_bytes(body, at)
    if len(payload) > SIGNAL_BYTES_MAX:
        raise DecodeError("a signal that is too long")
    return payload, at


def signal_r(body: bytes) -> tuple[p.SignalR, int]:
    """Client → S: tell whoever is there."""
    conversation, at = f.text(body, 2)
    payload, at = _signal(body, at)
    return p.SignalR(conversation, payload), at


def signal_n(body: bytes) -> tuple[p.SignalN, int]:
    """S → client: somebody signals."""
    user, at = f.text(body, 2)
    device, at = f.text(body, at)
    conversation, at = f.text(body, at)
    payload, at = _signal(body, at)
    return p.SignalN(user, device, conversation, payload), at


def presence_r(body: bytes) -> tuple[p.PresenceR, int]:
    """Client → S: who of this user is there?"""
    (request,) = _u32(body, 2)
    user, at = f.text(body, 6)
    return p.PresenceR(request, user), at


def presence_a(body: bytes) -> tuple[p.PresenceA, int]:
    """S → client: these are."""
    request, code = _request_code(body, 2)
    count, at = body[8], 9
    if count > DEVICES_MAX:
        raise DecodeError("too many devices")
    devices = []
    for _ in range(count):
        device, at = f.text(body, at)
        online, seen_s = _seen(body, at)
        if online > 1:
            raise DecodeError("neither there nor away")
        devices.append(p.DeviceSeen(device, online == 1, seen_s))
        at += 5
    return p.PresenceA(request, code, tuple(devices)), at


def tally(body: bytes) -> tuple[p.Tally, int]:
    """S → A: verdicts of many endpoints."""
    handle, name, at = handle_and_name(body)
    store_epoch, as_of = _epochs(body, at)
    at += 12
    count = body[at]
    at += 1
    if not 1 <= count <= TALLY_ENTRIES_MAX:
        raise DecodeError("no entry, or too many")
    entries = []
    for _ in range(count):
        entry, at = _entry(body, at)
        entries.append(entry)
    return p.Tally(handle, name, store_epoch, as_of, tuple(entries)), at


def _entry(body: bytes, at: int) -> tuple[p.TallyEntry, int]:
    verdict = body[at]
    if verdict >= VERDICTS:
        raise DecodeError("no verdict")
    ranges, at = f.some_ranges(body, at + 1)
    (first,) = _u16(body, at)
    bitmap, at = f.bitmap(body, at + 2)
    if not bitmap:
        raise DecodeError("nobody's verdict")
    return p.TallyEntry(verdict, ranges, first, bitmap), at


def gone(body: bytes) -> tuple[p.Gone, int]:
    """S → B: nothing more of this stream will come."""
    handle, name, at = handle_and_name(body)
    return p.Gone(handle, name), at


def group_r(body: bytes) -> tuple[p.GroupR, int]:
    """Client → S: change a group, or list it."""
    request, action = _request_action(body, 2)
    group, at = f.text_or_empty(body, 7)
    user, at = f.text_or_empty(body, at)
    return p.GroupR(request, action, group, user), at


def group_a(body: bytes) -> tuple[p.GroupA, int]:
    """S → client: what became of it."""
    request, code = _request_code(body, 2)
    (count,) = _u16(body, 8)
    at = 10
    names = []
    for _ in range(count):
        name, at = f.text(body, at)
        names.append(name)
    return p.GroupA(request, code, tuple(names)), at


def read_r(body: bytes) -> tuple[p.ReadR, int]:
    """B → S: read up to here."""
    handle, name, at = handle_and_name(body)
    read, at = f.seq(body, at)
    return p.ReadR(handle, name, read), at


def read_n(body: bytes) -> tuple[p.ReadN, int]:
    """S → A: somebody has read up to here."""
    handle, name, at = handle_and_name(body)
    ordinal, incarnation = _ordinal_incarnation(body, at)
    read, at = f.seq(body, at + 10)
    return p.ReadN(handle, name, ordinal, incarnation, read), at


def read_a(body: bytes) -> tuple[p.ReadA, int]:
    """S → B: the read mark is safe."""
    handle, _ = _handle_seq(body, 2)
    read, at = f.seq(body, 6)
    return p.ReadA(handle, read), at
