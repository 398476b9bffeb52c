"""The history takes its facts from disks and wires, and believes no node."""

from tests.testing.facts import ALICE, BOB, ONE, STREAM, frame, msg_r, went_well
from udpim.im import records as r
from udpim.model import MessageState, MsgId
from udpim.testing.clock import VirtualClock
from udpim.testing.facts import SERVER
from udpim.testing.history import History
from udpim.wire import im_packets as p

OUT = r.OutStreamRecord(1, 7, "bob", 3, 1, 5, 1, (), (), ())


def history_of(host, *transactions):
    history = History(VirtualClock())
    history.incarnations.update({ALICE: 7, BOB: 9})
    for ops in transactions:
        history.on_durable(host, ops)
    return history


def test_outbox_rows_belong_to_the_stream_of_their_number():
    put = r.PutOutbox(1, 1, 0, 0, (1, 2), (b"one", b"two"))
    history = history_of(
        "alice/phone",
        [put, r.PutOutStream(OUT)],
        [r.StampOutbox(1, 1, 2, 4)],
        [r.TrimOutbox(1, 1, 1), r.PutOutStream(OUT._replace(floor=2))],
    )
    assert history.rows[ONE] == (1, b"one")
    assert history.epochs[MsgId(STREAM, 2)] == 4
    assert history.trims == [(3, ONE, 5, 4)]
    assert history.floors[STREAM] == [(1, 1), (3, 2)]


def test_inbox_commits_and_void_promises_are_dated_once():
    record = r.InStreamRecord(STREAM, 2, 1, 2, 1, ((2, 2),))
    history = history_of(
        "bob/phone",
        [r.PutInbox(STREAM, (1, 3), (0, 0), (b"", b"")), r.PutInStream(record)],
        [r.PutInStream(record), r.MarkHandled(STREAM, ((1, 1),))],
    )
    assert [seq for (_, (_, seq)) in history.commits] == [1, 3]
    assert {msgid.seq: order for (_, msgid), order in history.voided.items()} == {2: 1, 4: 1}
    assert history.handled[BOB, ONE] == [2]


def test_logins_are_counted_by_incarnation():
    history = history_of(
        "bob/phone",
        [r.PutMeta("incarnation", b"\x0b"), r.PutMeta("login_count", b"\x01")],
        [r.PutMeta("login_count", b"\x01")],
    )
    assert history.incarnations[BOB] == 11
    assert history.logins[BOB] == {(11, 1): 1}


def test_store_that_is_an_old_copy_brings_its_incarnation_back():
    history = history_of("bob/phone", [r.PutMeta("incarnation", b"\x0b")])
    history.on_opened(BOB, {"incarnation": b"\x09"})
    history.on_durable("bob/phone", [r.PutMeta("login_count", b"\x05")])
    assert history.logins[BOB] == {(9, 5): 2}
    history.on_opened(BOB, {})
    assert history.incarnations[BOB] == 9, "an empty disk says so itself when it has drawn one"


def test_server_s_disk_tells_devices_queue_and_receipts():
    device = r.DeviceRecord("bob", "phone", 0, 1, 9, (), 1)
    rows = (r.QueueRow(1, False, 0, b""), r.QueueRow(2, True, 0, b""))
    history = history_of(
        SERVER,
        [r.PutMeta("store_epoch", b"\x05"), r.PutDevice(device)],
        [r.PutQueue(BOB, STREAM, 1, 1, rows)],
        [r.PutReceipt(r.ReceiptRecord(STREAM, BOB, 9, ((1, 1),), ((3, 3),)))],
    )
    (line,) = history.lines[5].devices[BOB]
    assert (line.endpoint, line.ordinal, line.joined, line.left) == (BOB, 0, 1, 0)
    assert history.stored == {(5, BOB, ONE): 2}
    assert history.kept == {(STREAM, BOB, 9, 1): 3, (STREAM, BOB, 9, 3): 3}


def test_message_that_moves_is_known_under_its_old_msgid_if_a_copy_of_it_left():
    history, new = went_well(), STREAM._replace(incarnation=8)
    history.on_send(STREAM, 2, [b"two"])
    history.on_accepted(MsgId(STREAM, 2))
    history.on_reborn(STREAM, new, 1, 2)
    known = {(m.stream.incarnation, m.seq): s.payload for m, s in history.sends.items()}
    assert known == {(8, 1): b"one", (7, 1): b"one", (8, 2): b"two"}
    assert history.sends[ONE].accepted is None
    again = STREAM._replace(incarnation=6)
    history.on_reborn(STREAM, again, 2, 2)
    assert history.sends[MsgId(again, 2)].payload == b"two", "of a copy that was put back twice"


def restored_and_sent_again():
    history = went_well()
    history.on_disk_lost("alice/phone")
    history.on_send(STREAM, 1, [b"another"])
    history.on_accepted(ONE)
    assert history.collisions == [ONE]
    return history


def test_a_msgid_used_again_is_the_first_message_s_if_the_second_was_withdrawn_in_time():
    history = restored_and_sent_again()
    history.on_shown(ONE, MessageState.VOID, 2)
    assert (history.collisions, history.sends[ONE].payload) == ([], b"one")
    history = restored_and_sent_again()
    frame(history, msg_r(), "alice/phone", SERVER)
    history.on_shown(ONE, MessageState.VOID, 2)
    assert (history.collisions, history.sends[ONE].payload) == ([ONE], b"another")


def test_a_row_has_a_stamp_under_each_store():
    put = r.PutOutbox(1, 1, 0, 0, (1,), (b"one",))
    history = history_of(
        "alice/phone",
        [put, r.PutOutStream(OUT)],
        [r.StampOutbox(1, 1, 1, 4), r.PutOutStream(OUT)],
        [r.StampOutbox(1, 1, 1, 1), r.PutOutStream(OUT._replace(store_epoch=6))],
    )
    assert history.stamps[ONE] == {5: (4, 1), 6: (1, 3)}


def test_open_messages_are_those_without_an_outcome():
    history = history_of("alice/phone")
    history.on_send(STREAM, 1, [b"one"])
    assert history.open == set()
    history.on_accepted(ONE)
    assert history.open == {ONE}
    history.on_shown(ONE, MessageState.DELIVERED, 1)
    assert history.open == set()
    history.on_shown(ONE, MessageState.PENDING, 2)
    assert history.open == {ONE}
    history.on_disk_lost("alice/phone")
    assert history.open == set()


def test_frames_are_seen_once_and_resolved_by_the_names_on_their_connection(seed):
    from udpim.testing import World

    world = World(seed)
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    lost = world.network.intercept("msg:N", copies=(1,))
    sent = alice.send("bob", [b"one", b"two"])
    world.settle()
    world.run(1)
    assert lost.dropped == 1
    pushes = [f for f in world.history.frames if isinstance(f.packet, p.MsgN)]
    assert [list(f.section()) for f in pushes] == [sent.msgids]
    assert pushes[0].size == 6
    assert pushes[0].incarnation == world.history.incarnations[bob.endpoint]
    accepted = [f for f in world.history.frames if isinstance(f.packet, p.MsgA)]
    assert {f.stream for f in accepted} == {sent.stream}
    receipts = [f for f in world.history.frames if isinstance(f.packet, p.AckA)]
    assert {f.stream for f in receipts} == {sent.stream}
