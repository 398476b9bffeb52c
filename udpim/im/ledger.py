"""Writes of one turn and the promises that wait for them (PROTOCOL §5.2).

"Ack only after durable" is enforced by shape: whoever wants to promise something hands in the
operation together with what to do once it is durable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from udpim.im.records import Op

Continuation = Callable[[bool], None]
"""Called with True when the write is durable, with False when it did not happen."""


class Ledger:
    """Operations collected since the last `take_ops`, and continuations per transaction."""

    def __init__(self, *, durable: bool = True) -> None:
        """Start with nothing to write.

        Args:
            durable: Whether what is committed survives a crash.
        """
        self.durable = durable
        self._ops: list[Op] = []
        self._after: list[Continuation] = []
        self._committing: deque[list[Continuation]] = deque()

    def put_all(self, ops: Iterable[Op]) -> None:
        """Put several, that nothing waits for."""
        for op in ops:
            self.put(op)

    def put(self, op: Op, after: Continuation | None = None) -> None:
        """Add an operation, and what waits for it."""
        self._ops.append(op)
        if after is not None:
            self._after.append(after)

    def when_durable(self, after: Continuation) -> bool:
        """Wait for what is on its way already.

        Returns:
            False when nothing is, so there is nothing to wait for.
        """
        if self._ops:
            self._after.append(after)
        elif self._committing:
            self._committing[-1].append(after)
        else:
            return False
        return True

    def __len__(self) -> int:
        """Return how many transactions have no verdict."""
        return len(self._committing)

    def take_ops(self) -> list[Op]:
        """Return the operations of this turn; the next `on_committed` is for them."""
        ops, self._ops = self._ops, []
        if ops:
            self._committing.append(self._after)
            self._after = []
        return ops

    def on_committed(self, *, ok: bool) -> None:
        """The oldest transaction is durable, or did not happen."""
        for continuation in self._committing.popleft():
            continuation(ok)
