"""Stream handles of one connection (PROTOCOL §4.3)."""

from tests.im.helpers import STREAM
from udpim.config import HANDLES_MAX
from udpim.im.handles import InHandles, OutHandles

OTHER = STREAM._replace(conversation="carol")


def test_the_name_rides_along_until_a_packet_with_it_is_acked():
    handles = OutHandles()
    assert (1, STREAM) == handles.of(STREAM)
    assert (2, OTHER) == handles.of(OTHER)
    assert (1, STREAM) == handles.of(STREAM)
    handles.confirm(STREAM)
    assert (1, None) == handles.of(STREAM)
    assert STREAM == handles.stream(1)
    assert handles.stream(3) is None


def test_a_handle_is_learnt_from_its_name_and_never_changes_its_stream():
    handles = InHandles()
    assert handles.resolve(7, None) is None
    assert STREAM == handles.resolve(7, STREAM)
    assert STREAM == handles.resolve(7, None)
    assert STREAM == handles.resolve(7, STREAM)
    assert handles.resolve(7, OTHER) is None
    assert STREAM == handles.resolve(7, None)
    assert 7 == handles.number(STREAM)
    assert handles.number(OTHER) is None


def test_one_handle_too_many_is_not_learnt_and_noticed():
    handles = InHandles(3)
    for number in range(3):
        handles.resolve(number, STREAM)
    assert not handles.overflowed
    assert STREAM == handles.resolve(2, STREAM)
    assert handles.resolve(3, OTHER) is None
    assert handles.overflowed
    assert STREAM == handles.resolve(0, None)


def test_one_name_too_many_is_noticed_where_it_is_given():
    handles = OutHandles(3)
    streams = [STREAM._replace(incarnation=n) for n in range(4)]
    for number, stream in enumerate(streams[:3], start=1):
        assert number == handles.of(stream)[0]
    assert not handles.overflowed
    handles.of(streams[0])
    assert not handles.overflowed
    handles.of(streams[3])
    assert handles.overflowed


def test_offers_leave_half_of_the_names_to_what_cannot_wait():
    handles = OutHandles(5)
    spare = []
    for n in range(4):
        spare.append(handles.spare_for_offers())
        handles.of(STREAM._replace(incarnation=n))
    assert [2, 1, 0, 0] == spare
    assert HANDLES_MAX // 2 == OutHandles().spare_for_offers()
