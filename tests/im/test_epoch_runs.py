"""Membership epochs of seqs, as runs."""

from udpim.im.epoch_runs import epoch_at, segments
from udpim.wire.im_packets import EpochRun

RUNS = [EpochRun(3, 1), EpochRun(7, 4)]


def test_an_epoch_holds_from_its_run_until_the_next_one():
    assert [0, 1, 1, 4, 4] == [epoch_at(RUNS, seq) for seq in (2, 3, 6, 7, 100)]


def test_a_range_is_cut_where_the_epoch_changes():
    assert [(5, 6, 1), (7, 9, 4)] == list(segments(RUNS, 5, 9))
    assert [(8, 9, 4)] == list(segments(RUNS, 8, 9))


def test_what_lies_below_the_first_run_belongs_to_no_epoch():
    assert [(3, 4, 1)] == list(segments(RUNS, 1, 4))
    assert [] == list(segments(RUNS, 1, 2))
