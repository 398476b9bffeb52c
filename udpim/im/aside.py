"""Messages that the application could not handle: out of the others' way, and not forgotten.

A part of the receiver's machine. A message set aside is neither waiting nor handled: its stream
goes on, it stays in the inbox with the reason, and the application takes it back to handle it
after all or to throw it away. PROTOCOL §5.4.
"""

from __future__ import annotations

from collections.abc import Iterable

from udpim.config import Limits
from udpim.im.backlog import Backlog
from udpim.im.records import AsideRow, Op, SetAside, TakeBack
from udpim.model import StreamId

WORDS_CHARS_MAX = 200
"""Of the reason no more is kept: it is for people, and its memory is part of the limit."""


def fit_words(words: str) -> str:
    """Return as much of a reason as is kept: one line, of text that every store takes."""
    line = " ".join(words[: 2 * WORDS_CHARS_MAX].split())
    return line.encode("utf-8", "backslashreplace").decode("utf-8")[:WORDS_CHARS_MAX]


class Aside:
    """What is set aside at one inbox, oldest first."""

    __slots__ = ("_backlog", "_bytes", "_durable", "_limits", "_rows", "count", "ops")

    def __init__(
        self, rows: Iterable[AsideRow], backlog: Backlog, *, durable: bool, limits: Limits
    ) -> None:
        """Restore what the store kept; ``backlog`` counts what is not set aside."""
        self._backlog = backlog
        self._durable = durable
        self._limits = limits
        self.ops: list[Op] = []
        """The operations since the last `take_ops`."""
        self._rows = {(row.stream, row.seq): row for row in rows}
        self._bytes = sum(len(row.payload) for row in self._rows.values())
        self.count = 0
        """Times that a message was set aside, since the process began."""

    def has_room(self) -> bool:
        """Tell whether one more may be set aside; the last one may go beyond the bytes."""
        limits = self._limits
        return len(self._rows) < limits.aside_messages_max and self._bytes < limits.aside_bytes_max

    def put(self, row: AsideRow) -> None:
        """Set aside a message that the application was shown; there must be room."""
        size = len(row.payload)
        self._rows[row.stream, row.seq] = row
        self._bytes += size
        self._backlog.handled(1, size)
        self.count += 1
        if self._durable:
            self.ops.append(SetAside(row.stream, row.seq, row.words))

    def take_back(self, stream: StreamId, seq: int) -> AsideRow | None:
        """Return a message to those that the application was shown and has to handle.

        Returns:
            The message; None if it was not set aside.
        """
        row = self._rows.pop((stream, seq), None)
        if row is None:
            return None
        size = len(row.payload)
        self._bytes -= size
        self._backlog.arrived(1, size)
        self._backlog.shown(1, size)
        if self._durable:
            self.ops.append(TakeBack(stream, seq))
        return row

    def take_ops(self) -> list[Op]:
        """Return the operations since the last call; they come before those of what is handled."""
        ops, self.ops = self.ops, []
        return ops

    def rows(self) -> list[AsideRow]:
        """Return all of them, oldest first."""
        return list(self._rows.values())

    def sizes(self) -> dict[str, int]:
        """Return how much there is now."""
        return {"aside_messages": len(self._rows), "aside_bytes": self._bytes}
