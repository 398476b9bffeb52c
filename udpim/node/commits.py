"""The client's transactions: one for all that has gathered since the last, and who waits for each.

Between the client node's machines, which want rows written, and the store's verdicts (PROTOCOL
§5.2): what promises something is a waiter of the transaction that it rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from udpim.im.receiver import Inbox
from udpim.im.sender import Outbox
from udpim.node.effects import Commit
from udpim.node.identity import Identity

Waiter = Callable[[], None]
"""Called when its transaction is durable."""


class Commits:
    """Joins the operations of identity, outbox and inbox."""

    def __init__(
        self, identity: Identity, outbox: Outbox, inbox: Inbox, outbox_committed: Waiter
    ) -> None:
        """Start with nothing to write but what a new identity brings.

        Args:
            identity: Its operations go first.
            outbox: Its operations go second.
            inbox: Its operations go last.
            outbox_committed: Waits for every transaction that holds the outbox's.
        """
        self._identity = identity
        self._outbox = outbox
        self._inbox = inbox
        self._outbox_committed = outbox_committed
        self._in_progress: dict[int, list[Waiter]] = {}
        self.waiters: list[Waiter] = []
        """Those of the next transaction."""
        self._token = 0
        self._failed = False

    def next(self) -> Commit | None:
        """Return the transaction of everything since the last one, None if there is nothing."""
        if self._failed:
            return None
        self._identity.reached(self._outbox.stamp)
        ops = self._identity.take_ops()
        from_outbox, from_inbox = self._outbox.take_ops(), self._inbox.take_ops()
        if not (ops or from_outbox or from_inbox):
            return None
        waiters, self.waiters = self.waiters, []
        if from_outbox:
            waiters.append(self._outbox_committed)
        if from_inbox:
            waiters.append(self._inbox.on_committed)
        ops += from_outbox
        ops += from_inbox
        self._token += 1
        self._in_progress[self._token] = waiters
        return Commit(token=self._token, ops=tuple(ops))

    def take_waiters(self, token: int) -> Sequence[Waiter]:
        """Return who waits for a transaction that has its verdict, in order."""
        waiters = self._in_progress.pop(token)
        return () if self._failed else waiters

    def fail(self) -> None:
        """A transaction did not happen, on which later ones may rest: write and promise no more."""
        self._failed = True
