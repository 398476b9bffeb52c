"""What is offered again at a login."""

from tests.im.helpers import INC, STREAM
from udpim.im.handles import OutHandles
from udpim.im.in_stream import InStream
from udpim.im.offers import Offers
from udpim.im.records import InStreamRecord
from udpim.wire.im_packets import AckR


def stream(user):
    return InStream(InStreamRecord(STREAM._replace(user=user, incarnation=INC), 0, 0, 0, 1, ()))


def test_every_stream_is_offered_once():
    offers = Offers()
    streams = [stream(f"u{n}") for n in range(3)]
    offers.session_started(streams)
    assert 3 == len(offers)
    assert streams == offers.take(10)
    assert [] == offers.take(10)


def test_whom_one_session_had_no_room_for_comes_first_in_the_next():
    offers = Offers()
    one, two, three = (stream(f"u{n}") for n in range(3))
    offers.session_started([one, two, three])
    assert [one, two] == offers.take(2)
    assert [] == offers.take(-1)
    offers.session_started([one, two, three])
    assert [three, one, two] == offers.take(9)


def test_streams_that_wait_at_a_gap_are_asked_about():
    offers = Offers()
    waiting, whole = stream("u1"), stream("u2")
    waiting.ready[2] = (1, b"two")
    offers.session_started([waiting, whole])
    offers.take(9)
    asked = []
    handles = OutHandles()
    offers.ask(lambda packet, tag: asked.append((packet, tag)), handles)
    assert [(AckR(1, waiting.id, False, (), ()), waiting.id)] == asked
    offers.ask(lambda packet, tag: asked.append((packet, tag)), handles)
    assert 1 == len(asked)
