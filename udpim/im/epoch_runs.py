"""Membership epochs of seqs, as runs: from one run's first seq on its epoch holds (R2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from udpim.wire.im_packets import EpochRun


def epoch_at(runs: Sequence[EpochRun], seq: int) -> int:
    """Return the epoch that ascending ``runs`` give ``seq``; 0 when they do not reach it."""
    epoch = 0
    for run in runs:
        if run.first > seq:
            break
        epoch = run.epoch
    return epoch


def restamp(runs: list[EpochRun], somebody: Callable[[int], bool], epoch: int) -> int | None:
    """Give ``epoch`` to the last runs, as far as their own has nobody.

    Returns:
        The first seq with another epoch than before, None if there is none.
    """
    changed = None
    for index in range(len(runs) - 1, -1, -1):
        first, old = runs[index]
        if somebody(old):
            break
        if old != epoch:
            runs[index:] = [EpochRun(first, epoch)]
            changed = first
    return changed


def segments(runs: Sequence[EpochRun], first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """Cut first..last where the epoch changes: (first, last, epoch)."""
    starts = [run for run in runs if run.first <= last]
    for index, run in enumerate(starts):
        end = starts[index + 1].first - 1 if index + 1 < len(starts) else last
        if end >= first:
            yield max(first, run.first), end, run.epoch
