"""What the machines do for flow control (PROTOCOL §3.8): held bytes, gaps, large payloads."""

import pytest

from tests.im.helpers import (
    ALICE,
    EPOCH,
    INC,
    PHONE,
    STREAM,
    Receiver,
    Sender,
    Server,
    run_of,
    section,
)
from udpim.im.transmitter import SLICE_BYTES
from udpim.model import RejectCode
from udpim.wire import im_packets as p
from udpim.wire.im_codec import SECTION_ENTRY_BYTES
from udpim.wire.im_schema import PAYLOAD_BYTES_MAX, SECTION_BYTES_MAX

LARGE = b"x" * 2000
ENTRY = SECTION_ENTRY_BYTES


# At B: what it holds.


@pytest.mark.parametrize("durable", [True, False])
def test_message_is_held_until_the_application_is_done_with_it(durable):
    b = Receiver(durable=durable)
    b.push(section(1, b"abc", b"de"))
    assert 5 + 2 * ENTRY == b.inbox.held_bytes
    b.commit()
    assert 5 + 2 * ENTRY == b.inbox.held_bytes
    b.inbox.handled(STREAM, 1, 3)
    assert 2 + ENTRY == b.inbox.held_bytes
    b.inbox.handled(STREAM, 2, 2)
    assert 0 == b.inbox.held_bytes


@pytest.mark.parametrize("durable", [True, False])
def test_what_waits_behind_a_gap_is_not_held_until_the_gap_is_filled(durable):
    b = Receiver(durable=durable)
    b.push(section(2, b"abc"))
    b.commit()
    assert 0 == b.inbox.held_bytes
    b.push(section(1, b"de"))
    b.commit()
    assert 5 + 2 * ENTRY == b.inbox.held_bytes


def test_what_a_restart_hands_over_again_is_held():
    b = Receiver()
    b.push(section(1, b"abc"))
    b.commit()
    assert 3 + ENTRY == b.restart().inbox.held_bytes


@pytest.mark.parametrize("durable", [True, False])
def test_full_inbox_takes_what_fills_a_gap(durable):
    b = Receiver(durable=durable, inbox_bytes_max=2)
    b.push(section(3, b"abc"))
    b.commit()
    assert not b.takes(STREAM, 1, run_of(4, 4))
    assert not b.takes(STREAM, 1, run_of(2, 2))
    assert b.takes(STREAM, 1, run_of(1, 1))
    b.push(run_of(1, 2))
    b.commit()
    assert not b.takes(STREAM, 1, run_of(4, 4))


@pytest.mark.parametrize("durable", [True, False])
def test_empty_messages_are_held_and_limited_like_any_others(durable):
    b = Receiver(durable=durable, inbox_messages_max=2)
    b.push(section(1, b"", b""))
    b.commit()
    assert 2 * ENTRY == b.inbox.held_bytes
    assert not b.takes(STREAM, 1, run_of(3, 3))
    b.inbox.handled(STREAM, 1, 0, 2)
    assert 0 == b.inbox.held_bytes
    assert b.takes(STREAM, 1, run_of(3, 3))


# At A: large payloads.


def test_large_payload_is_a_section_of_its_own():
    a = Sender()
    a.met()
    a.send(b"1", b"2", LARGE, b"4", bytes(PAYLOAD_BYTES_MAX), b"6", b"7")
    a.commit()
    sections = [packet.section for packet, _ in a.packets(10_000)]
    assert [2, 1, 1, 1, 2] == [one.count for one in sections]
    small = [one for one in sections if one.count > 1]
    assert all(len(one.raw) <= SECTION_BYTES_MAX for one in small)


def test_large_payloads_take_room_by_their_size():
    a = Sender()
    a.met()
    a.send(*[bytes(SLICE_BYTES)] * 10)
    a.commit()
    assert 1 == len(a.packets(1))
    assert 2 == len(a.packets(SLICE_BYTES // SECTION_BYTES_MAX + 10))
    assert 7 == len(a.packets(10_000))


def test_large_payloads_sent_again_take_room_by_their_size_and_keep_their_order():
    a = Sender()
    stream = a.met()
    a.send(*[bytes(SLICE_BYTES)] * 5)
    a.commit()
    a.packets(10_000)
    a.outbox._transmitter.again(stream, 2, 6)
    firsts = [[packet.section.first for packet, _ in a.packets(1)] for _ in range(6)]
    assert [[2], [3], [4], [5], [6], []] == firsts


def test_slice_goes_on_over_what_is_settled():
    a = Sender()
    stream = a.met()
    a.send(*[LARGE] * 5)
    a.commit()
    a.packets(10_000)
    a.verdict(stream, delivered=((1, 4),))
    a.commit()
    a.outbox._transmitter.again(stream, 1, 6)
    assert [5, 6] == [packet.section.first for packet, _ in a.packets(10_000)]


def test_large_rows_of_an_earlier_life_are_known_as_large():
    a = Sender()
    a.send(LARGE, b"small")
    a.commit()
    again = a.restart()
    (stream,) = again.outbox._streams.values()
    assert stream.has_large
    stream, _ = Sender().send(b"small")
    assert not stream.has_large


MIB = 1024 * 1024


def test_no_more_than_a_window_of_bytes_is_under_way():
    a = Sender()
    stream = a.met()
    a.send(*[bytes(MIB)] * 5, b"small")
    a.commit()
    a.verdict(stream, delivered=((1, 1),))
    assert ["msg 2-2", "msg 3-3"] == a.told_of(10_000)
    assert [] == a.told_of(10_000)
    a.verdict(stream, delivered=((3, 3),))
    assert ["msg 4-4"] == a.told_of(10_000), "what is settled above a gap makes room"
    a.stored(stream, (2, 2))
    assert ["msg 5-5"] == a.told_of(10_000), "and so does what is stored"
    a.verdict(stream, delivered=((2, 2), (4, 5)))
    assert ["msg 6-6", "msg 7-7"] == a.told_of(10_000)


def test_what_was_stored_and_is_not_any_more_leaves_as_the_window_moves():
    a = Sender()
    stream = a.met()
    a.send(*[bytes(MIB)] * 5)
    a.commit()
    for seq in range(1, 7):
        a.told_of(10_000)
        a.stored(stream, (1, seq))
    assert stream.cursor == 7
    a.outbox.receive_status_a(stream, p.StatusA(1, None, 0, EPOCH, ((1, 6),), ()))
    told = []
    for seq in range(1, 7):
        told += a.told_of(10_000)
        a.verdict(stream, delivered=((seq, seq),))
    assert [f"msg {seq}-{seq}" for seq in range(1, 7)] == told


def test_what_is_asked_for_beyond_the_window_waits_for_it():
    """After a lapse the lowest open seq is far below what left already."""
    a = Sender()
    stream = a.met()
    a.send(*[bytes(MIB)] * 5)
    a.commit()
    for seq in range(1, 7):
        a.told_of(10_000)
        a.stored(stream, (1, seq))
    a.outbox.receive_status_a(stream, p.StatusA(1, None, 0, EPOCH, ((1, 6),), ()))
    assert [(1, 6)] == [(first, last) for _, first, last, _ in a.outbox._transmitter._again]
    assert ["msg 1-1", "msg 2-2"] == a.told_of(10_000)
    assert 3 == stream.cursor, "the rest leaves as new messages do"


def test_outbox_knows_its_bytes_and_those_to_one_user():
    a = Sender()
    stream = a.met(b"12345")
    assert (5, (1, 5)) == (a.outbox.open_bytes, a.outbox.open_to("bob"))
    a.send(b"123", LARGE, to="carol")
    size = 3 + len(LARGE)
    assert (5 + size, (2, size)) == (a.outbox.open_bytes, a.outbox.open_to("carol"))
    a.verdict(stream, delivered=((1, 1),))
    a.commit()
    assert (size, (0, 0)) == (a.outbox.open_bytes, a.outbox.open_to("bob"))
    again = a.restart()
    assert (size, (2, size)) == (again.outbox.open_bytes, again.outbox.open_to("carol"))
    assert (0, 0) == a.outbox.open_to("nobody")


def test_bytes_move_with_what_takes_a_new_identity():
    a = Sender()
    a.met(b"12345")
    a.send(b"123")
    a.outbox.new_incarnation(INC + 1, 0.0)
    a.commit()
    assert (8, (1, 3)) == (a.outbox.open_bytes, a.outbox.open_to("bob"))


# At S: what it holds of whom.


def msg_r(first, *payloads, handle=1, floor=1, epoch=2):
    name = STREAM._replace(user="", device="")
    return p.MsgR(handle, name, floor, (p.EpochRun(1, epoch),), 0, section(first, *payloads))


def met_server(*, durable=True, **config):
    server = Server(durable=durable, **config)
    alice, phone = server.login(ALICE), server.login(PHONE)
    return server, alice, phone


def sent(session, kind):
    return [packet for packet, _ in session.frames if isinstance(packet, kind)]


def test_push_counts_against_its_recipient_until_the_receipt_and_never_against_its_sender():
    server, alice, phone = met_server()
    packet = msg_r(1, b"abc", b"de")
    server.router.receive_msg_r(alice, STREAM, packet)
    size = len(packet.section.raw)
    assert size == server.router.delivery.pushed_bytes == phone.pushed_bytes
    server.router.receive_ack_r(phone, STREAM, p.AckR(1, STREAM, False, ((1, 1),), ()))
    assert size == server.router.delivery.pushed_bytes
    assert 0 == server.router.delivery.held.of(ALICE), (
        "the credit is back: alice may write to others"
    )
    server.router.receive_ack_r(phone, STREAM, p.AckR(1, STREAM, False, ((2, 2),), ()))
    assert 0 == server.router.delivery.pushed_bytes == phone.pushed_bytes


def test_queue_row_is_held_until_its_commit():
    server, alice, phone = met_server()
    server.logout(phone)
    server.router.receive_msg_r(alice, STREAM, msg_r(1, b"abc"))
    assert 3 + ENTRY == server.router.delivery.held.of(ALICE)
    server.begin()
    server.finish(ok=False)
    assert 0 == server.router.delivery.held.of(ALICE)


def test_push_that_goes_to_the_queue_is_held_until_the_commit():
    server, alice, phone = met_server()
    server.router.receive_msg_r(alice, STREAM, msg_r(1, b"abc"))
    server.router.session_closed(phone, ())
    assert (3 + ENTRY, 0) == (
        server.router.delivery.held.of(ALICE),
        server.router.delivery.pushed_bytes,
    )
    server.commit()
    assert 0 == server.router.delivery.held.of(ALICE)


def test_crowded_session_gets_the_rest_by_its_queue():
    server, alice, phone = met_server(session_bytes_max=2000)
    server.router.receive_msg_r(alice, STREAM, msg_r(1, LARGE))
    server.router.receive_msg_r(alice, STREAM, msg_r(2, LARGE))
    assert [1] == [packet.section.first for packet in sent(phone, p.MsgN)]
    server.commit()
    assert [(2, 2)] == list(server.router.queue.find(PHONE, STREAM).messages)
    assert 1 == len(sent(phone, p.Nudge))


def refused(session):
    return [(packet.code, packet.ranges) for packet in sent(session, p.Refuse)]


def test_crowded_session_gets_no_more_from_a_server_whose_queue_is_in_memory():
    server, alice, phone = met_server(session_bytes_max=2000, durable=False)
    server.router.receive_msg_r(alice, STREAM, msg_r(1, LARGE))
    server.router.receive_msg_r(alice, STREAM, msg_r(2, LARGE))
    server.commit()
    assert [(RejectCode.FULL, ((2, 2),))] == refused(alice)
    assert server.router.queue.find(PHONE, STREAM) is None
    server.router.receive_msg_r(alice, STREAM, msg_r(1, LARGE))
    assert 1 == len(refused(alice)), "a copy of what was pushed needs no room"
    server.router.receive_ack_r(phone, STREAM, p.AckR(1, STREAM, False, ((1, 1),), ()))
    server.router.receive_msg_r(alice, STREAM, msg_r(2, LARGE))
    assert [1, 2] == [packet.section.first for packet in sent(phone, p.MsgN)]


def test_one_session_may_have_no_more_than_what_all_together_have_left():
    server, alice, phone = met_server(pushed_bytes_max=5000)
    laptop = server.login(ALICE._replace(user="carol"))
    to_carol = STREAM._replace(conversation="carol")
    for seq in (1, 2, 3):
        server.router.receive_msg_r(alice, STREAM, msg_r(seq, LARGE))
    assert [1, 2] == [packet.section.first for packet in sent(phone, p.MsgN)]
    server.router.receive_msg_r(alice, to_carol, msg_r(1, LARGE, handle=2, epoch=3))
    assert 1 == len(sent(laptop, p.MsgN)), "who has little pushed still gets some of the rest"
    server.commit()
    assert [(3, 3)] == list(server.router.queue.find(PHONE, STREAM).messages)


def test_queue_is_full_by_bytes_until_rows_go():
    server, alice, phone = met_server(queue_bytes_max=3000)
    server.logout(phone)
    for seq in (1, 2, 3):
        server.router.receive_msg_r(alice, STREAM, msg_r(seq, LARGE))
        server.commit()
    assert [(RejectCode.FULL, ((3, 3),))] == refused(alice)
    again = Server(server.state, queue_bytes_max=3000)
    alice, phone = again.login(ALICE), again.login(PHONE)
    again.router.receive_msg_r(alice, STREAM, msg_r(3, LARGE))
    assert [(RejectCode.FULL, ((3, 3),))] == refused(alice), "a restart knows the sizes"
    again.router.receive_ack_r(phone, STREAM, p.AckR(1, STREAM, True, ((1, 1),), ()))
    again.router.receive_msg_r(alice, STREAM, msg_r(3, LARGE))
    again.commit()
    assert [(2, 3)] == list(again.router.queue.find(PHONE, STREAM).messages)


def test_copy_of_what_was_pushed_to_a_crowded_session_is_not_queued():
    server, alice, phone = met_server(session_bytes_max=2000)
    for _ in range(2):
        server.router.receive_msg_r(alice, STREAM, msg_r(1, LARGE))
    server.commit()
    assert server.router.queue.find(PHONE, STREAM) is None
    assert 1 == len(sent(phone, p.MsgN))


def test_only_a_single_message_may_exceed_a_section_and_only_to_the_limit():
    server, alice, phone = met_server(payload_bytes_max=2000)
    server.router.receive_msg_r(alice, STREAM, msg_r(1, LARGE))
    server.router.receive_msg_r(alice, STREAM, msg_r(2, LARGE + b"y"))
    server.router.receive_msg_r(alice, STREAM, msg_r(3, b"x" * 1000, b"y" * 5))
    assert [1] == [packet.section.first for packet in sent(phone, p.MsgN)]
    refused = [(packet.code, packet.ranges) for packet in sent(alice, p.Refuse)]
    assert [(RejectCode.TOO_LARGE, ((2, 2),)), (RejectCode.TOO_LARGE, ((3, 4),))] == refused
