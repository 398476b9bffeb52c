"""An observer is told of every packet, drop and loss; without one nothing is different."""

import pytest

from tests.hop.pair import CLIENT, Pair, both_modes, packet_to
from udpim.hop.config import HopConfig
from udpim.wire.frames import PING

pytestmark = pytest.mark.usefixtures(both_modes.__name__)


class Notes:
    def __init__(self):
        self.ends = {}

    def __call__(self, role, cid):
        return self.ends.setdefault(role, End(cid))


class End:
    def __init__(self, cid):
        self.cid = cid
        self.out, self.taken, self.drops, self.lost, self.measures = [], [], [], [], []

    def sent(self, number, payload, size):
        self.out.append((number, payload, size))

    def received(self, number, payload, size):
        self.taken.append((number, payload, size))

    def dropped(self, reason):
        self.drops.append(reason)

    def recovered(self, measures, lost):
        self.measures.append(measures)
        self.lost += lost


def played(notes, **trouble):
    pair = Pair(7, config=HopConfig(trace=notes), **trouble)
    for number in range(40):
        pair.client.connection.send_frame(b"%d" % number * 300, None, pair.now)
    pair.run(5.0)
    return pair


def test_what_one_end_sends_the_other_one_receives():
    notes = Notes()
    pair = played(notes)
    client, server = notes.ends["client"], notes.ends["server"]
    assert client.out == server.taken
    assert server.out == client.taken
    assert pair.client.connection.stats.datagrams_sent == len(client.out)
    assert sum(size for _, _, size in client.out) == pair.client.connection.stats.bytes_sent
    assert pair.client.connection.local_cid == client.cid


def test_drops_and_losses_are_told_as_they_are_counted():
    notes = Notes()
    pair = played(notes, loss=0.3, duplicate=0.5)
    client, connection = notes.ends["client"], pair.client.connection
    assert connection.stats.packets_lost == len(client.lost) > 0
    assert sum(connection.drops.values()) == len(client.drops) > 0
    assert set(client.lost) <= {number for number, _, _ in client.out}
    last = client.measures[-1]
    assert connection.rtt.smoothed_rtt == last.smoothed_rtt
    assert connection.congestion_window_bytes == last.congestion_window


def test_an_observer_changes_nothing():
    watched, alone = (played(trace, loss=0.2).client.connection for trace in (Notes(), None))
    assert alone.drops == watched.drops
    names = [name for name in dir(alone.stats) if not name.startswith("_")]
    assert [getattr(alone.stats, n) for n in names] == [getattr(watched.stats, n) for n in names]


def test_what_the_peer_has_not_sealed_is_a_drop_and_was_not_received():
    notes = Notes()
    pair = played(notes)
    server, connection = notes.ends["server"], pair.server.connection
    taken = len(server.taken)
    genuine = packet_to(connection, 500, bytes([PING]))
    forged = genuine[:-1] + bytes([genuine[-1] ^ 1])
    assert connection.receive_packet(forged, CLIENT, pair.now) is None
    assert "not authentic" == server.drops[-1]
    assert taken == len(server.taken)
