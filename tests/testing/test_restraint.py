"""Whoever repeats too much, or is answered without having asked, is noticed."""

import pytest

from tests.testing.facts import EPOCH, INCARNATION, RUN, STREAM, frame, msg_r, went_well
from udpim.testing.facts import SERVER
from udpim.testing.restraint import i12_restraint
from udpim.wire import im_packets as p


def sent_again_and_again(h):
    for _ in range(100):
        frame(h, msg_r(), "alice/phone", SERVER)


def answered_without_end(h):
    for _ in range(10):
        frame(h, p.AckA(1, RUN), SERVER, "bob/phone")


@pytest.mark.parametrize("broken", [sent_again_and_again, answered_without_end])
def test_a_broken_fact_is_noticed(broken):
    history = went_well()
    assert [] == list(i12_restraint(history))
    broken(history)
    assert [] != list(i12_restraint(history))


def test_lapsed_stored_and_new_incarnation_make_a_copy_new():
    history = went_well()
    member = p.Member(0, "bob", "phone", INCARNATION, 1, 1, 0)
    for number in range(100):
        frame(history, msg_r(), "alice/phone", SERVER)
        if number % 2:
            packet = p.StatusA(1, STREAM, 0, EPOCH, RUN, ())
        else:
            members = (member._replace(incarnation=number),)
            packet = p.Members(1, STREAM, True, EPOCH, 1, members)
        frame(history, packet, SERVER, "alice/phone")
    assert [story for story in i12_restraint(history) if "re-sent" in story] == []
