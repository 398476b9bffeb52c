"""What the struct codecs have in common reads what it writes, and refuses the rest."""

import pytest

from udpim.errors import DecodeError
from udpim.model import StreamId
from udpim.wire import im_fields as f
from udpim.wire.im_packets import Kind

NAME = StreamId("alice", "phone", 7, "bob")


def test_a_head_tells_its_name_and_where_it_ends():
    for name in (None, NAME):
        head = f.write_head(Kind.ACK_R, 3, name)
        assert f.read_head(head + b"rest", 1) == (int(name is not None), 3, name, len(head))


def test_ranges_come_back():
    for ranges in ((), ((1, 1),), ((1, 2), (4, 9))):
        raw = f.write_ranges(ranges)
        assert (ranges, len(raw)) == f.read_ranges(raw, 0, 0)


@pytest.mark.parametrize("ranges", [((0, 1),), ((2, 1),), ((1, 2), (3, 4)), ((5, 6), (1, 2))])
def test_ranges_that_are_not_canonical_are_refused(ranges):
    with pytest.raises(DecodeError):
        f.read_ranges(f.write_ranges(ranges), 0, 0)


def test_too_few_ranges_are_refused():
    with pytest.raises(DecodeError):
        f.read_ranges(f.write_ranges(()), 0, 1)


@pytest.mark.parametrize("text", ["", "a\0b", "a" * 33])
def test_a_text_that_is_no_name_is_refused(text):
    with pytest.raises(DecodeError):
        f.read_text(f.write_text(text), 0, 1)
