"""Those who come and those who leave (R2, R5)."""

import pytest

from tests.im.helpers import (
    ALICE,
    CAROL,
    DURABLE,
    GROUP,
    INC,
    LAPTOP,
    PHONE,
    STREAM,
    TABLET,
    Server,
    of,
    run_of,
)
from udpim.im.records import PutDevice, PutMeta
from udpim.im.router import CHANGES, SEEN_S
from udpim.im.tally import DELIVERED, STORED, VOID
from udpim.model import Endpoint
from udpim.wire.im_packets import CancelN, Gone, Members, MsgN, Refuse


def grouped(*endpoints, **config):
    """A server with a group of alice and bob, and the sessions of these."""
    s = Server(**config)
    sessions = [s.login(endpoint) for endpoint in endpoints or (ALICE, PHONE)]
    s.group(*dict.fromkeys(e.user for e in endpoints or (ALICE, PHONE)))
    return s, *sessions


# --- Coming ---


def test_a_change_and_its_number_are_durable_together():
    s = Server()
    record = s.router.registry.logged_in(PHONE, DURABLE | 1, 1)
    s.router.register(record, lambda ok: None)
    assert [PutMeta(CHANGES, (1).to_bytes(8, "big")), PutDevice(record)] == s.begin()


def test_a_login_as_before_takes_no_number():
    s = Server()
    s.login(PHONE)
    record = s.router.registry.logged_in(PHONE, DURABLE | 1, 2)
    s.router.register(record, lambda ok: None)
    assert [PutDevice(record)] == s.begin()
    s.finish()
    assert record == s.router.registry.get(PHONE)


def test_a_new_device_is_in_its_users_groups_with_its_login():
    s, _, _ = grouped()
    record = s.router.registry.logged_in(LAPTOP, DURABLE | 1, 9)
    s.router.register(record, lambda ok: None)
    s.begin()
    assert LAPTOP not in s.router.groups.get("#g").lines
    s.finish()
    line = s.router.groups.get("#g").lines[LAPTOP]
    assert (2, record.joined) == (line.ordinal, line.joined)
    assert LAPTOP in s.restart().router.groups.get("#g").lines


def test_a_login_that_did_not_become_durable_brings_nobody():
    s, _, _ = grouped()
    said = []
    s.router.register(s.router.registry.logged_in(LAPTOP, DURABLE | 1, 9), said.append)
    s.begin()
    s.finish(ok=False)
    assert [False] == said
    assert LAPTOP not in s.router.groups.get("#g").lines
    assert s.router.registry.get(LAPTOP) is None
    before = s.router.registry.changes
    s.login(LAPTOP)
    assert s.router.registry.get(LAPTOP).joined > before, "or it would be due older messages"
    assert LAPTOP in s.router.groups.get("#g").lines


def test_a_new_incarnation_is_told_to_who_writes_to_a_group():
    s, alice, phone = grouped()
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.hop_acks(alice)
    s.logout(phone)
    s.login(PHONE, DURABLE | 9)
    (members,) = of(Members, s.hop_acks(alice))
    assert not members.whole
    (line,) = members.members
    assert (PHONE, DURABLE | 9, members.epoch + 1) == (
        line.endpoint,
        line.incarnation,
        line.renewed,
    )


def test_a_new_incarnation_is_told_at_once_to_everybody_who_has_written():
    s, alice, phone = grouped()
    s.msg(alice, run_of(1, 1))
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.hop_acks(alice)
    s.logout(phone)
    s.login(PHONE, DURABLE | 9)
    told = of(Members, s.hop_acks(alice))
    assert [(True, DURABLE | 9), (False, DURABLE | 9)] == [
        (packet.whole, packet.members[0].incarnation) for packet in told
    ]
    s.logout(s.router.sessions[PHONE])
    s.login(PHONE, DURABLE | 9)
    assert [] == of(Members, s.hop_acks(alice)), "a login as before"


@pytest.mark.parametrize(
    ("incarnation", "told"),
    [
        (1, [(DELIVERED, 1, (1, 1)), (VOID, 1, (3, 3)), (STORED, 1, (2, 2))]),
        (9, [(STORED, 1, (2, 2))]),
    ],
)
def test_what_an_older_incarnation_said_is_not_told_any_more(incarnation, told):
    s, alice, phone = grouped(ALICE, PHONE, CAROL)[:3]
    s.msg(alice, run_of(1, 3), stream=GROUP)
    s.ack(phone, (1, 1), void=((3, 3),), stream=GROUP)
    s.logout(phone)
    s.login(PHONE, DURABLE | incarnation)
    assert told == s.tallied(alice)


def test_a_login_that_leaves_nothing_open_ends_the_older_streams():
    s, alice, phone = grouped()
    s.msg(alice, run_of(1, 1))
    s.logout(alice)
    s.ack(phone, (1, 1))
    s.commit()
    phone.frames.clear()
    s.logout(s.login(ALICE, INC + 1, continues=True))
    assert (1, []) == (len(s.router.receipts), phone.frames)
    s.login(ALICE, INC + 1)
    assert [STREAM] == [c.name for c in of(CancelN, s.hop_acks(phone))]
    assert 0 == len(s.router.receipts), "nobody asks for it"
    again = s.login(ALICE, INC + 1)
    assert [] == of(CancelN, s.hop_acks(phone)), "said once"
    assert again is s.router.sessions[ALICE]


# --- Leaving a group ---


def test_what_waits_for_a_leaver_is_deleted_and_the_leaver_told():
    s, alice, phone, laptop = grouped(ALICE, PHONE, LAPTOP)
    s.msg(alice, run_of(1, 2), stream=GROUP)
    s.msg(alice, run_of(1, 1))
    s.logout(laptop)
    assert 2 == len(s.router.queue.streams(LAPTOP))
    before = s.router.delivery.pushed_bytes
    s.leave("bob")
    assert [GROUP] == [gone.name for gone in of(Gone, s.hop_acks(phone))]
    assert [STREAM] == list(s.router.queue.streams(LAPTOP)), "a direct message waits on"
    assert 1 == phone.unreceipted
    assert s.router.delivery.pushed_bytes < before
    assert [STREAM] == list(s.restart().router.queue.streams(LAPTOP))


def test_a_leavers_receipts_are_forgotten_in_that_group_only():
    s, alice, phone = grouped()
    s.logout(alice)
    s.ack(phone, (1, 1), stream=GROUP)
    s.ack(phone, (1, 1))
    s.commit()
    s.leave("bob")
    assert s.router.receipts.find(GROUP, PHONE) is None
    assert s.router.receipts.find(STREAM, PHONE) is not None


def test_whoever_waits_for_a_leaver_is_told_at_once():
    s, alice, _phone = grouped()
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.msg(alice, run_of(1, 1))
    s.hop_acks(alice)
    s.leave("bob")
    (members,) = of(Members, s.hop_acks(alice))
    assert [(PHONE, members.epoch)] == [(m.endpoint, m.left) for m in members.members]


def test_a_leave_that_did_not_become_durable_is_none():
    s, alice, phone = grouped()
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.hop_acks(alice), s.hop_acks(phone)
    said = []
    s.router.memberships.leave("#g", "bob", said.append)
    s.begin()
    s.finish(ok=False)
    assert ([False], [], []) == (said, phone.frames, alice.frames)
    assert PHONE in s.router.groups.get("#g").lines
    s.leave("bob")
    assert PHONE not in s.router.groups.get("#g").lines, "the second time it is not done already"


def test_a_leaver_may_end_what_it_began_and_begins_nothing():
    s, alice, phone = grouped(ALICE, PHONE, CAROL)[:3]
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.hop_acks(alice), s.hop_acks(phone)
    s.leave("alice")
    s.hop_acks(alice)
    s.msg(alice, run_of(2, 2), stream=GROUP)
    assert ["NOT_MEMBER"] == [r.code.name for r in of(Refuse, s.hop_acks(alice))]
    s.cancel(alice, (1, 1), stream=GROUP)
    assert [((1, 1),)] == [c.ranges for c in of(CancelN, s.hop_acks(phone))]
    s.ack(phone, (1, 1), stream=GROUP)
    assert [(DELIVERED, 1, (1, 1))] == s.tallied(alice)


def test_who_comes_back_gets_what_is_sent_from_then_on():
    s, alice, phone = grouped(ALICE, PHONE, CAROL)[:3]
    old = s.epoch(GROUP)
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.leave("bob")
    s.hop_acks(phone)
    s.group("bob")
    s.msg(alice, run_of(1, 2), runs=((1, old), (2, s.epoch(GROUP))), stream=GROUP)
    (push,) = of(MsgN, s.hop_acks(phone))
    assert (2, 2, 2) == (push.base, push.section.first, push.section.last)


# --- Retiring ---


def retired(s, *online, unseen_s=100):
    """Let time pass until who is not online was not seen for too long."""
    s.router.age_s += unseen_s + 1
    for session in online:
        s.router.registry.seen(session.endpoint, s.router.age_s)
    count = s.router.memberships.retire_unseen(s.router.age_s, unseen_s)
    s.commit()
    return count


def test_a_device_that_was_not_seen_for_too_long_is_retired_and_nobody_waits_for_it():
    s, alice, _phone, laptop = grouped(ALICE, PHONE, LAPTOP)
    s.logout(laptop)
    s.msg(alice, run_of(1, 1))
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.commit()
    s.hop_acks(alice)
    assert 1 == retired(s)
    assert s.router.registry.get(LAPTOP) is None
    assert {ALICE, PHONE} == s.router.groups.get("#g").lines.keys()
    assert [] == list(s.router.queue.streams(LAPTOP))
    told = of(Members, s.hop_acks(alice))
    assert [(True, [PHONE]), (False, [LAPTOP])] == [
        (packet.whole, [line.endpoint for line in packet.members]) for packet in told
    ]
    again = s.restart()
    assert again.router.registry.get(LAPTOP) is None
    assert 0 == again.router.memberships.retire_unseen(10**9, 10**9), "it is not retired twice"


def test_who_is_online_or_was_seen_lately_is_not_retired():
    s, _alice, phone = grouped()
    retire, later_s = s.router.memberships.retire_unseen, 2 * SEEN_S
    assert 0 == retire(later_s, 100)
    s.router.age_s = later_s
    s.logout(phone)
    assert 0 == retire(later_s + 100, 100), "its session was there until now"
    assert 1 == retire(later_s + 101, 100)
    assert 0 == retire(later_s + 101, 100), "it is on its way"


def test_a_retirement_that_did_not_become_durable_is_none():
    s, _alice, phone = grouped()
    s.logout(phone)
    s.router.memberships.retire_unseen(1000, 100)
    s.begin()
    s.finish(ok=False)
    assert s.router.registry.get(PHONE) is not None
    assert PHONE in s.router.groups.get("#g").lines
    assert 1 == s.router.memberships.retire_unseen(1000, 100), "it is tried again"


def test_receipts_of_and_for_a_retired_device_are_forgotten():
    s, alice, phone, carol = grouped(ALICE, PHONE, CAROL)
    s.logout(alice)
    s.ack(phone, (1, 1))
    s.ack(carol, (1, 1), stream=STREAM._replace(conversation="carol"))
    s.commit()
    s.logout(phone)
    assert 2 == retired(s, carol)
    assert 0 == len(s.router.receipts) == len(s.restart().router.receipts)


def test_who_writes_learns_that_an_own_device_was_retired():
    s, alice, _phone, tablet = grouped(ALICE, PHONE, TABLET)
    s.msg(alice, run_of(1, 1))
    s.hop_acks(alice)
    s.logout(tablet)
    assert 1 == retired(s)
    (members,) = of(Members, s.hop_acks(alice))
    assert [PHONE] == [line.endpoint for line in members.members]


def test_a_retired_name_registers_anew_with_another_ordinal():
    s, _alice, phone, _laptop = grouped(ALICE, PHONE, LAPTOP)
    s.logout(phone)
    retired(s)
    s.login(PHONE, DURABLE | 1)
    record = s.router.registry.get(PHONE)
    assert (2, (), 0) == (record.ordinal, record.retired, record.left)
    assert 3 == s.router.groups.get("#g").lines[PHONE].ordinal
    line = s.router.conversations.line(STREAM, PHONE)
    assert (4, record.joined, record.joined) == (line.ordinal, line.joined, line.renewed)


@pytest.mark.parametrize("what", ["present", "gone"])
def test_rows_that_a_leave_was_too_late_for_go_at_the_next_start(what):
    s, alice, phone = grouped()
    s.logout(phone)
    s.msg(alice, run_of(1, 1), stream=GROUP)
    s.commit()
    if what == "gone":
        ops = s.router.groups.leave("#g", "bob")
        s.state.apply(ops)  # and the server dies before the rows are deleted
    again = s.restart()
    again.commit()
    assert (what == "present") == (GROUP in again.router.queue.streams(PHONE))
    assert (what == "present") == bool(again.state.server_snapshot().queue)


def test_of_a_conversation_that_there_is_not_nothing_is_told():
    s = Server()
    alice = s.login(ALICE)
    to_nobody = STREAM._replace(conversation="nobody")
    s.msg(alice, run_of(1, 1), stream=to_nobody)
    told = len(alice.frames)
    s.login(Endpoint("alice", "another"))
    assert [] == [packet for packet, _ in alice.frames[told:] if isinstance(packet, Members)]
