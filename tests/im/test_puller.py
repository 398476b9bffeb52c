"""The answer to offline:R: fair, bounded, in parts that fit packets (R8)."""

from tests.im.helpers import PHONE, STREAM, bodies
from udpim.config import PULL_BYTES_MAX, WINDOW
from udpim.im.offline_queue import OfflineQueue
from udpim.im.puller import ROWS_MAX, SLICE, answer_pull, plan_pull, pull_on
from udpim.im.records import QueueIndex, QueueItems, QueueRow
from udpim.im.session import Session
from udpim.wire.im_codec import decode, encode
from udpim.wire.im_packets import Nudge

OTHER = STREAM._replace(user="zoe")


def setup(*entries):
    index = [QueueIndex(PHONE, stream, messages, voids) for stream, messages, voids in entries]
    return OfflineQueue(index), Session(PHONE, 1, lambda: 0.0, {})


def answer(queue, session, *items):
    answer_pull(queue, session, items)
    packets = [packet for packet, _ in session.frames]
    session.frames.clear()
    for packet in packets:
        assert packet == decode(encode(packet))
    return packets


def message(seq, payload=b"x"):
    return QueueRow(seq, False, seq, payload)


def test_streams_take_turns():
    queue, session = setup((STREAM, ((1, 100),), ()), (OTHER, ((1, 70), (90, 90)), ()))
    plan = plan_pull(queue, session, 9999)
    assert session.reading
    assert (
        (STREAM, ((1, SLICE),)),
        (OTHER, ((1, SLICE),)),
        (STREAM, ((SLICE + 1, 100),)),
        (OTHER, ((SLICE + 1, 70), (90, 90))),
    ) == plan.wanted


def test_a_plan_is_bounded_whatever_the_client_asks_for():
    streams = [(STREAM._replace(incarnation=n), ((1, 9 * WINDOW),), ()) for n in range(9)]
    queue, session = setup(*streams)
    plan = plan_pull(queue, session, 2**32 - 1)
    assert ROWS_MAX == sum(b - a + 1 for _, ranges in plan.wanted for a, b in ranges)
    assert PULL_BYTES_MAX == plan.bytes_max


def test_an_empty_queue_is_answered_too():
    queue, session = setup()
    (packet,) = answer(queue, session)
    assert (0, False, 1) == (packet.total, packet.more, packet.batch)
    assert not session.reading


def test_rows_are_cut_into_runs_and_voids():
    queue, session = setup((STREAM, ((1, 2), (4, 4)), ((3, 3), (5, 6), (8, 8))))
    rows = [message(1), message(2), QueueRow(3, True, 0, b""), message(4)]
    rows += [QueueRow(seq, True, 0, b"") for seq in (5, 6, 8)]
    packets = answer(queue, session, QueueItems(STREAM, 1, 1, tuple(rows)))
    assert [(1, [b"x", b"x"]), (4, [b"x"])] == [
        (packet.section.first, bodies(packet)) for packet in packets[:2]
    ]
    assert ((3, 3), (5, 6), (8, 8)) == packets[2].void
    assert {(3, False)} == {(packet.total, packet.more) for packet in packets}


def test_a_part_fits_a_packet():
    queue, session = setup((STREAM, ((1, 5),), ()))
    rows = tuple(message(seq, b"x" * 400) for seq in range(1, 6))
    packets = answer(queue, session, QueueItems(STREAM, 1, 1, rows))
    assert [2, 2, 1] == [packet.section.count for packet in packets]


def test_more_says_that_something_is_left():
    queue, session = setup((STREAM, ((1, 3),), ()))
    (packet,) = answer(queue, session, QueueItems(STREAM, 1, 1, (message(1),)))
    assert packet.more
    assert ((STREAM, ((2, 3),)),) == plan_pull(queue, session, 99).wanted


def test_rows_beyond_the_window_are_more_and_an_early_request_for_them_ends_in_a_nudge():
    queue, session = setup((STREAM, ((1, WINDOW + 1),), ()))
    plan_pull(queue, session, PULL_BYTES_MAX)
    rows = tuple(message(seq) for seq in range(1, WINDOW + 1))
    packets = answer(queue, session, QueueItems(STREAM, 1, 1, rows))
    assert {True} == {packet.more for packet in packets}
    assert () == plan_pull(queue, session, PULL_BYTES_MAX).wanted
    (empty,) = answer(queue, session)
    assert (0, False) == (empty.total, empty.more)
    pull_on(queue, session)
    assert [] == session.frames, "nothing can be had before the verdicts"
    queue.find(PHONE, STREAM).remove(1, 1)
    for _ in range(2):
        pull_on(queue, session)
    assert [(Nudge(), None)] == session.frames
    plan = plan_pull(queue, session, PULL_BYTES_MAX)
    assert ((STREAM, ((WINDOW + 1, WINDOW + 1),)),) == plan.wanted
    assert not session.pull_stalled


def test_the_highest_floor_and_base_travel():
    queue, session = setup((STREAM, ((4, 5),), ()))
    queue.find(PHONE, STREAM).raise_head(4, 5)
    (packet,) = answer(queue, session, QueueItems(STREAM, 3, 3, (message(4), message(5))))
    assert (4, 5) == (packet.floor, packet.base)


def test_what_got_its_verdict_during_the_read_is_left_out():
    queue, session = setup((STREAM, ((1, 2),), ()), (OTHER, ((1, 1),), ()))
    queue.find(PHONE, STREAM).remove(1, 1)
    queue.find(PHONE, OTHER).remove(1, 1)
    items = [
        QueueItems(STREAM, 1, 1, (message(1), message(2))),
        QueueItems(OTHER, 1, 1, (message(1),)),
    ]
    (packet,) = answer(queue, session, *items)
    assert 2 == packet.section.first


def test_void_items_alone_are_an_answer():
    queue, session = setup((STREAM, (), ((1, 1),)))
    rows = (QueueRow(1, True, 0, b""),)
    (packet,) = answer(queue, session, QueueItems(STREAM, 1, 1, rows))
    assert (((1, 1),), None) == (packet.void, packet.section)
