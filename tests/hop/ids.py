"""Connection ids for tests: the peer's, with readable names, and what is said about them."""

from udpim.hop.cids import RemoteIds
from udpim.hop.config import HopConfig
from udpim.hop.sendqueue import SendQueue
from udpim.hop.stats import HopStats
from udpim.wire.frames import parse_frames
from udpim.wire.parameters import PeerParameters


def cid_of(sequence):
    """The peer's id of this number."""
    return b"peer-%03d" % sequence


def token_of(sequence):
    return b"token of id %04d" % sequence


def new_queue():
    """(a queue for steering frames, what it counts)."""
    stats = HopStats()
    return SendQueue(HopConfig(), PeerParameters(), stats, 1171), stats


def remote_ids(spare=0):
    """(the peer's ids, of which so many are spare, their queue, their counters)."""
    queue, stats = new_queue()
    ids = RemoteIds(cid_of(0), token_of(0), queue, stats)
    for sequence in range(1, spare + 1):
        assert ids.on_new(sequence, cid_of(sequence), token_of(sequence)) is None
    return ids, queue, stats


def steering(queue, packet_number=0, *, acked=False):
    """The frames that leave now; with ``acked`` the peer has them."""
    parts = []
    frames = queue.fill(parts, 1171, packet_number)
    if acked:
        queue.on_acked([frames])
    return parse_frames(b"".join(parts))
