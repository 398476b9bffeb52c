"""I7: each packet that promises is noticed when its commit comes later, or never."""

import pytest

from tests.testing.facts import (
    BOB,
    EPOCH,
    INBOX,
    INCARNATION,
    ONE,
    STREAM,
    frame,
    msg_r,
    went_well,
)
from udpim.testing.facts import SERVER
from udpim.testing.promises import by_ordinal, i7_promise_after_durable
from udpim.wire import im_packets as p

SECOND = ((2, 2),)


def row_comes_after_the_message(h):
    h.rows[ONE] = (h.tick(), b"one")


def floor_is_not_durable(h):
    frame(h, msg_r(floor=2), "alice/phone", SERVER)


def delivered_without_a_commit(h):
    frame(h, p.AckR(1, STREAM, False, SECOND, ()), "bob/phone", SERVER)


def void_without_a_record(h):
    frame(h, p.AckR(1, STREAM, False, (), SECOND), "bob/phone", SERVER)


def stored_without_a_row(h):
    packet = p.AckN(1, STREAM, 0, 0, EPOCH, (), (), SECOND, ())
    frame(h, packet, SERVER, "alice/phone")


def stored_tallied_without_a_row(h):
    entry = p.TallyEntry(2, SECOND, 0, 1)
    frame(h, p.Tally(1, STREAM, EPOCH, 1, (entry,)), SERVER, "alice/phone")


def ack_a_before_the_receipt_is_safe(h):
    frame(h, p.AckA(1, SECOND), SERVER, "bob/phone")


def login_before_its_count(h):
    frame(h, p.Login("bob", "phone", b"", INCARNATION, 2), "bob/phone", SERVER)


@pytest.mark.parametrize(
    "broken",
    [
        row_comes_after_the_message,
        floor_is_not_durable,
        delivered_without_a_commit,
        void_without_a_record,
        stored_without_a_row,
        stored_tallied_without_a_row,
        ack_a_before_the_receipt_is_safe,
        login_before_its_count,
    ],
    ids=lambda function: function.__name__.replace("_", " "),
)
def test_early_promise_is_noticed(broken):
    history = went_well()
    broken(history)
    assert list(i7_promise_after_durable(history))


def test_promises_after_their_commits_are_kept():
    history = went_well()
    history.floors[STREAM].append((history.tick(), 2))
    history.voided[INBOX, ONE._replace(seq=2)] = history.tick()
    history.stored[EPOCH, BOB, ONE._replace(seq=2)] = history.tick()
    history.kept[STREAM, BOB, INCARNATION, 2] = history.tick()
    history.logins[BOB][INCARNATION, 2] = history.tick()
    floor_is_not_durable(history)
    void_without_a_record(history)
    stored_without_a_row(history)
    stored_tallied_without_a_row(history)
    ack_a_before_the_receipt_is_safe(history)
    login_before_its_count(history)
    history.rows[ONE._replace(seq=2)] = (0, b"")
    assert list(i7_promise_after_durable(history)) == []


def test_liars_are_not_judged():
    history = went_well()
    history.hostile.add("bob/phone")
    delivered_without_a_commit(history)
    assert list(i7_promise_after_durable(history)) == []


def test_ordinal_of_nobody_is_nobody():
    history = went_well()
    packet = p.AckN(1, STREAM, 4, 0, EPOCH, (), (), SECOND, ())
    assert by_ordinal(history, frame(history, packet, SERVER, "alice/phone")) is None


def test_a_receipt_that_a_tally_brought_is_safe():
    history = went_well()
    entry = p.TallyEntry(0, SECOND, 0, 1)
    tally = frame(history, p.Tally(1, STREAM, EPOCH, 1, (entry,)), SERVER, "alice/phone")
    frame(history, p.AckA(1, SECOND), SERVER, "bob/phone")
    assert [] == list(i7_promise_after_durable(history))
    tally.arrived = history.tick()
    assert 1 == len(list(i7_promise_after_durable(history))), "alice got it later"
