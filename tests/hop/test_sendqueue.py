"""The sender's reliable frames."""

import pytest

from udpim.errors import LocalProtocolError
from udpim.hop.config import HopConfig
from udpim.hop.sendqueue import SendQueue
from udpim.hop.stats import HopStats
from udpim.wire.frames import parse_frames

WINDOW = 8


@pytest.fixture
def stats():
    return HopStats()


@pytest.fixture
def queue(stats):
    return SendQueue(HopConfig(send_queue_frames_max=20), WINDOW, stats)


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
