"""A client's questions about groups; what holds of all questions is in `test_inquiries`."""

import pytest

from udpim.errors import TooManyInquiries
from udpim.im.group_questions import QUESTIONS_MAX, GroupQuestions
from udpim.model import GroupAction
from udpim.wire.im_packets import GroupA, GroupR


def sent(questions):
    out = []
    questions.transmit(out.append, 1000)
    return out


def test_a_question_leaves_once_on_each_connection_until_it_is_answered():
    q = GroupQuestions()
    assert 1 == q.ask(GroupAction.JOIN, "#g", "")
    assert [GroupR(1, GroupAction.JOIN, "#g", "")] == sent(q)
    assert [] == sent(q)
    q.session_started()
    assert [1] == [packet.request for packet in sent(q)]
    assert q.receive(GroupA(1, 0, ("alice",)))
    assert [GroupA(1, 0, ("alice",))] == q.take_answers()
    q.session_started()
    assert [] == sent(q)


def test_an_answer_before_the_question_was_repeated_spares_it():
    q = GroupQuestions()
    q.ask(GroupAction.LIST, "", "")
    sent(q)
    q.session_started()
    q.receive(GroupA(1, 0, ()))
    assert [] == sent(q)


def test_open_questions_are_limited():
    q = GroupQuestions()
    numbers = [q.ask(GroupAction.LIST, "", "") for _ in range(QUESTIONS_MAX)]
    with pytest.raises(TooManyInquiries, match=f"{QUESTIONS_MAX} questions about groups"):
        q.ask(GroupAction.LIST, "", "")
    q.receive(GroupA(1, 0, ()))
    assert q.ask(GroupAction.LIST, "", "") not in numbers
