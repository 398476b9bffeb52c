"""Stream handles of one connection (PROTOCOL §4.3)."""

from tests.im.helpers import STREAM
from udpim.im.handles import HANDLES_MAX, InHandles, OutHandles

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


def test_one_handle_too_many_is_not_learnt():
    handles = InHandles()
    for number in range(HANDLES_MAX):
        handles.resolve(number, STREAM)
    assert handles.resolve(HANDLES_MAX, OTHER) is None
    assert STREAM == handles.resolve(0, None)
