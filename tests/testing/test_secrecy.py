"""The oracle sees a key that seals two packets under one number."""

import copy

from udpim.testing import Profile, World
from udpim.testing.secrecy import no_nonce_twice


def told(seed):
    world = World(seed, faults=Profile(loss_ratio=0.2, duplicate_ratio=0.2))
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    alice.send("bob", [b"%d" % n for n in range(50)])
    world.heal_and_settle()
    assert bob.online
    return world


def test_retransmissions_and_doubled_datagrams_use_no_number_twice(seed):
    world = told(seed)
    sealed = [c for c in world.history.crossings if c.content.nonce is not None]
    assert len(sealed) > 15
    assert [] == list(no_nonce_twice(world.history))


def test_a_second_packet_under_a_used_number_is_noticed(seed):
    history = told(seed).history
    again = next(c for c in history.crossings if c.content.nonce is not None)
    forged = copy.copy(again)
    forged.data = bytes([*again.data[:-1], again.data[-1] ^ 1])
    history.crossings.append(forged)
    (story,) = no_nonce_twice(history)
    assert again.content.cid.hex() in story


def test_a_packet_that_a_gate_sends_on_twice_is_one_packet(seed):
    history = told(seed).history
    history.crossings.append(next(c for c in history.crossings if c.content.nonce is not None))
    assert [] == list(no_nonce_twice(history))


def test_what_a_test_replays_is_no_second_packet(seed):
    world = told(seed)
    captured = next(c for c in world.history.crossings if c.content.nonce is not None)
    world.network.replay(captured)
    assert [] == list(no_nonce_twice(world.history))
