"""The server's answer to offline:R: queue items in parts that fit packets (PROTOCOL §5.5, R8).

A pull takes at most W lowest rows per stream, streams in turn, none twice in progress; the rows
come from the store, and a row stays until B's verdict for it arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from udpim.config import PULL_BYTES_MAX
from udpim.im.offline_queue import OfflineQueue
from udpim.im.records import QueueItems, QueueRow, ReadQueue
from udpim.im.session import Named, Session
from udpim.model import StreamId
from udpim.ranges import Range, RangeSet
from udpim.wire.im_codec import SECTION_ENTRY_BYTES, SECTION_HEAD_BYTES, encode_section
from udpim.wire.im_packets import Nudge, OfflineA, Section
from udpim.wire.im_schema import RANGES_MAX, SECTION_BYTES_MAX

SLICE = 64
"""Rows taken from a stream before it is the next stream's turn."""
ROWS_MAX = 4096
"""Rows in one plan, however small: each may need a packet of its own."""

_Part = tuple[StreamId, int, int, tuple[Range, ...], Section | None]
"""Stream, floor, base, void ranges, section."""


def plan_pull(queue: OfflineQueue, session: Session, bytes_max: int) -> ReadQueue:
    """Choose what the next answer may take, streams in turn."""
    session.reading = True
    endpoint = session.endpoint
    bytes_max = min(bytes_max, PULL_BYTES_MAX)
    # How large the payloads are is known to the store only. That they cost no less than their
    # entries keeps a small pull from planning more than it can get.
    room = min(ROWS_MAX, 1 + bytes_max // SECTION_ENTRY_BYTES)
    untouched = queue.next_rows(endpoint)
    left: deque[tuple[StreamId, RangeSet]] = deque()
    wanted: list[tuple[StreamId, tuple[Range, ...]]] = []
    while room:
        entry = next(untouched, None) or (left.popleft() if left else None)
        if entry is None:
            break
        stream, rows = entry
        part = _lowest(rows, min(SLICE, room))
        room -= sum(last - first + 1 for first, last in part)
        rows.subtract(part)
        wanted.append((stream, tuple(part)))
        if len(rows):
            left.append((stream, rows))
    return ReadQueue(endpoint, tuple(wanted), bytes_max)


def _lowest(rows: RangeSet, count: int) -> list[Range]:
    """Return the ``count`` lowest numbers as ranges, or all when there are fewer."""
    part: list[Range] = []
    for first, last in rows:
        if count <= 0:
            break
        part.append((first, min(last, first + count - 1)))
        count -= last - first + 1
    return part


def answer_pull(queue: OfflineQueue, session: Session, items: Sequence[QueueItems]) -> None:
    """Send what the store brought, as the parts of one batch."""
    session.reading = False
    parts: list[_Part] = []
    turns: dict[StreamId, None] = {}
    for item in items:
        queued = queue.find(session.endpoint, item.stream)
        if queued is None:
            continue
        rows = [row for row in item.rows if row.seq in queued.messages or row.seq in queued.voids]
        queue.taken(session.endpoint, item.stream, (row.seq for row in rows))
        turns[item.stream] = None
        head = (item.stream, max(item.floor, queued.floor), max(item.base, queued.base))
        parts += [(*head, void, section) for void, section in _pack(rows)]
    queue.turn_over(session.endpoint, turns)
    session.batches += 1
    more = any(True for _ in queue.next_rows(session.endpoint))
    session.pull_blocked = not more and queue.unread(session.endpoint)
    if not parts:
        empty = OfflineA(0, None, session.batches, 0, False, 1, 1, (), None)
        session.send(empty)
        return
    for stream, floor, base, void, section in parts:
        handle, name = session.outbound.of(stream)
        packet = OfflineA(
            handle, name, session.batches, len(parts), more, floor, base, void, section
        )
        session.send(packet, Named(stream))


def nudge_blocked(queue: OfflineQueue, session: Session | None) -> None:
    """Rows went: have the client pull what W kept out of the last answer, if it did."""
    if (
        session is not None
        and session.pull_blocked
        and any(True for _ in queue.next_rows(session.endpoint))
    ):
        session.pull_blocked = False
        session.send(Nudge())


def _pack(rows: Sequence[QueueRow]) -> list[tuple[tuple[Range, ...], Section | None]]:
    """Cut rows into void lists and sections of consecutive seqs that fit packets."""
    packed: list[tuple[tuple[Range, ...], Section | None]] = []
    voids: list[Range] = []
    run: list[QueueRow] = []
    size = SECTION_HEAD_BYTES
    for row in rows:
        if row.void:
            if voids and voids[-1][1] == row.seq - 1:
                voids[-1] = (voids[-1][0], row.seq)
            else:
                voids.append((row.seq, row.seq))
            continue
        cost = SECTION_ENTRY_BYTES + len(row.payload)
        if run and (row.seq != run[-1].seq + 1 or size + cost > SECTION_BYTES_MAX):
            packed.append(((), _section(run)))
            run, size = [], SECTION_HEAD_BYTES
        run.append(row)
        size += cost
    if run:
        packed.append(((), _section(run)))
    packed += [
        (tuple(voids[at : at + RANGES_MAX]), None) for at in range(0, len(voids), RANGES_MAX)
    ]
    return packed


def _section(run: Sequence[QueueRow]) -> Section:
    stamps = [row.stamp for row in run]
    return encode_section(run[0].seq, stamps, [row.payload for row in run])
