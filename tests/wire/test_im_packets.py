"""The values of IM packets and the names that people use for them."""

import pytest

from tests.wire.strategies import EXAMPLES
from udpim.wire.im_packets import ImPacket, Kind, Section


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (Kind.MSG_R, "msg:R"),
        (Kind.ACK_N, "ack:N"),
        (Kind.OFFLINEACK_R, "offlineack:R"),
        (Kind.STATUS_A, "status:A"),
        (Kind.NUDGE, "nudge"),
        (Kind.LOGIN_REFUSED, "login-refused"),
    ],
)
def test_kind_has_the_label_that_people_use(kind, label):
    assert label == kind.label


def test_labels_are_unique():
    assert len(Kind) == len({kind.label for kind in Kind})


def test_no_kind_lies_where_unknown_ones_are_skipped():
    assert [] == [kind for kind in Kind if kind >= 0x80 or kind == 0]


def test_each_packet_of_the_union_has_a_kind():
    assert set(ImPacket.__args__) == {type(packet) for packet in EXAMPLES.values()}


def test_section_knows_its_last_seq():
    assert 2**64 - 1 == Section(2**64 - 2, 2, b"").last
    assert 5 == Section(5, 1, b"").last
