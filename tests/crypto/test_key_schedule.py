"""Key updates between two sides, on a network that loses and reorders."""

import random

import pytest

from udpim.crypto.aead_protection import AeadProtection, UseLimits
from udpim.crypto.key_schedule import UPDATE_PACKETS, UPDATE_S, KeySchedule
from udpim.crypto.noise.errors import KeyExhausted
from udpim.crypto.noise.suites import CHACHA_POLY
from udpim.errors import LocalProtocolError
from udpim.wire.packet import FLAG_KEY_PHASE

FIRST, SECOND = bytes(range(32)), bytes(range(32, 64))


class Side:
    """A schedule with what its owner keeps: packet numbers, and which of them were acked."""

    def __init__(self, send, receive, **limits):
        limits = UseLimits(**limits) if limits else None
        self.keys = KeySchedule(
            AeadProtection(CHACHA_POLY, send, limits=limits),
            AeadProtection(CHACHA_POLY, receive, limits=limits),
        )
        self.number = -1

    def packet(self, payload=b"frames"):
        self.number += 1
        header = bytes((self.keys.phase_flag,)) + b"header"
        return header, self.number, self.keys.seal(header, self.number, payload)


def two(**limits):
    return Side(FIRST, SECOND, **limits), Side(SECOND, FIRST, **limits)


def acked_round(one, other):
    """A packet each way, of which the second acks the first."""
    assert other.keys.open(*one.packet())
    assert one.keys.open(*other.packet())
    one.keys.on_acked(one.number)


def updated():
    """Two sides after an update of the first that the second has followed."""
    one, other = two()
    acked_round(one, other)
    one.keys.update()
    acked_round(one, other)
    return one, other


def test_without_an_update_packets_show_phase_0():
    one, other = two()
    header, number, sealed = one.packet()
    assert 0 == header[0] == one.keys.phase_flag
    assert b"frames" == other.keys.open(header, number, sealed)
    assert (True, 16) == (one.keys.encrypted, one.keys.tag_bytes)


def test_the_peer_follows_an_update():
    one, other = two()
    acked_round(one, other)
    one.keys.update()
    assert (FLAG_KEY_PHASE, 0) == (one.keys.phase_flag, other.keys.phase_flag)
    assert b"frames" == one.keys.open(*other.packet()), "the peer has heard of nothing yet"
    assert b"frames" == other.keys.open(*one.packet())
    assert FLAG_KEY_PHASE == other.keys.phase_flag
    assert b"frames" == one.keys.open(*other.packet())
    assert (1, 1) == (one.keys.updates, other.keys.updates)


def test_both_may_begin_at_once():
    one, other = two()
    acked_round(one, other)
    acked_round(other, one)
    one.keys.update()
    other.keys.update()
    acked_round(one, other)
    acked_round(other, one)
    assert (1, 1) == (one.keys.updates, other.keys.updates)


def test_late_packets_open_under_the_previous_key_until_it_is_forgotten():
    one, other = two()
    acked_round(one, other)
    late, later = one.packet(b"late"), one.packet(b"later")
    one.keys.update()
    assert other.keys.open(*one.packet())
    assert other.keys.keeps_previous
    assert b"late" == other.keys.open(*late)
    other.keys.forget_previous()
    assert not other.keys.keeps_previous
    assert other.keys.open(*later) is None
    assert 0 == other.keys.forged_packets, "what no key is kept for proves no attack"


def test_packets_of_the_new_phase_may_come_in_any_order():
    one, other = two()
    acked_round(one, other)
    old = one.packet(b"old")
    one.keys.update()
    new = [one.packet(b"%d" % n) for n in range(3)]
    assert [b"2", b"0", b"1"] == [other.keys.open(*new[n]) for n in (2, 0, 1)]
    assert b"old" == other.keys.open(*old)


def test_two_updates_later_the_bit_means_the_other_key_again():
    one, other = updated()
    for side in (one, other):
        side.keys.forget_previous()
    acked_round(one, other)
    one.keys.update()
    acked_round(one, other)
    assert (0, 2, 2) == (one.keys.phase_flag, one.keys.updates, other.keys.updates)


def test_no_update_begins_before_the_last_one_is_over():
    one, other = two()
    refused = pytest.raises(LocalProtocolError, match="under way")
    with refused:
        one.keys.update()  # nothing was acked: the peer may not have its keys yet
    one.keys.on_acked(5)
    with refused:
        one.keys.update()  # nothing was sealed that could have been acked
    acked_round(one, other)
    one.keys.update()
    with refused:
        one.keys.update()  # the peer has not followed
    acked_round(one, other)
    with refused:
        one.keys.update()  # the previous key is still kept
    one.keys.forget_previous()
    one.keys.update()


def test_an_ack_of_older_packets_proves_nothing_about_the_new_key():
    one, other = updated()
    one.keys.forget_previous()
    other.keys.forget_previous()
    assert one.keys.may_update
    assert not other.keys.may_update, "nobody has acked a packet of its new key"
    other.keys.on_acked(0)
    assert not other.keys.may_update
    other.keys.on_acked(other.number)
    assert other.keys.may_update


def test_a_forged_phase_bit_updates_nothing():
    one, other = two()
    acked_round(one, other)
    header, number, sealed = one.packet()
    forged = bytes((header[0] ^ FLAG_KEY_PHASE,)) + header[1:]
    assert other.keys.open(forged, number, sealed) is None
    assert (0, 0, 1) == (other.keys.phase_flag, other.keys.updates, other.keys.forged_packets)
    assert b"frames" == other.keys.open(header, number, sealed)


def test_a_header_of_another_phase_is_a_bug_of_the_owner():
    one, _ = two()
    with pytest.raises(AssertionError):
        one.keys.seal(bytes((FLAG_KEY_PHASE,)), 0, b"")


# When.


def test_an_update_is_due_after_half_an_hour():
    one, other = two()
    acked_round(one, other)
    assert not one.keys.update_due(100.0)
    assert not one.keys.update_due(100.0 + UPDATE_S - 1)
    assert one.keys.update_due(100.0 + UPDATE_S)
    one.keys.update()
    acked_round(one, other)
    one.keys.forget_previous()
    assert not one.keys.update_due(100.0 + UPDATE_S), "the new key's time begins"


def test_an_update_is_due_after_many_packets_but_not_before_it_may_begin(monkeypatch):
    monkeypatch.setattr("udpim.crypto.key_schedule.UPDATE_PACKETS", 4)
    assert 1 << 20 == UPDATE_PACKETS
    one, other = two()
    for _ in range(4):
        assert not one.keys.update_due(0.0)
        other.keys.open(*one.packet())
    assert not one.keys.update_due(0.0)
    one.keys.on_acked(one.number)
    assert one.keys.update_due(0.0)


def test_its_owner_may_want_updates_earlier():
    one, other = two()
    one.keys.update_packets, one.keys.update_s = 2, 60.0
    acked_round(one, other)
    assert not one.keys.update_due(100.0)
    assert one.keys.update_due(160.0)
    one.keys.on_acked(one.packet()[1])
    assert one.keys.update_due(100.0)


# Limits.


def test_it_tells_how_much_a_key_may_still_seal():
    one, _ = two(sealed_packets_max=10, forged_packets_max=3)
    one.packet()
    assert 9 == one.keys.packets_left


def test_forgeries_are_counted_over_all_keys():
    one, other = two(sealed_packets_max=100, forged_packets_max=3)
    acked_round(one, other)
    header, number, sealed = one.packet()
    for at in range(2):
        assert other.keys.open(header, number + at, b"forged" * 4) is None
    one.keys.update()
    assert other.keys.open(*one.packet())
    assert other.keys.exhausted is None
    assert other.keys.open(header, number, b"forged" * 4) is None
    assert "integrity limit" == other.keys.exhausted
    assert other.keys.open(header, number, sealed) is None
    assert other.keys.open(*one.packet()) is None


def test_a_key_that_may_not_be_replaced_ends_at_its_limit():
    one, _ = two(sealed_packets_max=2, forged_packets_max=3)
    one.packet()
    assert one.keys.exhausted is None
    one.packet()
    assert "confidentiality limit" == one.keys.exhausted
    with pytest.raises(KeyExhausted):
        one.packet()


def test_whatever_the_network_does_every_packet_that_arrives_in_time_opens(seed):
    """Two sides update at random; packets are lost, repeated and overtake each other."""
    rng = random.Random(seed)
    sides = two()
    wires = {side: [] for side in sides}
    opened = 0
    for _ in range(4000):
        one, other = rng.sample(sides, 2)
        wire = wires[one]
        if rng.random() < 0.5:
            wire.append(one.packet(b"%d" % (one.number + 1)))
        elif wire:
            packet = wire.pop(rng.randrange(min(4, len(wire))))
            if rng.random() < 0.8:
                assert b"%d" % packet[1] == other.keys.open(*packet)
                opened += 1
                one.keys.on_acked(packet[1])
        if not wires[one] and not wires[other]:
            for side in sides:
                side.keys.forget_previous()
        if one.keys.may_update and rng.random() < 0.2:
            one.keys.update()
        if rng.random() < 0.02:
            wires[one].clear()
    assert opened > 1000
    assert min(side.keys.updates for side in sides) > 20
    assert 0 == sides[0].keys.forged_packets + sides[1].keys.forged_packets
