"""The receiver: exact dedup, promises after the commit, order, and the pull (PROTOCOL §5.4)."""

from tests.im.helpers import STREAM, Receiver, of, run_of, section
from udpim.config import VOID_RUNS_MAX, WINDOW
from udpim.im.handles import OutHandles
from udpim.im.records import AsideRow, MarkHandled, PutInbox, PutInStream, SetAside, TakeBack
from udpim.wire.im_packets import AckR, OfflineA, StatusN

OTHER = STREAM._replace(incarnation=8)


def test_row_and_memory_are_one_transaction_and_the_receipt_waits_for_it():
    b = Receiver()
    b.push(run_of(1, 3))
    assert [PutInbox, PutInStream] == [type(op) for op in b.begin()]
    assert ([], []) == b.receipts()
    assert [] == b.released()
    b.finish()
    assert ([(1, 3)], []) == b.receipts()
    assert [1, 2, 3] == b.released()


def test_a_copy_changes_nothing_and_gets_the_same_receipt_again():
    b = Receiver()
    b.push(run_of(1, 3))
    b.commit()
    b.receipts(), b.released()
    b.push(run_of(1, 3))
    assert [] == b.begin()
    assert ([(1, 3)], []) == b.receipts()
    assert [] == b.released()
    assert 1 == b.inbox.duplicates


def test_of_a_copy_below_floor_only_that_it_is_settled_is_known():
    """Its sender has lost what it knew: it asks for ever, if nobody answers."""
    b = Receiver()
    b.push(run_of(1, 5))
    b.commit()
    b.push(run_of(6, 6), floor=4)
    b.commit()
    b.receipts()
    b.push(run_of(2, 4))
    first, second = b.packets()
    assert ((), (), ((2, 3),)) == (second.delivered, second.void, second.settled)
    assert (((4, 4),), ()) == (first.delivered, first.settled)
    b.cancel((1, 1))
    assert [((1, 1),)] == [packet.settled for packet in b.packets()]
    b.cancel((1, 3), floor=4)
    assert [] == b.packets(), "who knows the floor does not ask"
    b.pulled(run_of(3, 3), void=((1, 1),))
    (answer,) = b.packets()
    assert (True, ((1, 1), (3, 3))) == (answer.pulled, answer.settled)


def test_a_copy_during_the_commit_is_answered_after_it():
    b = Receiver()
    b.push(run_of(1, 3))
    b.begin()
    b.push(run_of(1, 3))
    b.cancel((1, 3))
    assert ([], []) == b.receipts()
    b.finish()
    assert ([(1, 3)], []) == b.receipts()


def test_a_copy_that_brings_something_new_receipts_only_what_is_durable():
    b = Receiver()
    b.push(run_of(1, 1))
    b.commit()
    b.receipts()
    b.push(run_of(1, 3))
    b.begin()
    assert ([(1, 1)], []) == b.receipts()
    b.finish()
    assert ([(2, 3)], []) == b.receipts()


def test_a_cancel_over_old_and_new_answers_only_what_is_durable():
    b = Receiver()
    b.push(run_of(2, 2))
    b.commit()
    b.receipts()
    b.cancel((1, 4))
    b.begin()
    assert ([(2, 2)], []) == b.receipts()
    b.finish()
    assert ([], [(1, 1), (3, 4)]) == b.receipts()


def test_one_commit_lets_out_nothing_of_the_next_one():
    b = Receiver()
    b.push(run_of(1, 1))
    b.begin()
    b.push(run_of(2, 2))
    b.begin()
    b.finish()
    assert ([(1, 1)], []) == b.receipts()
    assert [1] == b.released()
    b.finish()
    assert ([(2, 2)], []) == b.receipts()
    assert [2] == b.released()


def test_a_commit_wins_over_a_cancel_and_a_cancel_over_a_late_copy():
    b = Receiver()
    b.push(run_of(1, 1))
    b.cancel((1, 2))
    b.push(run_of(1, 2))
    b.commit()
    assert ([(1, 1)], [(2, 2)]) == b.receipts()
    assert [1] == b.released()


def test_the_receipt_outlives_the_message_and_the_process():
    b = Receiver()
    b.push(run_of(1, 2))
    b.commit()
    b.inbox.handled(STREAM, 1, 2)
    assert [MarkHandled(STREAM, ((1, 1),))] == b.begin()
    b.finish()
    again = b.restart()
    assert [2] == again.released(), "not handled, so released again"
    again.push(run_of(1, 2))
    again.commit()
    assert ([(1, 2)], []) == again.receipts()
    assert [] == again.released()


def test_restart_with_a_gap_releases_nothing_before_the_gap_is_closed():
    b = Receiver()
    b.push(run_of(2, 3))
    b.commit()
    assert [] == b.released()
    again = b.restart()
    assert [] == again.released()
    again.push(run_of(1, 1))
    again.commit()
    assert [1, 2, 3] == again.released()


def test_a_gap_holds_back_its_own_stream_only():
    b = Receiver()
    b.push(run_of(2, 2))
    b.push(run_of(1, 1), stream=OTHER)
    b.commit()
    assert [(OTHER, 1)] == [
        (run.stream, seq) for run in b.inbox.take_released() for seq, _, _ in run.messages
    ]


def test_a_login_offers_what_is_settled_from_floor_on():
    b = Receiver()
    b.push(run_of(1, 3), floor=1)
    b.push(section(5, b"x"), floor=3)
    b.commit()
    b.receipts()
    b.login()
    b.inbox.on_acked(STREAM)
    acks = of(AckR, b.packets())
    assert [((3, 3), (5, 5)), ()] == [ack.delivered for ack in acks]
    assert acks[0].name is None


def test_a_login_asks_whether_what_a_gap_holds_back_goes_on():
    b = Receiver()
    b.push(section(2, b"x"))
    b.push(section(1, b"y"), stream=OTHER)
    b.commit()
    b.receipts()
    b.login()
    questions = [a.name for a in of(AckR, b.packets()) if not a.delivered and not a.void]
    assert [STREAM] == questions
    assert [] == b.packets(), "once"
    b.released()
    b.cancel((1, 1), (3, 2**64 - 1))
    b.commit()
    assert [2] == b.released()
    b.login()
    assert all(ack.delivered or ack.void for ack in of(AckR, b.packets()))


def test_a_status_question_offers_again():
    b = Receiver()
    b.push(run_of(1, 3))
    b.commit()
    b.receipts()
    b.status(floor=2)
    b.commit()
    assert ([(2, 3)], []) == b.receipts()


def test_a_stream_starts_below_base_and_claims_nothing_there():
    b = Receiver()
    b.push(section(6, b"x"), floor=3, base=6)
    b.commit()
    assert ([(6, 6)], [(3, 5)]) == b.receipts()
    assert [6] == b.released()


def test_a_rising_base_closes_the_gap():
    b = Receiver()
    b.push(section(3, b"x"))
    b.push(section(4, b"x"), base=3)
    b.commit()
    assert ([(3, 4)], [(1, 2)]) == b.receipts()
    assert [3, 4] == b.released()


def test_what_was_delivered_is_never_voided_by_base():
    b = Receiver()
    b.push(run_of(1, 1))
    b.commit()
    b.receipts()
    b.status(floor=1, base=2)
    assert ([(1, 1)], []) == b.receipts()


def test_a_sender_has_a_limited_number_of_streams():
    b = Receiver(streams_per_user_max=1)
    b.push(run_of(1, 1))
    b.push(run_of(1, 1), stream=OTHER)
    b.cancel((1, 1), stream=OTHER)
    b.status(stream=OTHER)
    b.inbox.receive_offline_a(OTHER, OfflineA(1, None, 1, 1, False, 1, 1, ((1, 1),), None))
    b.commit()
    assert {"too many streams of one sender": 4} == b.inbox.drops
    assert ([(1, 1)], []) == b.receipts()
    b.push(run_of(1, 1), stream=OTHER._replace(user="zoe"))
    assert 4 == b.inbox.drops["too many streams of one sender"]


def test_cancels_wait_when_the_void_runs_are_at_their_limit():
    b = Receiver()
    for seq in range(1, 2 * VOID_RUNS_MAX, 2):
        b.cancel((seq, seq))
        b.push(section(seq + 1, b"x"))
    b.commit()
    b.packets()
    end = 2 * VOID_RUNS_MAX
    b.cancel((end + 1, end + 1))
    assert {"void runs at their limit": 1} == b.inbox.drops
    assert ([], []) == b.receipts()
    b.cancel((end + 1, end + 1), floor=end)
    b.commit()
    assert ([], [(end + 1, end + 1)]) == b.receipts()


def test_a_run_above_the_window_is_left_to_the_hop():
    b = Receiver()
    assert b.takes(STREAM, 1, run_of(WINDOW, WINDOW))
    assert not b.takes(STREAM, 1, run_of(WINDOW, WINDOW + 1))
    assert b.takes(STREAM, 2, run_of(WINDOW, WINDOW + 1))
    assert b.takes(STREAM, 1, None)
    b.push(run_of(1, 1))
    assert b.takes(STREAM, 1, run_of(WINDOW, WINDOW + 1))


def test_a_full_inbox_takes_no_messages_until_the_application_has_handled_some():
    b = Receiver(inbox_bytes_max=2)
    b.push(section(1, b"abc"))
    b.commit()
    assert not b.takes(STREAM, 1, run_of(2, 2))
    assert b.takes(STREAM, 1, None), "a cancel needs no room"
    b.inbox.handled(STREAM, 1, 3)
    assert b.takes(STREAM, 1, run_of(2, 2))


def test_a_long_list_of_holes_takes_several_packets():
    b = Receiver()
    for seq in range(1, 120, 2):
        b.push(section(seq, b"x"))
    b.commit()
    acks = of(AckR, b.packets())
    assert len(acks) > 1
    assert [(seq, seq) for seq in range(1, 120, 2)] == [r for ack in acks for r in ack.delivered]


# --- A memory inbox ---


def test_a_memory_inbox_receipts_what_the_application_has_finished_with():
    b = Receiver(durable=False)
    b.push(run_of(1, 2))
    b.commit()
    assert [1, 2] == b.released()
    assert ([], []) == b.receipts()
    b.push(run_of(1, 2))
    assert ([], []) == b.receipts()
    b.inbox.handled(STREAM, 1, 2)
    b.inbox.handled(STREAM, 2, 2)
    b.commit()
    assert ([(1, 2)], []) == b.receipts()


def test_a_memory_inbox_voids_no_message_that_it_holds():
    b = Receiver(durable=False)
    b.push(run_of(2, 2))
    b.cancel((1, 3))
    b.commit()
    assert ([], [(1, 1), (3, 3)]) == b.receipts()
    b.push(run_of(4, 4))
    assert [2, 4] == b.released()
    b.inbox.handled(STREAM, 2, 2)
    b.commit()
    assert ([(2, 2)], []) == b.receipts()


# --- The pull ---


def test_the_queue_is_pulled_after_login_and_again_while_there_is_more():
    b = Receiver()
    b.login(queue_waiting=True)
    assert b.asks()
    assert not b.asks()
    b.pulled(run_of(1, 2), total=2, more=True)
    assert not b.asks()
    b.pulled(void=((3, 4),), total=2, more=True)
    b.begin()
    assert not b.asks(), "the next batch waits until this one is durable"
    b.finish()
    acks = [p for p in b.packets() if isinstance(p, AckR)]
    assert [(True, ((1, 2),), ((3, 4),))] == [(a.pulled, a.delivered, a.void) for a in acks]
    b.pulled(total=0)
    assert not b.asks()


def test_the_request_for_more_leaves_with_the_receipts_of_the_batch():
    b = Receiver()
    b.login(queue_waiting=True)
    b.packets()
    b.pulled(run_of(1, 2), more=True)
    b.begin()
    b.packets()
    b.finish()
    kinds = [type(packet).__name__ for packet in b.packets()]
    assert ["AckR", "OfflineR"] == kinds


def test_an_empty_queue_is_asked_again_only_after_a_nudge():
    b = Receiver()
    b.login()
    assert not b.asks()
    b.inbox.receive_nudge()
    assert b.asks()
    b.inbox.receive_nudge()
    assert not b.asks(), "one pull at a time"
    b.pulled(total=0)
    assert b.asks(), "the nudge during the pull is not forgotten"


def test_a_copy_pulled_and_pushed_at_once_is_committed_once():
    b = Receiver()
    b.push(run_of(1, 1))
    b.pulled(run_of(1, 1))
    b.commit()
    assert ([(1, 1)], []) == b.receipts()
    assert [1] == b.released()


def test_status_for_an_unknown_stream_makes_it_known():
    b = Receiver()
    b.inbox.receive_status_n(STREAM, StatusN(1, None, 4, 4))
    b.push(run_of(4, 4), floor=4, base=4)
    b.commit()
    assert [4] == b.released()


def test_a_base_waits_too_when_the_void_runs_are_at_their_limit():
    """Only a hostile sender moves base that often; the memory stays bounded (I6)."""
    b = Receiver()
    end = 2 * VOID_RUNS_MAX
    for seq in range(2, end + 2, 2):
        b.push(section(seq, b"x"), base=seq)
    b.push(section(end + 2, b"x"), base=end + 2)
    b.commit()
    assert end == max(b.released())
    b.status(floor=end + 2, base=end + 2)
    b.commit()
    assert [end + 2] == b.released()


# --- What a connection has no room for ---


def streams_of(packets):
    return [packet.name.incarnation for packet in packets]


def many(count=5):
    """An inbox with receipts of so many streams."""
    b = Receiver()
    for n in range(1, count + 1):
        b.push(run_of(1, 1), stream=STREAM._replace(incarnation=n))
    b.commit()
    b.packets()
    return b


def test_receipts_leave_as_there_is_room():
    b = many()
    b.login()
    assert [] == b.packets(room=0)
    assert [1, 2] == streams_of(b.packets(room=2))
    assert [3, 4] == streams_of(b.packets(room=2))
    assert [5] == streams_of(b.packets(room=2))


def test_new_receipts_that_find_no_room_wait():
    b = many()
    for n in range(1, 4):
        b.push(run_of(2, 2), stream=STREAM._replace(incarnation=n))
    b.commit()
    assert [1, 2] == streams_of(b.packets(room=2))
    assert [3] == streams_of(b.packets(room=2))


def test_a_login_begins_with_the_receipts_that_the_last_one_had_no_room_for():
    b = many()
    offered = []
    for _ in range(3):
        b.inbox.session_started(OutHandles(4), queue_waiting=False)
        offered.append(streams_of(b.packets()))
        assert [] == b.packets()
    assert [[1, 2], [3, 4], [5, 1]] == offered


# --- Set aside ---


def poison(seq, payload=b"x"):
    return AsideRow(STREAM, seq, 0, payload, "why")


def shown(b, *seqs):
    for seq in seqs:
        b.push(section(seq, b"x"))
    b.commit()
    assert list(seqs) == b.released()
    return b.receipts()


def test_what_is_set_aside_stays_in_the_inbox_and_its_receipt_stays():
    b = Receiver()
    assert ([(1, 2)], []) == shown(b, 1, 2)
    assert b.inbox.set_aside(poison(1))
    assert [SetAside(STREAM, 1, "why")] == b.begin()
    b.finish()
    assert (1, 1) == (b.inbox.sizes()["aside_messages"], b.inbox.sizes()["waiting_messages"])
    again = b.restart()
    assert [2] == again.released(), "it waits no more, and holds nothing up"
    assert [poison(1)] == again.inbox.aside.rows()
    again.push(section(1, b"x"))
    assert ([(1, 1)], []) == again.receipts(), "as ever"


def test_what_is_taken_back_waits_again_and_can_be_handled():
    b = Receiver()
    shown(b, 1, 2)
    b.inbox.set_aside(poison(1))
    b.commit()
    assert poison(1) == b.inbox.aside.take_back(STREAM, 1)
    b.inbox.handled(STREAM, 2, 1)
    assert [TakeBack(STREAM, 1), MarkHandled(STREAM, ((2, 2),))] == b.begin()
    b.finish()
    assert (0, 1) == (b.inbox.sizes()["aside_messages"], b.inbox.sizes()["waiting_messages"])
    again = b.restart()
    assert [1] == again.released()
    again.inbox.handled(STREAM, 1, 1)
    again.commit()
    assert [] == again.restart().released()
    assert 0 == again.inbox.sizes()["waiting_bytes"]


def test_a_memory_inbox_says_void_of_what_is_set_aside_and_never_delivered():
    b = Receiver(durable=False)
    assert ([], []) == shown(b, 1, 2)
    assert b.inbox.set_aside(poison(1))
    b.commit()
    assert ([], [(1, 1)]) == b.receipts()
    b.inbox.handled(STREAM, 2, 1)
    b.commit()
    assert ([(2, 2)], []) == b.receipts()
    for seq in (1, 2):
        b.push(section(seq, b"x"))
    assert ([(2, 2)], [(1, 1)]) == b.receipts()
    assert [] == b.released()
    assert poison(1) == b.inbox.aside.take_back(STREAM, 1)
    b.inbox.handled(STREAM, 1, 1)
    b.commit()
    b.status()
    assert ([(2, 2)], [(1, 1)]) == b.receipts(), "whatever became of it, the verdict stays"
    assert {0} == {b.inbox.sizes()[key] for key in ("aside_messages", "waiting_bytes")}


def test_of_a_memory_inbox_only_the_first_setting_aside_is_a_verdict():
    b = Receiver(durable=False)
    shown(b, 1, 2)
    b.inbox.set_aside(poison(2))
    b.inbox.aside.take_back(STREAM, 2)
    b.commit()
    assert ([], [(2, 2)]) == b.receipts()
    assert b.inbox.set_aside(poison(2))
    assert [] == b.begin()
    assert 2 == b.inbox.aside.count


def test_a_memory_inbox_with_all_its_void_runs_sets_nothing_aside_until_floor_rises():
    b = Receiver(durable=False)
    for seq in range(2, 2 * VOID_RUNS_MAX + 2, 2):
        b.push(section(seq - 1, b"x"))
        b.inbox.handled(STREAM, seq - 1, 1)
        b.cancel((seq, seq))
    last = 2 * VOID_RUNS_MAX + 1
    b.push(section(last, b"x"))
    b.commit()
    assert not b.inbox.set_aside(poison(last))
    assert 1 == b.inbox.sizes()["waiting_messages"]
    b.status(floor=last)
    assert b.inbox.set_aside(poison(last))


def test_nothing_is_set_aside_beyond_the_limit():
    b = Receiver(aside_messages_max=1)
    shown(b, 1, 2)
    assert b.inbox.set_aside(poison(1))
    b.commit()
    assert not b.inbox.set_aside(poison(2))
    assert [] == b.begin()
    assert 1 == b.inbox.sizes()["waiting_messages"]
