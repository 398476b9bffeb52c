"""The kinds of IM packets and the names that people use for them."""

import pytest

from udpim.wire.im_packets import Kind


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (Kind.MSG_R, "msg:R"),
        (Kind.ACK_N, "ack:N"),
        (Kind.OFFLINEACK_R, "offlineack:R"),
        (Kind.STATUS_A, "status:A"),
        (Kind.NUDGE, "nudge"),
        (Kind.TALLY, "tally"),
        (Kind.GROUP_A, "group:A"),
        (Kind.READ_N, "read:N"),
        (Kind.LOGIN_REFUSED, "login-refused"),
    ],
)
def test_kind_has_the_label_that_people_use(kind, label):
    assert label == kind.label


def test_labels_are_unique():
    assert len(Kind) == len({kind.label for kind in Kind})


def test_no_kind_lies_where_unknown_ones_are_skipped():
    assert [] == [kind for kind in Kind if kind >= 0x80 or kind == 0]
