"""Path validation."""

import random

import pytest

from udpim.hop.path import CHALLENGE_S_MIN, RESPONSES_MAX, PathValidator
from udpim.wire.frames import PATH_CHALLENGE, PATH_RESPONSE, parse_frames

OLD, NEW, OTHER = ("192.0.2.1", 1), ("192.0.2.1", 2), ("192.0.2.9", 3)


@pytest.fixture
def paths():
    return PathValidator(OLD, random.Random(1).randbytes, 38)


def challenge(paths, now=1.0):
    """The one challenge that goes out: (data, address)."""
    ((frame, address),) = paths.frames_to_send(now)
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
    assert {address for _, address in answers} == {OTHER}
    assert paths.frames_to_send(1.0) == []
