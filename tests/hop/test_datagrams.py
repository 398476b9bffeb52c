"""Frames that are sent once: the queue, and what it may take from messages."""

import pytest

from tests.hop.pair import Pair
from tests.settings import settings
from udpim.hop.config import HopConfig
from udpim.hop.datagrams import TURN_PACKETS, WAIT_S_MAX, DatagramQueue
from udpim.hop.stats import HopStats
from udpim.wire import frames as f

QUIET = settings(HopConfig, signals_waiting_max=64)


@pytest.fixture
def stats():
    return HopStats()


def fill(queue, room=1000):
    parts = []
    left = queue.fill(parts, room)
    assert room - left == len(b"".join(parts))
    return [frame[1] for frame in f.parse_frames(b"".join(parts))]


# The queue.


def test_the_oldest_leaves_first_and_once(stats):
    queue = DatagramQueue(3, stats)
    queue.push(b"a", 0.0), queue.push(b"b", 0.0)
    assert [b"a", b"b"] == fill(queue)
    assert [] == fill(queue)
    assert 2 == stats.datagram_frames_sent


def test_a_packet_takes_what_fits(stats):
    queue = DatagramQueue(3, stats)
    queue.push(b"12345", 0.0), queue.push(b"6", 0.0)
    assert [] == fill(queue, room=7)
    assert [b"12345"] == fill(queue, room=8)
    assert 1 == len(queue)


def test_the_oldest_makes_room_for_the_newest(stats):
    queue = DatagramQueue(2, stats)
    for body in (b"a", b"b", b"c"):
        queue.push(body, 0.0)
    assert [b"b", b"c"] == fill(queue)
    assert 1 == stats.datagram_frames_crowded


def test_what_has_become_old_is_not_sent(stats):
    queue = DatagramQueue(9, stats)
    queue.push(b"old", 10.0), queue.push(b"new", 10.1)
    queue.expire(10.0 + WAIT_S_MAX)
    assert 2 == len(queue)
    queue.expire(10.05 + WAIT_S_MAX)
    assert [b"new"] == fill(queue)
    assert 1 == stats.datagram_frames_late


# On a connection.


def datagrams_of(end):
    """What this end's owner gets of the frames that are sent once."""
    got = []
    refuse = end.refuse

    def look(packet):
        refused = refuse(packet)
        if not refused:
            got.extend(packet.datagrams)
        return refused

    end.refuse = look
    return got


def test_a_datagram_frame_arrives_and_is_acked():
    pair = Pair(config=QUIET)
    got = datagrams_of(pair.server)
    pair.run(0.5)
    pair.client.connection.send_datagram(b"now", pair.now)
    assert 1 == pair.client.connection.queued_datagram_frames
    pair.run(1.0)
    assert [b"now"] == got
    stats = pair.client.connection.stats
    assert (1, 0, 0) == (stats.datagram_frames_sent, stats.packets_lost, stats.probes_sent)
    assert 1 == pair.server.connection.stats.datagram_frames_received
    assert 0 == pair.client.connection.queued_datagram_frames


def test_what_is_lost_never_comes_again_and_what_is_doubled_comes_once(seed):
    pair = Pair(seed, loss=0.3, duplicate=0.3, reorder=0.3, config=QUIET)
    got = datagrams_of(pair.server)
    for number in range(400):
        pair.client.connection.send_datagram(b"%d" % number, pair.now)
        pair.run(0.02)
    pair.run(30.0)
    assert len(got) == len(set(got))
    assert 200 < len(got) < 360
    assert 400 == pair.client.connection.stats.datagram_frames_sent
    assert pair.open


def test_a_lost_one_is_probed_for_with_a_ping_and_leaves_nothing_in_flight():
    pair = Pair(config=QUIET)
    got = datagrams_of(pair.server)
    pair.run(0.5)
    pair.drop = lambda end, datagram: end is pair.client
    pair.client.connection.send_datagram(b"gone", pair.now)
    pair.flush()
    pair.drop = lambda end, datagram: False
    pair.run(2.0)
    assert [] == got
    connection = pair.client.connection
    assert connection.stats.probes_sent >= 1
    assert (0, 0) == (connection.in_flight_frames, connection.queued_frames)
    assert 0 == connection.stats.frames_retransmitted


def test_neither_frame_window_nor_credit_hold_a_datagram_back():
    config = settings(HopConfig, window_frames=16)
    pair = Pair(config=config)
    got = datagrams_of(pair.server)
    pair.run(0.5)
    pair.keep_bulk(pair.server)
    body = bytes(60_000)
    for _ in range(60):
        pair.send(pair.client, body, bulk=True)
    pair.run(5.0)
    assert pair.client.connection.queued_bulk_bytes > 0, "credit has run out"
    pair.client.connection.send_datagram(b"past credit", pair.now)
    pair.run(0.5)
    assert [b"past credit"] == got
    pair.server.refuse = lambda packet: bool(packet.frames)
    pair.dispose(pair.server)
    got = datagrams_of(pair.server)
    for number in range(40):
        pair.send(pair.client, b"%d" % number)
    pair.run(0.01)
    assert 16 == pair.client.connection.in_flight_frames
    pair.run(0.1)
    pair.client.connection.send_datagram(b"past the window", pair.now)
    pair.run(1.0)
    assert [b"past the window"] == got


def test_a_closed_congestion_window_makes_them_late_and_then_they_are_not_sent():
    pair = Pair(config=QUIET, delay=0.2)
    pair.run(1.0)
    pair.drop = lambda end, datagram: True
    for number in range(80):
        pair.send(pair.client, bytes(1100), number, bulk=True)
    pair.flush()
    connection = pair.client.connection
    for _ in range(10):
        connection.send_datagram(bytes(1100), pair.now)
    sent = connection.stats.datagram_frames_sent
    pair.run(WAIT_S_MAX + 1.5)
    late = connection.stats.datagram_frames_late
    assert late > 0
    assert 10 == late + connection.stats.datagram_frames_sent - sent
    assert 0 == connection.queued_datagram_frames


def test_a_flood_of_them_takes_at_most_its_share_from_messages():
    """The same bulk over the same thin path, alone and in a flood."""

    def packets_for(flood):
        pair = Pair(config=QUIET, delay=0.05)
        bodies = [b"%d" % n + bytes(1100) for n in range(300)]
        for number, body in enumerate(bodies):
            pair.send(pair.client, body, number, bulk=True)
        while pair.client.connection.queued_bulk_bytes:
            for _ in range(8 if flood else 0):
                pair.client.connection.send_datagram(bytes(1100), pair.now)
            pair.run(0.01)
        packets = pair.client.connection.stats.datagrams_sent
        pair.run_until(lambda: len(pair.client.acked) == len(bodies))
        assert sorted(bodies) == sorted(pair.server.received)
        return packets

    alone, flooded = packets_for(flood=False), packets_for(flood=True)
    waiting_at_the_end = QUIET.limits.signals_waiting_max
    assert alone < flooded <= alone * TURN_PACKETS / (TURN_PACKETS - 1) + waiting_at_the_end


def test_in_a_packet_control_goes_before_and_bulk_after():
    pair = Pair(config=settings(HopConfig, window_frames=64))
    connection = pair.client.connection
    pair.run(0.5)
    orders = set()
    for _ in range(TURN_PACKETS):
        connection.send_datagram(b"D" * 8, pair.now)
        pair.send(pair.client, b"B" * 8, bulk=True)
        pair.send(pair.client, b"C" * 8)
        ((datagram, _),) = connection.datagrams_to_send(pair.now)
        kinds = [frame[0] for frame in f.parse_frames(datagram[13:-4])]
        orders.add(tuple(k for k in kinds if k in (f.MESSAGE, f.BULK, f.DATAGRAM)))
    assert {
        (f.MESSAGE, f.DATAGRAM, f.BULK),
        (f.MESSAGE, f.BULK, f.DATAGRAM),
    } == orders
