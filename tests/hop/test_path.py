"""Path validation."""

import random

import pytest

from tests.hop.ids import cid_of, remote_ids, steering
from udpim.hop.path import CHALLENGE_S_MIN, RESPONSES_MAX, PathValidator
from udpim.wire.frames import PATH_CHALLENGE, PATH_RESPONSE, RETIRE_CID, parse_frames

OLD, NEW, OTHER = ("192.0.2.1", 1), ("192.0.2.1", 2), ("192.0.2.9", 3)


@pytest.fixture
def paths():
    return PathValidator(OLD, random.Random(1).randbytes, 38, remote_ids()[0])


@pytest.fixture
def with_ids():
    """(paths, the peer's ids, what stats count)."""
    ids, queue, stats = remote_ids(spare=3)
    return PathValidator(OLD, random.Random(1).randbytes, 38, ids), ids, queue, stats


def challenge(paths, now=1.0):
    """The one challenge that goes out: (data, address)."""
    ((frame, address, _),) = paths.frames_to_send(now)
    ((kind, data),) = parse_frames(frame)
    assert kind == PATH_CHALLENGE
    return data, address


def test_packets_on_the_current_path_raise_no_question(paths):
    paths.on_newest_packet(OLD, 100)
    assert paths.frames_to_send(1.0) == []


def test_a_new_address_is_challenged_and_moves_the_path_by_its_answer(paths):
    paths.on_newest_packet(NEW, 100)
    data, address = challenge(paths)
    assert address == NEW
    assert paths.current == OLD, "until the answer"
    assert paths.on_response(data, NEW)
    assert paths.current == NEW
    assert not paths.on_response(data, NEW)


def test_a_wrong_answer_or_one_from_elsewhere_moves_nothing(paths):
    paths.on_newest_packet(NEW, 100)
    data, _ = challenge(paths)
    assert not paths.on_response(bytes(8), NEW)
    assert not paths.on_response(data, OTHER)
    assert paths.current == OLD


def test_the_newest_packet_from_the_old_path_ends_the_question(paths):
    paths.on_newest_packet(NEW, 100)
    data, _ = challenge(paths)
    paths.on_newest_packet(OLD, 100)
    assert not paths.on_response(data, NEW)


def test_another_address_takes_the_candidates_place_with_another_challenge(paths):
    paths.on_newest_packet(NEW, 100)
    first, _ = challenge(paths)
    paths.on_newest_packet(OTHER, 100)
    second, address = challenge(paths)
    assert address == OTHER
    assert first != second


def test_challenges_are_repeated_only_as_the_peers_packets_pay_for_them(paths):
    paths.on_newest_packet(NEW, 40)
    first, _ = challenge(paths, 1.0)
    assert paths.frames_to_send(9.0) == [], "nothing came since"
    paths.on_newest_packet(NEW, 40)
    assert paths.frames_to_send(1.0 + CHALLENGE_S_MIN / 2) == [], "too soon"
    again, _ = challenge(paths, 1.0 + CHALLENGE_S_MIN)
    assert again == first


def test_a_packet_smaller_than_a_challenge_does_not_pay_for_one(paths):
    paths.on_newest_packet(NEW, 32)
    assert paths.frames_to_send(1.0) == []
    paths.on_newest_packet(NEW, 32)
    assert challenge(paths)[1] == NEW


def test_challenges_are_answered_where_they_came_from_and_bounded(paths):
    for index in range(RESPONSES_MAX + 3):
        paths.on_challenge(bytes([index] * 8), OTHER)
    answers = paths.frames_to_send(1.0)
    assert len(answers) == RESPONSES_MAX
    assert parse_frames(answers[0][0]) == [(PATH_RESPONSE, bytes(8))]
    assert {address for _, address, _ in answers} == {OTHER}
    assert paths.frames_to_send(1.0) == []


# Which id goes where.


def test_the_current_path_keeps_the_id_of_the_handshake(with_ids):
    paths, ids, _, stats = with_ids
    assert paths.id_for(OLD) == ids.current.cid == cid_of(0)
    assert (ids.spare, stats.cids_short) == (3, 0)


def test_a_candidate_has_an_id_of_its_own_for_all_its_challenges(with_ids):
    paths, ids, _, _ = with_ids
    paths.on_newest_packet(NEW, 100)
    ((_, _, first),) = paths.frames_to_send(1.0)
    ((_, _, again),) = paths.frames_to_send(2.0)
    assert first == again == cid_of(1)
    assert paths.id_for(OLD) == cid_of(0), "until the answer"
    assert ids.spare == 2


def test_the_new_path_goes_on_under_the_id_of_its_challenge_and_the_old_one_is_retired(with_ids):
    paths, ids, queue, stats = with_ids
    paths.on_newest_packet(NEW, 100)
    data, _ = challenge(paths)
    assert paths.on_response(data, NEW)
    assert paths.id_for(NEW) == ids.current.cid == cid_of(1)
    assert [(RETIRE_CID, 0)] == steering(queue)
    assert stats.cids_changed == 1


def test_an_abandoned_address_keeps_its_id_until_another_one_needs_one(with_ids):
    paths, ids, queue, _ = with_ids
    paths.on_newest_packet(NEW, 100)
    challenge(paths)
    paths.on_newest_packet(OLD, 100)
    paths.on_newest_packet(NEW, 100)
    challenge(paths)
    assert (ids.spare, steering(queue)) == (2, []), "the same address, the same id"
    paths.on_newest_packet(OTHER, 100)
    assert cid_of(2) == paths.frames_to_send(1.0)[0][2]
    assert [(RETIRE_CID, 1)] == steering(queue)


def test_an_answer_goes_under_the_id_of_its_address(with_ids):
    paths, _, _, _ = with_ids
    for path in (OLD, OTHER):
        paths.on_challenge(bytes(8), path)
    assert [cid_of(0), cid_of(1)] == [cid for _, _, cid in paths.frames_to_send(1.0)]


def test_without_a_spare_id_the_old_one_stays_and_that_is_counted():
    ids, queue, stats = remote_ids()
    paths = PathValidator(OLD, random.Random(1).randbytes, 38, ids)
    paths.on_newest_packet(NEW, 100)
    data, _ = challenge(paths)
    assert paths.on_response(data, NEW)
    assert paths.id_for(NEW) == cid_of(0)
    paths.leave()
    assert (paths.current, ids.current.cid) == (NEW, cid_of(0))
    assert (stats.cids_short, stats.cids_changed, steering(queue)) == (3, 0, [])


def test_another_address_may_take_the_candidates_id_without_stopping_it(with_ids):
    paths, ids, _, _ = with_ids
    paths.on_newest_packet(NEW, 100)
    data, _ = challenge(paths)
    paths.on_challenge(bytes(8), OTHER)
    paths.frames_to_send(1.0)
    assert paths.on_response(data, NEW)
    assert ids.current.cid == cid_of(3)


def test_who_leaves_goes_on_under_another_id(with_ids):
    paths, ids, queue, _ = with_ids
    paths.leave()
    assert (paths.current, ids.current.cid) == (OLD, cid_of(1)), "the peer is where it was"
    assert [(RETIRE_CID, 0)] == steering(queue)
