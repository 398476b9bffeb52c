"""Counters that outlive the connections that counted."""

from types import SimpleNamespace

from udpim.hop.stats import HopStats
from udpim.node.totals import HopTotals


def connection(drops, **stats):
    return SimpleNamespace(drops=drops, stats=HopStats(**stats))


def test_everything_is_added_up_and_a_copy_goes_its_own_way():
    totals = HopTotals()
    totals.add(connection({"closed": 1}, hellos_sent=2, reassembly_bytes_peak=7))
    totals.add(connection({"closed": 2, "replayed": 1}, datagrams_sent=5, reassembly_bytes_peak=9))
    assert (2, 9) == (totals.stats.hellos_sent, totals.stats.reassembly_bytes_peak)
    copy = totals.copy()
    copy.add(connection({"closed": 1}, datagrams_sent=1))
    assert ({"closed": 3, "replayed": 1}, 5) == (totals.drops, totals.stats.datagrams_sent)
    assert ({"closed": 4, "replayed": 1}, 6) == (copy.drops, copy.stats.datagrams_sent)
