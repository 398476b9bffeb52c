"""Counters of a connection."""

from dataclasses import fields

from tests.hop.pair import Pair
from udpim.hop.stats import HopStats


def test_every_counter_moves_on_a_bad_network():
    pair = Pair(5, loss=0.2, reorder=0.2)
    for index in range(400):
        pair.send(pair.client, bytes(300), index)
    pair.run_until(lambda: len(pair.client.acked) == 400)
    stats = pair.client.connection.stats
    stuck = {f.name for f in fields(HopStats) if getattr(stats, f.name) == 0}
    # The client sends frames and the server acks them.
    assert stuck == {"frames_received", "acks_sent"}
    server = pair.server.connection.stats
    assert server.frames_received == stats.frames_sent == 400
    assert server.acks_sent > 0
