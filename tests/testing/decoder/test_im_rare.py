"""Rare packets, one by one as their tables have them. See `test_im` for all of them."""

import struct

import pytest

from tests.testing.decoder.verdicts import REFUSED, verdict
from udpim.testing.decoder.im import parse_im
from udpim.wire import im_packets as p


def login(flags):
    return bytes((0x20, flags)) + b"\1a\1d\0\1t" + struct.pack(">QQ", 5, 6)


@pytest.mark.parametrize(
    ("flags", "continues", "four"), [(0, 0, 0), (0x20, 1, 0), (0x40, 0, 1), (0x60, 1, 1)]
)
def test_flags_of_a_login_are_told_apart(flags, continues, four):
    value = p.Login("a", "d", b"t", 5, 6, bool(continues), bool(four))
    assert ("login", value) == parse_im(login(flags))


@pytest.mark.parametrize(("flags", "durable", "waiting"), [(8, True, False), (16, False, True)])
def test_flags_of_a_login_ok_are_told_apart(flags, durable, waiting):
    body = struct.pack(">BBQIH", 0x21, flags, 5, 6, 7)
    assert ("login-ok", p.LoginOk(5, durable, waiting, 6, 7)) == parse_im(body)


def signal(size):
    return b"\x18\0\3bob" + struct.pack(">H", size) + b"x" * size


def test_signal_has_1024_bytes_at_most():
    assert ("signal:R", p.SignalR("bob", b"x" * 1024)) == parse_im(signal(1024))
    assert REFUSED == verdict(parse_im, signal(1025))


def presence(online, count):
    device = b"\1d" + bytes((online,)) + struct.pack(">I", 9)
    return struct.pack(">BBIHB", 0x1B, 0, 3, 0, count) + device * count


def test_presence_has_16_devices_that_are_there_or_away():
    assert 16 == len(parse_im(presence(1, 16))[1].devices)
    assert (p.DeviceSeen("d", False, 9),) == parse_im(presence(0, 1))[1].devices
    for wrong in (presence(2, 1), presence(1, 17)):
        assert REFUSED == verdict(parse_im, wrong)


def tally(count, verdict_code=0, bitmap=b"\0\1\1"):
    entry = bytes((verdict_code,)) + b"\1" + struct.pack(">QQH", 1, 1, 0) + bitmap
    return struct.pack(">BBIQIB", 0x0E, 0, 7, 1, 2, count) + entry * count


def test_tally_has_entries_with_a_verdict_and_somebody_whose_it_is():
    assert 64 == len(parse_im(tally(64))[1].entries)
    assert (p.TallyEntry(3, ((1, 1),), 0, 1),) == parse_im(tally(1, 3))[1].entries
    for wrong in (tally(0), tally(65), tally(1, 4), tally(1, 0, b"\0\0"), tally(1, 0, b"\0\1\0")):
        assert REFUSED == verdict(parse_im, wrong)
