"""What is thrown: nothing that a server may believe, and every kind of it."""

import random
import zlib

import pytest

from udpim_bench.garbage_peer import DATAGRAM_BYTES_MAX, Garbage


def real(rng):
    data = b"\x01" + rng.randbytes(rng.randrange(40, 1100))
    return data + zlib.crc32(data).to_bytes(4, "big")


@pytest.fixture
def garbage(seed):
    rng = random.Random(seed)
    return Garbage(seed, [real(rng) for _ in range(20)])


def test_the_same_seed_makes_the_same_garbage(seed):
    samples = [real(random.Random(seed))]
    one, other = Garbage(seed, samples), Garbage(seed, samples)
    assert [one.next() for _ in range(50)] == [other.next() for _ in range(50)]


def test_only_a_replay_has_a_right_checksum(garbage):
    for _ in range(500):
        name, data = garbage.next()
        right = len(data) > 4 and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:])
        assert right == (name == "replay")


def test_every_kind_comes_and_fits_a_datagram(garbage):
    thrown = [garbage.next() for _ in range(500)]
    assert {kind.__name__ for kind in garbage.kinds} == {name for name, _ in thrown}
    assert max(len(data) for _, data in thrown) <= DATAGRAM_BYTES_MAX
