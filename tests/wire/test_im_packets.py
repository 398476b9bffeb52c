"""The values of IM packets: one for each kind."""

import pytest

from tests.wire.strategies import EXAMPLES
from udpim.model import Endpoint
from udpim.wire.im_packets import FRAME_BODY_BYTES_MAX, ImPacket, Kind, Member, Section, is_bulk


def test_each_packet_of_the_union_has_a_kind():
    assert set(ImPacket.__args__) == {type(packet) for packet in EXAMPLES.values()}


def test_section_knows_its_last_seq():
    assert 2**64 - 1 == Section(2**64 - 2, 2, b"").last
    assert 5 == Section(5, 1, b"").last


def test_line_knows_whose_it_is():
    assert Endpoint("bob", "phone") == Member(1, "bob", "phone", 2, 3, 4, 5).endpoint


@pytest.mark.parametrize(("renewed", "joined", "left"), [(9, 3, 0), (4, 9, 0), (4, 3, 9)])
def test_line_knows_what_changed_it_last(renewed, joined, left):
    assert 9 == Member(1, "bob", "phone", 2, renewed, joined, left).changed


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.label)
def test_payloads_are_bulk_and_others_only_where_one_frame_is_too_small(kind):
    with_payloads = kind in (Kind.MSG_R, Kind.MSG_N, Kind.OFFLINE_A)
    assert with_payloads == is_bulk(EXAMPLES[kind], FRAME_BODY_BYTES_MAX)
    assert is_bulk(EXAMPLES[kind], FRAME_BODY_BYTES_MAX + 1)
