"""What an inbox holds; how it holds back a server is in test_flow.py."""

from udpim.config import Limits
from udpim.im.backlog import Backlog
from udpim.wire.im_codec import SECTION_ENTRY_BYTES as ENTRY


def test_messages_are_held_from_the_commit_or_the_hand_over_until_they_are_handled():
    backlog = Backlog(Limits())
    backlog.arrived(2, 10)
    assert 0 == backlog.held_bytes, "they may wait behind a gap"
    backlog.written(2, 10)
    size = backlog.take_batch()
    assert 10 + 2 * ENTRY == size == backlog.held_bytes
    assert 0 == backlog.take_batch()
    backlog.committed(size)
    backlog.shown(2, 10)
    assert size == backlog.held_bytes
    backlog.handled(1, 4)
    assert (1, 6, 6 + ENTRY) == (backlog.messages, backlog.bytes, backlog.held_bytes)
    backlog.handled(1, 6)
    assert {0} == set(backlog.sizes().values())


def test_room_ends_with_the_first_limit_that_is_reached():
    backlog = Backlog(Limits(inbox_messages_max=3, inbox_bytes_max=10))
    backlog.arrived(2, 9)
    assert backlog.has_room()
    backlog.arrived(0, 1)
    assert not backlog.has_room()
    backlog.handled(0, 10)
    assert backlog.has_room()
    backlog.arrived(1, 0)
    assert not backlog.has_room()
