"""What DELIVERED of a group message claims is held against what was committed."""

import pytest

from udpim.im import records as r
from udpim.model import Endpoint, MessageState, MsgId, StreamId
from udpim.testing.clock import VirtualClock
from udpim.testing.group_truth import committed_at, i3_groups
from udpim.testing.history import History

STREAM = StreamId("alice", "phone", 7, "#g")
ONE = MsgId(STREAM, 1)
BOB, LAPTOP = Endpoint("bob", "phone"), Endpoint("bob", "laptop")
CAROL, TABLET = Endpoint("carol", "phone"), Endpoint("alice", "tablet")


def group(*endpoints):
    """A group of these, and alice's message to it."""
    h = History(VirtualClock())
    h.store_epoch = 5
    h.lines[5].apply(r.PutGroup(r.GroupRecord("#g", "alice", 1, 9)), h.tick())
    for ordinal, endpoint in enumerate(endpoints):
        h.lines[5].apply(r.PutMember(r.MemberRecord("#g", *endpoint, ordinal, 1)), h.tick())
    h.on_send(STREAM, 1, [b"one"])
    h.epochs[ONE] = 1
    return h


def commit(h, *endpoints):
    for endpoint in endpoints:
        h.commits[(endpoint, 9), ONE].append(h.tick())


def void(h, *endpoints):
    for endpoint in endpoints:
        h.voided[(endpoint, 9), ONE] = h.tick()


def leave(h, *endpoints):
    for endpoint in endpoints:
        h.lines[5].apply(r.PutGroup(r.GroupRecord("#g", "alice", 2, 9)), h.order)
        h.lines[5].apply(r.DropMember("#g", *endpoint), h.tick())


def shown(h, state=MessageState.DELIVERED):
    h.on_shown(ONE, state, 1)
    return list(i3_groups(h))


@pytest.mark.parametrize("done", [commit, void, leave], ids=lambda function: function.__name__)
def test_delivered_is_true_once_every_user_has_it_or_never_will(done):
    h = group(BOB, LAPTOP, CAROL, TABLET)
    commit(h, LAPTOP)
    done(h, CAROL)
    assert [] == shown(h)


def test_delivered_is_a_lie_while_somebody_lacks_it():
    h = group(BOB, CAROL)
    commit(h, BOB)
    (story,) = shown(h)
    assert "carol" in story


@pytest.mark.parametrize("done", [commit, void, leave], ids=lambda function: function.__name__)
def test_delivered_is_a_lie_when_it_came_before(done):
    h = group(BOB, CAROL)
    commit(h, BOB)
    h.on_shown(ONE, MessageState.DELIVERED, 1)
    done(h, CAROL)
    assert 1 == len(list(i3_groups(h)))


def test_the_senders_own_devices_are_not_asked():
    h = group(BOB, TABLET)
    commit(h, BOB)
    assert [] == shown(h)


def test_other_states_claim_nothing_of_everybody():
    h = group(BOB, CAROL)
    commit(h, BOB)
    assert [] == shown(h, MessageState.STORED)


def test_direct_messages_are_judged_elsewhere():
    h = group(BOB)
    direct = MsgId(STREAM._replace(conversation="bob"), 1)
    h.on_send(direct.stream, 1, [b"x"])
    h.on_shown(direct, MessageState.DELIVERED, 1)
    assert [] == list(i3_groups(h))


def test_the_first_commit_that_counts_is_when_it_was_delivered():
    h = group(BOB, LAPTOP, TABLET)
    commit(h, TABLET)
    assert {} == committed_at(h)
    commit(h, LAPTOP, BOB)
    ((_, orders),) = [item for item in h.commits.items() if item[0][0][0] == LAPTOP]
    assert {ONE: orders[0]} == committed_at(h)
