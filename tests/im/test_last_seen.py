"""Who is there, and since when somebody is not."""

from tests.im.helpers import INC, LAPTOP, PHONE
from udpim.im.devices import Registry
from udpim.im.last_seen import LastSeen
from udpim.wire.im_packets import DeviceSeen
from udpim.wire.im_schema import NEVER_SEEN_S


def devices(seen, *online, now=100.0, user="bob"):
    registry = Registry(())
    for endpoint in (PHONE, LAPTOP):
        registry.put(registry.logged_in(endpoint, INC, 1))
    return seen.devices(user, registry=registry, online=online, now=now)


def test_every_device_is_named_in_its_order():
    assert ["phone", "laptop"] == [device.device for device in devices(LastSeen())]
    assert () == devices(LastSeen(), user="zoe")


def test_who_has_a_session_is_online_now_whatever_was_before():
    seen = LastSeen()
    seen.left(PHONE, 1.0)
    assert DeviceSeen("phone", True, 0) == devices(seen, PHONE)[0]


def test_who_left_was_seen_so_many_whole_seconds_ago():
    seen = LastSeen()
    seen.left(PHONE, 10.0)
    seen.left(PHONE, 40.5)
    assert DeviceSeen("phone", False, 59) == devices(seen, LAPTOP)[0]


def test_who_did_not_leave_in_this_life_is_not_known():
    assert DeviceSeen("phone", False, NEVER_SEEN_S) == devices(LastSeen())[0]


def test_a_long_time_is_not_taken_for_not_known():
    seen = LastSeen()
    seen.left(PHONE, 0.0)
    assert NEVER_SEEN_S - 1 == devices(seen, now=2.0**33)[0].seen_s
