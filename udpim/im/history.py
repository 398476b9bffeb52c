"""How long a sender remembers what its settled messages showed (PROTOCOL §5.9).

Receipts are views of their stream's ranges, so these stay below the floor as well. They are one
run each as long as messages are delivered; refusals, withdrawals and voids make holes, and the
number of runs is limited: the oldest are forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from udpim.im.out_stream import OutStream

HISTORY_RUNS_MAX = 1024
"""Runs below the floor per stream, all tables together; those from floor on are bounded by the
outbox, and every endpoint has four more. Beyond it the older half is forgotten: their messages then
show EXCUSED, which claims nothing."""


def forget_oldest(stream: OutStream) -> None:
    """Keep the history of a stream within its limit; the part from floor on is never touched."""
    tables = [stream.delivered, stream.void, stream.cancelled]
    views = stream.audience.views
    runs_max = HISTORY_RUNS_MAX + 4 * len(views)
    for view in views:
        tables += (view.delivered, view.void, view.excused, view.confirmed)
    if sum(map(len, tables)) + len(stream.rejected) + len(stream.onward.rerouted) <= runs_max:
        return
    floor = stream.floor
    lasts = [last for table in tables for _, last in table if last < floor]
    lasts += [last for _, last, _ in stream.rejected if last < floor]
    lasts += [one.last for one in stream.onward.rerouted if one.last < floor]
    if len(lasts) <= runs_max:
        return
    lasts.sort()
    cut = lasts[len(lasts) // 2]
    for table in tables:
        table.remove(1, cut)
    stream.rejected = [part for part in stream.rejected if part[1] > cut]
    stream.onward.rerouted = [one for one in stream.onward.rerouted if one.last > cut]
