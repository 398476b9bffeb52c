"""Counters of a connection; those of its establishment are in tests/node/test_stats.py."""

from dataclasses import fields

import pytest

from tests.hop.pair import Pair, connect
from tests.settings import settings
from udpim.errors import LocalProtocolError
from udpim.hop.codes import Role
from udpim.hop.config import HopConfig
from udpim.hop.stats import HopStats

ESTABLISHMENT = {
    "hellos_sent",
    "finishes_sent",
    "retries_received",
    "resets_received",
}
PATHS = {"path_changes", "cids_changed", "cids_short"}
"""Those move in test_connection.py and test_path.py."""
BULK = {"credit_waits", "credits_sent", "reassembly_bytes_peak", "reassembly_groups_peak"}
ONCE = {f.name for f in fields(HopStats) if f.name.startswith("datagram_frames_")}
"""Those of frames that are sent once move in test_datagrams.py."""


def test_every_counter_moves_on_a_bad_network():
    pair = Pair(5, loss=0.2, reorder=0.2)
    for index in range(400):
        pair.send(pair.client, bytes(300), index)
    pair.run_until(lambda: len(pair.client.acked) == 400)
    stats = pair.client.connection.stats
    stuck = {f.name for f in fields(HopStats) if getattr(stats, f.name) == 0}
    # The client sends frames and the server acks them.
    other = {"key_updates", "frames_received", "acks_sent", "frames_refused"}
    assert stuck == other | ESTABLISHMENT | BULK | ONCE | PATHS
    server = pair.server.connection.stats
    assert server.frames_received == stats.frames_sent == 400
    assert server.acks_sent > 0


def test_counters_of_large_bodies_move_with_them():
    pair = Pair(7)
    for index in range(4):
        pair.send(pair.client, bytes(1_000_000), index, bulk=True)
    pair.run_until(lambda: len(pair.client.acked) == 4)
    client, server = pair.client.connection, pair.server.connection
    assert client.stats.credit_waits == 2
    assert client.stats.pacing_waits > 0
    assert server.stats.credits_sent > 0
    assert 500_000 < server.stats.reassembly_bytes_peak <= 1_000_000
    assert server.stats.reassembly_groups_peak == 1
    assert (server.reassembly_bytes, server.reassembly_groups) == (0, 0)


def test_what_the_send_queue_refuses_is_counted():
    small = connect(Role.CLIENT, settings(HopConfig, hop_frames_max=1, send_queue_frames_max=1))
    small.send_frame(b"", None, 1.0)
    with pytest.raises(LocalProtocolError):
        small.send_frame(b"", None, 1.0)
    assert small.stats.frames_refused == 1
