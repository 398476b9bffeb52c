"""How a stream follows the membership of its conversation (R2, R5, R7; PROTOCOL §5.3, §5.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udpim.im.changes import Change
from udpim.im.deciding import read_changes
from udpim.im.epoch_runs import restamp
from udpim.im.member_view import MemberView
from udpim.ranges import Range, RangeSet
from udpim.wire.im_packets import EpochRun, Members

if TYPE_CHECKING:
    from udpim.im.out_stream import OutStream


def forget_membership(stream: OutStream, store_epoch: int) -> list[Change] | None:
    """Start over under another store: epochs, ordinals and STORED are void (R3).

    Returns:
        What thereby shows PENDING; None when the store is the same.
    """
    if stream.store_epoch in (0, store_epoch):
        return None
    stream.store_epoch = store_epoch
    stream.epoch = 0
    stream.runs = [EpochRun(stream.floor, 0)]
    shown = stream.shows_stored([(stream.floor, stream.next_seq)])
    for member in stream.audience.views:
        member.stored.clear()
        member.joined, member.left = 1, 1
    stream.covered = stream.settled.copy()
    stream.kept.clear()
    return stream.fall(shown)


def learn_members(stream: OutStream, packet: Members) -> list[Change]:
    """Take over a membership; rows that are due to nobody are stamped with its epoch."""
    epoch = packet.epoch
    renewed, forgotten = stream.audience.learn(
        packet.members,
        epoch,
        whole=packet.whole,
        same_store=stream.epoch != 0,
        sent=stream.next_seq - 1,
    )
    last = stream.next_seq - 1
    for view in forgotten:
        if stream.audience.counts(view):
            stream.doubtful.update(view.confirmed.missing(stream.floor, last))
    reopened = [_forget_confirmations(stream, view) for view in renewed]
    stream.renewed = bool(renewed)
    stream.reopened = list(RangeSet(part for parts in reopened for part in parts))
    stream.store_epoch, stream.epoch = packet.store_epoch, epoch
    stream.restamped_from = restamp(stream.runs, stream.audience.somebody, epoch)
    stream.audience.excuse(stream.floor, last)
    changes = stream.refresh(stream.floor, last) + read_changes(stream)
    stream.audience.forget_below(stream.floor)
    return changes


def _forget_confirmations(stream: OutStream, view: MemberView) -> list[Range]:
    """R7: a newer incarnation of an endpoint knows nothing of the open rows.

    Returns:
        What was known.
    """
    last = stream.next_seq
    forgotten = view.confirmed.within(stream.floor, last)
    view.stored.subtract(forgotten)  # those rows are gone
    for known in (view.confirmed, view.delivered, view.void, view.excused):
        known.remove(stream.floor, last)
    for known in (stream.settled, stream.covered, stream.decided, stream.kept):
        known.remove(stream.floor, last)
    stream.close_rejected()
    closed = stream.settled.within(stream.floor, last)
    stream.covered.update(closed)
    stream.decided.update(closed)
    return forgotten
