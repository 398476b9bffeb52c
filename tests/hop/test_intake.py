"""Reliable frames on their way in: small and large bodies over a bad network, and lies."""

import random

import pytest

from tests.hop.pair import Pair
from tests.settings import settings
from udpim.errors import ConfigError, DecodeError
from udpim.hop.config import HopConfig
from udpim.hop.intake import IncomingPacket, Intake
from udpim.wire import frames as f
from udpim.wire.frames import BODY_BYTES_MAX

SMALL_WINDOW = settings(HopConfig, bulk_window_bytes=BODY_BYTES_MAX * 3 // 2)
BODIES = [0, 1, 1024, 1025, 1200, 65_507, 1024 * 1024, BODY_BYTES_MAX]


def body_of(rng, size):
    return rng.randbytes(size)


# Over a bad network.


def test_bodies_of_every_size_arrive_exactly_once_both_ways(seed):
    rng = random.Random(seed)
    pair = Pair(seed, loss=0.2, duplicate=0.1, reorder=0.2)
    bodies = [body_of(rng, size) for size in BODIES]
    for end in pair.ends:
        for index, body in enumerate(bodies):
            pair.send(end, body, index, bulk=True)
    done = len(bodies)
    pair.run_until(lambda: len(pair.client.acked) == len(pair.server.acked) == done)
    for end in pair.ends:
        assert sorted(end.received) == sorted(bodies)
        assert sorted(end.acked) == list(range(done))
        connection = end.connection
        assert connection.reassembly_bytes == connection.queued_bulk_bytes == 0
        assert connection.queued_frames == 0
        assert connection.unacked_tags() == []


def test_many_bodies_in_pieces_survive_heavy_loss(seed):
    rng = random.Random(seed)
    pair = Pair(seed, loss=0.4, duplicate=0.2, reorder=0.3)
    bodies = [body_of(rng, rng.randrange(900, 5000)) for _ in range(200)]
    for index, body in enumerate(bodies):
        pair.send(pair.client, body, index, bulk=True)
    pair.run_until(lambda: len(pair.client.acked) == len(bodies))
    assert sorted(pair.server.received) == sorted(bodies)


def test_refused_body_comes_again_and_is_taken_then(seed):
    """Semantics R10, for a body in pieces: the owner sees it with its last piece."""
    pair = Pair(seed, loss=0.1)
    rng = random.Random(seed)
    pair.server.refuse = lambda packet: packet.bulk and rng.random() < 0.7
    bodies = [body_of(rng, 20_000) for _ in range(10)]
    for index, body in enumerate(bodies):
        pair.send(pair.client, body, index, bulk=True)
    pair.run_until(lambda: len(pair.client.acked) == 10)
    assert sorted(pair.server.received) == sorted(bodies)
    assert pair.server.connection.drops["refused by the test"] >= 3


def test_numbers_wrap_around_in_the_middle_of_a_body(seed):
    config = HopConfig(first_packet_number=2**32 - 40, first_hop_seq=2**32 - 100)
    pair = Pair(seed, loss=0.2, config=config)
    body = body_of(random.Random(seed), 300_000)
    pair.send(pair.client, body, "tag", bulk=True)
    pair.run_until(lambda: pair.client.acked == ["tag"])
    assert pair.server.received == [body]


# Credit.


def test_sender_stops_where_the_owner_stops_and_goes_on_with_it(seed):
    pair = Pair(seed, loss=0.1, config=SMALL_WINDOW)
    pair.keep_bulk(pair.server)
    window = SMALL_WINDOW.limits.bulk_window_bytes
    bodies = [bytes([index]) * 100_000 for index in range(60)]
    for index, body in enumerate(bodies):
        pair.send(pair.client, body, index, bulk=True)
    total = 0
    while len(pair.client.acked) < len(bodies):
        pair.run(20.0)
        assert pair.server.bulk_held <= window
        assert window - 100_000 - window // 4 < pair.server.bulk_held or not (
            pair.client.connection.queued_frames
        )
        total += pair.server.bulk_held
        pair.dispose(pair.server)
    assert sorted(pair.server.received) == bodies
    assert total + pair.server.bulk_held == 6_000_000
    assert pair.client.connection.queued_bulk_bytes == 0


def test_control_frames_pass_while_bulk_is_blocked(seed):
    pair = Pair(seed, loss=0.1, config=SMALL_WINDOW)
    pair.keep_bulk(pair.server)
    for _ in range(4):
        pair.send(pair.client, bytes(1024 * 1024), "bulk", bulk=True)
    pair.run(30.0)
    assert pair.client.connection.queued_bulk_bytes == 3 * 1024 * 1024
    pair.send(pair.client, b"control", "control")
    pair.run(5.0)
    assert pair.client.acked[-1] == "control"
    assert pair.server.received[-1] == b"control"


def test_lost_credits_are_told_again(seed):
    """Whatever the fate of single CREDITs, the last word arrives: the limit is absolute."""
    pair = Pair(seed, config=SMALL_WINDOW)
    rng = random.Random(seed)

    def has_credit(end, datagram):
        return any(frame[0] == f.CREDIT for frame in f.parse_frames(datagram[13:-4]))

    pair.drop = lambda end, datagram: has_credit(end, datagram) and rng.random() < 0.7
    for index in range(30):
        pair.send(pair.client, bytes(200_000), index, bulk=True)
    pair.run_until(lambda: len(pair.client.acked) == 30)
    assert pair.server.connection.stats.frames_retransmitted > 0
    assert pair.open


def test_idle_receiver_still_learns_of_credit_by_a_probe():
    """The CREDIT that would wake a blocked sender is the only packet about, and it is lost."""
    pair = Pair(1, config=SMALL_WINDOW)
    pair.keep_bulk(pair.server)
    for index in range(2):
        pair.send(pair.client, bytes(1024 * 1024), index, bulk=True)
    pair.run(30.0)
    assert pair.client.acked == [0]
    lost = []
    pair.drop = lambda end, datagram: end is pair.server and not lost and not lost.append(datagram)
    pair.dispose(pair.server)
    pair.run(5.0)
    assert pair.client.acked == [0, 1]
    assert len(lost) == 1


def test_window_must_hold_a_body_when_a_quarter_is_not_given_back_yet():
    with pytest.raises(ConfigError, match="bulk_window_bytes"):
        settings(HopConfig, bulk_window_bytes=BODY_BYTES_MAX)


# Memory, and lies.


@pytest.fixture
def intake():
    return Intake(settings(HopConfig, reassembly_groups_max=100))


def give(intake, *frames):
    """One packet of these frames, taken: its bodies."""
    packet = IncomingPacket(0, ("192.0.2.1", 1), 1200)
    intake.read(b"".join(frames), packet)
    intake.take(packet)
    return packet.frames


def test_flood_of_first_pieces_stays_under_the_caps(intake):
    refusals = []
    for number in range(5000):
        piece = f.encode_fragment(number, number, 0, 900, bytes(1156))
        try:
            give(intake, piece)
        except DecodeError as error:
            refusals.append(str(error))
    assert refusals == ["too many bodies in pieces"] * 1024 + ["frame window"] * 3876
    assert intake.reassembly.groups == 100
    assert intake.reassembly.bytes_kept == 100 * 1156


def test_bulk_beyond_the_credit_is_not_taken(intake):
    window = HopConfig().limits.bulk_window_bytes
    body = bytes(60_000)
    for number in range(window // 60_000):
        assert give(intake, f.encode_bulk(number, body)) == [body]
    with pytest.raises(DecodeError, match="beyond credit"):
        give(intake, f.encode_bulk(number + 1, body))
    with pytest.raises(DecodeError, match="beyond credit"):
        give(intake, *(f.encode_fragment(number + i, 0, i, 9, body) for i in (1, 2)))
    assert give(intake, f.encode_message(number + 1, body)) == [body], "control needs none"


def test_bulk_bodies_come_after_the_others_and_are_counted(intake):
    piece = b"p" * 600
    frames = [
        f.encode_fragment(0, 0, 0, 2, piece),
        f.encode_bulk(1, b"bulk"),
        f.encode_message(2, b"control"),
        f.encode_fragment(3, 0, 1, 2, b"end"),
    ]
    packet = IncomingPacket(0, ("192.0.2.1", 1), 1200)
    intake.read(b"".join(frames), packet)
    assert packet.frames == [b"control", b"bulk", piece + b"end"]
    assert (packet.bulk, packet.bulk_bytes) == (2, 607)
    assert sorted(packet.hop_seqs) == [0, 1, 2, 3]


def test_duplicate_pieces_and_bulk_cost_no_credit(intake):
    frames = [f.encode_fragment(0, 0, 0, 2, b"p" * 600), f.encode_bulk(1, b"bulk")]
    give(intake, *frames)
    assert give(intake, *frames) == []
    assert intake.credit.received == 604


def test_one_number_for_frames_of_two_kinds_is_refused(intake):
    with pytest.raises(DecodeError, match="two kinds"):
        give(intake, f.encode_bulk(0, b"a"), f.encode_message(0, b"b"))
