"""A peer that has its keys and lies: about acks, delays, pieces of bodies, and what a frame is."""

import json
import random
import tracemalloc
from itertools import count
from pathlib import Path

import pytest

from tests.hop.pair import (
    CLIENT,
    MODE,
    MODES,
    Pair,
    connect,
    frames_of,
    packet_to,
)
from tests.hop.secure_world import World
from tests.node.harness import Client as NodeClient
from tests.node.harness import Net, with_raw_server
from tests.node.harness import Server as NodeServer
from tests.security.meter import lines_run
from tests.settings import settings
from udpim.errors import DecodeError
from udpim.hop.codes import CloseCode, CloseKind, ConnectionState, Role
from udpim.hop.config import HopConfig
from udpim.hop.reassembly import Reassembly
from udpim.hop.recovery import PTO_S_MAX
from udpim.node.effects import MaySee
from udpim.node.state import LinkState
from udpim.wire import frames as f

NO_SKIPS = {"skip_packets_mean": 0, "grease_packets_max": 0}
PROTOCOL_ERROR = CloseCode.PROTOCOL_ERROR

LIMITS = HopConfig().limits


@pytest.fixture(autouse=True)
def encrypted(monkeypatch):
    """Connections are made encrypted: whoever lies here is inside."""
    monkeypatch.setitem(MODE, "now", MODES["chacha"])


def give(connection, number, *frames, now=1.0):
    """Hand a packet of the peer's to a connection; whether it was taken."""
    packet = connection.receive_packet(packet_to(connection, number, *frames), CLIENT, now)
    if packet is not None:
        connection.take(packet, now)
    return packet is not None


def busy_server(packets, **config):
    """A server with so many packets in flight, each with one frame of 1000 bytes."""
    server = connect(Role.SERVER, settings(HopConfig, **{"grease_packets_max": 0, **config}))
    server._recovery.congestion.window = 10**9
    now = count(1000)
    sent = []
    while len(sent) < packets:
        server.send_frame(bytes(1100), len(sent), 1.0)
        sent += server.datagrams_to_send(next(now) / 1000)
    return server


def work_of(connection, frames, number):
    """How many lines run when the connection takes these frames."""
    packet = connection.receive_packet(packet_to(connection, number, *frames), CLIENT, 1.0)
    return lines_run(lambda: connection.take(packet, 1.0))


def numbers_of(connection):
    """The numbers of its packets in flight."""
    return sorted(connection._recovery._loss._sent)


# Acks.


def test_an_ack_of_a_packet_that_was_not_sent_ends_the_connection_and_opens_no_window():
    """Attack 1 (optimistic ACK), and "ack of unsent" of the adversary table.

    Any number from the next one up to half of all that 32 bits name; the other half is the past.
    """
    for ahead in (0, 1, 2, 255, 256, 1024, 2**16, 2**31 - 4):
        for bitmap_bytes in (0, 1, 32):
            server = busy_server(3, **NO_SKIPS)
            window, in_flight = server.congestion_window_bytes, server.in_flight_frames
            ack = f.encode_ack(3 + ahead, 0, (1 << 8 * bitmap_bytes) - 1, bitmap_bytes)
            assert give(server, 0, ack)
            assert (PROTOCOL_ERROR, CloseKind.ERROR) == (server.closed.code, server.closed.kind)
            assert (window, in_flight) == (server.congestion_window_bytes, server.in_flight_frames)
            assert [] == server.acked_tags()


def test_an_ack_of_a_skipped_number_ends_the_connection_and_opens_no_window():
    """Attack 1, and the "skipped-PN trap" of the adversary table."""
    server = busy_server(300, skip_packets_mean=20)
    numbers = numbers_of(server)
    skipped = sorted(set(range(numbers[-1])) - set(numbers))
    assert 5 < len(skipped) < 50
    for largest, bitmap in ((skipped[-1], 0), (skipped[-1] + 1, 1), (skipped[-2] + 3, 0b100)):
        server = busy_server(300, skip_packets_mean=20)
        assert numbers == numbers_of(server), "the same draws"
        window = server.congestion_window_bytes
        assert give(server, 0, f.encode_ack(largest, 0, bitmap, 1))
        assert (PROTOCOL_ERROR, CloseKind.ERROR) == (server.closed.code, server.closed.kind)
        assert window == server.congestion_window_bytes


def test_who_acks_all_it_has_not_received_is_found_out(seed):
    """Attack 1: the optimistic acker guesses well, and never names a number that is too large.

    With one number in 256 skipped, half of the liars are found after 177 packets.
    """
    caught = []
    for attempt in range(20):
        server = connect(Role.SERVER, rng=random.Random(seed + attempt))
        lied = 0
        for number in range(3000):
            server.send_frame(b"x" * 1000, None, 1 + number / 100)
            server.datagrams_to_send(1 + number / 100)
            give(server, number, f.encode_ack(server._next_number - 1, 0, 255, 1), now=1.0)
            if server.state is not ConnectionState.OPEN:
                break
            lied = number
        assert PROTOCOL_ERROR == server.closed.code
        caught.append(lied)
    assert sorted(caught)[10] < 1000
    assert max(caught) < 2900


def test_who_tells_the_truth_is_never_suspected(seed):
    """Beside the traps: on a bad network, with a skipped number in every eight."""
    config = HopConfig(skip_packets_mean=8)
    pair = Pair(seed, loss=0.2, duplicate=0.2, reorder=0.3, config=config)
    for index in range(400):
        for end in pair.ends:
            pair.send(end, b"%d" % index * 50, index)
        pair.run(0.01)
    pair.run_until(lambda: all(len(end.acked) == 400 for end in pair.ends))
    pair.run(1.0)
    assert pair.open
    for end in pair.ends:
        sent = end.connection.stats.datagrams_sent
        assert sent * 1.05 < end.connection._next_number < sent * 1.3
        assert 400 == len(end.received) == len(set(end.received))


def test_an_ack_is_work_in_proportion_to_its_bytes():
    """Attack 2 (ACK range bomb), and "range 2^62" and "sparse" of the adversary table.

    An ACK names 257 numbers at most, in 44 bytes; a packet full of the worst of them is bounded.
    """
    assert 32 == f.BITMAP_BYTES_MAX
    with pytest.raises(DecodeError):
        f.parse_frames(bytes((f.ACK,)) + bytes(6) + b"\xff" + bytes(64))
    sparse = int("01" * 128, 2)
    costs = {}
    for in_flight in (10, 300, 1000):
        for name, bitmap in (("sparse", sparse), ("full", (1 << 256) - 1), ("empty", 0)):
            server = busy_server(in_flight, **NO_SKIPS)
            frames = []
            for low in range(26):
                largest = max(0, in_flight - 1 - low * 7)
                frames.append(f.encode_ack(largest, 0, bitmap, 32))
            frames = frames[: 1150 // max(map(len, frames))]
            size = sum(map(len, frames))
            costs[name, in_flight] = work_of(server, frames, 0) / size
    assert max(costs.values()) < 40, "lines for a byte"
    again = busy_server(1000, **NO_SKIPS)
    give(again, 0, f.encode_ack(999, 0, sparse, 32))
    repeated = [f.encode_ack(999, 0, sparse, 32)] * 25
    assert work_of(again, repeated, 1) < 25 * 100, "what was said before is no work"


def test_random_acks_end_a_connection_or_change_no_more_than_they_may(seed):
    """Adversary table, "close or ignore; O(window) work": 10 000 ACKs that mean nothing."""
    rng = random.Random(seed)
    ended = done = 0
    while done < 10_000:
        server = busy_server(50, **NO_SKIPS)
        most = server.congestion_window_bytes + 50 * 1200
        for number in range(100):
            size = rng.choice([0, 1, 4, 32])
            largest = rng.randrange(50)
            if rng.random() < 0.03:
                largest = rng.choice([rng.getrandbits(32), rng.randrange(60)])
            # Below 0 there are no numbers: a bitmap may claim them, and nothing follows from it.
            ack = f.encode_ack(largest, rng.getrandbits(16), rng.getrandbits(8 * size), size)
            give(server, number, ack, now=1.0)
            done += 1
            if server.state is not ConnectionState.OPEN:
                assert PROTOCOL_ERROR == server.closed.code
                ended += 1
                break
        assert server.congestion_window_bytes <= most
        tags = server.acked_tags()
        assert len(tags) == len(set(tags)) <= 50
    assert ended > 50


def test_acks_that_are_withheld_end_the_connection_by_name():
    """Adversary table, "withheld": the peer is there, and acks nothing for 30 s."""
    server = connect(Role.SERVER, HopConfig(**NO_SKIPS))
    give(server, 0, b"\x01", now=1.0)
    for index in range(1000):
        server.send_frame(b"x" * 1000, index, 1.0)
    sent, number, now = 0, 1, 1.0
    while server.closed is None and now < 60.0:
        server.handle_timeout(now)
        sent += sum(len(data) > 1000 for data, _ in server.datagrams_to_send(now))
        give(server, number, b"\x01", now=now)
        number += 1
        now += 0.05
    assert CloseCode.DEAD == server.closed.code
    assert now == pytest.approx(31.0, abs=0.2)
    assert sent < 10 + 30 / 0.333 + 20, "the first window, one in a round trip, and probes"
    assert 1000 == len(server.unacked_tags()), "the owner knows what has not arrived"


def test_one_packet_that_is_never_acked_pins_no_memory():
    """Attack 3 (sent-record pinning): thousands of packets of acks leave while one is unacked."""
    server = connect(Role.SERVER, HopConfig(**NO_SKIPS))
    server.send_frame(b"pinned", "pinned", 1.0)
    server.datagrams_to_send(1.0)

    def hear(first, last):
        for number in range(first, last):
            packet = server.receive_packet(packet_to(server, number, b"\x01"), CLIENT, 1.0)
            server.take(packet, 1.0)
            server.datagrams_to_send(1.0)

    hear(0, 2000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        hear(2000, 8000)
        assert tracemalloc.get_traced_memory()[0] - before < 8192
    finally:
        tracemalloc.stop()
    assert server.stats.acks_sent == 4000
    assert [0] == numbers_of(server)


def test_what_is_acked_around_an_unacked_packet_pins_nothing_either():
    """Attack 3: the peer acks everything but the packets with one frame."""
    server = connect(Role.SERVER, HopConfig(**NO_SKIPS))
    now, number = 1.0, 0
    server.send_frame(b"pinned", "pinned", now)
    pinned = set()
    for index in range(3000):
        server.send_frame(b"%d" % index, index, now)
        server.handle_timeout(now)
        for data, _ in server.datagrams_to_send(now):
            for frame in frames_of(server, data):
                if frame[0] == f.MESSAGE and frame[2] == b"pinned":
                    pinned.add(server._next_number - 1)
        if server._next_number - 1 not in pinned:
            give(server, number, f.encode_ack(server._next_number - 1, 0, 0, 1), now=now)
            number += 1
        now += 0.005
    assert server.state is ConnectionState.OPEN
    loss = server._recovery._loss
    assert len(loss._sent) + len(loss._lost) + server.in_flight_frames < 2100
    assert server.in_flight_frames <= 1024, "the frame window stops it"


@pytest.mark.parametrize("delay", [0, 1, 1000, 0xFFFF])
def test_lies_about_the_ack_delay_leave_the_estimate_within_what_was_measured(delay):
    """Attack 4 (ACK delay lies): at most max_ack_delay is believed, and never below min_rtt."""
    server = connect(Role.SERVER, HopConfig(**NO_SKIPS))
    now = 1.0
    for number in range(200):
        server.send_frame(b"x", None, now)
        server.datagrams_to_send(now)
        now += 0.04
        give(server, number, f.encode_ack(server._next_number - 1, delay, 0, 1), now=now)
    rtt = server.rtt
    assert 0.04 == pytest.approx(rtt.min_rtt)
    assert rtt.min_rtt <= rtt.smoothed_rtt <= 0.04 + 1e-9
    assert 0.01 <= server._recovery.pto_s() <= 0.06


def test_acks_held_back_make_no_timer_longer_than_its_ceiling():
    """Attack 4: who answers after 20 s makes the estimate large, and probes go on every 3 s."""
    server = connect(Role.SERVER, HopConfig(**NO_SKIPS))
    server.send_frame(b"x", None, 1.0)
    server.datagrams_to_send(1.0)
    give(server, 0, f.encode_ack(0, 0, 0, 1), now=21.0)
    assert 20.0 == pytest.approx(server.rtt.smoothed_rtt)
    server.send_frame(b"y", None, 21.0)
    server.datagrams_to_send(21.0)
    give(server, 1, b"\x01", now=21.0)
    server.datagrams_to_send(21.1)
    assert server.next_timeout() <= 21.0 + PTO_S_MAX + 0.1


# Bodies in pieces.


def fragments(connection):
    return connection.reassembly_groups, connection.reassembly_bytes


def test_last_pieces_of_bodies_that_never_come_are_few():
    """Attack 7 (reassembly exhaustion) and its row of the adversary table: 10 000 groups."""
    config = settings(HopConfig, reassembly_groups_max=16, **NO_SKIPS)
    server = connect(Role.SERVER, config)
    taken = 0
    for group in range(10_000):
        piece = f.encode_fragment(taken, group, 1999, 2000, b"x")
        taken += give(server, group, piece)
    assert (16, 16) == (taken, server.reassembly_groups)
    assert 16 == server.reassembly_bytes
    assert 10_000 - 16 == server.drops["too many bodies in pieces"]
    assert give(server, 10_000, f.encode_message(taken, b"others go on"))


def test_bytes_of_pieces_stop_at_the_credit():
    """Attack 7: the largest pieces, of as many bodies as there may be."""
    server = connect(Role.SERVER, HopConfig(**NO_SKIPS))
    allowed = HopConfig().limits.bulk_window_bytes
    hop_seq = number = 0
    for group in range(60):
        for index in range(100):
            piece = f.encode_fragment(hop_seq, group, index, 900, bytes(1100))
            hop_seq += give(server, number, piece)
            number += 1
            server.datagrams_to_send(1.0)
    groups, kept = fragments(server)
    assert allowed - 1100 < kept <= allowed
    assert groups <= HopConfig().limits.reassembly_groups_max
    assert {"beyond credit", "too many bodies in pieces"} >= server.drops.keys()
    assert server.drops


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ((7, 1, 10, bytes(600)), "contradictory fragment"),  # the same again, as another frame
        ((7, 2, 11, bytes(600)), "contradictory fragment"),  # another total
        ((7, 2, 10, bytes(601)), "contradictory fragment"),  # overlaps its neighbour
        ((7, 9, 10, bytes(601)), "contradictory fragment"),  # a last one that is too long
        ((8, 1, 2057, bytes(600)), "contradictory fragment"),  # 1.2 MB in all
    ],
    ids=["again", "total", "overlap", "end", "sum"],
)
def test_pieces_that_contradict_each_other_are_not_taken(second, reason):
    """Attack 7 (overlapping, offset overflow, total-length lie)."""
    server = connect(Role.SERVER, HopConfig(**NO_SKIPS))
    assert give(server, 0, f.encode_fragment(0, 7, 1, 10, bytes(600)))
    before = fragments(server)
    assert not give(server, 1, f.encode_fragment(1, *second))
    assert {reason: 1} == server.drops
    assert before == fragments(server)
    assert give(server, 1, f.encode_fragment(1, 7, 2, 10, bytes(600))), "the number is free"


@pytest.mark.parametrize("index", [10, 11, 0xFFFF])
def test_a_piece_beyond_the_end_is_malformed(index):
    """Attack 7 (offset overflow)."""
    server = connect(Role.SERVER, HopConfig(**NO_SKIPS))
    assert not give(server, 0, f.encode_fragment(0, 7, index, 10, bytes(600)))
    assert (0, 0) == fragments(server)


def test_tiny_pieces_are_malformed():
    """Attack 7 (tiny gaps): what is kept beside a piece is small because pieces are not."""
    server = connect(Role.SERVER, HopConfig(**NO_SKIPS))
    assert not give(server, 0, f.encode_fragment(0, 7, 0, 10, bytes(f.FRAGMENT_BYTES_MIN - 1)))
    assert give(server, 0, f.encode_fragment(0, 7, 0, 10, bytes(f.FRAGMENT_BYTES_MIN)))


def test_pieces_in_any_order_and_number_are_work_in_proportion(seed):
    """Adversary table, reassembly: looking at a piece does not depend on how many are here."""
    rng = random.Random(seed)
    pieces = [(3, index, 1800, bytes(550)) for index in range(1799)]
    rng.shuffle(pieces)
    table, costs = Reassembly(16), []
    for piece in pieces:
        costs.append(lines_run(lambda piece=piece: (table.look([piece]), table.take([piece]))))
    assert max(costs[100:]) <= max(costs[:100]) + 5


def test_who_has_not_logged_in_gets_no_memory_for_pieces():
    """Attack 7, before the login: a node refuses the packet."""
    net = Net()
    server = NodeServer(net)
    client = NodeClient(net, "mallory/m").dial()
    server.verdict = lambda effect: "wait"
    net.run(1.0)
    assert client.node.state is LinkState.LOGGING_IN
    connection = client.node._connection
    connection.send_frame(bytes(5000), None, net.now, bulk=True)
    net.run(1.0)
    (at_server,) = server.node.connections()
    assert (0, 0) == fragments(at_server)
    assert server.hop_drops()["body in pieces without a session"] > 0


# Malformed.


def mutated(rng, payload):
    """A payload with something wrong."""
    data = bytearray(payload)
    for _ in range(rng.randrange(1, 5)):
        kind = rng.randrange(4)
        at = rng.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randrange(1, 6)]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randrange(1, 6))
        else:
            data += data[at : at + rng.randrange(1, 40)]
    return bytes(data[:1150])


def true_payloads(rng):
    """Frames as an honest peer might send them."""
    number = rng.randrange(50)
    return [
        f.encode_message(number, rng.randbytes(20)),
        f.encode_bulk(number, rng.randbytes(20)),
        f.encode_fragment(number, rng.randrange(4), rng.randrange(5), 5, rng.randbytes(512)),
        f.encode_ack(rng.randrange(5), 3, rng.getrandbits(16), 2),
        f.encode_credit(rng.getrandbits(rng.choice([8, 32, 64]))),
        f.encode_datagram(rng.randbytes(30)),
        f.encode_path(f.PATH_CHALLENGE, rng.randbytes(8)),
        f.encode_path(f.PATH_RESPONSE, rng.randbytes(8)),
        f.encode_extension(0x40 + rng.randrange(64), rng.randbytes(9)),
        f.encode_close(rng.randrange(500), "bye"),
    ]


def test_malformed_frames_under_the_right_keys_raise_nothing(seed):
    """Attack 16, and "malformed fuzz" of the adversary table: the fuzzer sits inside the AEAD."""
    rng = random.Random(seed)
    done = 0
    most = 0
    while done < 8000:
        server = connect(Role.SERVER)
        for index in range(4):
            server.send_frame(b"%d" % index, index, 1.0)
            server.datagrams_to_send(1.0)
        for number in range(200):
            frames = b"".join(rng.sample(true_payloads(rng), rng.randrange(1, 4)))
            payload = mutated(rng, frames) if rng.random() < 0.9 else rng.randbytes(40)
            done += 1
            if done % 40 == 0:
                most = max(most, lines_run(lambda n=number, a=payload, s=server: give(s, n, a)))
            else:
                give(server, number, payload)
            server.datagrams_to_send(1.0)
            if server.state is not ConnectionState.OPEN:
                break
        groups, kept = fragments(server)
        assert groups <= LIMITS.reassembly_groups_max
        assert kept <= LIMITS.bulk_window_bytes
    assert most < 5000, "lines for the worst packet"


class Discreet(NodeServer):
    """A server whose presence nobody may see."""

    def handlers(self):
        return {**super().handlers(), MaySee: self.may_see}

    def may_see(self, effect):
        self.node.on_may_see(effect.token, self.net.now, allowed=False)


def true_im_packets():
    """Every IM packet of the golden vectors."""
    folder = Path(__file__).parent.parent / "vectors" / "im"
    vectors = [one for path in folder.glob("*.json") for one in json.loads(path.read_text())]
    packets = [bytes.fromhex("".join(part for part, _ in one["bytes"])) for one in vectors]
    assert len(packets) > 40
    return packets


def test_malformed_im_packets_of_a_user_raise_nothing_and_harm_nobody(seed):
    """The same on a live session: what a server makes of a client's malformed IM packets."""
    rng = random.Random(seed)
    net, true = Net(), true_im_packets()
    server = Discreet(net)
    alice, bob = NodeClient(net, "alice/a").login(), NodeClient(net, "bob/b").login()
    for turn in range(6):
        mallory = NodeClient(net, f"mallory/{turn}").login()
        connection = mallory.node._connection
        for _ in range(150):
            body = mutated(rng, rng.choice([*true, rng.randbytes(30)]))
            if body and connection.state is ConnectionState.OPEN:
                connection.send_frame(body, None, net.now, bulk=rng.random() < 0.5)
                net.run(0.01)
    _, first = alice.send("bob", b"still here")
    net.run(5.0)
    assert [b"still here"] == bob.received
    assert 1 == first
    assert server.hop_drops()


def test_malformed_im_packets_of_a_server_raise_nothing_at_a_client(seed):
    """The same in the other direction."""
    rng = random.Random(seed)
    true = true_im_packets()
    for _ in range(6):
        net, raw, client = with_raw_server()
        for _ in range(100):
            if raw.last.state is ConnectionState.OPEN:
                raw.say(mutated(rng, rng.choice(true)))
                net.run(0.01)
        net.run(2.0)
        assert client.hop_drops() or client.node.state is not LinkState.ONLINE


def test_random_bytes_in_the_clear_raise_nothing_at_either_end(seed):
    """Attack 16, without keys: datagrams of every first byte to a dialer and a listener."""
    rng = random.Random(seed)
    world = World()
    world.connect()
    true = [data for _, _, data in world.log]
    for turn in range(4000):
        data = mutated(rng, rng.choice(true)) if turn % 2 else rng.randbytes(rng.randrange(400))
        world.server.receive(data, ("203.0.113.9", turn), world.now)
        world.client.receive(data, ("192.0.2.1", 9000), world.now)
    world.server.listener.datagrams_to_send(world.now)
    world.run(5.0)
    world.check()
