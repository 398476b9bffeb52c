"""What a group's tally means to its sender: verdicts by ordinal, taken with care."""

import pytest

from tests.im.helpers import DURABLE, EPOCH, GROUP, Sender, member
from udpim.im.tally import DELIVERED, EXCUSED, STORED, VOID
from udpim.model import MessageState
from udpim.wire.im_packets import Tally, TallyEntry

BOB, CAROL = member(0), member(1, "c", user="carol", joined=2)
TABLET = member(2, "tablet", user="alice", joined=3)


def met(*payloads, members=(BOB, CAROL)):
    a = Sender()
    stream = a.met(*(payloads or (b"1", b"2", b"3")), to="#g", members=members)
    assert GROUP == stream.id
    return a, stream


def entry(verdict, *ranges, ordinals=(0,)):
    first = min(ordinals)
    return TallyEntry(verdict, ranges, first, sum(1 << (n - first) for n in ordinals))


def tally(a, stream, *entries, as_of=9, store_epoch=EPOCH):
    a.outbox.receive_tally(stream, Tally(1, None, store_epoch, as_of, entries))


def test_a_group_shows_delivered_when_every_user_has_it():
    a, stream = met()
    tally(a, stream, entry(DELIVERED, (1, 3)))
    assert [] == a.changes()
    tally(a, stream, entry(DELIVERED, (1, 2), ordinals=(1,)))
    assert ["1-2 DELIVERED"] == a.changes()
    assert (3, MessageState.PENDING) == (stream.floor, stream.state(3))


def test_many_speak_at_once():
    a, stream = met()
    tally(
        a,
        stream,
        entry(DELIVERED, (1, 1), ordinals=(0, 1)),
        entry(VOID, (2, 2), ordinals=(0, 1)),
        entry(EXCUSED, (3, 3), ordinals=(0, 1)),
    )
    assert ["1-1 DELIVERED", "2-2 VOID", "3-3 EXCUSED"] == sorted(a.changes())
    assert 4 == stream.floor


def test_what_is_excused_below_the_floor_is_not_kept():
    a, stream = met()
    tally(a, stream, entry(DELIVERED, (1, 2), ordinals=(0, 1)))
    tally(a, stream, entry(EXCUSED, (1, 3), ordinals=(0, 1)))
    assert ["1-2 DELIVERED", "3-3 EXCUSED"] == sorted(a.changes())
    assert [[(3, 3)]] * 2 == [list(view.excused) for view in stream.audience.views]


def test_a_group_shows_stored_when_everybody_has_it_at_least_stored():
    a, stream = met()
    tally(a, stream, entry(DELIVERED, (1, 2)), entry(STORED, (2, 3), ordinals=(1,)))
    assert ["2-2 STORED"] == a.changes()
    assert [(2, 2)] == stream.covered.within(1, 3)
    tally(a, stream, entry(DELIVERED, (2, 2), ordinals=(1,)))
    assert ["2-2 DELIVERED"] == a.changes()


def test_a_void_never_follows_the_same_devices_delivered():
    a, stream = met()
    tally(a, stream, entry(DELIVERED, (1, 1)))
    tally(a, stream, entry(VOID, (1, 2)))
    assert [(2, 2)] == list(stream.audience.view(0).void)
    assert [(1, 1)] == list(stream.audience.view(0).delivered)


def test_an_own_devices_verdict_shows_nothing():
    a, stream = met(members=(BOB, CAROL, TABLET))
    tally(a, stream, entry(DELIVERED, (1, 1), ordinals=(2,)))
    assert [] == a.changes()
    tally(a, stream, entry(DELIVERED, (1, 1), ordinals=(0, 1)))
    assert ["1-1 DELIVERED"] == a.changes()
    tally(a, stream, entry(DELIVERED, (2, 2), ordinals=(0, 1)))
    assert ["2-2 DELIVERED"] == a.changes()
    assert 2 == stream.floor, "the tablet is waited for, and has no say"


@pytest.mark.parametrize(("as_of", "taken"), [(4, False), (5, True), (9, True)])
def test_a_tally_from_before_a_new_incarnation_is_not_about_it(as_of, taken):
    """Whatever says DELIVERED as of an older change was said by the incarnation before (R7)."""
    a, stream = met()
    renewed = BOB._replace(incarnation=DURABLE | 9, renewed=5)
    a.members(stream, renewed, CAROL, epoch=2)
    tally(a, stream, entry(DELIVERED, (1, 1), ordinals=(0, 1)), as_of=as_of)
    assert taken == (["1-1 DELIVERED"] == a.changes())
    assert taken == (a.outbox.drops == {})
    assert [(1, 1)] == list(stream.audience.view(1).delivered), "carol is the same"


def test_unknown_ordinals_and_other_stores_are_dropped():
    a, stream = met()
    tally(a, stream, entry(DELIVERED, (1, 1), ordinals=(0, 7, 60_000)))
    tally(a, stream, entry(DELIVERED, (1, 1), ordinals=(1,)), store_epoch=EPOCH + 1)
    assert [] == a.changes()
    assert {"verdict of an unknown incarnation": 2, "tally of another store": 1} == a.outbox.drops


@pytest.mark.parametrize("verdict", [DELIVERED, VOID, EXCUSED, STORED])
def test_a_verdict_for_a_seq_that_was_never_used_is_not_taken(verdict):
    a, stream = met()
    tally(a, stream, entry(verdict, (1, 1), (4, 4), ordinals=(0, 1)))
    assert [] == a.changes()
    assert {"verdict for a seq that was never used": 1} == a.outbox.drops
    # Only an endpoint can know of a seq that this store has forgotten; the server may be lying.
    assert (verdict != STORED) == a.outbox.rolled_back


def test_of_an_older_incarnation_it_proves_nothing():
    a, stream = met()
    a.outbox.new_incarnation(stream.id.incarnation + 1, 0.0)
    tally(a, stream, entry(DELIVERED, (9, 9)))
    assert not a.outbox.rolled_back
    tally(a, stream, entry(DELIVERED, (1, 9), ordinals=(0, 1)))
    assert ["1-3 DELIVERED"] == a.changes()


def test_what_is_offered_from_below_floor_brings_the_floor_to_the_members():
    a, stream = met()
    tally(a, stream, entry(DELIVERED, (1, 2), ordinals=(0, 1)))
    a.changes()
    a.packets()
    tally(a, stream, entry(DELIVERED, (1, 1), ordinals=(1,)))
    assert ["status 2-2"] == a.told()
