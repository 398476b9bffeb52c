"""What was read, on its way to the senders."""

from tests.im.helpers import STREAM, Receiver, of, run_of, section
from udpim.im.handles import OutHandles
from udpim.im.in_stream import InStream
from udpim.im.reading import Reading
from udpim.im.records import InStreamRecord, PutInStream
from udpim.wire.im_packets import ReadA, ReadR

OTHER = STREAM._replace(user="carol")


def stream(id_=STREAM):
    return InStream(InStreamRecord(id_, 0, 0, 0, 1, ()))


def said(reading, room=100):
    out = []
    reading.transmit(lambda packet, tag: out.append((packet.read, tag)), OutHandles(), room)
    return out


def test_a_mark_leaves_once_it_is_durable():
    reading, s = Reading(), stream()
    assert reading.mark(s, 3)
    assert not reading.mark(s, 3)
    assert not reading.mark(s, 2)
    reading.take_batch()
    assert reading.mark(s, 5)
    assert [] == said(reading)
    reading.committed()
    assert [(3, STREAM)] == said(reading)
    reading.take_batch()
    reading.committed()
    assert [(5, STREAM)] == said(reading)
    assert [] == said(reading)


def test_a_login_says_again_what_was_not_answered():
    reading, s = Reading(), stream()
    reading.mark(s, 3)
    reading.take_batch(), reading.committed(), said(reading)
    reading.session_started([s])
    assert [(3, STREAM)] == said(reading)
    assert reading.told(s, 3)
    reading.session_started([s])
    assert [] == said(reading)


def test_a_login_says_nothing_that_is_not_durable():
    reading, s = Reading(), stream()
    reading.mark(s, 3)
    reading.session_started([s])
    assert [] == said(reading)


def test_answers_for_what_was_not_said_change_nothing():
    reading, s = Reading(), stream()
    reading.mark(s, 3)
    assert not reading.told(s, 4)
    assert reading.told(s, 2)
    assert not reading.told(s, 1)
    assert 2 == s.read_told


def test_a_turn_says_no_more_than_there_is_room_for():
    reading, one, two = Reading(), stream(), stream(OTHER)
    for s in (one, two):
        reading.mark(s, 1)
    reading.take_batch(), reading.committed()
    assert [(1, STREAM)] == said(reading, 1)
    assert [(1, OTHER)] == said(reading, 1)


# --- In the inbox ---


def reads(receiver):
    return [packet.read for packet in of(ReadR, receiver.packets())]


def test_the_inbox_marks_what_the_application_was_given():
    b = Receiver()
    b.login()
    b.push(run_of(1, 2))
    b.push(section(4, b"behind a gap"))
    b.commit()
    b.released()
    b.inbox.read(STREAM, 9)
    ops = b.begin()
    assert [2] == [op.record.read for op in ops if isinstance(op, PutInStream)]
    assert [] == reads(b)
    b.finish()
    assert [2] == reads(b)
    b.inbox.read(STREAM, 1)
    assert [] == b.begin(), "it is read already"


def test_a_mark_survives_a_crash_and_is_said_until_it_is_answered():
    b = Receiver()
    b.login()
    b.push(run_of(1, 2))
    b.commit()
    b.inbox.read(STREAM, 2)
    b.commit()
    b = b.restart()
    b.login()
    assert [2] == reads(b)
    b.inbox.receive_read_a(ReadA(1, 2))
    assert [2] == [op.record.read_told for op in b.begin()]
    b.finish()
    b = b.restart()
    b.login()
    assert [] == reads(b)


def test_an_answer_for_an_unknown_stream_is_dropped():
    b = Receiver()
    b.login()
    b.inbox.receive_read_a(ReadA(1, 2))
    assert [] == b.begin()
