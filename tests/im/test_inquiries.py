"""A client's questions about who is there."""

import pytest

from udpim.config import INQUIRIES_MAX
from udpim.errors import TooManyInquiries
from udpim.im.inquiries import Inquiries
from udpim.wire.im_packets import PresenceA, PresenceR


def sent(inquiries, room=100):
    out = []
    inquiries.transmit(out.append, room)
    return out


def test_a_question_leaves_once_and_its_answer_ends_it():
    inquiries = Inquiries()
    request = inquiries.ask("bob")
    assert [PresenceR(request, "bob")] == sent(inquiries)
    assert [] == sent(inquiries)
    answer = PresenceA(request, 0, ())
    assert inquiries.receive(answer)
    assert ([answer], 0) == (inquiries.take_answers(), len(inquiries))
    assert [] == inquiries.take_answers()


def test_what_is_not_answered_is_asked_again_on_the_next_connection_in_its_order():
    inquiries = Inquiries()
    first, second, third = map(inquiries.ask, ("a", "b", "c"))
    sent(inquiries)
    inquiries.receive(PresenceA(second, 0, ()))
    inquiries.session_started()
    assert [PresenceR(first, "a"), PresenceR(third, "c")] == sent(inquiries)


def test_what_nobody_waits_for_is_not_asked_and_its_answer_is_nobodys():
    inquiries = Inquiries()
    request = inquiries.ask("bob")
    inquiries.forget(request)
    inquiries.forget(request)
    assert [] == sent(inquiries)
    inquiries.session_started()
    assert [] == sent(inquiries)
    assert not inquiries.receive(PresenceA(request, 0, ()))
    assert [] == inquiries.take_answers()


def test_a_second_answer_is_nobodys():
    inquiries = Inquiries()
    answer = PresenceA(inquiries.ask("bob"), 0, ())
    assert inquiries.receive(answer)
    assert not inquiries.receive(answer)


def test_only_as_many_leave_as_there_is_room_for():
    inquiries = Inquiries()
    for user in "abc":
        inquiries.ask(user)
    assert [] == sent(inquiries, room=-3)
    assert ["a", "b"] == [packet.user for packet in sent(inquiries, room=2)]
    assert ["c"] == [packet.user for packet in sent(inquiries, room=2)]


def test_open_questions_are_limited_and_an_end_makes_room():
    inquiries = Inquiries()
    requests = [inquiries.ask("bob") for _ in range(INQUIRIES_MAX)]
    with pytest.raises(TooManyInquiries):
        inquiries.ask("bob")
    inquiries.forget(requests[5])
    assert inquiries.ask("bob") not in requests


def test_a_number_that_is_open_is_not_given_again():
    inquiries = Inquiries()
    kept = inquiries.ask("bob")
    inquiries._last = 2**32 - 2
    inquiries.forget(inquiries.ask("a"))
    inquiries.forget(inquiries.ask("a"))
    assert kept + 1 == inquiries.ask("carol")
