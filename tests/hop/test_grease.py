"""Extension frames that ride along now and then."""

import random
from itertools import pairwise

from udpim.hop.grease import Grease
from udpim.wire.frames import EXTENSION_MAX, EXTENSION_MIN, parse_frames


def rides(grease, packets, room=1000):
    """The extension of each of so many packets, None where there is none."""
    found = []
    for _ in range(packets):
        parts = [b"\x01"]
        grease.add(parts, room)
        found.append(parts[1] if len(parts) > 1 else None)
    return found


def test_one_rides_at_least_once_in_so_many_packets():
    found = rides(Grease(5, random.Random(1).randbytes), 100)
    gaps = [at for at, frame in enumerate(found) if frame is not None]
    assert all(0 < b - a <= 5 for a, b in pairwise(gaps))
    assert len(gaps) >= 20
    kinds = {parse_frames(found[at])[0][0] for at in gaps}
    assert len(kinds) > 3
    assert all(EXTENSION_MIN <= kind <= EXTENSION_MAX for kind in kinds)


def test_none_rides_where_none_is_wanted():
    assert [None] * 300 == rides(Grease(0, random.Random(1).randbytes), 300)


def test_a_full_packet_has_no_room_for_one():
    assert [None] * 20 == rides(Grease(1, random.Random(1).randbytes), 20, room=3)
