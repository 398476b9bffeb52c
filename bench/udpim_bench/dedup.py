"""``udpim_bench dedup``: what a recipient keeps of one stream, however long the stream is.

One stream's memory (`udpim.im.in_stream`) takes messages out of order, twice, and with gaps that a
cancel closes, while the sender's floor follows; from time to time its record goes through a store
file. Counted in bytes, not timed: the largest row and the largest object of the last messages, for
a short stream and for a long one. PROTOCOL §5.4.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from udpim.config import VOID_RUNS_MAX, WINDOW
from udpim.im.in_stream import InStream
from udpim.im.records import InStreamRecord, PutInStream
from udpim.model import StreamId
from udpim.store.sqlite import SQLiteStore
from udpim.store.sqlite_client import bits_to_blob
from udpim_bench.group import size_of
from udpim_bench.measure import WrongCounts

STREAM = StreamId("alice", "phone", 1, "bob")
SHORT = 10_000
STATE_BYTES_MAX = 24 + WINDOW // 4
"""cum and floor, with room for a third number, and the two bitmaps of W bits."""
NUMBER_BYTES = 8
SPREAD = 800
"""How far a message may overtake others; within W."""
COPIES_RATIO = 0.2
CANCELLED_RATIO = 0.02
FLOOR_EVERY = 200
"""Messages between two floors that the recipient hears of; void runs wait for it."""
LAST = 5000
"""Messages at the end during which the largest state is looked for …"""
LOOK_EVERY = 50
"""… so often."""
GROWTH_MAX = 1.25
"""Of the object in memory, whose void runs vary; it would be 100 if it grew with the stream."""


class Measured:
    """One stream from its first message on."""

    def __init__(self, seed: int) -> None:
        """Begin."""
        self._random = Random(seed)
        self.stream = InStream(InStreamRecord(STREAM, 0, 0, 0, 1, ()))
        self._seqs: list[int] = []
        self._next = 1
        self.delivered = 0
        self.copies = 0
        self.void = 0

    def run(self, messages: int, progress: Callable[[str], None]) -> dict[str, Any]:
        """Settle so many; return the largest state of the last `LAST` of them.

        Raises:
            WrongCounts: If a seq was settled twice, or one was taken for another.
        """
        largest = {"row_bytes": 0, "void_runs": 0, "object_bytes": 0}
        for done in range(1, messages + 1):
            self._settle_one()
            if done % 100_000 == 0:
                progress(f"{done} of {messages} messages")
            if done > messages - LAST and done % LOOK_EVERY == 0:
                record = self.stream.record()
                now = (state_bytes(record), len(record.void_runs), size_of(self.stream))
                largest = dict(zip(largest, map(max, largest.values(), now), strict=True))
        counts = {"copies": self.copies, "void": self.void}
        return {"messages": messages, **counts, **largest}

    def _settle_one(self) -> None:
        """Settle one seq that is open, and look at a copy of one that is not."""
        stream, random = self.stream, self._random
        while len(self._seqs) < SPREAD and self._next <= stream.cum + WINDOW:
            self._seqs.append(self._next)
            self._next += 1
        if not self._seqs:
            raise WrongCounts("the window stands still, with everything settled")
        # The oldest comes sooner or later, or the window would stand still.
        oldest = random.random() < 1 / SPREAD
        seq = self._seqs.pop(0 if oldest else random.randrange(len(self._seqs)))
        if random.random() < COPIES_RATIO and stream.cum:
            old = random.randint(max(1, stream.cum - 2 * WINDOW), stream.cum)
            self._expect(old, settled=True)
            self.copies += 1
        self._expect(seq, settled=False)
        if random.random() < CANCELLED_RATIO and stream.room_for_void():
            stream.settle_void(seq, seq)
            self.void += 1
        else:
            stream.settle_delivered(seq, seq)
            self.delivered += 1
        if (self.delivered + self.void) % FLOOR_EVERY == 0:
            stream.raise_floor(stream.cum + 1)

    def _expect(self, seq: int, *, settled: bool) -> None:
        if self.stream.open_in(seq, seq) != ([] if settled else [(seq, seq)]):
            raise WrongCounts(f"seq {seq} is {'open again' if settled else 'settled already'}")


def state_bytes(record: InStreamRecord) -> int:
    """Return the bytes of cum, floor and the bitmaps in a row; void runs are counted apart."""
    bitmaps = (record.delivered, record.void)
    return 2 * NUMBER_BYTES + sum(len(bits_to_blob(bits)) for bits in bitmaps)


def row_bytes(record: InStreamRecord) -> int:
    """Commit a record, and return what `state_bytes` says of the row that is in the file.

    Raises:
        WrongCounts: If another record comes back from the file.
    """
    with TemporaryDirectory() as folder:
        path = str(Path(folder, "client.db"))
        with closing(SQLiteStore(path, kind="client")) as store:
            store.submit(1, [PutInStream(record)])
            if store.load_client().in_streams != (record,):
                raise WrongCounts("another record came back from the store")
        with closing(sqlite3.connect(path)) as connection:
            lengths = "SELECT length(delivered) + length(void) FROM in_stream"
            (bitmaps,) = connection.execute(lengths).fetchone()
    return 2 * NUMBER_BYTES + int(bitmaps)


def run(messages: int, seed: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Measure a short stream and one of so many messages, and judge.

    Raises:
        WrongCounts: If deduplication is not exact.
    """
    streams = []
    for count in (SHORT, messages):
        measured = Measured(seed)
        streams.append(measured.run(count, progress))
        record = measured.stream.record()
        if row_bytes(record) != state_bytes(record):
            raise WrongCounts("the file's row has another size")
    report = {
        "seed": seed,
        "state_bytes_max": STATE_BYTES_MAX,
        "void_runs_max": VOID_RUNS_MAX,
        "streams": streams,
    }
    return {**report, "problems": problems(report)}


def problems(report: dict[str, Any]) -> list[str]:
    """Name the bounds that do not hold."""
    short, long = report["streams"]
    found = [
        f"{stream['row_bytes']} bytes after {stream['messages']} messages, {STATE_BYTES_MAX} may be"
        for stream in (short, long)
        if stream["row_bytes"] > STATE_BYTES_MAX
    ]
    if long["object_bytes"] > short["object_bytes"] * GROWTH_MAX:
        found.append(f"{long['object_bytes']} bytes in memory, {short['object_bytes']} at first")
    if long["void_runs"] > VOID_RUNS_MAX:
        found.append(f"{long['void_runs']} void runs, {VOID_RUNS_MAX} may be")
    return found


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    return [
        "one stream's memory at its recipient, the largest of the last messages",
        *(
            f"after {stream['messages']} messages ({stream['copies']} copies,"
            f" {stream['void']} void): {stream['row_bytes']} bytes in the row,"
            f" at most {report['state_bytes_max']} may be, and {stream['void_runs']} void runs;"
            f" {stream['object_bytes']} bytes in memory"
            for stream in report["streams"]
        ),
    ]
