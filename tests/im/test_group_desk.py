"""What users ask of groups, who may, and what becomes of it."""

import pytest

from tests.im.helpers import ALICE, CAROL, GROUP, LAPTOP, PHONE, Server, of
from udpim.im.group_desk import GroupRequest
from udpim.im.groups import GROUP_LINES_MAX
from udpim.model import GroupAction, GroupCode
from udpim.wire.im_codec import encode
from udpim.wire.im_packets import GroupA, GroupR, Member, Members

CREATE, JOIN, LEAVE, LIST = GroupAction
DONE, BUSY = GroupCode.DONE, GroupCode.BUSY


class Desk(Server):
    """A server with alice, bob and carol logged in."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.logged_in = {e.user: self.login(e) for e in (ALICE, PHONE, CAROL)}

    def ask(self, who, action, group="", user=""):
        """Look at a request, authorise it by default, carry it out; returns the answers."""
        session, desk = self.logged_in[who], self.router.desk
        request = desk.read(session, GroupR(7, action, group, user))
        if request is not None:
            if desk.allowed_by_default(request):
                desk.carry_out(session, 7, request)
            else:
                desk.answer(session, 7, GroupCode.FORBIDDEN)
        self.commit()
        return [(a.request, GroupCode(a.code), a.names) for a in of(GroupA, self.hop_acks(session))]

    def code(self, *asked):
        ((request, code, names),) = self.ask(*asked)
        assert (7, ()) == (request, names)
        return code

    def names(self, *asked):
        ((_, code, names),) = self.ask(*asked)
        assert DONE == code
        return list(names)


def test_a_group_is_created_joined_listed_and_left():
    s = Desk()
    assert DONE == s.code("alice", CREATE, "#g")
    assert DONE == s.code("bob", JOIN, "#g")
    assert ["alice", "bob"] == s.names("bob", LIST, "#g")
    assert ["#g"] == s.names("bob", LIST)
    assert DONE == s.code("bob", LEAVE, "#g")
    assert [] == s.names("bob", LIST)
    assert ["alice"] == s.names("alice", LIST, "#g")


def test_nobody_is_told_before_it_is_durable():
    s = Desk()
    session, desk = s.logged_in["alice"], s.router.desk
    request = desk.read(session, GroupR(7, CREATE, "#g", ""))
    assert GroupRequest("alice", "a", CREATE, "#g", "alice") == request
    desk.carry_out(session, 7, request)
    s.begin()
    assert [] == of(GroupA, s.hop_acks(session))
    s.finish()
    assert [DONE] == [a.code for a in of(GroupA, s.hop_acks(session))]


def test_what_did_not_become_durable_is_asked_again_later():
    s = Desk()
    session, desk = s.logged_in["alice"], s.router.desk
    desk.carry_out(session, 7, desk.read(session, GroupR(7, CREATE, "#g", "")))
    s.begin()
    s.finish(ok=False)
    assert [BUSY] == [a.code for a in of(GroupA, s.hop_acks(session))]
    assert s.router.groups.get("#g") is None
    assert DONE == s.code("alice", CREATE, "#g")
    assert s.router.groups.get("#g") is not None, "the second time it is not done already"


def test_every_action_may_be_asked_twice():
    s = Desk()
    s.group("alice", "bob")
    number = s.router.registry.changes
    assert DONE == s.code("alice", CREATE, "#g")
    assert DONE == s.code("bob", JOIN, "#g")
    assert DONE == s.code("carol", LEAVE, "#g")
    assert DONE == s.code("carol", LEAVE, "#none")
    assert number == s.router.registry.changes, "and changes nothing then"


def test_what_is_done_twice_waits_for_the_first():
    s = Desk()
    _, first = s.change(CREATE, "#g", "alice")
    code, again = s.change(CREATE, "#g", "alice")
    assert (DONE, [], []) == (code, first, again)
    s.begin()
    _, third = s.change(JOIN, "#g", "alice")
    assert [] == third, "the transaction is on its way"
    s.finish()
    assert [True] == first == again == third


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ((CREATE, "#g", "bob"), GroupCode.EXISTS),
        ((JOIN, "#none", "bob"), GroupCode.UNKNOWN_GROUP),
        ((JOIN, "#g", "zoe"), GroupCode.UNKNOWN_USER),
    ],
)
def test_what_cannot_be_is_refused(asked, code):
    s = Desk()
    s.group("alice")
    assert (code, []) == s.change(*asked)
    s.logged_in["alice"].frames.clear()
    request = GroupRequest("alice", "a", *asked)
    s.router.desk.carry_out(s.logged_in["alice"], 7, request)
    answers = of(GroupA, s.hop_acks(s.logged_in["alice"]))
    assert [(7, code)] == [(answer.request, answer.code) for answer in answers]


def test_a_user_who_never_logged_in_may_join_and_has_lines_once_there_are_devices():
    s = Desk(known={"dave"})
    s.group("alice", "dave")
    assert ["alice", "dave"] == s.names("alice", LIST, "#g")
    s.login(PHONE._replace(user="dave"))
    assert PHONE._replace(user="dave") in s.router.groups.get("#g").lines
    s.leave("dave")
    assert {ALICE} == s.router.groups.get("#g").lines.keys()


def test_a_known_user_without_devices_leaves_as_well():
    s = Desk(known={"dave", "eve"})
    s.group("dave")
    s.leave("dave")
    assert not s.router.groups.exists("#g")


def test_users_and_groups_are_limited():
    s = Desk()
    s.router.desk._users_max, s.router.desk._groups_max = 2, 1
    s.group("alice", "bob")
    assert (GroupCode.FULL, []) == s.change(JOIN, "#g", "carol")
    assert (GroupCode.FULL, []) == s.change(CREATE, "#h", "carol")
    s.leave("bob")
    assert DONE == s.change(JOIN, "#g", "carol")[0]
    s.leave("alice")
    s.leave("carol")
    assert DONE == s.change(CREATE, "#g", "bob")[0], "an empty one has its place still"


def test_a_group_without_room_for_the_users_devices_is_full(monkeypatch):
    s = Desk()
    s.login(LAPTOP)
    s.group("alice")
    monkeypatch.setattr("udpim.im.groups.GROUP_LINES_MAX", 2)
    assert (GroupCode.FULL, []) == s.change(JOIN, "#g", "bob")
    assert DONE == s.change(JOIN, "#g", "carol")[0]


def test_the_largest_membership_fits_one_im_packet():
    from udpim.wire.frames import BODY_BYTES_MAX

    line = Member(2**16 - 1, "u" * 32, "d" * 32, 2**64 - 1, 2**32 - 1, 2**32 - 1, 0)
    name = GROUP._replace(user="u" * 32, device="d" * 32, conversation="#" * 32)
    head = len(encode(Members(2**32 - 1, name, True, 2**64 - 1, 2**32 - 1, ())))
    each = len(encode(Members(2**32 - 1, name, True, 2**64 - 1, 2**32 - 1, (line,)))) - head
    assert head + GROUP_LINES_MAX * each <= BODY_BYTES_MAX


# --- Who may ---


@pytest.mark.parametrize(
    ("who", "action", "group", "user", "allowed"),
    [
        ("carol", CREATE, "#new", "", True),
        ("carol", JOIN, "#g", "", True),
        ("carol", JOIN, "#g", "carol", True),
        ("carol", LEAVE, "#g", "", True),
        ("carol", LIST, "", "", True),
        ("carol", LIST, "#g", "", False),
        ("bob", LIST, "#g", "", True),
        ("bob", JOIN, "#g", "carol", True),
        ("carol", JOIN, "#g", "bob", False),
        ("alice", LEAVE, "#g", "bob", True),
        ("bob", LEAVE, "#g", "alice", False),
        ("carol", LEAVE, "#none", "bob", False),
    ],
)
def test_without_rules_of_its_own_the_application_gets_these(who, action, group, user, allowed):
    s = Desk()
    s.group("alice", "bob")
    request = s.router.desk.read(s.logged_in[who], GroupR(7, action, group, user))
    assert allowed == s.router.desk.allowed_by_default(request)


def test_what_is_forbidden_does_not_happen():
    s = Desk()
    s.group("alice", "bob")
    assert GroupCode.FORBIDDEN == s.code("bob", LEAVE, "#g", "alice")
    assert {"alice", "bob"} == s.router.groups.get("#g").users.keys()


def test_whoever_is_let_in_by_the_applications_rules_may_list_any_group():
    s = Desk()
    session = s.logged_in["carol"]
    s.group("alice", "bob")
    s.router.desk.carry_out(session, 1, GroupRequest("carol", "c", LIST, "#g", "carol"))
    s.router.desk.carry_out(session, 2, GroupRequest("carol", "c", LIST, "#none", "carol"))
    answers = [(a.request, a.code, a.names) for a in of(GroupA, s.hop_acks(session))]
    assert [(1, DONE, ("alice", "bob")), (2, GroupCode.UNKNOWN_GROUP, ())] == answers


@pytest.mark.parametrize(
    ("action", "group", "user"),
    [
        (0, "#g", ""),
        (99, "#g", ""),
        (CREATE, "g", ""),
        (CREATE, "", ""),
        (CREATE, "#", ""),
        (JOIN, "#g", "#other"),
        (LIST, "g", ""),
    ],
)
def test_what_makes_no_sense_is_answered_and_nobody_is_asked(action, group, user):
    s = Desk()
    session = s.logged_in["alice"]
    assert s.router.desk.read(session, GroupR(7, action, group, user)) is None
    assert [(7, GroupCode.MALFORMED)] == [
        (a.request, a.code) for a in of(GroupA, s.hop_acks(session))
    ]
