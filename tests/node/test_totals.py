"""Counters that outlive the connections that counted."""

from types import SimpleNamespace

from udpim.hop.stats import HopStats
from udpim.node.totals import HopTotals


def connection(drops, **stats):
    return SimpleNamespace(drops=drops, stats=HopStats(**stats))


def test_everything_is_added_up_and_a_copy_goes_its_own_way():
    totals = HopTotals()
    totals.add_drops({"closed": 1})
    totals.add(connection({"closed": 2, "replayed": 1}, datagrams_sent=5))
    copy = totals.copy()
    copy.add(connection({"closed": 1}, datagrams_sent=1))
    assert ({"closed": 3, "replayed": 1}, 5) == (totals.drops, totals.stats.datagrams_sent)
    assert ({"closed": 4, "replayed": 1}, 6) == (copy.drops, copy.stats.datagrams_sent)
