"""What the files of a dead or closed process hold, read with plain SQL from a copy.

A copy, because opening a file with SQLite plays its log back, and that is the store's own business
after a crash.
"""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

OFFSET = 2**63
"""Unsigned numbers are kept less this, so that they fit and keep their order."""


def rows(path, sql):
    """All rows of a query; none where the table or the file was not made yet."""
    path = Path(path)
    with TemporaryDirectory() as folder:
        for suffix in ("", "-wal", "-journal"):
            if (file := path.with_name(path.name + suffix)).exists():
                shutil.copy(file, folder)
        with closing(sqlite3.connect(Path(folder) / path.name)) as connection:
            try:
                return connection.execute(sql).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                return []


class InboxRow(NamedTuple):
    """One message in a recipient's inbox."""

    sender: str
    incarnation: int
    seq: int
    payload: str


def inbox(path):
    """The recipient's inbox, in order of arrival."""
    found = rows(
        path,
        "SELECT user, incarnation, seq, payload FROM inbox JOIN stream ON stream = id"
        " ORDER BY arrival",
    )
    return [InboxRow(u, i + OFFSET, seq + OFFSET, p.decode()) for u, i, seq, p in found]


def queue(path):
    """The server's offline queue: (sender, seq, void)."""
    found = rows(path, "SELECT user, seq, void FROM queue_row JOIN queue ON queue = id")
    return [(user, seq + OFFSET, bool(void)) for user, seq, void in found]


class Outbox(NamedTuple):
    """What a sender's file knows of its only stream."""

    messages: dict
    """seq → payload, of what is not settled."""
    next_seq: int
    floor: int
    delivered: set
    void: set
    stored: set
    cancelled: set

    @property
    def excused(self):
        """What is settled, though nobody gave a verdict on it."""
        return set(range(1, self.floor)) - self.delivered - self.void


def outbox(path):
    """The sender's outbox."""
    messages = {
        seq + OFFSET: payload.decode()
        for seq, payload in rows(path, "SELECT seq, payload FROM outbox ORDER BY number, seq")
    }
    records = [json.loads(text) for (text,) in rows(path, "SELECT record FROM out_stream")]
    assert len(records) <= 1, "a sender of the matrix writes to one conversation"
    if not records:
        return Outbox(messages, 1, 1, set(), set(), set(), set())
    record = records[0]
    members = record[7]
    delivered = _seqs(record[10])
    return Outbox(
        messages,
        next_seq=record[3],
        floor=record[4],
        delivered=delivered,
        void=set().union(*(_seqs(member[8]) for member in members)) - delivered,
        stored=set().union(*(_seqs(member[9]) for member in members)),
        cancelled=_seqs(record[8]),
    )


def _seqs(ranges):
    return {seq for first, last in ranges for seq in range(first, last + 1)}
