"""Packets of an exchange, one by one as their tables have them. See `test_im` for all of them."""

import struct

import pytest

from tests.testing.decoder.verdicts import REFUSED, verdict
from udpim.model import StreamId
from udpim.testing.decoder.im import parse_im
from udpim.wire import im_packets as p

HANDLE = struct.pack(">I", 7)
NAME = struct.pack(">Q", 9) + b"\3bob\1a\1d"
ONE = struct.pack(">Q", 1)
NO_RANGES = b"\0"
SECTION = struct.pack(">QHIQ", 1, 1, 2, 5) + b"hi"


def test_a_name_is_there_only_if_a_flag_says_so():
    stream = StreamId("a", "d", 9, "bob")
    named = b"\x0f\1" + HANDLE + NAME
    assert ("gone", p.Gone(7, stream)) == parse_im(named)
    assert ("gone", p.Gone(7, None)) == parse_im(b"\x0f\0" + HANDLE)
    assert REFUSED == verdict(parse_im, b"\x0f\0" + HANDLE + NAME)
    assert REFUSED == verdict(parse_im, b"\x0f\2" + HANDLE)


def test_both_acks_are_one_value_that_says_which():
    rest = HANDLE + NO_RANGES * 2
    assert ("ack:R", p.AckR(7, None, False, (), ())) == parse_im(b"\4\0" + rest)
    assert ("offlineack:R", p.AckR(7, None, True, (), ())) == parse_im(b"\x12\0" + rest)


def offline_a(total, handle=0, floor=1, base=1, tail=b"\0"):
    head = struct.pack(">BBIIHQQ", 0x11, 0, handle, 3, total, floor, base)
    return head + NO_RANGES + tail


def test_offline_a_says_whether_there_is_a_section():
    _, without = parse_im(offline_a(2, handle=4))
    _, with_one = parse_im(offline_a(2, handle=4, tail=b"\1" + SECTION))
    assert (None, p.Section(1, 1, SECTION)) == (without.section, with_one.section)
    assert REFUSED == verdict(parse_im, offline_a(2, tail=b"\2" + SECTION))
    assert REFUSED == verdict(parse_im, offline_a(2, tail=b"\0" + SECTION))


@pytest.mark.parametrize("wrong", [{"handle": 1}, {"floor": 2, "base": 2}, {"base": 2}])
def test_empty_queue_speaks_of_no_stream(wrong):
    empty = p.OfflineA(0, None, 3, 0, False, 1, 1, (), None)
    assert ("offline:A", empty) == parse_im(offline_a(0))
    assert REFUSED == verdict(parse_im, offline_a(0, **wrong))
