"""Intercepts find their datagrams by what is in them and by who talks to whom."""

import pytest

from udpim.testing.crossings import Crossing, Intercept, Nobody
from udpim.testing.wiretap import Content


def crossing(label="msg:R", source="alice/phone", destination="server"):
    return Crossing(
        number=1,
        sent_at=0.0,
        source=(source, 1),
        destination=(destination, 2),
        data=b"",
        content=Content(cid=b"", labels=("ACK", label)),
    )


def intercept(**wanted):
    order = {"source": None, "destination": None, "copies": None, "drop": True, "then": None}
    return Intercept(label="msg:R", **{**order, **wanted})


@pytest.mark.parametrize(
    ("wanted", "other"),
    [
        ({}, {"label": "msg:A"}),
        ({"source": "alice"}, {"source": "bob/phone"}),
        ({"source": "alice/phone"}, {"source": "alice/laptop"}),
        ({"destination": "server"}, {"destination": "alice/phone"}),
    ],
)
def test_only_what_was_meant_matches_and_is_counted(wanted, other):
    order = intercept(**wanted)
    assert order.matches(crossing())
    assert not order.matches(crossing(**other))
    assert 1 == order.seen


def test_only_the_wanted_copies_match():
    order = intercept(copies=range(2, 4))
    assert [False, True, True, False] == [order.matches(crossing()) for _ in range(4)]


def test_who_does_not_care_is_told_all_the_same():
    nobody, one = Nobody(), crossing()
    nobody.on_datagram_sent(one)
    nobody.on_datagram_arrived(one)
    nobody.on_datagram_damaged(one, b"")
    assert "in flight" == one.fate
