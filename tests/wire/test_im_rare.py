"""Rare IM packets through the declarations."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.strategies import BY_KIND, KINDS
from udpim.errors import DecodeError
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
    Kind.OFFLINE_R,
    Kind.NUDGE,
    Kind.SIGNAL_R,
    Kind.SIGNAL_N,
    Kind.PRESENCE_R,
    Kind.PRESENCE_A,
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


@pytest.mark.parametrize("kind", sorted(set(range(256)) - set(KINDS)))
def test_unknown_kind_is_refused(kind):
    with pytest.raises(DecodeError, match="unknown"):
        im_rare.decode(bytes((kind, 0)))
