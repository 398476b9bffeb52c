"""A sender's store proved to be an old copy: what has not left yet takes a new identity (R7).

Seqs that were used after the copy was made may be known to recipients with other payloads. So the
messages that never left are moved to a stream of the new incarnation, and only what the copy itself
held goes on under the old msgids, which it shares with the history that was lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from udpim.im.out_stream import OutStream
from udpim.im.records import OutStreamRecord
from udpim.wire.im_packets import EpochRun

MARK = "login_count"
"""Key of the mark in the store, 8 bytes; `udpim.node.identity` writes it."""


def mark_of(meta: Mapping[str, bytes]) -> int:
    """Return the stamp up to which messages of a store may have left; any one where none is known.

    The mark is raised over a message's stamp before the message may leave, and not before the
    server has let the process in that wrote it.
    """
    return int.from_bytes(meta.get(MARK, b"\xff" * 8), "big")


def any_under_way(streams: Iterable[OutStream], incarnation: int) -> bool:
    """Tell whether messages of another incarnation than this one are not settled yet."""
    return any(
        stream.id.incarnation != incarnation and stream.floor < stream.next_seq
        for stream in streams
    )


def split_stream(stream: OutStream, incarnation: int, number: int) -> OutStream:
    """Give ``stream`` the new incarnation and only those messages of which no copy ever left.

    The object stays the one that receipts look at; its seqs stay, too, so the new stream does not
    begin at 1.

    Args:
        stream: Has at least one message that never left.
        incarnation: The new one.
        number: The new stream's number in the store.

    Returns:
        The old stream with the rest.
    """
    # What was withdrawn before it left may be settled already, and has no row any more.
    fresh, end = max(stream.fresh_from, stream.floor), stream.next_seq
    record = stream.record()
    cancelled, rejected = stream.cancelled, record.rejected
    legacy = OutStream(
        stream.id,
        record._replace(
            next_seq=fresh,
            cancelled=tuple(cancelled.within(1, fresh - 1)),
            rejected=tuple(part for part in rejected if part[0] < fresh),
        ),
    )
    for seq in range(stream.floor, fresh):
        legacy.restore_row(seq, stream.epoch_of(seq), *stream.rows[seq])
    legacy.refresh(legacy.floor, fresh - 1)
    legacy.closing.update(stream.closing.within(1, fresh - 1))
    closing = stream.closing.within(fresh, end)
    rows = {seq: stream.rows[seq] for seq in range(fresh, end)}
    stamps_wanted = stream.stamps_wanted
    reborn = OutStreamRecord(
        number,
        incarnation,
        record.conversation,
        end,
        fresh,
        0,
        0,
        (),
        tuple(cancelled.within(fresh, end)),
        tuple(part for part in rejected if part[0] >= fresh),
        hops=tuple(part for part in record.hops if part[0] >= fresh),
    )
    stream.restore(stream.id._replace(incarnation=incarnation), reborn)
    stream.rows = rows
    stream.closing.update(closing)
    stream.open_bytes = sum(len(payload) for _, payload in rows.values())
    stream.runs = [EpochRun(fresh, 0)]
    stream.cursor = stream.fresh_from = fresh
    stream.resent.clear()
    # The rows are written anew: what was committed under the old number counts for nothing.
    stream.committed = fresh - 1
    stream.stamps_wanted = stamps_wanted + 1
    return legacy
