"""Bodies in pieces, put together."""

import tracemalloc

import pytest

from tests.hop.pair import CLIENT, connect
from udpim.crypto.protection import PlaintextProtection
from udpim.errors import DecodeError
from udpim.hop.codes import Role
from udpim.hop.config import HopConfig
from udpim.hop.reassembly import Reassembly
from udpim.wire.frames import (
    BODY_BYTES_MAX,
    FRAGMENT_BYTES_MIN,
    encode_bulk,
    encode_fragment,
    encode_message,
)
from udpim.wire.packet import VERSION, encode_short_header


@pytest.fixture
def reassembly():
    return Reassembly(groups_max=3)


def pieces(group, *texts):
    return [(group, index, len(texts), text) for index, text in enumerate(texts)]


ABC = pieces(7, b"a" * 600, b"b" * 600, b"c" * 10)


def give(reassembly, *fragments):
    """Take one packet of these pieces: the bodies that it completes."""
    whole = reassembly.look(fragments)
    reassembly.take(fragments)
    return whole


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_body_is_whole_with_its_last_missing_piece_in_any_order(reassembly, order):
    first, second, third = (ABC[i] for i in order)
    assert give(reassembly, first) == give(reassembly, second) == []
    assert give(reassembly, third) == [b"a" * 600 + b"b" * 600 + b"c" * 10]
    assert (reassembly.groups, reassembly.bytes_kept) == (0, 0)


def test_looking_changes_nothing(reassembly):
    give(reassembly, ABC[0])
    for _ in range(2):
        assert reassembly.look([ABC[1], ABC[2]]) == [b"a" * 600 + b"b" * 600 + b"c" * 10]
    assert (reassembly.groups, reassembly.bytes_kept) == (1, 600)


def test_one_packet_may_carry_all_pieces_of_several_bodies(reassembly):
    other = pieces(8, b"d" * 512, b"e")
    assert len(give(reassembly, *ABC, *other)) == 2
    assert (reassembly.groups, reassembly.bytes_kept) == (0, 0)


def test_group_number_may_be_used_again_when_its_body_is_whole(reassembly):
    assert give(reassembly, *ABC) == give(reassembly, *ABC)


@pytest.mark.parametrize(
    "lie",
    [
        (7, 1, 4, b"b" * 600),
        (7, 0, 3, b"a" * 600),
        (7, 0, 3, b"other" * 120),
        (7, 1, 3, b"b" * 601),
        (7, 2, 3, b"c" * 601),
    ],
    ids=["count changed", "piece again", "other content", "other length", "last is longer"],
)
def test_pieces_that_contradict_each_other_are_refused(reassembly, lie):
    give(reassembly, ABC[0])
    with pytest.raises(DecodeError, match="contradictory"):
        reassembly.look([lie])
    with pytest.raises(DecodeError, match="contradictory"):
        Reassembly(3).look([ABC[0], lie])
    assert give(reassembly, ABC[1], ABC[2]) != []


def test_last_piece_that_came_first_limits_the_others(reassembly):
    give(reassembly, (7, 2, 3, b"c" * 700))
    with pytest.raises(DecodeError, match="contradictory"):
        reassembly.look([ABC[0]])


def test_body_beyond_the_limit_is_refused_with_its_first_piece(reassembly):
    count = BODY_BYTES_MAX // 1024 + 2
    with pytest.raises(DecodeError, match="contradictory"):
        reassembly.look([(7, 0, count, b"x" * 1024)])
    assert reassembly.look([(7, 0, count - 2, b"x" * 1024)]) == []


def test_no_group_is_opened_beyond_the_limit_and_none_is_evicted(reassembly):
    for group in range(3):
        give(reassembly, pieces(group, b"a" * 512, b"b")[0])
    with pytest.raises(DecodeError, match="too many"):
        reassembly.look([ABC[0]])
    assert give(reassembly, (0, 1, 2, b"b")) == [b"a" * 512 + b"b"]
    assert give(reassembly, ABC[0]) == []


def test_packet_that_closes_a_group_may_open_another(reassembly):
    for group in range(3):
        give(reassembly, pieces(group, b"a" * 512, b"b")[0])
    assert give(reassembly, ABC[2], (1, 1, 2, b"b")) == [b"a" * 512 + b"b"]
    assert reassembly.groups == 3


# A peer that sends first pieces of as many bodies as it can, and never a whole one.

PROTECTION = PlaintextProtection()
GROUPS = 1100


class Hostile:
    """Makes valid packets of any frames, which an honest sender would not send."""

    def __init__(self, connection):
        self.connection = connection
        self.number = 0
        self.hop_seq = 0

    def send(self, *frames):
        """Deliver one packet; True if it was taken."""
        header = encode_short_header(VERSION, self.connection.local_cid, self.number)
        payload = b"".join(frames).ljust(64, b"\0")
        packet = self.connection.receive_packet(
            header + PROTECTION.seal(header, self.number, payload), CLIENT, 1.0
        )
        self.number += 1
        if packet is None:
            return False
        self.connection.take(packet, 1.0)
        self.hop_seq += len(packet.hop_seqs)
        return True

    def piece(self, group, index, count, size):
        return self.send(encode_fragment(self.hop_seq, group, index, count, bytes(size)))


@pytest.mark.parametrize(
    ("size", "each", "reason"),
    [
        (FRAGMENT_BYTES_MIN, 1, "too many bodies in pieces"),
        (1150, 1, "too many bodies in pieces"),
        (FRAGMENT_BYTES_MIN, 5, "beyond credit"),
        (1150, 5, "beyond credit"),
    ],
)
def test_a_flood_of_first_pieces_stays_under_the_cap_and_other_frames_go_on(size, each, reason):
    config = HopConfig()
    limits = config.limits
    server = connect(Role.SERVER, config)
    hostile = Hostile(server)
    tracemalloc.start()
    try:
        taken = sum(
            hostile.piece(group, index, 900, size)
            for group in range(GROUPS)
            for index in range(each)
        )
        used_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert GROUPS * each - taken == server.drops[reason]
    assert {reason} == server.drops.keys()
    assert taken * size == server.reassembly_bytes <= limits.bulk_window_bytes
    # The worst is the least pieces: then objects cost a third of what they hold.
    assert used_bytes < 1.4 * limits.bulk_window_bytes + 1000 * limits.reassembly_groups_max
    assert hostile.send(encode_message(hostile.hop_seq, b"control")), "receipts and the like"
    bulk = hostile.send(encode_bulk(hostile.hop_seq, b"x" * 1000))
    assert bulk == (reason != "beyond credit"), "a liar's own messages, while it has credit"


def test_a_flood_that_is_completed_makes_room_again():
    server = connect(Role.SERVER)
    hostile = Hostile(server)
    for group in range(1024):
        assert hostile.piece(group, 0, 2, 600)
    assert not hostile.piece(5000, 0, 2, 600)
    for group in range(1024):
        assert hostile.piece(group, 1, 2, 1)
    assert 0 == server.reassembly_bytes
    assert hostile.piece(5000, 0, 2, 600)
