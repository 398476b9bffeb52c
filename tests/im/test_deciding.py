"""What a message shows once its audience has spoken."""

from tests.im.helpers import GROUP, STREAM, member
from tests.im.test_out_stream import FRESH
from udpim.im.audience import Judgement
from udpim.im.deciding import decide
from udpim.im.out_membership import learn_members
from udpim.im.out_stream import WITHDRAWN, OutStream
from udpim.model import MessageState
from udpim.wire import im_packets as p

STORED, DELIVERED = MessageState.STORED, MessageState.DELIVERED
VOID, EXCUSED = MessageState.VOID, MessageState.EXCUSED


def stream(id_=STREAM, count=9):
    s = OutStream(id_, FRESH._replace(conversation=id_.conversation))
    s.append([0] * count, [b"x"] * count)
    learn_members(s, p.Members(1, None, True, 77, 1, (member(0),)))
    return s


def judgement(**ranges):
    return Judgement(**{name: ranges.get(name, []) for name in Judgement._fields})


def test_a_group_is_told_what_everybody_has_stored_and_then_delivered():
    s = stream(GROUP)
    assert [(1, 3, STORED)] == decide(s, judgement(kept=[(1, 3)]))
    assert [] == decide(s, judgement(kept=[(1, 3)])), "said once"
    done = judgement(kept=[(1, 3)], decided=[(1, 2)], delivered=[(1, 2)])
    assert [(1, 2, DELIVERED)] == decide(s, done)
    assert [] == decide(s, done)
    assert ["DELIVERED", "STORED", "PENDING"] == [s.state(seq).name for seq in (2, 3, 4)]


def test_what_is_delivered_at_once_was_never_shown_stored():
    s = stream(GROUP)
    whole = [(1, 2)]
    assert [(1, 2, DELIVERED)] == decide(
        s, judgement(kept=whole, decided=whole, delivered=whole, settled=whole)
    )


def test_of_a_direct_message_only_what_nobody_has_is_decided_here():
    s = stream()
    s.delivered.add(1, 1)
    decided = judgement(decided=[(1, 3)], void=[(2, 2)], kept=[(1, 3)], delivered=[(1, 1)])
    assert [(2, 2, VOID), (3, 3, EXCUSED)] == decide(s, decided)
    assert [] == decide(s, decided)
    assert [] == list(s.kept), "a direct message looks at its devices' own rows"


def test_a_void_that_somebody_lost_cannot_promise_is_none():
    s = stream()
    s.doubtful.add(2, 2)
    s.cancelled.add(1, 2)
    changes = decide(s, judgement(decided=[(1, 2)], void=[(1, 2)]))
    assert [(1, 1, VOID), (2, 2, MessageState.UNKNOWN)] == changes, "who waits for an end has it"
    assert MessageState.UNKNOWN is s.state(2)


def test_what_was_withdrawn_or_refused_shows_that_and_no_void():
    s = stream()
    s.close(1, 1, WITHDRAWN)
    s.close(2, 2, 18)
    assert [] == decide(s, judgement(decided=[(1, 2)], void=[(1, 2)]))


def test_what_was_cancelled_and_excused_stays_unknown():
    s = stream(GROUP)
    s.cancelled.add(1, 1)
    changes = decide(s, judgement(decided=[(1, 2)], kept=[(1, 2)]))
    assert [(1, 1, MessageState.UNKNOWN), (2, 2, EXCUSED)] == changes
    assert MessageState.UNKNOWN is s.state(1)


def test_a_verdict_on_what_shows_excused_comes_too_late():
    """Else a message would show EXCUSED, and DELIVERED later."""
    s = stream(GROUP)
    view = s.audience.view(0)
    s.audience.view(0).take_excused(1, 2)
    assert [(1, 2, EXCUSED)] == s.refresh(1, 2)
    s.take_delivered(view, 1, 3)
    s.take_void(view, 1, 2)
    assert [(3, 3, DELIVERED)] == s.refresh(1, 3)
    assert ([(3, 3)], [], [(1, 2)]) == tuple(map(list, (view.delivered, view.void, view.excused)))


def test_what_was_given_up_may_yet_show_that_it_was_delivered():
    s = stream()
    s.give_up(1, 1)
    s.audience.view(0).take_excused(1, 1)
    assert [(1, 1, MessageState.UNKNOWN)] == s.refresh(1, 1)
    assert [(1, 1, DELIVERED)] == s.take_delivered(s.audience.view(0), 1, 1)


def test_the_senders_own_devices_are_heard_after_the_message_was_excused():
    """They have no say, and the row waits for them."""
    s = OutStream(GROUP, FRESH._replace(conversation=GROUP.conversation))
    s.append([0], [b"x"])
    learn_members(s, p.Members(1, None, True, 77, 1, (member(0, user="alice", device="b"),)))
    assert (["EXCUSED"], 1) == ([s.state(1).name], s.floor)
    s.take_delivered(s.audience.view(0), 1, 1)
    s.refresh(1, 1)
    assert (2, MessageState.EXCUSED) == (s.floor, s.state(1))


def test_what_ends_is_shown_as_before_until_the_end_is_durable():
    s = stream(GROUP)
    s.take_accepted([(1, 1)])
    s.audience.view(0).take_excused(1, 1)
    assert [(1, 1, EXCUSED)] == s.refresh(1, 1)
    s.closing.add(1, 1)
    assert (2, MessageState.ACCEPTED) == (s.floor, s.state(1))
