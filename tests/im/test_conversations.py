"""Who belongs to a conversation: one answer for both kinds (R2)."""

import pytest

from tests.im.helpers import ALICE, CAROL, DURABLE, GROUP, LAPTOP, PHONE, STREAM, TABLET, Server
from udpim.im import groups as groups_
from udpim.model import Endpoint, RejectCode

ONESELF = STREAM._replace(conversation="alice")


def server(*endpoints):
    s = Server()
    for endpoint in endpoints:
        s.login(endpoint)
    return s


def lines(s, stream):
    present = s.router.conversations.present(stream)
    return [(*line.endpoint, line.ordinal) for line in present]


# --- Direct ones ---


def test_a_direct_one_has_the_recipients_devices_and_the_senders_other_ones():
    s = server(ALICE, PHONE, TABLET, LAPTOP, CAROL)
    assert [("bob", "phone", 0), ("bob", "laptop", 2), ("alice", "tablet", 3)] == lines(s, STREAM)
    from_tablet = STREAM._replace(device="tablet")
    assert [("bob", "phone", 0), ("bob", "laptop", 2), ("alice", "a", 1)] == lines(s, from_tablet)


def test_a_message_to_oneself_is_due_to_the_other_devices():
    s = server(ALICE, TABLET)
    assert [("alice", "tablet", 2)] == lines(s, ONESELF)
    assert s.router.conversations.refusal(ONESELF) is None


def test_one_line_is_that_of_the_whole():
    s = server(ALICE, PHONE, TABLET, CAROL)
    line = s.router.conversations.line
    assert list(s.router.conversations.present(STREAM)) == [
        line(STREAM, PHONE),
        line(STREAM, TABLET),
    ]
    assert line(STREAM, CAROL) is None
    assert line(STREAM, LAPTOP) is None
    assert 2 == line(ONESELF, TABLET).ordinal


def test_a_direct_ones_epoch_is_its_last_join_on_either_side():
    s = server(ALICE, PHONE)
    of = s.router.conversations
    assert (2, 2) == (of.epoch(STREAM), of.number(STREAM))
    s.login(TABLET)
    assert (3, 3) == (of.epoch(STREAM), of.number(STREAM))
    s.login(PHONE, DURABLE | 9)
    assert (3, 4) == (of.epoch(STREAM), of.number(STREAM)), "nobody joined"
    assert 0 == of.epoch(STREAM._replace(conversation="zoe"))


def test_who_has_no_device_to_send_to_is_refused_for_now_and_who_is_unknown_for_good():
    s = server(ALICE, PHONE)
    refusal = s.router.conversations.refusal
    assert refusal(STREAM) is None
    assert RejectCode.NO_DEVICE == refusal(ONESELF), "there is no other one"
    assert RejectCode.UNKNOWN_RECIPIENT == refusal(STREAM._replace(conversation="zoe"))
    s.router.age_s = 99
    s.logout(s.router.sessions[PHONE])
    s.router.age_s = 200
    s.router.memberships.retire_unseen(200, 150)
    s.commit()
    assert RejectCode.NO_DEVICE == refusal(STREAM), "bob may come back with another one"


def test_a_direct_one_is_always_told_whole():
    s = server(ALICE, PHONE)
    for told in (None, 1, 2):
        whole, told_lines = s.router.conversations.changed_since(STREAM, told)
        assert (True, [PHONE]) == (whole, [line.endpoint for line in told_lines])


# --- Groups ---


def grouped(*users):
    s = server(ALICE, TABLET, PHONE, LAPTOP, CAROL)
    s.group(*(users or ("alice", "bob", "carol")))
    return s


def test_a_group_has_all_devices_of_its_users_but_the_sending_one():
    s = grouped("alice", "bob")
    assert [("alice", "tablet", 1), ("bob", "phone", 2), ("bob", "laptop", 3)] == lines(s, GROUP)
    line = s.router.conversations.line
    assert (0, 2) == (line(GROUP, ALICE).ordinal, line(GROUP, PHONE).ordinal)
    assert line(GROUP, CAROL) is None
    assert line(GROUP._replace(conversation="#none"), PHONE) is None


def test_only_members_write_to_a_group():
    s = grouped("alice", "bob")
    refusal = s.router.conversations.refusal
    assert refusal(GROUP) is None
    assert RejectCode.NOT_MEMBER == refusal(GROUP._replace(user="carol", device="c"))
    assert RejectCode.UNKNOWN_RECIPIENT == refusal(GROUP._replace(conversation="#none"))


def test_a_groups_epoch_rises_with_joins_and_leaves_and_its_number_with_incarnations_too():
    s = grouped("alice", "bob")
    of = s.router.conversations
    before = of.epoch(GROUP)
    assert before == of.number(GROUP)
    s.login(PHONE, DURABLE | 9)
    assert (before, before + 1) == (of.epoch(GROUP), of.number(GROUP))
    s.leave("bob")
    assert before + 2 == of.epoch(GROUP) == of.number(GROUP)
    assert 0 == of.epoch(GROUP._replace(conversation="#none"))


def changed(s, number):
    whole, some = s.router.conversations.changed_since(GROUP, number)
    return whole, [(*line.endpoint, line.left) for line in some]


def test_a_sender_is_told_the_lines_that_changed_since_it_was_told():
    s = grouped("alice", "bob")
    number = s.router.conversations.number(GROUP)
    assert (True, 3) == (changed(s, None)[0], len(changed(s, None)[1]))
    assert (False, []) == changed(s, number)
    s.group("carol")
    assert (False, [("carol", "c", 0)]) == changed(s, number)
    s.login(PHONE, DURABLE | 9)
    assert (False, [("bob", "phone", 0), ("carol", "c", 0)]) == changed(s, number)
    s.leave("carol")
    left = s.router.conversations.epoch(GROUP)
    assert (False, [("bob", "phone", 0), ("carol", "c", left)]) == changed(s, number)
    assert (False, []) == changed(s, left)


def test_whoever_was_told_before_the_leavers_that_are_remembered_is_told_all(monkeypatch):
    monkeypatch.setattr(groups_, "LEFT_LINES_MAX", 1)
    s = server(ALICE, PHONE, CAROL)
    s.group("alice", "bob", "carol")
    s.router.groups.get("#g").left = groups_.deque(maxlen=1)
    number = s.router.conversations.number(GROUP)
    s.leave("bob")
    first = s.router.conversations.epoch(GROUP)
    assert (False, [("bob", "phone", first)]) == changed(s, number)
    s.leave("carol")
    assert (True, []) == changed(s, number), "nobody says any more that bob left"
    assert (False, [("carol", "c", first + 1)]) == changed(s, first)


def test_a_restarted_server_remembers_no_leavers():
    s = grouped("alice", "bob", "carol")
    number = s.router.conversations.number(GROUP)
    s.leave("carol")
    again = s.restart()
    assert changed(again, number)[0], "so whoever was told less is told all"
    assert (False, []) == changed(again, number + 1)


@pytest.mark.parametrize("name", ["lines", "epoch"])
def test_a_group_is_the_same_after_a_restart(name):
    s = grouped("alice", "bob")
    s.login(Endpoint("bob", "watch"))
    again = s.restart()
    look = {"lines": lambda r: sorted(lines(r, GROUP)), "epoch": lambda r: r.epoch(GROUP)}[name]
    assert look(s) == look(again)
    assert 4 == len(lines(again, GROUP)), "the watch joined by its login"
