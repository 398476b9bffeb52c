"""Rare IM packets through the declarations."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.strategies import BY_KIND, KINDS
from udpim.errors import DecodeError
from udpim.model import StreamId
from udpim.wire import im_packets as p
from udpim.wire import im_rare
from udpim.wire.im_packets import Kind

RARE = [
    Kind.REFUSE,
    Kind.MEMBERS,
    Kind.CANCEL_R,
    Kind.CANCEL_N,
    Kind.STATUS_R,
    Kind.STATUS_N,
    Kind.STATUS_A,
    Kind.TALLY,
    Kind.GONE,
    Kind.OFFLINE_R,
    Kind.NUDGE,
    Kind.SIGNAL_R,
    Kind.SIGNAL_N,
    Kind.PRESENCE_R,
    Kind.PRESENCE_A,
    Kind.GROUP_R,
    Kind.GROUP_A,
    Kind.READ_R,
    Kind.READ_N,
    Kind.READ_A,
    Kind.LOGIN,
    Kind.LOGIN_OK,
    Kind.LOGIN_REFUSED,
]


@pytest.mark.parametrize("kind", RARE, ids=lambda kind: kind.label)
@settings(max_examples=settings.default.max_examples // 10)
@given(data=st.data())
def test_rare_packet_survives(kind, data):
    packet = data.draw(BY_KIND[kind])
    body = im_rare.encode(packet)
    assert kind == body[0]
    assert repr(packet) == repr(im_rare.decode(body))


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("waiting", [False, True])
def test_flags_of_login_ok_are_told_apart(durable, waiting):
    body = im_rare.encode(p.LoginOk(1, durable, waiting, 2, 3))
    assert 8 * durable + 16 * waiting == body[1]
    value = im_rare.decode(body)
    assert (durable, waiting) == (value.durable, value.queue_waiting)


@pytest.mark.parametrize("continues", [False, True])
@pytest.mark.parametrize("four", [False, True])
def test_flags_of_a_login_are_told_apart(continues, four):
    body = im_rare.encode(p.Login("a", "b", b"", 1, 2, continues, four))
    assert 0x20 * continues + 0x40 * four == body[1]
    value = im_rare.decode(body)
    assert (continues, four) == (value.continues, value.four_packets)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", [None, StreamId("", "", 1, "#tea")])
def test_a_whole_membership_says_so_beside_its_name(whole, name):
    body = im_rare.encode(p.Members(1, name, whole, 2, 3, ()))
    assert (name is not None) + 2 * whole == body[1]
    value = im_rare.decode(body)
    assert (name, whole) == (value.name, value.whole)


def test_a_full_membership_is_one_packet_that_travels_as_bulk():
    lines = [p.Member(n, f"user{n}", "phone", n, n, n, 0) for n in range(4096)]
    packet = p.Members(1, None, True, 2, 3, tuple(lines))
    body = im_rare.encode(packet)
    assert packet == im_rare.decode(body)
    assert p.is_bulk(packet, len(body))


@pytest.mark.parametrize("kind", sorted(set(range(256)) - set(KINDS)))
def test_unknown_kind_is_refused(kind):
    with pytest.raises(DecodeError, match="unknown"):
        im_rare.decode(bytes((kind, 0)))
