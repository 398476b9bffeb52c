"""Membership epochs of seqs, as runs."""

from udpim.im.epoch_runs import epoch_at, restamp, segments
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


def restamped(*runs, epoch, due):
    """Restamp runs of which these epochs have somebody."""
    some = [EpochRun(*run) for run in runs]
    return restamp(some, due.__contains__, epoch), [tuple(run) for run in some]


def test_what_nobody_is_due_is_stamped_anew():
    assert (1, [(1, 9)]) == restamped((1, 0), epoch=9, due=())
    assert (5, [(1, 3), (5, 9)]) == restamped((1, 3), (5, 4), epoch=9, due=(3,))
    assert (3, [(1, 2), (3, 9)]) == restamped((1, 2), (3, 4), (6, 8), epoch=9, due=(2,))


def test_what_somebody_is_due_keeps_its_epoch_and_what_is_before_it():
    kept = [(1, 2), (3, 4)]
    assert (None, kept) == restamped(*kept, epoch=9, due=(4,))
    assert (None, []) == restamped(epoch=9, due=())


def test_the_same_epoch_again_is_no_change():
    assert (None, [(1, 9)]) == restamped((1, 9), epoch=9, due=())
    assert (1, [(1, 9)]) == restamped((1, 4), (5, 9), epoch=9, due=())
