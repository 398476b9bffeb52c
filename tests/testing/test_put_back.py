"""What was true before an old copy of a disk was put back is neither forgotten nor held against."""

import pytest

from tests.testing.facts import ALICE, BOB, INBOX, ONE, RUN, STREAM, frame, msg_r, went_well
from udpim.im.records import ClientSnapshot, InStreamRecord, OutboxRow, OutStreamRecord
from udpim.model import MessageState, MsgId
from udpim.testing import invariants as i
from udpim.testing.facts import SERVER
from udpim.testing.promises import i7_promise_after_durable
from udpim.testing.put_back import find_moved, undone
from udpim.wire import im_packets as p

ALL = [i.i1_no_loss, i.i2_no_duplicate, i.i3_receipt_truth, i.i5_definite_negative]
ALL += [i.i6_bounded_exact_dedup, i.i8_equal_answers, i.i11_order, i7_promise_after_durable]


def violations(history):
    return [story for check in ALL for story in check(history)]


def put_back(taken=0):
    """Bob's inbox is as it was before the message came, and nobody finds out."""
    history = went_well()
    seen = InStreamRecord(STREAM, 1, 0, 0, 2, ())
    history.inboxes[INBOX, STREAM].append((history.tick(), seen))
    history.on_restored("bob/phone", taken)
    return history


def commit_again(history, life=2):
    history.commits[INBOX, ONE].append(history.tick())
    history.on_handover(BOB, life, ONE, b"one")
    history.inboxes[INBOX, STREAM].append((history.tick(), InStreamRecord(STREAM, 1, 0, 0, 1, ())))
    frame(history, p.AckR(1, STREAM, False, RUN, ()), "bob/phone", SERVER)


def test_the_same_message_may_be_committed_and_handed_over_again():
    history = put_back()
    assert (INBOX, ONE) not in history.commits
    assert history.handovers[0].incarnation != INBOX[1]
    commit_again(history)
    assert violations(history) == []
    commit_again(history)
    assert any("was committed 2 times" in story for story in violations(history))


def test_what_was_said_and_shown_then_was_true_then():
    history = put_back()
    assert history.shown[ONE][-1].state is MessageState.DELIVERED
    assert violations(history) == []
    said = next(f for f in history.frames if isinstance(f.packet, p.AckR))
    assert said.inboxes == (undone(INBOX, said.undone), INBOX)


def test_what_was_true_before_the_copy_was_made_still_is():
    history = put_back(taken=1 << 40)
    assert history.commits[INBOX, ONE]
    commit_again(history)
    words = violations(history)
    assert any("was committed 2 times" in story for story in words)
    assert any("went back" in story for story in words)


def test_a_promise_that_nothing_ever_backed_is_none_afterwards_either():
    history = went_well()
    history.commits.clear()
    history.on_restored("bob/phone", 0)
    assert any("without a durable commit" in story for story in violations(history))


def test_a_message_that_was_voided_then_may_be_committed_now():
    history = went_well()
    two = MsgId(STREAM, 2)
    history.on_send(STREAM, 2, [b"two"])
    history.voided[INBOX, two] = history.tick()
    frame(history, p.AckR(1, STREAM, False, (), ((2, 2),)), "bob/phone", SERVER)
    taken = 1
    history.on_restored("bob/phone", taken)
    history.on_shown(two, MessageState.VOID, 1)
    assert history.taken_back == {(BOB, two)}
    history.commits[INBOX, two].append(history.tick())
    assert [story for story in violations(history) if "VOID" in story] == []


@pytest.mark.parametrize("then", [0, 1], ids=["in one life", "in both lives"])
def test_void_and_committed_in_one_life_stays_a_violation(then):
    history = went_well()
    frame(history, p.AckR(1, STREAM, False, (), RUN), "bob/phone", SERVER)
    history.on_restored("bob/phone", 0 if then else 1 << 40)
    assert any("said VOID" in story and "which it has" in story for story in violations(history))


def test_each_putting_back_undoes_what_was_since_the_last():
    history = put_back()
    commit_again(history)
    history.on_restored("bob/phone", 0)
    assert len([key for key, _ in history.commits if key[0] == BOB]) == 2
    commit_again(history, life=3)
    assert violations(history) == []


def test_a_msgid_used_again_is_the_first_message_s_when_the_second_is_undone():
    history = went_well()
    history.on_restored("alice/phone", 0)
    taken = history.tick()
    history.on_send(STREAM, 1, [b"another"])
    history.on_accepted(ONE)
    history.on_restored("alice/phone", taken)
    assert (history.collisions, history.sends[ONE].payload) == ([], b"one")


def test_a_server_s_disk_is_no_inbox():
    history = went_well()
    history.on_restored(SERVER, 0)
    assert history.commits[INBOX, ONE]


def used_again(died):
    """Alice's disk is put back, and the msgid is another message's."""
    history = went_well()
    history.on_restored("alice/phone", 0)
    if died == "before":
        history.on_died(SERVER)
    history.on_send(STREAM, 1, [b"another"])
    history.on_accepted(ONE)
    if died == "before the login":
        history.on_died(SERVER)
    frame(history, msg_r(), "alice/phone", SERVER)
    if died == "later":
        history.on_died(SERVER)
    return history


@pytest.mark.parametrize("died", ["before", "before the login"])
def test_a_msgid_may_be_used_again_where_the_server_died_with_what_it_knew(died):
    assert not any("two messages" in story for story in i.i1_no_loss(used_again(died)))


@pytest.mark.parametrize("died", ["later", "never"])
def test_a_msgid_is_not_used_again_where_the_server_could_tell(died):
    assert any("two messages" in story for story in i.i1_no_loss(used_again(died)))


@pytest.mark.parametrize(
    ("taken", "epoch", "excused"), [(0, 1, True), (0, 0, True), (1 << 40, 1, False)]
)
def test_void_of_a_message_that_left_after_the_copy_was_made_is_not_held_against(
    taken, epoch, excused
):
    history = went_well()
    if not epoch:
        taken = frame(history, msg_r(epoch=0), "alice/phone", SERVER).sent
        frame(history, msg_r(), "alice/phone", SERVER)
        del history.frames[0]
    history.on_restored("alice/phone", taken)
    history.on_shown(ONE, MessageState.VOID, 2)
    assert excused == (not any("was shown VOID" in s for s in i.i5_definite_negative(history)))


def test_rows_that_moved_as_their_process_died_are_found_again():
    history = went_well()
    two, new = MsgId(STREAM, 2), STREAM._replace(incarnation=8)
    history.on_send(STREAM, 2, [b"two"])
    record = OutStreamRecord(1, 8, "bob", 3, 2, 0, 0, (), (), ())
    rows = (OutboxRow(1, 2, 0, 0, 1, b"two"),)
    history.on_opened(ALICE, {})
    find_moved(history, ALICE, ClientSnapshot(out_streams=(record,), outbox=rows))
    assert history.moved == {two: MsgId(new, 2)}
    assert history.sends[MsgId(new, 2)].payload == b"two"
    find_moved(history, ALICE, ClientSnapshot(out_streams=(record,), outbox=rows))
    assert history.moved == {two: MsgId(new, 2)}
