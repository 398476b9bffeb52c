"""A virtual disk that is a real database on a drive: a crash may be a loss of power.

Like `udpim.testing.sqlite_disk`, but what waits when a process dies may be in the midst of being
written. It goes into a world by ``World(seed, new_disk=power_disks(choices))``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from random import Random
from typing import Self

from udpim.errors import LocalProtocolError
from udpim.im.records import Op
from udpim.store.sqlite_file import Kind, connect
from udpim.store.sqlite_rows import Rows
from udpim.testing.choices import Choices, Stream
from udpim.testing.power.connection import factory
from udpim.testing.power.drive import Drive
from udpim.testing.sqlite_disk import DatabaseDisk, rows_of

PATH = "/udpim.db"
POWER_LOSS_RATIO = 0.5
"""Of the crashes; in the others the process alone dies."""
CHANGES_MAX = 64
"""In the course of how many writes and syncs, at most, the power fails."""
_MARK = "CREATE TABLE power_mark (groups INTEGER NOT NULL)"


class PowerDisk(DatabaseDisk):
    """A file on a drive whose power may fail.

    Attributes:
        drive: Where the file is.
    """

    def __init__(self, choices: Stream, *, synchronous: str | None = None) -> None:
        """Start empty.

        Args:
            choices: Decides whether a crash is a loss of power, when it comes and what it leaves.
            synchronous: See `PowerConnection`.
        """
        self.drive = Drive(choices)
        self._choices = choices
        self._synchronous = synchronous
        self._rows: Rows | None = None
        self._connection: sqlite3.Connection | None = None
        self._groups = 0  # written while the power failed, as the database knows it

    def copy(self) -> Self:
        """Return an independent disk with the same contents, which are synced there."""
        other = type(self)(self._choices, synchronous=self._synchronous)
        if self._kind is not None:
            self._rows_of(self._kind)
            assert self._connection is not None
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            other._kind = self._kind
            other.drive.load(self.drive.image())
        return other

    def die(self, waiting: Sequence[Sequence[Op]]) -> int:
        """See `udpim.testing.storage.MortalDisk`: what waits is one group of the store's writer."""
        cut_after = self._choices.decide(_cut)
        landed = 0
        if cut_after and self._kind is not None:
            self._rows_of(self._kind)
            landed = self._die_writing(waiting, cut_after, self._kind)
        self._let_go()
        self.drive.kill_process()
        return landed

    def _die_writing(self, waiting: Sequence[Sequence[Op]], cut_after: int, kind: Kind) -> int:
        assert self._rows is not None
        assert self._connection is not None
        losses, groups = self.drive.losses, self._groups
        self.drive.cut_after(cut_after)
        # An error comes of the loss; or the group contradicts itself, and its members, which would
        # have gone one by one then, were not reached.
        with suppress(sqlite3.Error, LocalProtocolError):
            self._rows.begin()
            for ops in waiting:
                self._rows.apply(ops)
            self._connection.execute("UPDATE power_mark SET groups = groups + 1")
            self._rows.commit()
        self._let_go()
        if self.drive.losses == losses:
            self.drive.lose_power()
        self._rows_of(kind)
        return len(waiting) if self._groups > groups else 0

    def _let_go(self) -> None:
        """Forget the connection of a process that is dead."""
        if self._connection is not None:
            self.drive.kill_process()  # before, so that its last words reach no file
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = self._rows = None

    def _rows_of(self, kind: Kind) -> Rows:
        if self._rows is None:
            if self._kind is None:
                self._kind = kind
                self.drive.load(_blank(kind))
            self._connection = _open(self.drive, self._kind, self._synchronous)
            ((self._groups,),) = self._connection.execute("SELECT groups FROM power_mark")
            self._rows = rows_of(self._kind, self._connection)
        return self._rows


def power_disks(choices: Choices, *, synchronous: str | None = None) -> Callable[[str], PowerDisk]:
    """Return what makes the disks of a world; each host has a stream of its own.

    Args:
        choices: Of the run.
        synchronous: See `PowerConnection`.
    """
    return lambda host: PowerDisk(choices.stream(f"{host}: power"), synchronous=synchronous)


def _cut(dice: Random) -> int:
    # Most transactions are few changes, some are many.
    return int(CHANGES_MAX ** dice.random()) if dice.random() < POWER_LOSS_RATIO else 0


def _open(drive: Drive, kind: Kind, synchronous: str | None) -> sqlite3.Connection:
    return connect(PATH, kind, factory(drive, synchronous=synchronous), shared=False)


@cache
def _blank(kind: Kind) -> dict[str, bytes]:
    """The files of a new store: making them takes longer than a whole short conversation."""
    drive = Drive(Choices(PATH, {}).stream(PATH))
    connection = _open(drive, kind, None)
    connection.execute(_MARK)
    connection.execute("INSERT INTO power_mark VALUES (0)")
    connection.close()
    return drive.image()
