"""What a refusal leads to, and messages that go on to somebody else (PROTOCOL §5.6)."""

from tests.im.helpers import DURABLE, EPOCH, INC, STREAM, TWO, Sender, member
from udpim.im.changes import Rerouted
from udpim.im.records import PutOutbox, PutOutStream, Reroute, TrimOutbox
from udpim.im.refusals import REDIRECTS_MAX
from udpim.model import MessageState, RejectCode

REDIRECTED = RejectCode.REDIRECTED
TO_CAROL = STREAM._replace(conversation="carol")


def redirect(a, *ranges, to="carol", **more):
    a.refuse(REDIRECTED, *ranges, to=to, **more)


def payloads(a, stream):
    return {seq: payload for seq, (_, payload) in stream.rows.items()}


def met(*given, **more):
    """Alice, whose message 1 bob has, and whose later ones left once."""
    a = Sender()
    stream = a.met(b"hi")
    a.verdict(stream, delivered=[(1, 1)])
    if given:
        a.send(*given, **more)
        a.commit()
        a.packets()
    a.changes()
    return a, stream


def again(a, stream, first, last):
    """A second copy of these leaves."""
    for seq in range(first, last + 1):
        a.outbox.resend(stream, seq)
    a.packets()


def test_an_only_copy_goes_on_at_once_and_in_the_transaction_that_closes_it():
    a, stream = met(b"2", b"3", b"4")
    redirect(a, (2, 3))
    ops = a.begin()
    assert [b"2", b"3"] == [p for op in ops if isinstance(op, PutOutbox) for p in op.payloads]
    records = {op.record.conversation: op.record for op in ops if isinstance(op, PutOutStream)}
    assert ((2, 3, 22),) == records["bob"].rejected
    reroutes = (Reroute(2, 2, INC, "carol", 1), Reroute(3, 3, INC, "carol", 2))
    assert reroutes == records["bob"].rerouted
    assert MessageState.PENDING == stream.state(2), "not before it is durable"
    a.finish()
    assert ["2-3 REJECTED"] == a.changes()
    carols = a.outbox.stream(TO_CAROL)
    assert [(stream, 2, carols, 1), (stream, 3, carols, 2)] == a.outbox.rerouted
    assert isinstance(a.outbox.rerouted[0], Rerouted)
    assert {1: b"2", 2: b"3"} == payloads(a, carols)
    assert ["cancel 2-3", "msg 1-2"] == a.told(), "the gap is closed, the messages leave"
    assert (REDIRECTED, None) == (stream.reject_code(2), stream.onward.find(4))


def test_before_anybody_can_have_heard_of_a_stream_it_is_closed_without_a_cancel():
    a = Sender()
    stream, _ = a.send(b"1", b"2")
    a.commit()
    a.login()
    a.packets()
    redirect(a, (1, 2))
    assert ["1-2 REJECTED"] == a.changes()
    assert 3 == stream.floor
    assert {1: b"1", 2: b"2"} == payloads(a, a.outbox.stream(TO_CAROL))
    assert ["msg 1-2"] == a.told()


def test_where_another_copy_left_it_goes_on_once_everybody_is_void():
    a, stream = met(b"2")
    again(a, stream, 2, 2)
    redirect(a, (2, 2))
    assert [] == a.changes(), "no UNKNOWN: its sender goes on"
    assert "cancel 2-2" in a.told()
    assert a.outbox.stream(TO_CAROL) is None
    a.verdict(stream, void=[(2, 2)])
    assert ["2-2 VOID"] == a.changes()
    assert {1: b"2"} == payloads(a, a.outbox.stream(TO_CAROL))


def test_a_refused_question_about_the_only_copy_is_no_refusal_of_it():
    a, stream = met(b"2", b"3")
    a.verdict(stream, stored=[(2, 2)])
    a.login(store_epoch=EPOCH)
    assert ["status 2-3", "msg 3-3"] == a.told()
    a.refuse(RejectCode.UNKNOWN_RECIPIENT, (2, 3))
    assert ["2-2 STORED", "2-3 UNKNOWN"] == a.changes()
    a.verdict(stream, delivered=[(2, 2)])
    assert ["2-2 DELIVERED"] == a.changes()


def test_nor_is_the_refusal_of_what_told_the_floor():
    a, stream = met(b"2", b"3", b"4")
    a.verdict(stream, delivered=[(2, 2)])
    a.changes()
    a.verdict(stream)  # it asks for the floor
    assert ["status 2-2"] == a.told()
    a.refuse(RejectCode.UNKNOWN_RECIPIENT, (3, 3))
    a.refuse(RejectCode.UNKNOWN_RECIPIENT, (4, 4))
    assert ["3-3 UNKNOWN", "4-4 REJECTED"] == a.changes(), "only the second one was about a copy"


def test_what_has_not_left_when_the_question_is_asked_may_still_be_rejected():
    a, stream = met(b"2")
    a.verdict(stream, stored=[(2, 2)])
    a.send(b"3")
    a.login()
    assert ["status 2-3", "msg 3-3"] == a.told()
    a.refuse(RejectCode.FORBIDDEN, (3, 3))
    assert "3-3 REJECTED" in a.changes()


def two(*given):
    """Messages that are due to two devices of bob's, and left twice."""
    a = Sender()
    stream = a.met(*given, members=TWO)
    again(a, stream, 1, len(given))
    a.changes()
    return a, stream


def test_one_device_that_is_void_is_not_enough():
    a, stream = two(b"1")
    redirect(a, (1, 1))
    a.verdict(stream, void=[(1, 1)])
    assert [] == a.changes()
    assert a.outbox.stream(TO_CAROL) is None
    a.verdict(stream, 1, void=[(1, 1)])
    assert ["1-1 VOID"] == a.changes()
    assert {1: b"1"} == payloads(a, a.outbox.stream(TO_CAROL))


def test_a_commit_of_an_earlier_copy_wins_and_nothing_goes_on():
    a, stream = two(b"1", b"2")
    redirect(a, (1, 2))
    a.verdict(stream, delivered=[(1, 1)])
    a.verdict(stream, void=[(2, 2)])
    a.verdict(stream, 1, void=[(1, 2)])
    assert ["1-1 DELIVERED", "2-2 VOID"] == a.changes()
    assert {1: b"2"} == payloads(a, a.outbox.stream(TO_CAROL))
    assert {} == stream.onward.pending


def test_who_has_it_already_gets_it_and_nobody_else():
    a, stream = two(b"1")
    a.verdict(stream, delivered=[(1, 1)])
    a.changes()
    redirect(a, (1, 1))
    a.verdict(stream, 1, void=[(1, 1)])
    assert [] == a.changes()
    assert a.outbox.stream(TO_CAROL) is None


def test_without_a_void_that_holds_for_ever_nothing_goes_on():
    a, stream = two(b"1")
    redirect(a, (1, 1))
    a.verdict(stream, excused=[(1, 1)])
    a.verdict(stream, 1, void=[(1, 1)])
    assert ["1-1 UNKNOWN"] == a.changes()
    assert a.outbox.stream(TO_CAROL) is None


def test_a_plain_refusal_beside_it_shows_unknown():
    a, stream = two(b"1", b"2", b"3")
    redirect(a, (2, 2))
    a.refuse(RejectCode.FORBIDDEN, (1, 3))
    assert ["1-1 UNKNOWN", "3-3 UNKNOWN"] == a.changes()
    assert MessageState.PENDING == stream.state(2)


def test_a_second_redirect_changes_nothing():
    a, stream = two(b"1")
    redirect(a, (1, 1))
    redirect(a, (1, 1), to="dave")
    a.verdict(stream, void=[(1, 1)])
    a.verdict(stream, 1, void=[(1, 1)])
    a.commit()
    redirect(a, (1, 1), to="dave")
    a.commit()
    assert {1: b"1"} == payloads(a, a.outbox.stream(TO_CAROL))
    assert a.outbox.stream(STREAM._replace(conversation="dave")) is None


def test_what_its_sender_gives_up_goes_nowhere():
    a, stream = two(b"1", b"2")
    redirect(a, (1, 2))
    a.outbox.cancel(stream, 1, 1)
    assert ["1-1 UNKNOWN"] == a.changes()
    redirect(a, (1, 1))
    for ordinal in (0, 1):
        a.verdict(stream, ordinal, void=[(1, 2)])
    assert ["1-2 VOID"] == a.changes()
    assert {1: b"2"} == payloads(a, a.outbox.stream(TO_CAROL))


def test_its_deadline_goes_along():
    a, stream = met(b"2", ttl_s=50.0)
    a.outbox.now = a.now = 20.0
    redirect(a, (2, 2))
    (op,) = [op for op in a.begin() if isinstance(op, PutOutbox)]
    assert 30_000 == op.ttl_ms
    a.finish()
    a.changes()
    a.outbox.handle_timeout(50.0)
    assert ["1-1 VOID"] == a.changes(), "the new one, which never left"
    assert MessageState.REJECTED == stream.state(2)


def test_a_message_is_sent_on_so_often_and_no_more():
    a = Sender()
    stream, seq = a.send(b"hot")
    a.commit()
    a.login()
    for hop in range(REDIRECTS_MAX):
        a.packets()
        handle = hop + 1
        redirect(a, (seq, seq), to=f"user{hop}", handle=handle)
        a.commit()
        ((_, _, stream, seq),) = a.outbox.rerouted
        a.outbox.rerouted.clear()
        assert {seq: hop + 1} == stream.onward.hops
    a.packets()
    a.changes()
    redirect(a, (seq, seq), handle=REDIRECTS_MAX + 1)
    assert ["1-1 REJECTED"] == a.changes()
    assert (REDIRECTED, []) == (stream.reject_code(seq), a.outbox.rerouted)
    assert {} == stream.onward.hops, "floor has passed it"


def test_after_so_many_hops_a_doubtful_copy_is_given_up():
    a, stream = two(b"1")
    stream.onward.hops[1] = REDIRECTS_MAX
    redirect(a, (1, 1))
    assert ["1-1 UNKNOWN"] == a.changes()
    assert {} == stream.onward.pending


def test_a_redirect_to_nobody_is_a_refusal():
    a, stream = met(b"2")
    redirect(a, (2, 2), to="")
    assert ["2-2 REJECTED"] == a.changes()
    assert [] == stream.onward.rerouted


def test_a_redirect_back_to_the_same_recipient_is_another_message():
    a, stream = met(b"2")
    redirect(a, (2, 2), to="bob")
    assert ["2-2 REJECTED"] == a.changes()
    assert {3: b"2"} == {seq: p for seq, p in payloads(a, stream).items() if seq > 2}


def test_a_restart_goes_on_with_what_waits_and_knows_what_went():
    a, stream = two(b"1", b"2")
    redirect(a, (1, 2))
    a.commit()
    b = a.restart()
    stream = b.outbox.stream(STREAM)
    assert {1: "carol", 2: "carol"} == stream.onward.pending
    assert MessageState.PENDING == stream.state(1)
    b.login()
    b.verdict(stream, void=[(1, 2)])
    b.verdict(stream, 1, void=[(1, 2)])
    assert any(isinstance(op, TrimOutbox) for op in b.begin()), "the same transaction"
    b.finish()
    c = b.restart()
    stream, carols = c.outbox.stream(STREAM), c.outbox.stream(TO_CAROL)
    assert {1: b"1", 2: b"2"} == payloads(c, carols)
    assert {1: 1, 2: 1} == carols.onward.hops
    assert Reroute(2, 2, INC, "carol", 2) == stream.onward.find(2)
    assert [] == stream.onward.released


def test_a_device_that_left_may_have_it_so_nothing_goes_on():
    a, stream = two(b"1")
    redirect(a, (1, 1))
    a.verdict(stream, void=[(1, 1)])
    a.commit()
    a.members(stream, member(0), member(1, "laptop", DURABLE | 2, joined=2, left=3), epoch=3)
    assert MessageState.UNKNOWN == stream.state(1), "nobody can say VOID for who has left"
    assert a.outbox.stream(TO_CAROL) is None


def test_a_restored_store_takes_along_what_was_sent_on_and_never_left():
    a, stream = met(b"2", b"3")
    redirect(a, (2, 2))
    a.commit()
    carols = a.outbox.stream(TO_CAROL)
    a.packets()
    redirect(a, (3, 3))
    a.outbox.new_incarnation(DURABLE | 9, 0.0)
    a.commit()
    new = TO_CAROL._replace(incarnation=DURABLE | 9)
    assert new == carols.id
    first, second = stream.onward.find(2), stream.onward.find(3)
    assert (INC, 1) == (first.incarnation, first.new_first), "it left under its old msgid"
    assert (DURABLE | 9, 2) == (second.incarnation, second.new_first)
    assert {2: b"3"} == payloads(a, carols)
    assert {2: 1} == carols.onward.hops


def test_what_was_never_used_is_nobodys():
    a, _ = met(b"2")
    redirect(a, (2, 9))
    assert ["2-2 REJECTED"] == a.changes()
