"""The sender's reliable frames."""

import pytest

from tests.settings import settings
from udpim.errors import LocalProtocolError
from udpim.hop.config import HopConfig
from udpim.hop.sendqueue import SendQueue
from udpim.hop.stats import HopStats
from udpim.wire import frames as f
from udpim.wire.frames import parse_frames
from udpim.wire.parameters import PeerParameters

WINDOW = 8


@pytest.fixture
def stats():
    return HopStats()


def new_queue(stats, *, window=WINDOW, credit=10_000):
    parameters = PeerParameters(frame_window=window, bulk_window_bytes=credit)
    return SendQueue(
        settings(HopConfig, hop_frames_max=1, send_queue_frames_max=20), parameters, stats, 1171
    )


@pytest.fixture
def queue(stats):
    return new_queue(stats)


def push(queue, *names):
    for name in names:
        queue.push(name.encode(), name)


def fill(queue, packet_number, room=1000):
    """Fill one packet: (the frames' records, the bodies that travel)."""
    parts = []
    frames = queue.fill(parts, room, packet_number)
    return frames, "".join(f[2].decode() for f in parse_frames(b"".join(parts)))


def probe(queue, packet_number, since, room=1000):
    parts = []
    frames = queue.fill_probe(parts, room, packet_number, since=since)
    return frames, "".join(f[2].decode() for f in parse_frames(b"".join(parts)))


def test_everything_queued_rides_in_one_packet(queue):
    push(queue, "a", "b", "c")
    assert fill(queue, 0)[1] == "abc"
    assert not queue.ready
    assert queue.in_flight_frames == 3


def test_a_packet_takes_what_fits(queue):
    push(queue, "a", "b", "c")
    assert fill(queue, 0, room=17)[1] == "ab"
    assert queue.waiting_frames == 1
    assert fill(queue, 1, room=7)[1] == ""
    assert fill(queue, 1, room=8)[1] == "c"


def test_acked_frames_give_their_tags_back_once(queue):
    push(queue, "a", "b")
    queue.push(b"silent", None)
    frames, _ = fill(queue, 0)
    assert queue.unacked_tags() == ["a", "b"]
    queue.on_acked([frames])
    queue.on_acked([frames])
    assert queue.acked_tags() == ["a", "b"]
    assert queue.acked_tags() == []
    assert queue.unacked_tags() == []


def test_lost_frames_go_again_before_new_ones_oldest_first(queue, stats):
    push(queue, "a", "b")
    first, _ = fill(queue, 0, room=8)
    second, _ = fill(queue, 1, room=8)
    push(queue, "c")
    queue.on_lost(1, second)
    queue.on_lost(0, first)
    assert queue.ready
    assert fill(queue, 2)[1] == "abc"
    assert stats.frames_retransmitted == 2


def test_a_frame_acked_after_it_was_called_lost_does_not_go_again(queue):
    push(queue, "a")
    frames, _ = fill(queue, 0)
    queue.on_lost(0, frames)
    queue.on_acked([frames])
    assert not queue.ready
    queue.on_lost(0, frames)
    assert not queue.ready


def test_a_frame_with_a_later_copy_in_flight_does_not_go_again(queue):
    push(queue, "a")
    frames, _ = fill(queue, 0)
    assert probe(queue, 1, since=1)[1] == "a"
    queue.on_lost(0, frames)
    assert not queue.ready
    queue.on_lost(1, frames)
    assert queue.ready


def test_a_lost_frame_that_a_probe_carried_does_not_go_again(queue):
    push(queue, "a")
    frames, _ = fill(queue, 0)
    queue.on_lost(0, frames)
    assert probe(queue, 1, since=1)[1] == "a"
    assert not queue.ready


def test_the_peers_window_counts_from_the_lowest_frame_it_lacks(queue):
    push(queue, *"abcdefghij")
    frames, bodies = fill(queue, 0)
    assert bodies == "abcdefgh"
    assert not queue.ready
    queue.on_acked([frames[1:]])
    assert not queue.ready, "the lowest one is still missing"
    queue.on_acked([frames[:1]])
    assert fill(queue, 1)[1] == "ij"


def test_probes_carry_the_oldest_frames_and_then_the_next(queue, stats):
    push(queue, *"abcd")
    frames, _ = fill(queue, 0)
    queue.on_acked([frames[1:2]])
    assert probe(queue, 5, since=5, room=17)[1] == "ac"
    assert probe(queue, 6, since=5, room=17)[1] == "d"
    assert probe(queue, 7, since=5) == ([], "")
    assert stats.frames_retransmitted == 3


def test_frames_that_wait_are_not_probed(queue):
    push(queue, "a")
    assert probe(queue, 0, since=0) == ([], "")


def test_unacked_tags_are_oldest_first_and_include_what_waits(queue):
    push(queue, *"abc")
    fill(queue, 0, room=17)
    assert queue.unacked_tags() == ["a", "b", "c"]


def test_a_full_queue_says_so_and_queues_nothing(queue):
    push(queue, *"abcdefghijklmnopqrst")
    with pytest.raises(LocalProtocolError, match="20 frames"):
        queue.push(b"u", "u")
    assert queue.waiting_frames == 20


# Bulk: credit, and bodies in pieces.


def frames_in(queue, packet_number=0, room=1171):
    """Fill one packet: (the frames' records, what the frames are)."""
    parts = []
    frames = queue.fill(parts, room, packet_number)
    return frames, parse_frames(b"".join(parts))


def test_bulk_waits_for_credit_in_its_order_and_control_passes(stats):
    queue = new_queue(stats, credit=10)
    for body in (b"123456", b"7890123", b"4"):
        queue.push(body, body, bulk=True)
    queue.push(b"control", "control")
    assert queue.bulk_bytes_waiting == 14
    assert frames_in(queue)[1] == [(f.MESSAGE, 0, b"control"), (f.BULK, 1, b"123456")]
    assert not queue.ready, "the last would fit, but it is not its turn"
    assert (queue.waiting_frames, queue.bulk_bytes_waiting) == (2, 8)
    queue.on_credit(13)
    queue.on_credit(12)
    assert frames_in(queue)[1] == [(f.BULK, 2, b"7890123")]
    queue.on_credit(14)
    assert frames_in(queue)[1] == [(f.BULK, 3, b"4")]
    assert queue.bulk_bytes_waiting == 0


def test_large_body_leaves_in_pieces_that_share_its_tag(stats):
    queue = new_queue(stats)
    body = b"a" * 1156 + b"b" * 1156 + b"c"
    queue.push(body, "large", bulk=True)
    packets = []
    for number in range(3):
        assert queue.unacked_tags() == ["large"]
        frames, shown = frames_in(queue, number)
        packets.append(frames)
        assert shown == [(f.FRAGMENT, number, 0, number, 3, body[1156 * number :][:1156])]
    assert not queue.ready
    queue.on_acked(packets[:2])
    assert (queue.acked_tags(), queue.unacked_tags()) == ([], ["large"])
    queue.on_acked(packets)
    assert (queue.acked_tags(), queue.unacked_tags()) == (["large"], [])


def test_body_whose_first_pieces_are_acked_is_still_unacked(queue):
    queue.push(b"a" * 3000, "large", bulk=True)
    queue.on_acked([frames_in(queue)[0]])
    assert (queue.in_flight_frames, queue.unacked_tags()) == (0, ["large"])


def test_large_body_that_nobody_asks_for_leaves_no_tag(queue):
    queue.push(b"a" * 1165, None, bulk=True)
    queue.on_acked([frames_in(queue)[0], frames_in(queue)[0]])
    assert queue.acked_tags() == []


def test_the_largest_body_of_one_piece_fills_a_packet(queue):
    queue.push(b"a" * 1164, None, bulk=True)
    assert [frame[0] for frame in frames_in(queue)[1]] == [f.BULK]
    queue.push(b"a" * 1165, None, bulk=True)
    assert [frame[2:5] for frame in frames_in(queue)[1]] == [(0, 0, 2)]


def test_large_body_has_credit_as_a_whole_or_none(stats):
    queue = new_queue(stats, credit=2999)
    queue.push(b"a" * 3000, None, bulk=True)
    assert not queue.ready
    queue.on_credit(3000)
    assert queue.ready


def test_small_bodies_and_pieces_of_a_large_one_take_turns(stats):
    queue = new_queue(stats, window=100, credit=100_000)
    queue.push(b"a" * 5000, None, bulk=True)
    for _ in range(4):
        queue.push(b"b" * 1000, None, bulk=True)
    kinds = [frames_in(queue, number)[1][0][0] for number in range(6)]
    assert kinds == [f.FRAGMENT, f.BULK] * 3


def test_piece_that_does_not_fit_waits_for_its_own_packet(queue):
    queue.push(b"a" * 1165, None, bulk=True)
    queue.push(b"control", None)
    assert [frame[0] for frame in frames_in(queue)[1]] == [f.MESSAGE]
    assert [frame[0] for frame in frames_in(queue)[1]] == [f.FRAGMENT]


def test_credit_goes_first_and_again_until_it_is_acked(queue, stats):
    queue.push(b"a", "a")
    queue.push_credit(5000)
    frames, shown = frames_in(queue, 0)
    assert shown == [(f.CREDIT, 5000), (f.MESSAGE, 0, b"a")]
    queue.on_lost(0, frames)
    again, shown = frames_in(queue, 1)
    assert shown == [(f.CREDIT, 5000), (f.MESSAGE, 0, b"a")]
    assert stats.frames_retransmitted == 2
    queue.on_acked([again])
    assert (queue.in_flight_frames, queue.acked_tags()) == (0, ["a"])


def test_probe_carries_a_credit_that_may_be_lost(queue):
    queue.push_credit(5000)
    frames_in(queue, 0)
    parts = []
    queue.fill_probe(parts, 1000, 1, since=1)
    assert parse_frames(b"".join(parts)) == [(f.CREDIT, 5000)]


def test_newer_credit_takes_the_place_of_an_older_one(queue, stats):
    queue.push_credit(5000)
    frames, _ = frames_in(queue, 0)
    queue.push_credit(6000)
    queue.on_lost(0, frames)
    assert frames_in(queue, 1)[1] == [(f.CREDIT, 6000)]
    assert (queue.in_flight_frames, stats.frames_retransmitted) == (1, 0)


def test_a_steering_frame_goes_first_and_again_until_it_is_acked(queue):
    push(queue, "a")
    frames = [queue.push_steering(f.encode_retire_cid(n)) for n in (1, 2)]
    out, shown = frames_in(queue, 0)
    assert {(f.RETIRE_CID, 1), (f.RETIRE_CID, 2)} == set(shown[:2])
    assert shown[2][0] == f.MESSAGE
    parts = []
    queue.fill_probe(parts, 10, 1, since=1)
    assert [(f.RETIRE_CID, 1), (f.RETIRE_CID, 2)] == parse_frames(b"".join(parts))
    assert [queue.holds(frame) for frame in frames] == [True, True]
    queue.on_acked([out])
    assert [queue.holds(frame) for frame in frames] == [False, False]
    assert (queue.in_flight_frames, queue.acked_tags()) == (0, ["a"])
    assert not queue.ready


def test_what_waits_for_credit_counts_against_the_queues_limit(stats):
    queue = new_queue(stats, credit=0)
    for _ in range(20):
        queue.push(b"a", "tag", bulk=True)
    with pytest.raises(LocalProtocolError, match="20 frames"):
        queue.push(b"a", "tag")
    assert queue.unacked_tags() == ["tag"] * 20
