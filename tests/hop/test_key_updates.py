"""Keys that replace themselves under two connections, on bad networks and at their limits."""

import pytest

from tests.hop.pair import CLIENT, MODE, MODES, Pair, connect, frames_of, packet_to
from tests.hop.secure_world import DELAY_S, Server, World
from udpim.crypto.aead_protection import LIMITS, UseLimits
from udpim.crypto.noise.suites import NONCE_MAX, AeadCipher
from udpim.hop.codes import CloseCode, ConnectionState, Role
from udpim.hop.config import HopConfig
from udpim.hop.sealing import PACKETS_RESERVED
from udpim.wire import frames as f

QUIET = {"grease_packets_max": 0}


@pytest.fixture(autouse=True, params=["chacha", "aes"])
def encrypted(request, monkeypatch):
    """Connections are made encrypted."""
    monkeypatch.setitem(MODE, "now", MODES[request.param])


def updates(pair):
    return [end.connection.stats.key_updates for end in pair.ends]


def limit(monkeypatch, **limits):
    """What keys may do that are made from now on."""
    few = UseLimits(**{"sealed_packets_max": 10**6, "forged_packets_max": 10**6, **limits})
    for name in ("ChaChaPoly", "AESGCM"):
        monkeypatch.setitem(LIMITS, name, few)


# Updates.


@pytest.mark.parametrize("loss", [0.0, 0.2, 0.4])
def test_updates_by_count_on_a_bad_network_lose_and_double_nothing(loss, seed):
    config = HopConfig(key_update_packets=20)
    pair = Pair(seed, loss=loss, duplicate=0.1, reorder=0.2, config=config)
    bodies = [b"%d " % i * 60 for i in range(1000)]
    for index, body in enumerate(bodies):
        pair.send(pair.client, body, index)
        pair.send(pair.server, body, index)
        if index % 10 == 0:
            pair.run(0.05)
    pair.run_until(lambda: len(pair.client.acked) == len(pair.server.acked) == 1000)
    assert sorted(bodies) == sorted(pair.server.received) == sorted(pair.client.received)
    assert min(updates(pair)) >= 3
    assert abs(updates(pair)[0] - updates(pair)[1]) <= 1


def test_updates_by_age_happen_on_both_sides_at_once_and_are_one(seed):
    """Both keys come of age in the same second; who began does not matter."""
    pair = Pair(seed, loss=0.1, config=HopConfig(key_update_s=30.0))
    for index in range(100):
        pair.send(pair.client, b"%d" % index, index)
        pair.send(pair.server, b"%d" % index, index)
        pair.run(1.0)
    pair.run(10.0)
    assert 100 == len(pair.client.received) == len(pair.server.received)
    assert updates(pair)[0] == updates(pair)[1] == 3


def test_a_connection_that_only_keeps_itself_alive_updates_too():
    pair = Pair(1, config=HopConfig(key_update_s=60.0))
    pair.run(600.0)
    assert pair.open
    assert updates(pair)[0] == updates(pair)[1] >= 8


def test_by_itself_it_updates_every_half_hour():
    pair = Pair(1, config=HopConfig(**QUIET))
    pair.run(1795.0)
    assert [0, 0] == updates(pair)
    pair.run(30.0)
    assert [1, 1] == updates(pair)
    assert pair.open


def test_the_previous_key_opens_what_was_overtaken_for_3_pto_and_nothing_later():
    pair = Pair(1, config=HopConfig(key_update_s=5.0, **QUIET))
    pair.run(4.0)
    held = []
    pair.drop = lambda end, datagram: end is pair.client and (held.append(datagram) or True)
    for body in (b"one", b"two"):
        pair.send(pair.client, body)
        pair.flush()
    pair.drop = lambda end, datagram: False
    pair.run(1.0)
    while updates(pair) != [1, 1]:
        pair.send(pair.server, b"x")
        pair.run(0.05)
    one, two = held
    pair.deliver(pair.server, one, CLIENT)
    assert "not authentic" not in pair.server.connection.drops
    pair.run(2.0)
    pair.deliver(pair.server, two, CLIENT)
    assert {"not authentic": 1} == pair.server.connection.drops


def test_a_peer_moves_in_the_middle_of_an_update(seed):
    pair = Pair(seed, loss=0.2, config=HopConfig(key_update_packets=15))
    elsewhere = ("203.0.113.5", 9)
    for index in range(150):
        pair.send(pair.server, b"%d" % index, index)
        pair.send(pair.client, b"%d" % index, index)
        if index == 75:
            pair.client.address = elsewhere
        pair.run(0.05)
    pair.run_until(lambda: len(pair.server.acked) == len(pair.client.acked) == 150)
    assert elsewhere == pair.server.connection.path
    assert min(updates(pair)) >= 3


# Nonces.


@pytest.fixture
def sealings(monkeypatch):
    """What was sealed under each key and nonce, over all ciphers made from now on."""
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


def test_no_nonce_is_used_twice_under_one_key_over_many_updates(sealings, seed):
    pair = Pair(seed, loss=0.2, duplicate=0.1, reorder=0.2, config=HopConfig(key_update_packets=10))
    for index in range(300):
        pair.send(pair.client, b"%d" % index * 100, index)
        pair.send(pair.server, b"%d" % index * 100, index)
        pair.run(0.02)
    pair.run_until(lambda: len(pair.client.acked) == len(pair.server.acked) == 300)
    assert min(updates(pair)) >= 5
    assert len({key for key, _ in sealings}) > 12
    assert {1} == {len(sealed) for sealed in sealings.values()}
    sent = sum(len(end.sent_datagrams) for end in pair.ends)
    last = {NONCE_MAX.to_bytes(8, order) for order in ("big", "little")}
    assert sent == len([nonce for _, nonce in sealings if nonce[4:] not in last])


def test_no_nonce_is_used_twice_in_handshakes_that_are_repeated_and_retried(sealings, seed):
    world = World(server=Server(always_retry=True))
    world.fate = lambda name, nth: () if nth <= 2 else (DELAY_S, DELAY_S)
    world.run(10.0)
    world.check()
    assert {1} == {len(sealed) for sealed in sealings.values()}


# Limits.


def test_too_many_forgeries_end_the_connection_by_name(monkeypatch):
    limit(monkeypatch, forged_packets_max=50)
    pair = Pair(1, config=HopConfig(**QUIET))
    pair.send(pair.client, b"hi")
    pair.run(1.0)
    _, true, _ = pair.client.sent_datagrams[-1]
    for number in range(50):
        assert pair.open
        pair.deliver(pair.server, true[:20] + number.to_bytes(40, "big"), CLIENT)
    pair.send(pair.server, b"last")
    pair.run(1.0)
    assert CloseCode.KEYS_USED_UP == pair.server.connection.closed.code
    assert "integrity limit" == pair.server.connection.closed.reason
    assert CloseCode.KEYS_USED_UP == pair.client.connection.closed.code
    assert pair.client.connection.closed.by_peer


def test_a_send_key_at_its_limit_ends_the_connection_by_name(monkeypatch):
    """As with a peer that acks, but never follows an update."""
    limit(monkeypatch, sealed_packets_max=PACKETS_RESERVED + 40)
    pair = Pair(1, config=HopConfig(key_update_packets=10**6, **QUIET))
    for index in range(100):
        if pair.open:
            pair.send(pair.client, bytes(1100), index)
            pair.run(0.1)
    pair.run(5.0)
    for end in pair.ends:
        assert CloseCode.KEYS_USED_UP == end.connection.closed.code
        assert ConnectionState.CLOSED is end.connection.state
    sealed = pair.client.connection.stats.datagrams_sent
    assert 40 <= sealed < PACKETS_RESERVED + 40


def test_a_burst_beyond_the_limit_stops_in_time(monkeypatch):
    """The limit is met in the middle of a turn of sending."""
    limit(monkeypatch, sealed_packets_max=PACKETS_RESERVED + 5)
    client = connect(Role.CLIENT, HopConfig(**QUIET))
    for _ in range(40):
        client.send_frame(bytes(1100), None, 1.0)
    assert 5 == len(client.datagrams_to_send(1.0))
    ((datagram, _),) = client.datagrams_to_send(1.0)
    ((kind, code, reason),) = frames_of(client, datagram)
    assert (f.CLOSE, CloseCode.KEYS_USED_UP, "confidentiality limit") == (kind, code, reason)


# Windows.


def test_a_packet_with_any_bit_flipped_moves_nothing():
    server = connect(Role.SERVER, HopConfig(**QUIET))
    true = packet_to(server, 3, f.encode_message(0, b"a"))
    for at in range(len(true)):
        for bit in range(8):
            flipped = true[:at] + bytes((true[at] ^ 1 << bit,)) + true[at + 1 :]
            assert server.receive_packet(flipped, CLIENT, 1.0) is None
    assert [] == server.datagrams_to_send(1.0)
    assert {"not authentic", "wrong flags", "wrong connection id"} >= server.drops.keys()
    packet = server.receive_packet(true, CLIENT, 1.0)
    assert [b"a"] == packet.frames


def test_a_replayed_packet_is_dropped_before_it_is_opened(monkeypatch):
    limit(monkeypatch, forged_packets_max=1)
    server = connect(Role.SERVER, HopConfig(**QUIET))
    true = packet_to(server, 3, f.encode_message(0, b"a"))
    server.take(server.receive_packet(true, CLIENT, 1.0), 1.0)
    changed = true[:-1] + bytes((true[-1] ^ 1,))
    for _ in range(5):
        assert server.receive_packet(changed, CLIENT, 1.0) is None
    assert {"duplicate packet": 5} == server.drops
