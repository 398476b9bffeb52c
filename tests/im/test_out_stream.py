"""What a sender knows of one stream, per endpoint and in all (semantics R1, R2, R7, R9)."""

import pytest

from tests.im.helpers import EPOCH, FRESH, GROUP, STREAM, TWO, member, out_stream, settle
from udpim.im.out_membership import forget_membership, learn_members
from udpim.im.out_stream import REPEATS_MAX, WITHDRAWN, OutStream
from udpim.model import MessageState, RejectCode
from udpim.wire import im_packets as p
from udpim.wire.im_packets import EpochRun
from udpim.wire.im_schema import RUNS_MAX


def unheard(count):
    """A stream whose membership nobody has told."""
    s = OutStream(STREAM, FRESH)
    s.append([0] * count, [b"x"] * count)
    return s


def test_floor_waits_for_every_endpoint_due():
    s = out_stream()
    settle(s, 0, 1, 5)
    assert 1 == s.floor
    settle(s, 1, 1, 3)
    assert 4 == s.floor
    assert [4, 5, 6, 7, 8, 9] == list(s.rows)


def test_stored_lets_the_window_go_on_but_not_floor():
    s = out_stream(9, member(0))
    s.take_stored(s.audience.view(0), ((1, 4),))
    s.refresh(1, 4)
    assert (1, 6) == (s.floor, s.sendable_until(2))


def test_what_was_never_used_is_never_recorded():
    s = out_stream(5, member(0))
    far = ((4, 9), (2**63, 2**64 - 1))
    assert [(4, 5)] == s.used(far)
    assert [(4, 5, MessageState.STORED)] == s.take_stored(s.audience.view(0), far)
    assert [(4, 5)] == list(s.audience.view(0).stored)
    assert ([], []) == s.lapse_stored(s.audience.view(0), ((2**63, 2**64 - 1),), ())


def test_a_restart_does_not_make_a_void_of_what_one_endpoint_could_not_promise():
    s = out_stream(1)
    s.cancelled.add(1, 1)
    s.runs = [EpochRun(1, 2)]
    s.audience.view(0).take_void(1, 1)
    s.audience.view(1).take_excused(1, 1)
    s.refresh(1, 1)
    assert MessageState.UNKNOWN == s.state(1)
    assert MessageState.UNKNOWN == OutStream(STREAM, s.record()).state(1)


def test_heads_carry_the_runs_from_floor_on():
    s = out_stream(2, member(0))
    for epoch in range(2, 6):
        learn_members(s, p.Members(1, None, True, EPOCH, epoch, (member(0),)))
        s.append([0], [b"x"])
    s.committed = 6
    assert 5 == len(s.runs)
    assert s.runs[RUNS_MAX].first - 1 == s.sendable_until(100)
    assert [1, 1, 2, 3, 4, 5] == [s.epoch_of(seq) for seq in range(1, 7)]
    assert 0 == s.epoch_of(0)
    s.durable_floor = 5
    assert 6 == s.sendable_until(100)
    assert (EpochRun(5, 4), EpochRun(6, 5)) == s.head_runs()


def test_a_head_without_rows_still_names_its_epoch():
    s = OutStream(STREAM, FRESH._replace(next_seq=5, floor=5, epoch=2))
    assert (EpochRun(5, 2),) == s.head_runs()


def test_who_needs_no_copy_is_told_to_the_server():
    s = out_stream()
    settle(s, 0, 1, 3)
    s.take_stored(s.audience.view(1), ((4, 4),))
    assert [0b01, 0b00, 0b10] == [s.audience.bitmap_of_covered(n, n) for n in (3, 5, 4)]
    assert 0 == out_stream(3, member(0)).audience.bitmap_of_covered(1, 3)


@pytest.mark.parametrize(
    ("phone", "laptop", "shown"),
    [
        ("delivered", "void", "DELIVERED"),
        ("void", "delivered", "DELIVERED"),
        ("void", "void", "VOID"),
        ("void", "excused", "EXCUSED"),
        ("excused", "excused", "EXCUSED"),
        ("delivered", None, "DELIVERED"),
        ("void", None, "PENDING"),
    ],
)
def test_the_whole_is_decided_by_all_who_are_due(phone, laptop, shown):
    s = out_stream(1)
    s.rows[1] = (0, b"x")
    s.runs = [EpochRun(1, 2)]
    for ordinal, said in enumerate((phone, laptop)):
        if said == "delivered":
            settle(s, ordinal, 1, 1)
        elif said == "void":
            s.audience.view(ordinal).take_void(1, 1)
        elif said == "excused":
            s.audience.view(ordinal).take_excused(1, 1)
    changes = s.refresh(1, 1)
    assert shown == s.state(1).name
    assert (shown in ("VOID", "EXCUSED")) == bool(changes)
    assert s.final(1) == (shown != "PENDING")
    if changes:
        assert [] == s.refresh(1, 1), "said once"


def test_a_cancelled_message_that_nobody_can_promise_never_is_unknown():
    s = out_stream(1, member(0, incarnation=7))
    s.cancelled.add(1, 1)
    s.audience.view(0).take_void(1, 1)
    assert not s.final(1)
    assert [(1, 1, MessageState.UNKNOWN)] == s.refresh(1, 1)
    assert MessageState.UNKNOWN == s.state(1)
    assert s.final(1), "nobody is asked any more"
    assert 2 == s.floor


def test_what_is_closing_is_not_shown_yet():
    s = out_stream(6)
    assert [(2, 3, MessageState.REJECTED)] == s.close(2, 3, 18)
    s.closing.add(2, 2)
    assert MessageState.PENDING == s.state(2)
    s.closing.clear()
    assert MessageState.REJECTED == s.state(2)
    assert RejectCode.TOO_LARGE == s.reject_code(3)
    s.close(4, 4, 18)
    s.close(6, 6, WITHDRAWN)
    assert [(2, 4, 18), (6, 6, WITHDRAWN)] == s.rejected
    assert MessageState.VOID == s.state(6)
    assert MessageState.PENDING == s.state(5)


@pytest.mark.parametrize("first", [1, 2])
def test_what_is_closed_at_the_beginning_is_settled_while_nobody_has_heard_of_the_stream(first):
    """What is closed further on is a gap that the endpoints have to be told of."""
    s = unheard(4)
    s.close(first, first, 18)
    s.saved([(1, 4)])
    assert {1: (2, []), 2: (1, [(2, 2)])}[first] == (s.floor, s.open_in(1, 4)[0])
    s.close(3 - first, 3 - first, 16)
    s.close(4, 4, WITHDRAWN)
    assert (4, 4) in s.saved([(1, 4)])
    assert [] == s.saved([(1, 4)])
    assert (3, ([(4, 4)], [(3, 3)])) == (s.floor, s.open_in(1, 4))
    assert [3, 4] == list(s.rows)


def test_what_was_withdrawn_stays_so_when_it_is_refused():
    s = unheard(2)
    s.close(1, 1, WITHDRAWN)
    assert [(2, 2, MessageState.REJECTED)] == s.close(1, 2, 16)
    assert [MessageState.VOID, MessageState.REJECTED] == [s.state(1), s.state(2)]
    assert 3 == s.floor


def test_a_stream_survives_its_record():
    s = out_stream()
    settle(s, 0, 1, 4)
    settle(s, 1, 1, 2)
    for ordinal in (0, 1):
        s.audience.view(ordinal).take_void(3, 3)
    s.refresh(3, 3)
    s.close(6, 6, 16)
    s.cancelled.add(7, 7)
    s.delivered.remove(3, 3)
    again = OutStream(STREAM, s.record())
    for seq in range(again.floor, 10):
        again.restore_row(seq, 2 if seq < 8 else 3, 0, b"x")
    again.refresh(again.floor, 9)
    assert [EpochRun(4, 2), EpochRun(8, 3)] == again.runs
    assert s.record() == again.record()
    states = [again.state(seq).name for seq in (1, 2, 4, 5, 6, 7)]
    assert ["DELIVERED", "DELIVERED", "DELIVERED", "PENDING", "REJECTED", "UNKNOWN"] == states
    assert [(4, 9)] == list(again.resent), "another life may have sent them"


def test_what_never_left_in_an_earlier_life_is_as_good_as_new():
    s = out_stream()
    again = OutStream(STREAM, s.record())
    for seq in range(1, 10):
        again.restore_row(seq, 2, seq, b"x", mark=6)
    assert 7 == again.fresh_from
    assert [(1, 6)] == list(again.resent)


def test_a_copy_in_doubt_is_not_forgotten_below_floor():
    s = OutStream(STREAM, FRESH._replace(next_seq=4, floor=1))
    assert [(1, 3)] == list(s.resent)
    assert s.audience.view(9) is None


def test_states_rise_in_the_order_of_the_lattice():
    s = out_stream(2, member(0))
    seen = [s.state(1)]
    assert [(1, 1, MessageState.ACCEPTED)] == s.take_accepted(((1, 1),))
    assert [] == s.take_accepted(((1, 1),))
    seen.append(s.state(1))
    s.take_stored(s.audience.view(0), ((1, 1),))
    seen.append(s.state(1))
    settle(s, 0, 1, 1)
    seen.append(s.state(1))
    assert ["PENDING", "ACCEPTED", "STORED", "DELIVERED"] == [state.name for state in seen]


def test_ranges_sent_again_are_remembered_up_to_a_limit():
    s = out_stream(3)
    for number in range(REPEATS_MAX + 5):
        s.repeated(number, 1, 2)
    assert REPEATS_MAX == len(s.repeats)
    assert (REPEATS_MAX + 4, 1, 2) == s.repeats[-1], "the oldest ones are forgotten"


# --- Reading ---


def read(s, ordinal, seq):
    return [(a, b, state.name) for a, b, state in s.take_read(s.audience.view(ordinal), seq)]


def test_delivered_messages_are_read_up_to_the_watermark():
    s = out_stream(5)
    settle(s, 0, 1, 3)
    assert [(1, 2, "READ")] == read(s, 0, 2)
    assert [] == read(s, 0, 1)
    assert [] == read(s, 1, 2), "the other device of the same user"
    assert [(3, 3, "READ")] == read(s, 1, 2**64 - 1)
    assert 5 == s.audience.view(1).read, "what was never used is never read"
    assert ["READ", "PENDING"] == [s.state(seq).name for seq in (3, 4)]
    again = OutStream(STREAM, s.record())
    assert [MessageState.READ, MessageState.PENDING] == [again.state(seq) for seq in (3, 4)]


def test_a_watermark_that_is_faster_than_the_receipt_is_told_with_it():
    s = out_stream(3)
    assert [] == read(s, 0, 2)
    changes = s.take_delivered(s.audience.view(0), 1, 3)
    assert [(1, 3, "DELIVERED"), (1, 2, "READ")] == [(a, b, st.name) for a, b, st in changes]
    group = grouped(3, BOB)
    read(group, 0, 2)
    group.take_delivered(group.audience.view(0), 1, 1)
    shown = [(a, b, state.name) for a, b, state in group.refresh(1, 1)]
    assert [(1, 1, "DELIVERED"), (1, 1, "READ")] == shown


BOB, CAROL = member(0), member(1, "c", user="carol", joined=2)


def grouped(count, *members):
    s = OutStream(GROUP, FRESH._replace(conversation="#g"))
    s.append([0] * count, [b"x"] * count)
    learn_members(s, p.Members(1, None, True, EPOCH, 1, tuple(members)))
    return s


def test_who_joins_a_group_later_is_not_waited_for_by_what_was_read():
    s = grouped(3, BOB)
    s.take_delivered(s.audience.view(0), 1, 3)
    s.refresh(1, 3)
    assert [(1, 2, "READ")] == read(s, 0, 2)
    learn_members(s, p.Members(1, None, False, EPOCH, 2, tuple([CAROL])))
    assert [(3, 3, "READ")] == read(s, 0, 3)
    s.append([0], [b"x"])
    for ordinal in (0, 1):
        s.take_delivered(s.audience.view(ordinal), 4, 4)
    s.refresh(4, 4)
    assert [] == read(s, 0, 4), "carol is due it, and has not read it"
    states = [OutStream(GROUP, s.record()).state(seq).name for seq in (1, 3, 4)]
    assert ["READ", "READ", "DELIVERED"] == states == [s.state(seq).name for seq in (1, 3, 4)]
    assert [(4, 4, "READ")] == read(s, 1, 4)


def test_a_members_second_device_is_waited_for_like_the_first():
    s = grouped(3, BOB)
    learn_members(s, p.Members(1, None, False, EPOCH, 2, tuple([member(1, "laptop", joined=2)])))
    assert (0, 0) == (s.audience.view(1).read, s.audience.read_up_to())


def test_nobody_waits_for_a_leaver_to_read():
    s = grouped(2, BOB, member(1, "c", user="carol"))
    for ordinal in (0, 1):
        s.take_delivered(s.audience.view(ordinal), 1, 2)
    s.refresh(1, 2)
    assert [] == read(s, 0, 2)
    changes = learn_members(s, p.Members(1, None, True, EPOCH, 2, tuple([BOB])))
    assert [(1, 2, MessageState.READ)] == changes


def test_what_was_read_stays_so_under_another_store():
    s = grouped(2, BOB)
    s.take_delivered(s.audience.view(0), 1, 2)
    s.refresh(1, 2)
    read(s, 0, 2)
    forget_membership(s, EPOCH + 1)
    learn_members(s, p.Members(1, None, True, EPOCH + 1, 1, tuple([CAROL])))
    assert MessageState.READ == s.state(2)


# --- Who is due ---


def test_a_message_for_nobody_gets_the_epoch_of_who_comes():
    s = OutStream(STREAM, FRESH)
    s.append([0] * 2, [b"x"] * 2)
    learn_members(s, p.Members(1, None, True, EPOCH, 1, tuple([member(0)])))
    learn_members(s, p.Members(1, None, True, EPOCH, 2, tuple([member(1, "tablet", user="alice")])))
    s.append([0] * 2, [b"x"] * 2)
    assert ([(1, 1), (3, 2)], None) == ([tuple(run) for run in s.runs], s.restamped_from)
    learn_members(s, p.Members(1, None, True, EPOCH, 3, tuple([member(2, "laptop", joined=3)])))
    assert ([(1, 1), (3, 3)], 3) == ([tuple(run) for run in s.runs], s.restamped_from)
    assert ["EXCUSED", "PENDING"] == [s.state(seq).name for seq in (2, 3)]


def test_an_own_device_that_another_store_forgot_makes_nothing_doubtful():
    s = out_stream(3, member(0), member(1, "tablet", user="alice"))
    forget_membership(s, EPOCH + 1)
    learn_members(s, p.Members(1, None, True, EPOCH + 1, 1, tuple([member(0)])))
    assert [] == list(s.doubtful)


@pytest.mark.parametrize("by", ["the server's answer", "another store"])
def test_what_is_stored_only_for_an_own_device_does_not_fall_with_it(by):
    s = out_stream(2, member(0), member(1, "tablet", user="alice"))
    s.take_accepted(((1, 2),))
    s.take_stored(s.audience.view(0), ((2, 2),))
    s.take_stored(s.audience.view(1), ((1, 2),))
    if by == "another store":
        assert [(2, 2, MessageState.PENDING)] == forget_membership(s, EPOCH + 1)
    else:
        assert ([(1, 2)], []) == s.lapse_stored(s.audience.view(1), ((1, 2),), ())
        assert MessageState.STORED == s.state(2)
    assert MessageState.ACCEPTED == s.state(1)


@pytest.mark.parametrize("inboxes", ["one in memory", "one in memory and one on a disk"])
def test_what_an_inbox_in_memory_will_not_deliver_is_unknown_and_not_excused(inboxes):
    memory = member(0, incarnation=1)
    s = out_stream(2, *([memory] if inboxes == "one in memory" else [memory, TWO[1]]))
    for view in s.audience.views:
        s.take_void(view, 1, 1)
        s.take_delivered(view, 2, 2)
        s.take_void(view, 2, 2)
    assert [(1, 1, MessageState.UNKNOWN)] == s.refresh(1, 2)
    again = OutStream(STREAM, s.record())
    assert [MessageState.UNKNOWN, MessageState.DELIVERED] == [again.state(1), again.state(2)]
    assert (True, 3) == (again.final(1), s.floor)


def test_what_an_own_inbox_in_memory_will_not_deliver_says_nothing():
    s = out_stream(1, member(0), member(1, "tablet", 1, user="alice"))
    s.take_void(s.audience.view(1), 1, 1)
    s.take_void(s.audience.view(0), 1, 1)
    assert [(1, 1, MessageState.VOID)] == s.refresh(1, 1)
