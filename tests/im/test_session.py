"""What the server remembers of one login."""

from tests.im.helpers import PHONE, STREAM, run_of
from udpim.im.session import Session
from udpim.wire.im_packets import Nudge


def session(outgoing=None):
    return Session(PHONE, 1, lambda: 0.1, {} if outgoing is None else outgoing)


def test_a_packet_enters_its_session_into_the_list_of_those_that_send():
    outgoing = {}
    s = session(outgoing)
    s.send(Nudge())
    assert [s] == list(outgoing)
    assert [(Nudge(), None)] == s.frames


def test_pushes_are_remembered_until_they_are_receipted():
    s = session()
    s.pushed(STREAM, (1, 1), run_of(1, 3))
    s.pushed(STREAM, (2, 2), run_of(4, 5))
    assert 5 == s.unreceipted
    s.receipted(STREAM, [(1, 2), (4, 9)])
    push = s.push(STREAM)
    assert (1, 2, 2) == (s.unreceipted, push.floor, push.base)
    assert [(run_of(1, 3), [(3, 3)])] == push.open_sections()
    s.receipted(STREAM, [(3, 3)])
    assert (0, []) == (s.unreceipted, list(push.sections))
    s.receipted(STREAM, [(3, 3)])
    s.receipted(STREAM._replace(user="zoe"), [(3, 3)])
    assert 0 == s.unreceipted


def test_an_answered_cancel_is_handed_to_nobody():
    s = session()
    push = s.push(STREAM)
    push.cancels.add(1, 4)
    s.receipted(STREAM, [(2, 2)])
    assert [(1, 1), (3, 4)] == list(push.cancels)
