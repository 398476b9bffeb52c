"""One endpoint as its sender sees it."""

from tests.im.helpers import DURABLE
from udpim.im.member_view import MemberView
from udpim.im.records import OutMember

EMPTY = OutMember("bob", "phone", 3, DURABLE | 1, 2, 2, 0, (), (), (), ())


def test_a_message_is_due_to_who_belongs_at_its_epoch():
    assert [False, True, True] == [MemberView(EMPTY).due(epoch) for epoch in (1, 2, 9)]
    gone = MemberView(EMPTY._replace(left=4))
    assert [True, False] == [gone.due(epoch) for epoch in (3, 4)]


def test_only_a_durable_inbox_can_promise_never():
    durable, memory = MemberView(EMPTY), MemberView(EMPTY._replace(incarnation=1))
    durable.take_void(1, 3)
    memory.take_void(1, 3)
    assert [(1, 3)] == list(durable.void)
    assert [] == list(durable.excused)
    assert [] == list(memory.void)
    assert [(1, 3)] == list(memory.excused)
    assert list(durable.confirmed) == list(memory.confirmed) == [(1, 3)]


def test_an_excuse_changes_no_verdict():
    view = MemberView(EMPTY._replace(delivered=((2, 3),)))
    view.take_excused(1, 5)
    assert [(1, 1), (4, 5)] == list(view.excused)
    assert [(1, 5)] == list(view.confirmed)


def test_a_view_survives_its_record():
    verdicts = (((1, 2),), ((3, 3),), ((7, 9),), ((5, 5),))
    record = OutMember("bob", "phone", 3, DURABLE | 1, 4, 2, 5, *verdicts, 2)
    assert record == MemberView(record).record()
    assert [(1, 3), (5, 5)] == list(MemberView(record).confirmed)
