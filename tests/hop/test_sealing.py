"""Datagrams of both kinds, masks, and the course of keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hop.pair import MODES, PLAIN, keys_of
from udpim.crypto.aead_protection import LIMITS, UseLimits
from udpim.errors import DecodeError
from udpim.hop.codes import Role
from udpim.hop.config import HopConfig
from udpim.hop.sealing import PACKETS_RESERVED, EncryptedSealing, PlainSealing, sealing_for
from udpim.hop.stats import HopStats
from udpim.hop.timers import Timer, TimerTable
from udpim.wire.packet import SHORT_BYTES_MIN, SHORT_HEADER_BYTES

CID = b"8 bytes."
BUSY = HopConfig(key_update_packets=10)
EACH_MODE = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
ENCRYPTED = pytest.mark.parametrize("mode", [1, 2], ids=["chacha", "aes"])
PAYLOAD = b"\x01frames"


def two(mode, **config):
    """The sealings of both ends, each with its timers."""
    config = HopConfig(**config)
    ends = []
    for role in Role:
        timers = TimerTable()
        ends.append((sealing_for(keys_of(role, mode), config, timers, HopStats()), timers))
    return ends


def limit(monkeypatch, **limits):
    """What keys may do that are made from now on."""
    for name in ("ChaChaPoly", "AESGCM"):
        few = UseLimits(**{"sealed_packets_max": 10**6, "forged_packets_max": 10**6, **limits})
        monkeypatch.setitem(LIMITS, name, few)


def opened(sealing, datagram, number=None):
    """What one end makes of a datagram."""
    header, cid, truncated = sealing.read_header(datagram)
    assert CID == cid
    return sealing.open(header, truncated if number is None else number, datagram)


def acked_round(one, other, number, now):
    """A packet each way, the second acks the first; then both tend their keys."""
    for source, target in ((one, other), (other, one)):
        assert PAYLOAD == opened(target[0], source[0].seal(CID, number, PAYLOAD))
    one[0].on_acked(number)
    other[0].on_acked(number)
    for sealing, _ in (one, other):
        assert sealing.tend(now, lambda: 0.5) is None


@EACH_MODE
@given(payload=st.binary(min_size=15, max_size=80), number=st.integers(0, 2**40))
def test_what_one_end_seals_the_other_opens(mode, payload, number):
    (client, _), (server, _) = two(mode)
    datagram = client.seal(CID, number, payload)
    assert len(payload) + SHORT_HEADER_BYTES + client.tag_bytes == len(datagram)
    header, cid, truncated = server.read_header(datagram)
    assert (CID, number % 2**32) == (cid, truncated)
    assert payload == server.open(header, number, datagram)


@EACH_MODE
def test_header_and_tag_are_at_most_30_bytes(mode):
    ((client, _), _) = two(mode)
    assert SHORT_HEADER_BYTES + client.tag_bytes <= 30


def test_plaintext_has_no_keys_and_loses_none():
    ((client, timers), _) = two(PLAIN)
    assert PlainSealing is type(client)
    client.on_acked(7)
    assert client.tend(1e9, lambda: 1.0) is None
    assert not client.spent
    assert timers.next() is None


@EACH_MODE
def test_a_changed_byte_anywhere_is_noticed(mode):
    (client, _), (server, _) = two(mode)
    datagram = client.seal(CID, 5, PAYLOAD.ljust(19))
    for at in range(len(datagram)):
        for bit in range(8):
            changed = bytearray(datagram)
            changed[at] ^= 1 << bit
            if changed[0] != datagram[0] and (mode == PLAIN or changed[0] ^ datagram[0] != 0x20):
                with pytest.raises(DecodeError, match="wrong flags"):
                    server.read_header(bytes(changed))
                continue
            header, _, number = server.read_header(bytes(changed))
            assert server.open(header, number, bytes(changed)) is None
    assert PAYLOAD.ljust(19) == opened(server, datagram)


@EACH_MODE
def test_a_packet_of_the_other_kind_or_too_short_is_refused(mode):
    other = two(1 if mode == PLAIN else PLAIN)[0][0].seal(CID, 0, PAYLOAD.ljust(19))
    _, (server, _) = two(mode)
    with pytest.raises(DecodeError, match="wrong flags"):
        server.read_header(other)
    with pytest.raises(DecodeError, match="too short"):
        server.read_header(other[: SHORT_BYTES_MIN - 1])


@ENCRYPTED
def test_numbers_and_phases_are_not_readable_on_the_wire(mode):
    ((client, _), _) = two(mode)
    datagrams = [client.seal(CID, number, PAYLOAD) for number in range(200)]
    assert {0x41, 0x61} == {datagram[0] for datagram in datagrams}
    numbers = [int.from_bytes(datagram[9:13], "big") for datagram in datagrams]
    assert max(numbers) > 2**28, "they are all over the place"
    assert len(set(numbers)) > 190


@ENCRYPTED
def test_an_update_by_age_is_followed_and_the_previous_key_forgotten_after_3_pto(mode):
    client, server = two(mode, key_update_s=60.0)
    acked_round(client, server, 0, 100.0)
    late = client[0].seal(CID, 1, PAYLOAD)
    later = client[0].seal(CID, 2, PAYLOAD)
    client[0].tend(160.0, lambda: 0.5)
    assert PAYLOAD == opened(server[0], client[0].seal(CID, 3, PAYLOAD))
    assert server[0].tend(160.1, lambda: 0.5) is None
    assert 161.6 == pytest.approx(server[1].next()), "3 PTO"
    assert not server[1].due(Timer.KEYS, 161.5)
    assert PAYLOAD == opened(server[0], late)
    server[0].tend(161.5, lambda: 9.0)
    assert 161.6 == pytest.approx(server[1].next()), "what it was set to"
    server[0].tend(161.6, lambda: 0.5)
    assert server[1].next() is None
    assert opened(server[0], later) is None


@ENCRYPTED
def test_an_update_by_count_begins_when_packets_were_acked(mode):
    stats = HopStats()
    client = (sealing_for(keys_of(Role.CLIENT, mode), BUSY, TimerTable(), stats), None)
    _, server = two(mode, key_update_packets=10**6)
    for number in range(10):
        assert client[0].tend(100.0, lambda: 0.5) is None
        opened(server[0], client[0].seal(CID, number, PAYLOAD))
    client[0].tend(100.0, lambda: 0.5)
    assert 0 == stats.key_updates, "nothing was acked"
    acked_round(client, server, 10, 101.0)
    assert 1 == stats.key_updates
    for number in range(11, 60):
        acked_round(client, server, number, 91.0 + number)
    assert 5 == stats.key_updates


@ENCRYPTED
def test_a_key_at_its_limit_says_so_while_it_can_still_say_goodbye(mode, monkeypatch):
    limit(monkeypatch, sealed_packets_max=PACKETS_RESERVED + 1)
    (client, _), _ = two(mode)
    assert not client.spent
    assert client.tend(1.0, lambda: 1.0) is None
    client.seal(CID, 0, PAYLOAD)
    assert client.spent
    assert "confidentiality limit" == client.tend(1.0, lambda: 1.0)
    client.seal(CID, 1, PAYLOAD)


@ENCRYPTED
def test_too_many_forgeries_end_it(mode, monkeypatch):
    limit(monkeypatch, forged_packets_max=2)
    (client, _), (server, _) = two(mode)
    true = client.seal(CID, 0, PAYLOAD)
    for _ in range(2):
        assert server.tend(1.0, lambda: 1.0) is None
        assert opened(server, true[:-1] + bytes((true[-1] ^ 1,))) is None
    assert "integrity limit" == server.tend(1.0, lambda: 1.0)
    assert opened(server, true) is None


def test_keys_are_not_printed():
    (client, _), _ = two(1)
    assert EncryptedSealing is type(client)
    assert bytes(range(32)).hex() not in repr(client)
