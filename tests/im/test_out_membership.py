"""How a stream follows its conversation's membership."""

from tests.im.helpers import DURABLE, EPOCH, STREAM, member, out_stream, settle
from udpim.im.out_membership import forget_membership, learn_members
from udpim.im.out_stream import OutStream
from udpim.model import MessageState
from udpim.wire import im_packets as p
from udpim.wire.im_packets import EpochRun


def test_a_membership_of_another_store_starts_over():
    s = out_stream()
    settle(s, 0, 1, 1)
    s.take_stored(s.audience.view(1), ((2, 3),))
    assert forget_membership(s, EPOCH) is None
    assert [(2, 3, MessageState.PENDING)] == forget_membership(s, EPOCH + 1)
    assert (0, [EpochRun(1, 0)]) == (s.epoch, s.runs)
    assert [] == s.refresh(1, 9), "nobody is due anything before the new membership is known"


def test_nobody_says_void_for_an_endpoint_that_a_new_store_does_not_know():
    s = out_stream(3)
    settle(s, 1, 1, 1)
    s.cancelled.add(1, 3)
    forget_membership(s, EPOCH + 1)
    learn_members(s, p.Members(1, None, True, EPOCH + 1, 1, (member(0),)))
    s.append([0], [b"x"])
    s.cancelled.add(4, 4)
    assert [(2, 3)] == list(s.doubtful), "the laptop may have a copy of what it gave no verdict on"
    s.audience.view(0).take_void(1, 4)
    decided = [(4, 4, MessageState.VOID), (2, 3, MessageState.UNKNOWN)]
    assert decided == s.refresh(1, 4)
    s = OutStream(STREAM, s.record())
    shown = [s.state(seq) for seq in (2, 4)]
    assert [MessageState.UNKNOWN, MessageState.VOID] == shown, "a restart claims no more"


def test_a_new_incarnation_takes_back_what_is_open_and_nothing_that_was_shown():
    s = out_stream(9, member(0))
    settle(s, 0, 1, 2)
    settle(s, 0, 4, 5)
    s.take_stored(s.audience.view(0), ((5, 6),))
    learn_members(s, p.Members(1, None, True, EPOCH, 1, (member(0, incarnation=DURABLE | 9),)))
    assert (True, [(4, 5)]) == (s.renewed, s.reopened)
    assert (3, [(3, 5), (7, 9)]) == (s.floor, s.covered.missing(1, 9))
    assert MessageState.DELIVERED == s.state(4)
    assert [(6, 6)] == list(s.audience.view(0).stored), "its queue has it for the new one"


def test_the_same_membership_again_changes_nothing():
    s = out_stream(3, member(0))
    settle(s, 0, 2, 2)
    learn_members(s, p.Members(1, None, True, EPOCH, 1, (member(0),)))
    assert not s.renewed
    assert [(1, 1), (3, 3)] == s.covered.missing(1, 3)


def test_progress_names_what_is_known_of_each_endpoint():
    s = out_stream(4)
    settle(s, 0, 1, 1)
    s.audience.view(1).take_void(1, 1)
    s.take_stored(s.audience.view(1), ((2, 2),))
    s.audience.view(0).take_excused(3, 3)
    first = s.audience.progress(s.epoch_of(1), 1)
    assert ({"bob/phone"}, {"bob/laptop"}) == (
        {str(e) for e in first.delivered},
        {str(e) for e in first.void},
    )
    second = s.audience.progress(s.epoch_of(2), 2)
    assert (1, 1) == (len(second.stored), len(second.missing))
    assert {"bob/phone"} == {str(e) for e in s.audience.progress(s.epoch_of(3), 3).excused}


def test_progress_leaves_the_senders_own_devices_out():
    s = out_stream(1, member(0), member(1, "tablet", user="alice"))
    settle(s, 1, 1, 1)
    progress = s.audience.progress(s.epoch_of(1), 1)
    assert (0, {"bob/phone"}) == (len(progress.delivered), {str(e) for e in progress.missing})
