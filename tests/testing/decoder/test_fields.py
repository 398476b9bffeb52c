"""Field types are read by their tables, and refused where they are not canonical."""

import struct

import pytest

from udpim.errors import DecodeError
from udpim.model import StreamId
from udpim.testing.decoder import fields as f
from udpim.wire.im_packets import EpochRun, Section

TWO_RANGES = b"\2" + struct.pack(">4Q", 1, 2, 4, 4)
TOP = b"\xff" * 8


@pytest.mark.parametrize(
    ("read", "data", "value"),
    [
        (f.seq, TOP, 2**64 - 1),
        (f.number64, bytes(8), 0),
        (f.short_bytes, b"\2ab", b"ab"),
        (f.long_bytes, b"\0\2ab", b"ab"),
        (f.words, b"\3\xe2\x82\xac", "€"),
        (f.text, b"\1b", "b"),
        (f.text, b"\x20" + b"b" * 32, "b" * 32),
        (f.text_or_empty, b"\0", ""),
        (f.ranges, b"\0", ()),
        (f.ranges, TWO_RANGES, ((1, 2), (4, 4))),
        (f.some_ranges, b"\1" + TOP + TOP, ((2**64 - 1,) * 2,)),
        (f.runs, b"\1" + bytes(7) + b"\1\0\0\0\0", (EpochRun(1, 0),)),
        (f.bitmap, b"\0\0", 0),
        (f.bitmap, b"\0\2\1\x80", 0x8001),
        (f.bitmap, b"\2\0" + bytes(511) + b"\1", 1 << 8 * 511),
        (f.name, bytes(7) + b"\7\1b\1a\0", StreamId("a", "", 7, "b")),
    ],
)
def test_field_is_read_to_its_end_and_no_further(read, data, value):
    assert (value, 3 + len(data)) == read(b"\0\0\0" + data + b"\1\1\1", 3)
    for size in range(len(data)):
        with pytest.raises((DecodeError, struct.error, IndexError)):
            read(data[:size], 0)


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (f.seq, bytes(8)),
        (f.words, b"\1\xff"),
        (f.text, b"\0"),
        (f.text, b"\x21" + b"b" * 33),
        (f.text, b"\1\0"),
        (f.text, b"\1\xff"),
        (f.ranges, b"\x31" + bytes(1000)),
        (f.ranges, b"\1" + struct.pack(">2Q", 0, 1)),
        (f.ranges, b"\1" + struct.pack(">2Q", 2, 1)),
        (f.ranges, b"\2" + struct.pack(">4Q", 1, 2, 3, 3)),
        (f.ranges, b"\2" + struct.pack(">4Q", 3, 3, 1, 1)),
        (f.some_ranges, b"\0"),
        (f.runs, b"\0"),
        (f.runs, b"\4" + bytes(100)),
        (f.runs, b"\1" + bytes(12)),
        (f.runs, b"\2" + struct.pack(">QIQI", 1, 1, 2, 1)),
        (f.runs, b"\2" + struct.pack(">QIQI", 2, 1, 2, 2)),
        (f.bitmap, b"\0\2\1\0"),
        (f.bitmap, b"\2\1" + b"\1" * 513),
        (f.name, bytes(8) + b"\0\1a\1d"),
    ],
)
def test_what_breaks_a_rule_is_refused(read, data):
    with pytest.raises(DecodeError):
        read(data, 0)


def section(first, lengths, extra=b""):
    head = struct.pack(">QH", first, len(lengths)) + struct.pack(f">{len(lengths)}I", *lengths)
    return head + bytes(8 * len(lengths)) + b"x" * sum(lengths) + extra


@pytest.mark.parametrize("lengths", [[0], [5], [1, 0, 3]])
def test_section_fills_its_packet(lengths):
    data = section(7, lengths)
    assert Section(7, len(lengths), data) == f.section(b"head" + data, 4)
    for wrong in (data + b"x", data[:-1]):
        with pytest.raises((DecodeError, struct.error)):
            f.section(wrong, 0)


def test_section_has_messages_and_seqs_that_there_are():
    assert 2**64 - 2 == f.section(section(2**64 - 2, [1, 1]), 0).first
    for wrong in (section(0, [1]), section(2**64 - 1, [1, 1]), section(1, []) + bytes(4)):
        with pytest.raises(DecodeError):
            f.section(wrong, 0)
