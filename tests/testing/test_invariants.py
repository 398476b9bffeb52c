"""Every invariant stays silent on an exchange that went well, and speaks when one fact is wrong."""

import pytest

from tests.testing.facts import (
    ALICE,
    BOB,
    EPOCH,
    INBOX,
    INCARNATION,
    ONE,
    RUN,
    STREAM,
    frame,
    msg_r,
    went_well,
)
from udpim.config import WINDOW
from udpim.im.records import DeviceRecord, InStreamRecord, PutDevice
from udpim.model import MessageState, MsgId
from udpim.testing import invariants as i
from udpim.testing.crossings import Crossing
from udpim.testing.facts import SERVER
from udpim.testing.oracle import ALWAYS
from udpim.testing.wiretap import Content
from udpim.wire import im_packets as p

TWO = MsgId(STREAM, 2)


def stories(check, history, *arguments):
    return list(check(history, *arguments))


@pytest.mark.parametrize("check", ALWAYS, ids=lambda check: check.__name__)
def test_nothing_is_wrong_with_an_exchange_that_went_well(check):
    assert stories(check, went_well()) == []


# Each of these breaks one fact.


def row_is_gone_without_an_outcome(h):
    h.shown.clear()


def one_msgid_for_two_messages(h):
    h.on_send(STREAM, 1, [b"other"])


def payload_that_nobody_sent(h):
    h.on_handover(BOB, 2, ONE, b"forged")


def committed_twice(h):
    h.commits[INBOX, ONE].append(h.tick())


def handed_over_twice_in_one_life(h):
    h.on_handover(BOB, 1, ONE, b"one")


def handed_over_again_after_it_was_done_with(h):
    h.handled[BOB, ONE].append(h.tick())
    h.on_handover(BOB, 2, ONE, b"one")


def delivered_before_the_commit(h):
    h.commits[INBOX, ONE][0] = h.tick()


def stored_without_a_row(h):
    h.on_send(STREAM, 2, [b"two"])
    h.on_shown(TWO, MessageState.STORED, 1)


def delivered_falls_to_pending(h):
    h.on_shown(ONE, MessageState.PENDING, 1)


def two_outcomes_in_two_lives(h):
    h.on_shown(ONE, MessageState.VOID, 2)


def void_is_shown_of_what_was_committed(h):
    h.on_shown(ONE, MessageState.VOID, 2)


def void_is_said_of_what_was_committed(h):
    frame(h, p.AckR(1, STREAM, False, (), RUN), "bob/phone", SERVER)


def floor_falls(h):
    h.inboxes[INBOX, STREAM] += [
        (1, InStreamRecord(STREAM, 5, 0, 0, 5, ())),
        (2, InStreamRecord(STREAM, 5, 0, 0, 4, ())),
    ]


def bitmap_is_wider_than_the_window(h):
    h.inboxes[INBOX, STREAM].append((1, InStreamRecord(STREAM, 0, 1 << WINDOW, 0, 1, ())))


def seq_is_both_delivered_and_void(h):
    h.inboxes[INBOX, STREAM].append((1, InStreamRecord(STREAM, 0, 2, 2, 1, ())))


def both_verdicts_were_said(h):
    frame(h, p.AckR(1, STREAM, False, (), RUN), "bob/phone", SERVER)


def row_went_before_the_verdict(h):
    h.trims[0] = (1, *h.trims[0][1:])


def row_went_before_anybody_could_answer(h):
    h.lines[EPOCH].devices.clear()


def verdict_without_a_copy(h):
    frame(h, p.AckR(1, STREAM, False, ((2, 2),), ()), "bob/phone", SERVER)


def accepted_without_a_copy(h):
    frame(h, p.MsgA(1, 0, ((2, 2),)), SERVER, "alice/phone")


def handed_over_out_of_order(h):
    h.on_handover(BOB, 1, MsgId(STREAM, 3), b"three")
    h.on_handover(BOB, 1, TWO, b"two")


def server_speaks_for_the_recipient(h):
    packet = p.AckN(1, STREAM, 0, INCARNATION, EPOCH, (), ((2, 2),), (), ())
    frame(h, packet, SERVER, "alice/phone")


def server_tallies_what_nobody_said(h):
    entry = p.TallyEntry(1, ((2, 2),), 0, 1)
    frame(h, p.Tally(1, STREAM, EPOCH, 1, (entry,)), SERVER, "alice/phone")


def read_without_a_commit(h):
    h.on_send(STREAM, 2, [b"two"])
    h.on_shown(TWO, MessageState.READ, 1)


def read_falls_to_delivered(h):
    h.on_shown(ONE, MessageState.READ, 1)
    h.on_shown(ONE, MessageState.DELIVERED, 1)


def server_invents_a_message(h):
    packet = msg_r(first=2)
    frame(h, p.MsgN(1, STREAM, 1, 1, packet.section), SERVER, "bob/phone")


def something_was_sent_to_the_replayer(h):
    home = Crossing(
        number=1,
        sent_at=0.0,
        source=("bob/phone", 1),
        destination=("server", 1),
        data=b"",
        content=Content(cid=b"", labels=()),
    )
    answer = Crossing(
        number=2,
        sent_at=0.0,
        source=("server", 1),
        destination=("mallory", 1),
        data=b"",
        content=Content(cid=b"", labels=("nudge",), packets=((1, p.Nudge()),)),
    )
    h.crossings += [home, answer]


BROKEN = [
    (i.i1_no_loss, row_is_gone_without_an_outcome),
    (i.i1_no_loss, one_msgid_for_two_messages),
    (i.i1_no_loss, payload_that_nobody_sent),
    (i.i2_no_duplicate, committed_twice),
    (i.i2_no_duplicate, handed_over_twice_in_one_life),
    (i.i2_no_duplicate, handed_over_again_after_it_was_done_with),
    (i.i3_receipt_truth, delivered_before_the_commit),
    (i.i3_receipt_truth, stored_without_a_row),
    (i.i3_receipt_truth, read_without_a_commit),
    (i.i4_lattice, delivered_falls_to_pending),
    (i.i4_lattice, read_falls_to_delivered),
    (i.i4_lattice, two_outcomes_in_two_lives),
    (i.i5_definite_negative, void_is_shown_of_what_was_committed),
    (i.i5_definite_negative, void_is_said_of_what_was_committed),
    (i.i6_bounded_exact_dedup, floor_falls),
    (i.i6_bounded_exact_dedup, bitmap_is_wider_than_the_window),
    (i.i6_bounded_exact_dedup, seq_is_both_delivered_and_void),
    (i.i8_equal_answers, both_verdicts_were_said),
    (i.i9_accepted_never_disarms, row_went_before_the_verdict),
    (i.i9_accepted_never_disarms, row_went_before_anybody_could_answer),
    (i.i10_evidence, verdict_without_a_copy),
    (i.i10_evidence, accepted_without_a_copy),
    (i.i11_order, handed_over_out_of_order),
    (i.i13_authority, server_speaks_for_the_recipient),
    (i.i13_authority, server_tallies_what_nobody_said),
    (i.i13_authority, server_invents_a_message),
    (i.i16_replay, something_was_sent_to_the_replayer),
]


@pytest.mark.parametrize(
    ("check", "broken"), BROKEN, ids=lambda function: function.__name__.replace("_", " ")
)
def test_a_broken_fact_is_noticed(check, broken):
    history = went_well()
    broken(history)
    assert stories(check, history)


def test_every_invariant_has_been_broken_here():
    elsewhere = {"i7_promise_after_durable", "i12_restraint", "no_nonce_twice", "all_is_legible"}
    checked = {check.__name__ for check, _ in BROKEN} | elsewhere
    assert {check.__name__ for check in ALWAYS} == checked


def test_lost_disk_excuses_what_it_held():
    history = went_well()
    row_is_gone_without_an_outcome(history)
    history.on_disk_lost("alice/phone")
    assert stories(i.i1_no_loss, history) == []


def test_row_that_moved_to_another_msgid_needs_no_verdict():
    history = went_well()
    row_went_before_the_verdict(history)
    old = history.trims[-1][1]
    history.moved[old] = old._replace(seq=99)
    assert stories(i.i9_accepted_never_disarms, history) == []


def test_row_that_all_had_answered_before_the_server_lost_its_disk_needs_no_verdict_of_others():
    history = went_well()
    order, msgid, _, _ = history.trims.pop()
    heard = next(f.arrived for f in history.frames if isinstance(f.packet, p.AckN))
    laptop = DeviceRecord("bob", "laptop", 1, 1, 3, (), 1, renewed=1)
    history.lines[EPOCH + 1].apply(PutDevice(laptop), history.tick())
    history.trims.append((order, msgid, EPOCH + 1, 1))
    history.stamps[msgid] = {EPOCH: (1, 1), EPOCH + 1: (1, heard + 1)}
    assert stories(i.i9_accepted_never_disarms, history) == []
    history.stamps[msgid][EPOCH + 1] = (1, heard)
    assert stories(i.i9_accepted_never_disarms, history), "it was open when the disk was lost"


def test_what_a_restored_inbox_handed_over_before_its_rebirth_may_come_again():
    history = went_well()
    history.incarnations[BOB] = 10
    two = MsgId(STREAM, 2)
    history.on_send(STREAM, 2, [b"two"])
    history.on_handover(BOB, 2, two, b"two")
    history.on_handover(BOB, 3, ONE, b"one")
    assert stories(i.i11_order, history)
    history.carried.add((BOB, ONE))
    assert stories(i.i11_order, history) == []


def test_a_tally_is_a_verdict_like_another():
    history = went_well()
    history.frames = [f for f in history.frames if not isinstance(f.packet, p.AckN)]
    assert stories(i.i9_accepted_never_disarms, history)
    entry = p.TallyEntry(0, RUN, 0, 1)
    tally = frame(history, p.Tally(1, STREAM, EPOCH, 1, (entry,)), SERVER, "alice/phone")
    tally.arrived = 1
    history.trims[0] = (history.tick(), *history.trims[0][1:])
    assert stories(i.i9_accepted_never_disarms, history) == []
    assert stories(i.i13_authority, history) == []


def test_what_a_liar_claims_is_no_breach_of_authority():
    history = went_well()
    history.hostile.add(SERVER)
    server_speaks_for_the_recipient(history)
    assert stories(i.i13_authority, history) == []


def test_open_messages_and_unreleased_commits_are_not_settled():
    history = went_well()
    up = ["alice/phone", "bob/phone"]
    assert stories(i.i14_liveness, history, up) == []
    history.on_send(STREAM, 2, [b"two"])
    history.on_accepted(TWO)
    history.commits[INBOX, TWO].append(history.tick())
    assert len(stories(i.i14_liveness, history, up)) == 2
    assert stories(i.i14_liveness, history, []) == []
    history.on_shown(TWO, MessageState.STORED, 1)
    assert len(stories(i.i14_liveness, history, up)) == 1


def quiet(history, labels, count):
    for number in range(count):
        history.crossings.append(
            Crossing(
                number=number,
                sent_at=10.0,
                source=(str(ALICE), 1),
                destination=("server", 1),
                data=b"",
                content=Content(cid=b"", labels=labels),
            )
        )


def test_silence_is_keepalives_only():
    history = went_well()
    history.clock.run_until(40.0)
    quiet(history, ("PING",), 4)
    assert stories(i.i15_quiescence, history, 10.0, 10.0) == []
    quiet(history, ("PING",), 1)
    assert len(stories(i.i15_quiescence, history, 10.0, 10.0)) == 1
    quiet(history, ("ACK", "msg:R"), 1)
    assert len(stories(i.i15_quiescence, history, 10.0, 10.0)) == 2
