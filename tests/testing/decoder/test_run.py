"""Everything that the nodes of a world send is read, and as the product reads it."""

from collections import Counter

import pytest

from udpim.crypto.packet_opener import PacketOpener
from udpim.hop.config import HopConfig
from udpim.testing import Profile, World
from udpim.testing.wiretap import UNREADABLE, Wiretap
from udpim.wire import frames as hop_frames
from udpim.wire import im_codec
from udpim.wire import packet as product

BAD = Profile(loss_ratio=0.1, duplicate_ratio=0.1, reorder_ratio=0.2, reorder_s=0.05)


class PlainWorld(World):
    encrypted = False


class Heard(Wiretap):
    """A wiretap that passes the secrets on to the product's opener."""

    def __init__(self):
        super().__init__()
        self.product = PacketOpener()

    def learn(self, secrets):
        super().learn(secrets)
        self.product.add(secrets)


def played(kind, seed, **hop):
    """200 messages, some of them large, a signal, questions, and a recipient that was away."""
    world = kind(seed, faults=BAD, hop_config=HopConfig(**hop))
    world.network.wiretap = Heard()
    world.server()
    alice, bob, carol = (world.client(user) for user in ("alice", "bob", "carol"))
    world.online()
    carol.crash()
    for turn in range(20):
        alice.send("bob", [b"%d" % n * 20 for n in range(5)])
        bob.send("alice", [b"%d" % n * 50 for n in range(4)])
        alice.send("carol", [b"%d" % turn * (3000 if turn == 7 else 30)])
        world.run(0.2)
    carol.start()
    world.heal_and_settle()
    assert carol.online
    return world


def by_product(opener, datagram):
    """(frames, nonce) of a short packet as the product's codecs have them."""
    if not product.parse_short_header(datagram)[0] & product.FLAG_ENCRYPTED:
        return hop_frames.parse_frames(datagram[13:-4]), None
    opened = opener.open(datagram)
    return hop_frames.parse_frames(opened.payload), (opened.cid, opened.generation, opened.number)


@pytest.mark.parametrize(
    ("kind", "hop"),
    [(PlainWorld, {}), (World, {}), (World, {"key_update_packets": 15})],
    ids=["plain", "encrypted", "key updates"],
)
def test_all_that_nodes_send_is_read_as_the_product_reads_it(kind, hop, seed):
    world = played(kind, seed, **hop)
    opener = world.network.wiretap.product
    generations, seen = Counter(), Counter()
    for crossing in world.network.trace:
        content = crossing.content
        assert UNREADABLE not in content.labels, crossing.data.hex()
        seen.update(content.labels)
        if product.is_long(crossing.data):
            assert content.long.payload == getattr(
                product.parse_long(crossing.data), "payload", b""
            )
            continue
        frames, nonce = by_product(opener, crossing.data)
        assert nonce == content.nonce
        assert (nonce is None) == (kind is PlainWorld)
        generations[nonce and nonce[1]] += 1
        whole = (hop_frames.MESSAGE, hop_frames.BULK)
        theirs = [(f[1], im_codec.decode(f[2])) for f in frames if f[0] in whole]
        assert [pair for pair in theirs if pair[1] is not None] == [
            pair for pair in content.packets if pair[0] in dict(theirs)
        ]
    assert {"HELLO", "WELCOME", "msg:R", "msg:N", "ack:R", "ack:N", "offline:A"} <= set(seen)
    assert {"ACK", "FRAGMENT", "NEW_CID", "PING", "extension"} <= set(seen)
    if hop:
        assert max(generations) >= 3


def test_bodies_in_pieces_are_put_together(seed):
    world = played(World, seed)
    sizes = {len(f.packet.section.raw) for f in world.history.frames if f.size >= 3000}
    assert {22 + 3000} == sizes


def test_each_datagram_says_from_which_end_it_is(seed):
    world = played(World, seed)
    ends = {}
    for crossing in world.network.trace:
        content = crossing.content
        if content.long is None and content.peer:
            ends.setdefault(content.cid, set()).add(crossing.destination[0])
            ends.setdefault(content.peer, set()).add(crossing.source[0])
    assert len(ends) >= 6
    assert all(len(hosts) == 1 for hosts in ends.values())
