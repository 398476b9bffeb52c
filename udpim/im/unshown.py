"""Final states that wait for their transaction: shown once no crash can take them back (I7).

A part of the sender's machine. What a message ends as without being delivered follows from what is
remembered of its conversation: who was refused, who has left, who said VOID. A crash before the
commit would forget that, and the message might yet be delivered. DELIVERED needs no wait: whoever
has the message says so again (PROTOCOL §5.1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from udpim.im.changes import Change, StreamChanged
from udpim.model import MessageState

if TYPE_CHECKING:
    from udpim.im.out_stream import OutStream

WAITING = frozenset((MessageState.REJECTED, MessageState.VOID, MessageState.EXCUSED))
"""States that are not shown before they are durable."""


class Unshown:
    """The changes of one outbox that wait, by transaction."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._next: list[StreamChanged] = []
        """For the next transaction."""
        self._committing: deque[list[StreamChanged]] = deque()

    def sift(self, stream: OutStream, changes: Iterable[Change]) -> list[StreamChanged]:
        """Keep the changes of a stream that have to wait, and return the others."""
        at_once = []
        for first, last, state in changes:
            change = StreamChanged(stream, first, last, state)
            if state in WAITING:
                stream.closing.add(first, last)
                self._next.append(change)
            else:
                at_once.append(change)
        return at_once

    def begin(self) -> None:
        """A transaction begins that holds everything up to here."""
        self._committing.append(self._next)
        self._next = []

    def committed(self) -> list[StreamChanged]:
        """Return what the oldest transaction makes true."""
        shown = self._committing.popleft()
        for stream, first, last, _ in shown:
            stream.closing.remove(first, last)
        return shown

    def follow(self, stream: OutStream, legacy: OutStream, fresh: int) -> None:
        """A stream was split: the messages below ``fresh`` belong to another one now (R7)."""
        self._next = _split(self._next, stream, legacy, fresh)
        self._committing = deque(
            _split(changes, stream, legacy, fresh) for changes in self._committing
        )


def _split(
    changes: Iterable[StreamChanged], stream: OutStream, legacy: OutStream, fresh: int
) -> list[StreamChanged]:
    parts = []
    for change in changes:
        if change.stream is not stream or change.first >= fresh:
            parts.append(change)
            continue
        parts.append(change._replace(stream=legacy, last=min(change.last, fresh - 1)))
        if change.last >= fresh:
            parts.append(change._replace(first=fresh))
    return parts
