"""Orders name packets, hosts and times, and are refused where they are wrong."""

import pytest

from udpim.errors import ConfigError
from udpim.testing import Drop, blackout
from udpim.testing.faults.orders import Blackout, is_host


def test_a_drop_is_about_the_nth_and_those_after_it():
    assert [1] == list(Drop("ack:N").copies)
    assert [2, 3, 4] == list(Drop("ack:N", nth=2, count=3, to="alice", frm="server").copies)


def test_a_user_is_each_of_his_devices():
    assert is_host("alice", "alice/phone")
    assert is_host("alice/phone", "alice/phone")
    assert is_host(None, "anybody")
    assert not is_host("alice/phone", "alice/laptop")
    assert not is_host("ali", "alice/phone")


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("label", lambda: Drop("ack:X")),
        ("label", lambda: Drop("")),
        ("nth", lambda: Drop("ack:N", nth=0)),
        ("count", lambda: Drop("ack:N", count=0)),
        ("to", lambda: Drop("ack:N", to="")),
        ("frm", lambda: Drop("ack:N", frm="a > b")),
        ("at", lambda: blackout(at="soon", lasts="1s")),
        ("lasts", lambda: blackout(at="1s", lasts=-1)),
        ("at_s", lambda: Blackout("soon", 1)),
        ("between", lambda: blackout(at=0, lasts=1, between=("a",))),
        ("between", lambda: blackout(at=0, lasts=1, between="ab")),
        ("between", lambda: blackout(at=0, lasts=1, between=("a", ""))),
    ],
)
def test_a_wrong_order_is_told_by_its_field(field, build):
    with pytest.raises(ConfigError, match=f"^{field}: .* allowed "):
        build()


def test_an_unknown_packet_is_told_with_the_nearest_one():
    with pytest.raises(ConfigError, match="perhaps 'msg:R'"):
        Drop("msgR")


def test_a_blackout_is_between_all_or_between_two_in_both_directions():
    everybody = blackout(at="1s", lasts="3s")
    assert Blackout(1.0, 3.0) == everybody
    assert everybody.covers("a", "b")
    two = blackout(at=0, lasts=1, between=("alice", "server"))
    assert two.covers("alice/phone", "server")
    assert two.covers("server", "alice/laptop")
    assert not two.covers("bob/phone", "server")
    assert not two.covers("alice/phone", "alice/laptop")
