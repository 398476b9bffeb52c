"""A mistake of format that both ends share does not hide from the oracle."""

import struct

import pytest

from udpim.crypto import aead_protection, packet_keys
from udpim.hop.config import HopConfig
from udpim.testing import World
from udpim.testing.facts import SERVER
from udpim.testing.legible import all_is_legible
from udpim.testing.oracle import Violated
from udpim.wire import im_codec


def talk(seed):
    """Two users understand each other."""
    world = World(seed, hop_config=HopConfig(key_update_packets=15))
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    for _ in range(10):
        sent = alice.send("bob", [b"one", b"two"])
        world.settle()
    assert alice.states(sent) == {"DELIVERED": 2}
    assert bob.online
    return world


def test_what_honest_nodes_send_is_legible(seed):
    assert [] == list(all_is_legible(talk(seed).history))


def keys_under_another_label(patch):
    patch.setattr(packet_keys, "HEADERS_LABEL", b"udpim header")


def another_successor_of_a_key(patch):
    original = aead_protection.successor
    patch.setattr(aead_protection, "successor", lambda *args: original(*args)[::-1])


def receipts_in_another_byte_order(patch):
    patch.setattr(im_codec, "_ACK_N", struct.Struct("<HQQ"))


def sections_in_another_byte_order(patch):
    patch.setattr(im_codec, "_SECTION_HEAD", struct.Struct("<QH"))


@pytest.mark.parametrize(
    "mistake",
    [
        keys_under_another_label,
        another_successor_of_a_key,
        receipts_in_another_byte_order,
        sections_in_another_byte_order,
    ],
)
def test_shared_mistake_is_noticed(seed, monkeypatch, mistake):
    mistake(monkeypatch)
    world = talk(seed)
    with pytest.raises(Violated):
        world.oracle.check()


def test_garbage_of_strangers_liars_and_replays_is_nobody_s_mistake(seed):
    world = talk(seed)
    server = next(c.destination for c in world.network.trace if c.destination[0] == SERVER)
    world.network.send(("mallory", 1), server, b"garbage")
    assert [] == list(all_is_legible(world.history))
    world.network.send(("alice/phone", 1), server, b"garbage")
    (story,) = all_is_legible(world.history)
    assert "alice/phone" in story
    world.network.trace[-1].replayed = True
    assert [] == list(all_is_legible(world.history))
    world.network.trace[-1].replayed = False
    world.history.hostile.add("alice/phone")
    assert [] == list(all_is_legible(world.history))
