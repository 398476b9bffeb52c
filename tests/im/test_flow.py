"""What the machines do for flow control (PROTOCOL §3.8): held bytes, gaps, large payloads."""

import pytest

from tests.im.helpers import (
    ALICE,
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
    assert not b.inbox.has_room(STREAM, 1, run_of(4, 4))
    assert not b.inbox.has_room(STREAM, 1, run_of(2, 2))
    assert b.inbox.has_room(STREAM, 1, run_of(1, 1))
    b.push(run_of(1, 2))
    b.commit()
    assert not b.inbox.has_room(STREAM, 1, run_of(4, 4))


@pytest.mark.parametrize("durable", [True, False])
def test_empty_messages_are_held_and_limited_like_any_others(durable):
    b = Receiver(durable=durable, inbox_messages_max=2)
    b.push(section(1, b"", b""))
    b.commit()
    assert 2 * ENTRY == b.inbox.held_bytes
    assert not b.inbox.has_room(STREAM, 1, run_of(3, 3))
    b.inbox.handled(STREAM, 1, 0, 2)
    assert 0 == b.inbox.held_bytes
    assert b.inbox.has_room(STREAM, 1, run_of(3, 3))


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


# At S: what it holds of whom.


def msg_r(first, *payloads, handle=1, floor=1):
    name = STREAM._replace(user="", device="")
    return p.MsgR(handle, name, floor, (p.EpochRun(1, 1),), 0, section(first, *payloads))


def met_server(**config):
    server = Server(**config)
    alice, phone = server.login(ALICE), server.login(PHONE)
    return server, alice, phone


def sent(session, kind):
    return [packet for packet, _ in session.frames if isinstance(packet, kind)]


def test_push_is_held_until_its_receipt():
    server, alice, phone = met_server()
    packet = msg_r(1, b"abc", b"de")
    server.router.receive_msg_r(alice, STREAM, packet)
    size = len(packet.section.raw)
    assert size == server.router.held.of(ALICE) == phone.pushed_bytes
    server.router.receive_ack_r(phone, STREAM, p.AckR(1, STREAM, False, ((1, 1),), ()))
    assert size == server.router.held.of(ALICE)
    server.router.receive_ack_r(phone, STREAM, p.AckR(1, STREAM, False, ((2, 2),), ()))
    assert 0 == server.router.held.of(ALICE) == phone.pushed_bytes


def test_queue_row_is_held_until_its_commit():
    server, alice, phone = met_server()
    server.logout(phone)
    server.router.receive_msg_r(alice, STREAM, msg_r(1, b"abc"))
    assert 3 + ENTRY == server.router.held.of(ALICE)
    server.begin()
    server.finish(ok=False)
    assert 0 == server.router.held.of(ALICE)


def test_push_that_goes_to_the_queue_is_held_until_the_commit():
    server, alice, phone = met_server()
    server.router.receive_msg_r(alice, STREAM, msg_r(1, b"abc"))
    server.router.session_closed(phone, ())
    assert 3 + ENTRY == server.router.held.of(ALICE)
    server.commit()
    assert 0 == server.router.held.of(ALICE)


def test_crowded_session_gets_the_rest_by_its_queue():
    server, alice, phone = met_server(session_bytes_max=2000)
    server.router.receive_msg_r(alice, STREAM, msg_r(1, LARGE))
    server.router.receive_msg_r(alice, STREAM, msg_r(2, LARGE))
    assert [1] == [packet.section.first for packet in sent(phone, p.MsgN)]
    server.commit()
    assert [(2, 2)] == list(server.router.queue.find(PHONE, STREAM).messages)
    assert 1 == len(sent(phone, p.Nudge))


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
