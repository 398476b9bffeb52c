"""Old packets that come again, and numbers and keys that must not."""

import random
from collections import Counter

import pytest

from tests.hop.pair import CLIENT, MODE, MODES, Pair, connect, packet_to, sealing_of_peer
from tests.hop.secure_world import DELAY_S, SERVER, Client, Server, World, label
from tests.security.campaign import NO_STATE, Replay
from tests.security.digest import digest
from udpim.crypto.aead_protection import LIMITS, UseLimits
from udpim.crypto.noise.suites import AeadCipher
from udpim.hop.codes import CloseCode, ConnectionState, Role
from udpim.hop.config import HopConfig
from udpim.hop.sealing import PACKETS_RESERVED
from udpim.hop.window import REPLAY_PACKETS
from udpim.wire import frames as f
from udpim.wire.packet import is_long

QUIET = HopConfig(grease_packets_max=0, skip_packets_mean=0)
ELSEWHERE = ("203.0.113.66", 6)


@pytest.fixture(autouse=True)
def encrypted(monkeypatch):
    """Connections are made encrypted."""
    monkeypatch.setitem(MODE, "now", MODES["chacha"])


def state(*things):
    return digest(*things, without=NO_STATE)[0]


# Replays.


def test_captured_packets_change_nothing_but_counters(seed):
    """Attack 11 (replay), adversary table "replay": any packet, any later time, any source.

    `make attacks` does the same a million times. Handshakes and packets of both directions, over
    several keys, of sessions that live and of one that is over.
    """
    report = Replay(4000, seed).run()
    assert [] == report["problems"]
    assert 300 < report["things_in_the_state"]
    assert report["captured"] > 300
    assert 0 < report["replies"], "HELLO is answered again"
    assert report["worst_ratio"] <= 1.0


def test_a_judge_who_sees_nothing_would_be_no_judge(seed, monkeypatch):
    """The campaign finds fault with a receiver that takes a packet twice."""
    monkeypatch.setattr("udpim.hop.window.ReceiveWindow.refusal", lambda self, number: None)
    problems = Replay(1000, seed).run()["problems"]
    assert any(words.startswith("state after") for words in problems)


def test_what_is_captured_of_a_connection_is_worth_nothing_to_the_next_one():
    """Attack 11, "any later time": after a reconnect, with the same keys of both devices."""
    first = World()
    first.connect()
    second = World(client=Client(seed=9), server=first.server)
    second.now = first.now
    first.server.connections.clear()
    first.server.received.clear()
    second.connect()
    before = state(*second.server.connections.values(), second.client.connection)
    for source in (CLIENT, ELSEWHERE):
        for _, by_client, data in first.log * 3:
            if by_client:
                second.server.receive(data, source, second.now)
            else:
                second.client.receive(data, SERVER, second.now)
    assert before == state(*second.server.connections.values(), second.client.connection)
    assert 1 == len(second.server.connections)
    second.check()


def test_a_replay_far_behind_the_window_is_as_dead_as_one_within_it():
    """Attack 11, in the terms of RFC 6479."""
    server = connect(Role.SERVER, QUIET)
    captured = [packet_to(server, number, b"\x01") for number in range(3 * REPLAY_PACKETS)]
    for data in captured:
        server.take(server.receive_packet(data, CLIENT, 1.0), 1.0)
    before = state(server)
    for data in captured:
        assert server.receive_packet(data, ELSEWHERE, 1.0) is None
    assert {"duplicate packet": REPLAY_PACKETS, "replay window": 2 * REPLAY_PACKETS} == server.drops
    assert before == state(server)


def test_no_flipped_bit_moves_anything(seed):
    """Attack 11: check, decrypt, and only then advance; of each true packet, each bit."""
    rng = random.Random(seed)
    server = connect(Role.SERVER, QUIET)
    for number in range(0, 40, 4):
        body = f.encode_message(number // 4, rng.randbytes(rng.randrange(20)))
        true = packet_to(server, number, body)
        before = state(server)
        for at in range(8 * len(true)):
            data = bytearray(true)
            data[at >> 3] ^= 1 << (at & 7)
            assert server.receive_packet(bytes(data), CLIENT, 1.0) is None
        assert before == state(server)
        server.take(server.receive_packet(true, CLIENT, 1.0), 1.0)
        assert before != state(server), "otherwise the digest would see nothing"
    assert {"not authentic", "wrong flags", "wrong connection id"} <= server.drops.keys()


@pytest.mark.parametrize("ahead", [1, 63, 64, 1023, 1024, 1025, 2**16, 2**31 - 2])
def test_a_number_far_ahead_without_a_right_tag_moves_no_window(ahead):
    """Attack 12 (forged packet number jump): authenticate first."""
    server = connect(Role.SERVER, QUIET)
    for number in range(5):
        server.take(server.receive_packet(packet_to(server, number, b"\x01"), CLIENT, 1.0), 1.0)
    forged = bytearray(packet_to(server, 4 + ahead, b"\x01", bytes(40)))
    forged[-1] ^= 1
    header, _, number = server._sealing.read_header(bytes(forged))
    assert (4 + ahead, 0x41) == (number, header[0]), "its number is read as it was meant"
    before = state(server)
    for _ in range(100):
        assert server.receive_packet(bytes(forged), CLIENT, 1.0) is None
    assert {"not authentic": 100} == server.drops
    assert before == state(server)
    for number in range(5, 10):
        assert server.receive_packet(packet_to(server, number, b"\x01"), CLIENT, 1.0) is not None


def test_thousands_of_numbers_without_a_right_tag_move_no_window(seed):
    """Attack 12, with numbers and phases at random."""
    rng = random.Random(seed)
    pair = Pair(seed, config=HopConfig(key_update_packets=10))
    for index in range(60):
        pair.send(pair.client, b"%d" % index, index)
        pair.send(pair.server, b"%d" % index, index)
        pair.run(0.05)
    server = pair.server.connection
    assert server.stats.key_updates
    before = state(server)
    for _ in range(5000):
        data = bytes((0x41 | rng.choice([0, 0x20]),)) + server.local_cid + rng.randbytes(60)
        assert server.receive_packet(data, CLIENT, pair.now) is None
    assert before == state(server)
    assert 4900 < server.drops["not authentic"] + server.drops.get("replay window", 0)
    pair.send(pair.client, b"last", "last")
    pair.run_until(lambda: "last" in pair.client.acked)


# Keys and numbers that are used once.


@pytest.fixture
def sealings(monkeypatch):
    """(key, nonce) → what was sealed under them, over all ciphers made from now on."""
    seen = {}
    keyed = AeadCipher.keyed

    class Watched:
        def __init__(self, key, aead):
            self.key, self.aead, self.decrypt = key, aead, aead.decrypt

        def encrypt(self, nonce, data, associated_data):
            seen.setdefault((self.key, nonce), set()).add((data, associated_data))
            return self.aead.encrypt(nonce, data, associated_data)

    monkeypatch.setattr(AeadCipher, "keyed", lambda self, key: Watched(key, keyed(self, key)))
    return seen


def talk(world):
    """Both ends say something, one packet after the other."""
    for number in range(20):
        for end in (world.client.connection, world.server.connection):
            end.send_frame(b"%d" % number, None, world.now)
        world.run(0.1)


@pytest.mark.parametrize("fork", [False, True], ids=["restart", "restored snapshot"])
def test_a_restarted_server_uses_no_key_and_nonce_again(sealings, fork):
    """Attack 20 (nonce reuse after restart or fork).

    A restored snapshot is the worst case: the server draws what it drew before. The other end's
    part in the keys is new all the same.
    """
    seen, keys = 0, set()
    secrets = set()
    for life in range(5):
        world = World(client=Client(seed=10 + life), server=Server(seed=2 if fork else 20 + life))
        world.connect()
        talk(world)
        secrets.add(world.server.connection.channel_binding)
        present = {key for key, _ in sealings} - keys
        assert len(present) >= 5, "three of the handshake and one for each direction"
        keys |= present
        assert len(sealings) > seen + 20
        seen = len(sealings)
    assert 5 == len(secrets)
    assert {1} == {len(sealed) for sealed in sealings.values()}


def test_a_restarted_client_uses_no_key_and_nonce_again(sealings):
    """Attack 20, the other end: its HELLO is the same again, and what follows is not."""
    bindings = []
    for life in range(5):
        world = World(client=Client(seed=1), server=Server(seed=20 + life))
        world.connect()
        talk(world)
        bindings.append(world.client.connection.channel_binding)
    assert 5 == len(set(bindings))
    assert {1} == {len(sealed) for sealed in sealings.values()}


def test_crashes_in_the_middle_of_everything_repeat_no_nonce(sealings, seed):
    """Attack 20: either end dies at any time, handshakes included, on a bad network."""
    rng = random.Random(seed)
    server = Server(seed=rng.random(), always_retry=rng.random() < 0.5)
    now = 100.0
    for _ in range(30):
        world = World(client=Client(seed=rng.random(), now=now), server=server)
        world.now = now
        world.fate = lambda name, nth: [DELAY_S] * rng.choice([0, 1, 1, 1, 2])
        world.run(rng.choice([0.06, 0.12, 0.2, 1.0, 3.0]))
        now = world.now
        if rng.random() < 0.5:
            server = Server(seed=rng.random(), always_retry=rng.random() < 0.5)
        else:
            server.connections.clear()
        server.received.clear()
    assert len(sealings) > 60
    assert {1} == {len(sealed) for sealed in sealings.values()}


def few(monkeypatch, sealed_packets_max):
    """Keys that are made from now on may seal so many packets."""
    limits = UseLimits(sealed_packets_max=sealed_packets_max, forged_packets_max=10**6)
    for name in ("ChaChaPoly", "AESGCM"):
        monkeypatch.setitem(LIMITS, name, limits)


@pytest.mark.parametrize("suite", ["chacha", "aes"])
def test_keys_are_replaced_long_before_their_limit(monkeypatch, sealings, suite, seed):
    """Attack 20, "2^23 rekey test", with the limit of AES-GCM made small: 200 instead of 2^23."""
    monkeypatch.setitem(MODE, "now", MODES[suite])
    few(monkeypatch, 200)
    pair = Pair(seed, loss=0.1, config=HopConfig(key_update_packets=50))
    for index in range(1500):
        pair.send(pair.client, b"%d" % index, index)
        pair.send(pair.server, b"%d" % index, index)
        pair.run(0.02)
    pair.run_until(lambda: all(len(end.acked) == 1500 for end in pair.ends))
    assert pair.open
    assert min(end.connection.stats.key_updates for end in pair.ends) > 15
    sealed = Counter(key for key, _ in sealings)
    assert max(sealed.values()) < 200 - PACKETS_RESERVED
    assert {1} == {len(one) for one in sealings.values()}


def test_a_key_that_cannot_be_replaced_ends_its_connection_before_the_limit(monkeypatch, sealings):
    """Attack 20: the peer acks and never follows an update."""
    few(monkeypatch, PACKETS_RESERVED + 30)
    server = connect(
        Role.SERVER, HopConfig(key_update_packets=10**6, grease_packets_max=0, skip_packets_mean=0)
    )
    number = 0
    while server.state is ConnectionState.OPEN and number < 1000:
        server.send_frame(b"x", None, 1.0 + number)
        server.datagrams_to_send(1.0 + number)
        ack = f.encode_ack(server._next_number - 1, 0, 0, 1)
        server.take(server.receive_packet(packet_to(server, number, ack), CLIENT, 1.0), 1.0)
        number += 1
    assert CloseCode.KEYS_USED_UP == server.closed.code
    for late in range(500):
        server.receive_packet(packet_to(server, number + late, b"\x01"), CLIENT, 1.0)
        server.datagrams_to_send(2000.0 + late)
    assert {1} == {len(sealed) for sealed in sealings.values()}
    assert server.stats.datagrams_sent < PACKETS_RESERVED + 30


def test_no_packet_number_is_used_twice_whatever_is_lost(seed):
    """Attack 20: a retransmission is a new packet, under a new number."""
    pair = Pair(seed, loss=0.4, duplicate=0.2, config=HopConfig(skip_packets_mean=16))
    for index in range(300):
        pair.send(pair.client, b"%d" % index, index)
        pair.run(0.02)
    pair.run_until(lambda: len(pair.client.acked) == 300)
    sealing = sealing_of_peer(pair.client.connection)
    sent = [sealing.read_header(data)[2] for _, data, _ in pair.client.sent_datagrams]
    assert sorted(set(sent)) == sent
    assert len(sent) > 300
    assert not any(is_long(data) for _, data, _ in pair.client.sent_datagrams)


def test_labels_of_replayed_packets_are_all_there_are():
    """The campaign replays every kind of packet that a session has."""
    case = Replay(1, 1)
    case.prepare()
    kinds = Counter(label(data) for _, _, data in case.captured)
    assert {"HELLO", "RETRY", "WELCOME", "FINISH", "short"} == kinds.keys()
