"""The oracle's reckoning of who belonged to what, from durable operations alone."""

from tests.im.helpers import ALICE, CAROL, GROUP, LAPTOP, PHONE, STREAM, TABLET, Server
from udpim.im.records import DropMember, GroupRecord, MemberRecord, PutGroup, PutMember
from udpim.model import GroupAction
from udpim.testing.lines import Lines, counts


class Followed(Server):
    """A server whose durable operations are followed."""

    def __init__(self):
        super().__init__()
        self.lines, self.order = Lines(), 0

    def finish(self, *, ok=True):
        self.order += 1
        for op in self.pending[0]:
            self.lines.apply(op, self.order)
        super().finish(ok=ok)


def followed(*endpoints):
    s = Followed()
    for endpoint in endpoints:
        s.login(endpoint)
    return s


def agree(s, stream):
    """Both reckonings of who is due a message that is sent now."""
    mine = s.lines.due(stream, s.epoch(stream))
    theirs = s.router.conversations.present(stream)
    key = {(line.endpoint, line.ordinal, line.joined) for line in mine}
    assert {(line.endpoint, line.ordinal, line.joined) for line in theirs} == key
    for line in mine:
        assert line.endpoint == s.lines.by_ordinal(stream, line.ordinal)
    return [str(line.endpoint) for line in mine]


def test_it_agrees_with_the_server_about_direct_conversations():
    s = followed(ALICE, PHONE, TABLET, CAROL)
    assert ["bob/phone", "alice/tablet"] == agree(s, STREAM)
    assert ["alice/tablet"] == agree(s, STREAM._replace(conversation="alice"))
    assert s.lines.by_ordinal(STREAM, 99) is None


def test_it_agrees_with_the_server_about_groups():
    s = followed(ALICE, PHONE, TABLET, CAROL)
    s.group("alice", "bob")
    assert ["alice/tablet", "bob/phone"] == sorted(agree(s, GROUP))
    before = s.epoch(GROUP)
    s.group("carol")
    s.login(LAPTOP)
    assert 4 == len(agree(s, GROUP))
    assert 2 == len(s.lines.due(GROUP, before)), "who comes later is not due it"
    s.leave("bob")
    assert ["alice/tablet", "carol/c"] == sorted(agree(s, GROUP))
    s.change(GroupAction.JOIN, "#g", "bob")
    s.commit()
    assert 4 == len(agree(s, GROUP))


def test_a_leave_is_dated_and_happens_once():
    s = followed(ALICE, PHONE)
    s.group("alice", "bob")
    s.leave("bob")
    (line,) = [line for line in s.lines.groups["#g"] if line.endpoint == PHONE]
    assert (s.epoch(GROUP), s.order) == (line.left, line.left_order)
    before = line.left_order
    s.lines.apply(DropMember("#g", *PHONE), before + 7)
    assert before == line.left_order


def test_a_retired_device_has_left_and_its_name_has_a_second_line():
    s = followed(ALICE, PHONE)
    s.logout(s.router.sessions[PHONE])
    s.router.memberships.retire_unseen(100, 10)
    s.commit()
    assert [] == s.lines.due(STREAM, s.epoch())
    s.login(PHONE)
    assert [0, 2] == [line.ordinal for line in s.lines.of(STREAM)]
    assert ["bob/phone"] == agree(s, STREAM)
    assert PHONE == s.lines.by_ordinal(STREAM, 0), "old receipts name it still"


def test_users_are_no_lines_of_their_own():
    lines = Lines()
    lines.apply(PutGroup(GroupRecord("#g", "bob", 1, 0)), 1)
    lines.apply(PutMember(MemberRecord("#g", "bob", "", 0, 1)), 1)
    lines.apply(DropMember("#none", *PHONE), 1)
    assert [] == lines.of(GROUP)


def test_the_senders_own_devices_count_only_where_they_are_the_recipients():
    assert [True, False] == [counts(STREAM, endpoint) for endpoint in (PHONE, TABLET)]
    assert [True, False] == [counts(GROUP, endpoint) for endpoint in (PHONE, TABLET)]
    assert counts(STREAM._replace(conversation="alice"), TABLET)
