"""A client's questions about groups."""

from udpim.im.group_questions import QUESTIONS_MAX, GroupQuestions
from udpim.model import GroupAction
from udpim.wire.im_packets import GroupA, GroupR


def sent(questions):
    out = []
    questions.transmit(lambda packet, tag: out.append(packet))
    return out


def test_a_question_leaves_once_on_each_connection_until_it_is_answered():
    q = GroupQuestions()
    assert 1 == q.ask(GroupAction.JOIN, "#g", "")
    assert [GroupR(1, GroupAction.JOIN, "#g", "")] == sent(q)
    assert [] == sent(q)
    q.session_started()
    assert [1] == [packet.request for packet in sent(q)]
    q.receive_group_a(GroupA(1, 0, ("alice",)))
    assert [GroupA(1, 0, ("alice",))] == q.answers
    q.session_started()
    assert [] == sent(q)


def test_an_answer_before_the_question_was_repeated_spares_it():
    q = GroupQuestions()
    q.ask(GroupAction.LIST, "", "")
    sent(q)
    q.session_started()
    q.receive_group_a(GroupA(1, 0, ()))
    assert [] == sent(q)


def test_an_answer_that_nobody_waits_for_is_dropped():
    q = GroupQuestions()
    q.ask(GroupAction.LIST, "", "")
    q.forget(1)
    q.forget(7)
    for number in (1, 2):
        q.receive_group_a(GroupA(number, 0, ()))
    assert [] == q.answers == sent(q)


def test_open_questions_are_limited():
    q = GroupQuestions()
    numbers = [q.ask(GroupAction.LIST, "", "") for _ in range(QUESTIONS_MAX + 1)]
    assert [*range(1, QUESTIONS_MAX + 1), None] == numbers
    q.receive_group_a(GroupA(1, 0, ()))
    assert QUESTIONS_MAX + 1 == q.ask(GroupAction.LIST, "", ""), "no number is used twice"
