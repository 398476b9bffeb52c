"""The connection ids of both ends, and how many of them there may be."""

import pytest

from tests.hop.ids import cid_of, new_queue, remote_ids, steering, token_of
from udpim.hop.cids import CIDS_MAX, RETIRING_MAX, SEQUENCES_MAX, LocalIds
from udpim.wire.frames import NEW_CID, RETIRE_CID

FIRST = b"our-0000"


class Issuer:
    """Ids that count up; ``left`` says how many there are."""

    def __init__(self, left=1000):
        self.left, self.count = left, 0

    def __call__(self):
        if self.count == self.left:
            return None
        self.count += 1
        return b"our-%04d" % self.count, b"reset token %04d" % self.count


@pytest.fixture
def queue():
    return new_queue()[0]


@pytest.fixture
def local(queue):
    return LocalIds(FIRST, Issuer(), queue)


# Ours.


def test_the_peer_is_given_as_many_ids_as_it_may_have(local, queue):
    local.offer()
    local.offer()
    assert local.active == (FIRST, b"our-0001", b"our-0002", b"our-0003")
    expected = {(NEW_CID, n, b"our-%04d" % n, b"reset token %04d" % n) for n in range(1, CIDS_MAX)}
    assert expected == set(steering(queue))


def test_an_owner_without_ids_to_spare_offers_none(queue):
    local = LocalIds(FIRST, Issuer(left=1), queue)
    local.offer()
    assert local.active == (FIRST, b"our-0001")


def test_an_id_given_back_is_forgotten_and_made_up_for(local, queue):
    local.offer()
    before = local.active
    assert local.on_retired(0) is None
    assert before != local.active == (b"our-0001", b"our-0002", b"our-0003")
    local.offer()
    assert b"our-0004" in local.active


def test_an_id_given_back_twice_is_forgotten_once(local):
    local.offer()
    assert local.on_retired(2) is None
    left = local.active
    assert local.on_retired(2) is None
    assert left is local.active


@pytest.mark.parametrize("sequence", [4, 5, 2**31])
def test_what_was_never_given_out_cannot_be_given_back(local, sequence):
    local.offer()
    assert local.on_retired(sequence) is not None


def test_only_the_first_packet_to_a_spare_id_is_news(local):
    local.offer()
    assert not local.is_first_use(FIRST)
    assert [True, False] == [local.is_first_use(b"our-0002") for _ in range(2)]
    local.on_retired(3)
    assert not local.is_first_use(b"our-0003")


# The peer's.


def test_spare_ids_are_taken_in_the_order_in_which_they_came():
    ids, _, _ = remote_ids()
    for sequence in (2, 1):
        ids.on_new(sequence, cid_of(sequence), token_of(sequence))
    taken = ids.take()
    assert (taken.cid, taken.reset_token) == (cid_of(2), token_of(2))


def test_an_id_that_comes_again_counts_once():
    ids, _, _ = remote_ids(spare=2)
    assert ids.on_new(1, cid_of(1), token_of(1)) is None
    assert ids.spare == 2


def test_an_id_that_comes_again_after_it_was_retired_stays_retired():
    ids, _, _ = remote_ids(spare=1)
    ids.give_back(ids.take())
    assert ids.on_new(1, cid_of(1), token_of(1)) is None
    assert (ids.spare, ids.take()) == (0, None)


def test_a_client_has_no_reset_tokens():
    ids, _, _ = remote_ids()
    ids.on_new(1, cid_of(1), b"")
    assert ids.take().reset_token is None


def test_the_id_in_use_changes_and_the_one_before_is_retired():
    ids, queue, stats = remote_ids(spare=1)
    ids.switch(ids.take())
    assert ids.current == (1, cid_of(1), token_of(1))
    assert [(RETIRE_CID, 0)] == steering(queue)
    assert (stats.cids_changed, stats.cids_short) == (1, 0)


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_more_ids_than_are_asked_for_are_refused_whether_taken_or_spare(taken):
    ids, _, _ = remote_ids(spare=3)
    for _ in range(taken):
        ids.take()
    assert ids.on_new(4, cid_of(4), token_of(4)) is not None


def test_an_id_far_ahead_of_a_missing_one_is_refused():
    ids, _, _ = remote_ids()
    assert ids.on_new(1 + SEQUENCES_MAX, cid_of(1), token_of(1)) is not None


def test_ids_are_not_changed_while_too_many_wait_to_be_given_back():
    """The peer acks nothing, and has an id for each that we gave up."""
    ids, queue, stats = remote_ids()
    for sequence in range(1, 100):
        if ids.on_new(sequence, cid_of(sequence), token_of(sequence)) is not None:
            break
        taken = ids.take()
        if taken is not None:
            ids.switch(taken)
    assert queue.in_flight_frames == RETIRING_MAX
    assert stats.cids_changed == RETIRING_MAX
    steering(queue, acked=True)
    ids.switch(ids.take())
    assert queue.in_flight_frames == 1
