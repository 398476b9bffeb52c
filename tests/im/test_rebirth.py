"""A store that was an old copy: what never left takes a new identity (R7)."""

from tests.im.helpers import EPOCH, INC, STREAM, Sender
from udpim.im.handles import OutHandles
from udpim.im.rebirth import split_stream
from udpim.model import MessageState

NEW = INC + 7


def reborn(a):
    out, a.outbox.reborn = a.outbox.reborn, []
    return [(r.old.incarnation, r.new.incarnation, r.first, r.last) for r in out]


def test_only_what_never_left_moves():
    a = Sender()
    stream = a.met(b"1", b"2")
    a.verdict(stream, delivered=((1, 1),))
    a.commit()
    a.send(b"3", b"4")
    a.outbox.new_incarnation(NEW, 0.0)
    assert [(INC, NEW, 3, 4)] == reborn(a)
    legacy = a.outbox.stream(STREAM)
    assert ([2], [3, 4]) == (list(legacy.rows), list(stream.rows))
    assert [STREAM._replace(incarnation=NEW), STREAM] == [stream.id, legacy.id]
    assert MessageState.DELIVERED == legacy.state(1)
    assert MessageState.PENDING == stream.state(3)
    a.commit()
    a.login()
    assert {(STREAM, 2, 2), (stream.id, 3, 4)} == {
        (f.stream.id, p.section.first, p.section.last) for p, f in a.packets()
    }


def test_the_split_survives_a_restart():
    a = Sender()
    a.met(b"1")
    a.send(b"2")
    a.outbox.new_incarnation(NEW, 0.0)
    a.commit()
    again = a.restart(incarnation=NEW)
    streams = [again.outbox.stream(STREAM._replace(incarnation=n)) for n in (INC, NEW)]
    assert [[1], [2]] == [list(stream.rows) for stream in streams]
    assert (2, 3) == (streams[1].floor, streams[1].next_seq)


def test_nothing_leaves_before_the_new_rows_are_durable():
    a = Sender()
    a.met(b"1")
    a.send(b"2")
    a.begin()
    a.outbox.new_incarnation(NEW, 0.0)
    a.begin()
    a.outbox.session_started(OutHandles(), EPOCH, 0.0)
    a.finish()
    assert ["msg 1-1"] == a.told()
    a.finish()
    assert ["msg 2-2"] == a.told()


def test_deadlines_and_cancels_go_with_their_messages():
    a = Sender()
    stream = a.met(b"1", ttl_s=5.0)
    a.send(b"2", b"3", ttl_s=9.0)
    a.send(b"4")
    a.send(b"to another", to="carol", ttl_s=99.0)
    a.outbox.cancel(stream, 3, 3)
    a.outbox.new_incarnation(NEW, 1.0)
    a.commit()
    legacy = a.outbox.stream(STREAM)
    assert MessageState.VOID == stream.state(3)
    assert 5.0 == a.outbox.next_timeout()
    a.outbox.handle_timeout(5.0)
    assert MessageState.UNKNOWN == legacy.state(1)
    ttls = {row.seq: row.ttl_ms for row in a.state.client_snapshot().outbox}
    a.outbox.handle_timeout(9.0)
    a.commit()
    assert [MessageState.VOID, MessageState.PENDING] == [stream.state(2), stream.state(4)]
    assert (8000, 0) == (ttls[2], ttls[4])


def test_a_stream_whose_messages_all_left_stays_what_it_is():
    a = Sender()
    a.met(b"1")
    a.outbox.new_incarnation(NEW, 0.0)
    assert [] == reborn(a)
    fresh, first = a.send(b"2")
    assert (NEW, 1) == (fresh.id.incarnation, first)


def test_refused_and_cancelled_seqs_stay_on_their_side():
    a = Sender()
    stream = a.met(b"1")
    a.outbox.cancel(stream, 1, 1)
    a.send(b"2")
    a.commit()
    a.packets()
    a.refuse(18, (2, 2))
    a.send(b"3")
    a.outbox.cancel(stream, 3, 3)
    legacy = split_stream(stream, NEW, 9)
    assert ([(1, 2)], [(3, 3)]) == (list(legacy.cancelled), list(stream.cancelled))
    assert ([(2, 2, 18)], [(3, 3, 0)]) == (legacy.rejected, stream.rejected)


def test_what_was_settled_in_the_turn_of_the_split_leaves_the_outbox():
    a = Sender()
    stream = a.met(b"1", b"2", b"3")
    a.send(b"never left")
    a.commit()
    a.verdict(stream, delivered=((1, 2),))
    a.outbox.new_incarnation(NEW, 0.0)
    a.commit()
    assert 2 == a.outbox.open_messages
    assert [b"3", b"never left"] == [row.payload for row in a.state.client_snapshot().outbox]
