"""Two connections over a bad network in virtual time, and one against invented packets."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hop.pair import (
    CLIENT,
    CLIENT_CID,
    MODE,
    PLAIN,
    RESET_TOKEN,
    SERVER,
    SERVER_CID,
    Pair,
    both_modes,
    connect,
    frames_of,
    packet_to,
)
from tests.settings import settings
from udpim.errors import LocalProtocolError
from udpim.hop.codes import CloseCode, CloseInfo, CloseKind, ConnectionState, Role
from udpim.hop.config import HopConfig
from udpim.wire import frames as f
from udpim.wire.hop_schema import SEALED_SHORT, parse_datagram, parse_strictly

pytestmark = pytest.mark.usefixtures(both_modes.__name__)
QUIET = HopConfig(grease_packets_max=0)


def give(connection, number, *frames, path=None, now=1.0):
    """Let a connection take an invented packet."""
    datagram = packet_to(connection, number, *frames)
    packet = connection.receive_packet(datagram, path or connection.path, now)
    assert packet is not None, connection.drops
    connection.take(packet, now)
    return packet.frames


def sent_frames(connection, now=1.0):
    """What a connection sends now: the frames of each datagram."""
    datagrams = connection.datagrams_to_send(now)
    return [frames_of(connection, datagram) for datagram, _ in datagrams]


@pytest.fixture
def server():
    return connect(Role.SERVER, QUIET)


@pytest.fixture
def client():
    return connect(Role.CLIENT, QUIET)


# Exactly once.


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.2, 0.35, 0.5])
def test_every_frame_arrives_exactly_once(loss, seed):
    pair = Pair(seed, loss=loss, duplicate=0.05, reorder=0.1)
    bodies = [b"%d " % i * (1 + i % 90) for i in range(600)]
    for index, body in enumerate(bodies):
        pair.send(pair.client, body, ("c", index))
        pair.send(pair.server, body, ("s", index))
    pair.run_until(lambda: len(pair.client.acked) == len(pair.server.acked) == 600)
    for end, name in ((pair.client, "c"), (pair.server, "s")):
        assert sorted(end.received) == sorted(bodies)
        assert sorted(end.acked) == [(name, i) for i in range(600)]
        assert end.connection.in_flight_frames == end.connection.queued_frames == 0
        assert end.connection.unacked_tags() == []


def test_frames_trickling_over_minutes_arrive_exactly_once(seed):
    pair = Pair(seed, loss=0.3, duplicate=0.1, reorder=0.2)
    bodies = []
    for index in range(200):
        bodies.append(b"message %d" % index)
        pair.send(pair.client, bodies[-1])
        pair.run(0.5)
    pair.run(10.0)
    assert sorted(pair.server.received) == sorted(bodies)
    assert pair.open


def test_numbers_wrap_around_without_anybody_noticing(seed):
    """Packet numbers and frame numbers both pass 2**32, of which the low half travels."""
    config = HopConfig(first_packet_number=2**32 - 40, first_hop_seq=2**32 - 100)
    pair = Pair(seed, loss=0.2, duplicate=0.1, reorder=0.1, config=config)
    bodies = [b"%d " % i * 60 for i in range(1000)]
    for index, body in enumerate(bodies):
        pair.send(pair.client, body, index)
        pair.send(pair.server, body, index)
    pair.run_until(lambda: len(pair.client.acked) == len(pair.server.acked) == 1000)
    assert sorted(pair.server.received) == sorted(bodies)
    assert sorted(pair.client.received) == sorted(bodies)
    assert pair.client.connection.stats.datagrams_sent > 100


def test_a_refused_packet_comes_again_and_is_taken_then(seed):
    """Semantics R10: what was not taken is neither acked nor marked."""
    pair = Pair(seed, loss=0.1)
    rng = random.Random(seed)
    pair.server.refuse = lambda packet: bool(packet.frames) and rng.random() < 0.5
    for index in range(300):
        pair.send(pair.client, b"%d" % index * 50, index)
    pair.run_until(lambda: len(pair.client.acked) == 300)
    assert sorted(pair.server.received) == sorted(b"%d" % i * 50 for i in range(300))
    assert pair.server.connection.drops["refused by the test"] > 10


def test_a_frame_that_is_refused_for_ever_is_never_acked():
    pair = Pair(1)
    pair.server.refuse = lambda packet: bool(packet.frames)
    pair.send(pair.client, b"unwanted", "tag")
    pair.run(20.0)
    assert pair.client.acked == []
    assert pair.client.connection.unacked_tags() == ["tag"]


def test_a_captured_packet_delivers_nothing_again(seed):
    pair = Pair(seed, loss=0.2)
    for index in range(50):
        pair.send(pair.client, b"%d" % index, index)
    pair.run_until(lambda: len(pair.client.acked) == 50)
    before = list(pair.server.received)
    for _, datagram, _ in pair.client.sent_datagrams * 2:
        pair.deliver(pair.server, datagram, ("203.0.113.66", 6))
    pair.run(1.0)
    late = len(pair.server.received) - len(before)
    assert late == 0
    assert pair.server.connection.path == CLIENT


def test_one_frame_twice_in_a_packet_is_one_frame(server):
    frame = f.encode_message(0, b"once")
    assert give(server, 0, frame, frame) == [b"once"]


def test_only_new_frames_of_a_packet_are_handed_out_in_order(server):
    give(server, 0, f.encode_message(1, b"b"))
    frames = [f.encode_message(n, body) for n, body in ((2, b"c"), (1, b"b"), (0, b"a"))]
    assert give(server, 1, *frames) == [b"c", b"a"]


# Bundling, acks, bounds.


def test_everything_queued_in_one_turn_shares_datagrams(client):
    for index in range(100):
        client.send_frame(b"%03d" % index, None, 1.0)
    (frames,) = sent_frames(client)
    assert [frame[2] for frame in frames] == [b"%03d" % i for i in range(100)]


def test_the_largest_body_fits_a_datagram_of_1200_bytes(client):
    assert client.frame_body_bytes_max == 1164
    client.send_frame(bytes(1164), None, 1.0)
    ((datagram, path),) = client.datagrams_to_send(1.0)
    # Plaintext leaves the room of a 16-byte tag unused.
    assert len(datagram) == (1200 - 16 + 4 if MODE["now"] == PLAIN else 1200)
    assert path == SERVER


def test_an_ack_stands_before_the_data_it_rides_with(server):
    give(server, 0, f.encode_message(0, b"a"))
    server.send_frame(b"answer", None, 1.0)
    (frames,) = sent_frames(server)
    assert [frame[0] for frame in frames] == [f.ACK, f.MESSAGE]


def test_data_that_does_not_fit_beside_an_ack_follows_in_its_own_datagram(server):
    give(server, 0, f.encode_message(0, b"a"))
    server.send_frame(bytes(1164), None, 1.0)
    assert [[frame[0] for frame in p] for p in sent_frames(server)] == [[f.ACK], [f.MESSAGE]]


def test_a_lone_packet_is_acked_when_the_delay_is_over(server):
    give(server, 0, f.encode_message(0, b"a"))
    assert sent_frames(server) == []
    assert server.next_timeout() == pytest.approx(1.005)
    server.handle_timeout(1.005)
    assert [frames[0][0] for frames in sent_frames(server, 1.005)] == [f.ACK]


def test_acks_are_not_acked(seed):
    """Two idle peers exchange keepalives and their acks, nothing else."""
    pair = Pair(seed, config=QUIET)
    pair.send(pair.client, b"one", None)
    pair.send(pair.server, b"two", None)
    pair.run(1.0)
    before = [len(end.sent_datagrams) for end in pair.ends]
    pair.run(300.0)
    sent = [len(end.sent_datagrams) - n for end, n in zip(pair.ends, before, strict=True)]
    assert sent in ([30, 30], [29, 29])
    kinds = {
        frame[0]
        for end, n in zip(pair.ends, before, strict=True)
        for _, datagram, _ in end.sent_datagrams[n:]
        for frame in frames_of(end.connection, datagram)
    }
    assert kinds == {f.PING, f.ACK}
    assert pair.open


def test_a_sender_stays_within_the_window_that_the_peer_advertised():
    pair = Pair(3, config=settings(HopConfig, window_frames=32))
    lowest = []
    pair.drop = lambda end, datagram: (
        end is pair.client
        and (f.MESSAGE, 0, b"000") in frames_of(end.connection, datagram)
        and not lowest
    )
    for index in range(200):
        pair.send(pair.client, b"%03d" % index)
    pair.run(5.0)
    assert len(pair.server.received) == 0, "the lowest frame rides in every packet that is lost"
    assert pair.client.connection.in_flight_frames == 32
    lowest.append("let it pass")
    pair.run(5.0)
    assert len(pair.server.received) == 200
    assert "frame window" not in pair.server.connection.drops


def test_a_frame_beyond_our_window_is_refused_with_its_packet(server):
    datagram = packet_to(server, 0, f.encode_message(1024, b"far"))
    assert server.receive_packet(datagram, CLIENT, 1.0) is None
    assert server.drops == {"frame window": 1}


def test_state_stays_bounded_when_the_peer_acks_only_late_packets(seed):
    """One packet that is never acked must not pin the memory of all later ones."""
    pair = Pair(seed, loss=0.3)
    for index in range(3000):
        pair.send(pair.client, bytes(200), index)
        if index % 10 == 9:
            pair.run(0.05)
            assert pair.client.connection.in_flight_frames <= 1024
    pair.run_until(lambda: len(pair.client.acked) == 3000)


def test_a_full_send_queue_says_so(client):
    small = connect(Role.CLIENT, settings(HopConfig, hop_frames_max=1, send_queue_frames_max=2))
    small.send_frame(b"", None, 1.0)
    small.send_frame(b"", None, 1.0)
    with pytest.raises(LocalProtocolError):
        small.send_frame(b"", None, 1.0)


def test_extension_frames_ride_along_now_and_then_and_are_skipped(seed):
    pair = Pair(seed, config=HopConfig(grease_packets_max=3))
    for index in range(100):
        pair.send(pair.client, b"%d" % index, index)
        pair.run(0.1)
    greased = sum(
        any(frame[0] >= f.EXTENSION_MIN for frame in frames_of(pair.client.connection, datagram))
        for _, datagram, _ in pair.client.sent_datagrams
    )
    assert greased > 20
    assert len(pair.client.acked) == len(pair.server.received) == 100


def test_a_full_packet_carries_no_extension():
    connection = connect(Role.CLIENT, HopConfig(grease_packets_max=1))
    for _ in range(5):
        connection.send_frame(bytes(1164), None, 1.0)
    assert [len(frames) for frames in sent_frames(connection)] == [1] * 5


def test_every_datagram_is_what_the_declarations_say(seed):
    pair = Pair(seed, loss=0.2, config=HopConfig(grease_packets_max=4))
    for index in range(100):
        pair.send(pair.client, b"%d" % index * 40, index)
    pair.run_until(lambda: len(pair.client.acked) == 100)
    pair.client.connection.close(300, "done", pair.now)
    pair.flush()
    for end, cid in ((pair.client, SERVER_CID), (pair.server, CLIENT_CID)):
        for _, datagram, _ in end.sent_datagrams:
            assert 32 <= len(datagram) <= 1200
            plain = MODE["now"] == PLAIN
            whole = parse_datagram(datagram) if plain else parse_strictly(SEALED_SHORT, datagram)
            assert whole.destination_cid == cid


# Drops.


def refused(connection, datagram):
    """Why a connection drops a datagram."""
    before = dict(connection.drops)
    assert connection.receive_packet(datagram, connection.path, 1.0) is None
    (reason,) = (r for r, n in connection.drops.items() if n != before.get(r, 0))
    return reason


def test_each_drop_has_its_reason(server):
    good = packet_to(server, 2000, b"\x01")
    assert refused(server, good[:20]) == "short packet is too short"
    too_long = packet_to(server, 2000, b"\x01".ljust(1200, b"\0"))
    assert refused(server, too_long) == "short packet is too long"
    wrong = b"\x41" if MODE["now"] == PLAIN else b"\x01"
    assert refused(server, wrong + good[1:]) == "wrong flags"
    assert refused(server, good[:1] + b"somebody" + good[9:]) == "wrong connection id"
    assert refused(server, good[:-1] + bytes((good[-1] ^ 1,))) == "not authentic"
    assert refused(server, packet_to(server, 2000, b"\x11")) == "unknown frame type"
    give(server, 2000, b"\x01")
    assert refused(server, good) == "duplicate packet"
    assert refused(server, packet_to(server, 900, b"\x01")) == "replay window"


def test_a_packet_that_does_not_authenticate_moves_no_window(server):
    forged = bytearray(packet_to(server, 1 << 30, b"\x01"))
    forged[-1] ^= 1
    refused(server, bytes(forged))
    assert give(server, 0, f.encode_message(0, b"a")) == [b"a"]


@given(st.binary(max_size=120), st.integers(0, 2**32 - 1))
def test_garbage_never_raises_in_a_connection(garbage, number):
    connection = connect(Role.SERVER, QUIET)
    for datagram in (garbage, packet_to(connection, number, garbage)):
        packet = connection.receive_packet(datagram, CLIENT, 1.0)
        if packet is not None:
            connection.take(packet, 1.0)
            connection.datagrams_to_send(1.0)
    deadline = connection.next_timeout()
    if deadline is not None:
        connection.handle_timeout(deadline)
        connection.datagrams_to_send(deadline)


def test_damaged_datagrams_in_both_directions_do_no_harm(seed):
    pair = Pair(seed)
    rng = random.Random(seed)

    def damage(end, datagram):
        data = bytearray(datagram[: rng.randint(0, len(datagram))] or b"x")
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        other = pair.server if end is pair.client else pair.client
        pair.deliver(other, bytes(data), ("203.0.113.66", 6))
        return False

    pair.drop = damage
    for index in range(200):
        pair.send(pair.client, b"%d" % index * 30, index)
        pair.run(0.01)
    pair.run_until(lambda: len(pair.client.acked) == 200)
    assert sorted(pair.server.received) == sorted(b"%d" % i * 30 for i in range(200))
    assert pair.server.connection.path == CLIENT


# The peer's acks.


def test_an_ack_of_a_packet_never_sent_ends_the_connection(client):
    client.send_frame(b"a", None, 1.0)
    client.datagrams_to_send(1.0)
    window = client.congestion_window_bytes
    give(client, 0, f.encode_ack(1, 0, 1, 1), b"\x01")
    assert client.state is ConnectionState.CLOSING
    assert client.closed.code == CloseCode.PROTOCOL_ERROR
    assert client.closed.kind is CloseKind.ERROR
    assert client.congestion_window_bytes == window
    assert sent_frames(client) == [
        [(f.CLOSE, CloseCode.PROTOCOL_ERROR, "ack of a packet that was never sent")]
    ]


def test_an_ack_of_a_number_that_was_skipped_ends_the_connection():
    client = connect(Role.CLIENT, HopConfig(skip_packets_mean=1, grease_packets_max=0))
    for _ in range(12):
        client.send_frame(b"a", None, 1.0)
        client.datagrams_to_send(1.0)
    give(client, 0, f.encode_ack(11, 0, (1 << 11) - 1, 2), b"\x01")
    assert client.state is ConnectionState.CLOSING
    assert client.closed.code == CloseCode.PROTOCOL_ERROR
    assert client.closed.kind is CloseKind.ERROR


def test_a_delay_that_the_peer_invents_does_not_spoil_the_estimate():
    pair = Pair(1)
    for _ in range(20):
        pair.send(pair.client, b"x")
        pair.run(1.0)
    assert pair.client.connection.rtt.smoothed_rtt == pytest.approx(0.04, abs=0.006)


# Time.


def test_a_silent_peer_is_forgotten_after_the_idle_timeout():
    pair = Pair(1)
    pair.run(1.0)
    pair.drop = lambda end, datagram: True
    pair.run(40.0)
    for end in pair.ends:
        assert end.connection.state is ConnectionState.CLOSED
        assert end.connection.closed.kind is CloseKind.IDLE
        assert end.connection.next_timeout() is None


def test_keepalives_keep_an_idle_connection_on_a_lossy_network(seed):
    pair = Pair(seed, loss=0.4)
    pair.run(1800.0)
    assert pair.open


def test_the_shorter_idle_timeout_of_the_two_counts():
    connection = connect(Role.SERVER, QUIET, peer_config=HopConfig(idle_timeout_s=12.0))
    give(connection, 0, b"\x01", now=1.0)
    sent_frames(connection, 1.1)
    assert connection.next_timeout() == 13.0


def test_frames_that_nothing_acks_for_long_mean_a_dead_peer():
    """The peer still sends and hears, but it refuses the frame every time."""
    pair = Pair(1)
    pair.server.refuse = lambda packet: bool(packet.frames)
    pair.send(pair.client, b"a", "tag")
    for _ in range(29):
        pair.send(pair.server, b"b")
        pair.run(1.0)
    assert pair.open
    pair.run(2.0)
    assert pair.client.connection.closed.kind is CloseKind.DEAD
    assert pair.client.connection.closed.code == CloseCode.DEAD
    assert pair.client.connection.unacked_tags() == ["tag"]


def test_handling_a_timeout_early_or_twice_is_harmless(seed):
    pair = Pair(seed, loss=0.3)
    for index in range(100):
        pair.send(pair.client, b"%d" % index, index)
        pair.run(0.03)
        for end in pair.ends:
            end.connection.handle_timeout(pair.now)
            end.connection.handle_timeout(pair.now)
    pair.run_until(lambda: len(pair.client.acked) == 100)
    assert pair.turns < 3000


def test_a_ping_asks_for_an_ack_and_is_not_needed_beside_data(client):
    client.ping()
    assert sent_frames(client) == [[(f.PING,)]]
    client.ping()
    client.send_frame(b"a", None, 1.0)
    assert sent_frames(client) == [[(f.MESSAGE, 0, b"a")]]
    assert sent_frames(client) == []


# The end.


def test_close_reaches_the_peer_with_its_words():
    pair = Pair(1)
    pair.client.connection.close(300, "enough", pair.now)
    assert pair.client.connection.state is ConnectionState.CLOSING
    pair.run(5.0)
    said = {"code": 300, "reason": "enough", "kind": CloseKind.CLOSED}
    assert pair.client.connection.closed == CloseInfo(**said, by_peer=False)
    assert pair.server.connection.closed == CloseInfo(**said, by_peer=True)
    for end in pair.ends:
        assert end.connection.state is ConnectionState.CLOSED
        assert end.connection.next_timeout() is None


def test_a_closed_connection_takes_no_frames(client):
    client.close(0, "", 1.0)
    with pytest.raises(LocalProtocolError, match="closing"):
        client.send_frame(b"late", None, 1.0)


def test_only_the_first_close_counts(client):
    client.close(300, "first", 1.0)
    client.close(301, "second", 1.0)
    assert client.closed.code == 300
    assert len(sent_frames(client)) == 1
    assert sent_frames(client) == []


def test_a_lost_close_is_said_again_to_who_still_sends_but_not_for_each_packet(client):
    client.close(300, "", 1.0)
    assert len(sent_frames(client)) == 1
    for number in range(5):
        give(client, number, b"\x01", now=1.1)
    assert sent_frames(client, 1.1) == [], "too soon"
    give(client, 9, b"\x01", now=1.5)
    give(client, 10, b"\x01", now=1.5)
    assert sent_frames(client, 1.5) == [[(f.CLOSE, 300, "")]]
    client.handle_timeout(2.0)
    assert client.state is ConnectionState.CLOSED
    assert refused(client, packet_to(client, 11, b"\x01")) == "closed"


def test_a_closing_connection_keeps_nothing_of_what_still_comes(client):
    client.close(7, "enough", 1.0)
    client.datagrams_to_send(1.0)
    give(
        client,
        0,
        f.encode_fragment(0, 0, 0, 2, bytes(f.FRAGMENT_BYTES_MIN)),
        f.encode_message(1, b"whole"),
    )
    assert (0, 0) == (client.reassembly_bytes, client.reassembly_groups)
    assert 0 == client.stats.frames_received
    assert 1 == client.stats.datagrams_received


def test_the_peers_close_ends_a_closing_connection_at_once(client):
    client.close(300, "mine", 1.0)
    give(client, 0, f.encode_close(301, "yours"))
    assert client.state is ConnectionState.CLOSED
    assert client.closed.reason == "mine"
    assert sent_frames(client) == []


def test_nothing_after_the_peers_close_counts(server):
    give(server, 0, f.encode_close(0, ""), f.encode_path(f.PATH_CHALLENGE, bytes(8)))
    assert server.state is ConnectionState.CLOSED
    assert sent_frames(server) == []


def test_a_packet_taken_after_the_end_changes_nothing(server):
    packet = server.receive_packet(packet_to(server, 0, b"\x01"), CLIENT, 1.0)
    give(server, 1, f.encode_close(0, ""))
    server.take(packet, 1.0)
    assert server.stats.datagrams_received == 1


def test_a_reset_with_the_peers_token_ends_the_connection(client):
    assert not client.receive_reset(b"x" * 16, 1.0)
    assert client.state is ConnectionState.OPEN
    assert client.drops == {"wrong reset token": 1}
    assert client.receive_reset(RESET_TOKEN, 1.0)
    assert client.state is ConnectionState.CLOSED
    assert client.closed.kind is CloseKind.RESET
    assert client.closed.by_peer


def test_a_reset_while_closing_keeps_the_first_reason(client):
    client.close(300, "mine", 1.0)
    assert client.receive_reset(RESET_TOKEN, 1.0)
    assert (client.state, client.closed.code) == (ConnectionState.CLOSED, 300)


def test_a_peer_that_gave_no_token_cannot_reset(server):
    assert not server.receive_reset(bytes(16), 1.0)
    assert server.state is ConnectionState.OPEN


# Addresses.


def test_an_unproven_address_gets_nothing_before_its_first_packet():
    server = connect(Role.SERVER, QUIET, validated=False)
    server.send_frame(b"early", None, 1.0)
    assert sent_frames(server) == []
    give(server, 0, b"\x01")
    assert [frame[0] for (frame, *_) in sent_frames(server)] == [f.ACK]
    assert server.validated


@pytest.mark.parametrize("validated", [False, True])
def test_a_connection_whose_client_never_speaks_dies_early(validated):
    server = connect(Role.SERVER, QUIET, validated=validated)
    assert server.next_timeout() == QUIET.handshake_s
    server.handle_timeout(QUIET.handshake_s)
    assert server.closed.kind is CloseKind.IDLE


def test_closing_an_unproven_connection_says_nothing():
    silent = connect(Role.SERVER, QUIET, validated=False)
    silent.close(0, "", 1.0)
    assert silent.state is ConnectionState.CLOSED
    assert sent_frames(silent) == []


def test_a_first_packet_from_elsewhere_proves_only_what_answers_a_challenge():
    server = connect(Role.SERVER, QUIET, validated=False)
    elsewhere = ("203.0.113.5", 5)
    give(server, 0, b"\x01", path=elsewhere)
    ((datagram, address),) = server.datagrams_to_send(1.0)
    assert address == elsewhere
    ((kind, data),) = frames_of(server, datagram)
    assert kind == f.PATH_CHALLENGE
    assert server.next_timeout() == QUIET.handshake_s, "nothing that cannot leave is due"
    give(server, 1, f.encode_path(f.PATH_RESPONSE, data), path=elsewhere)
    assert (server.validated, server.path) == (True, elsewhere)


@pytest.mark.parametrize("address", [("198.51.100.7", 40_001), ("203.0.113.5", 9)])
def test_a_peer_that_moves_is_followed_after_it_answered_a_challenge(address, seed):
    pair = Pair(seed, loss=0.2)
    for index in range(100):
        pair.send(pair.server, b"%d" % index, index)
        pair.send(pair.client, b"%d" % index, index)
        if index == 50:
            pair.client.address = address
        pair.run(0.05)
    pair.run_until(lambda: len(pair.server.acked) == len(pair.client.acked) == 100)
    assert pair.server.connection.path == address
    assert sorted(pair.client.received) == sorted(b"%d" % i for i in range(100))


def test_a_wrong_answer_to_a_challenge_moves_nothing(server):
    give(server, 0, f.encode_path(f.PATH_RESPONSE, bytes(8)), path=("203.0.113.5", 9))
    assert server.path == CLIENT


def test_a_copy_that_is_faster_than_its_original_does_not_let_the_connection_time_out(server):
    give(server, 0, b"\x01", now=1.0)
    for number in range(1, 10):
        give(server, number, b"\x01", path=("203.0.113.5", 9), now=10.0 * number)
        server.handle_timeout(10.0 * number + 9.0)
    assert server.state is ConnectionState.OPEN


def test_a_late_packet_from_elsewhere_raises_no_question(server):
    give(server, 5, b"\x01")
    give(server, 3, b"\x01", path=("203.0.113.5", 9))
    assert {address for _, address in server.datagrams_to_send(1.0)} == {CLIENT}


def test_a_challenge_is_answered_to_where_it_came_from(client):
    give(client, 0, f.encode_path(f.PATH_CHALLENGE, b"12345678"))
    assert [(f.PATH_RESPONSE, b"12345678")] in sent_frames(client)
