"""B's side of the offline queue: when to ask for more (PROTOCOL §5.5).

A part of the receiver's machine.
"""

from __future__ import annotations


class Pull:
    """The pull of the offline queue: one batch at a time (R8).

    The server numbers its answers; a batch is complete when all its parts are here, and the next
    one is asked for when what it brought is durable.
    """

    def __init__(self) -> None:
        """Start with nothing asked for."""
        self._wanted = False
        self._active = False
        self._left: int | None = None
        self._more = False
        self._last_commit: int | None = None

    def ask(self) -> None:
        """The queue is not empty: pull, now or after the present batch."""
        self._wanted = True

    def take_request(self) -> bool:
        """Tell whether an offline:R has to leave now."""
        if not self._wanted or self._active:
            return False
        self._wanted, self._active = False, True
        return True

    def received(self, total: int, *, more: bool) -> None:
        """One of the ``total`` parts of the present batch arrived."""
        if self._left is None:
            self._left = total
        self._left -= min(1, self._left)
        self._more = more

    def complete(self) -> bool:
        """Tell whether every part of the present batch has arrived."""
        return self._active and self._left == 0

    def go_on(self, begun: int, durable: int) -> None:
        """Look whether the present batch is durable, and if it is, be ready for the next one.

        Args:
            begun: How many commits were ever begun: once all parts are here, the last of them is
                the one to wait for.
            durable: How many of them are durable.
        """
        if not self.complete():
            return
        if self._last_commit is None:
            self._last_commit = begun
        if durable >= self._last_commit:
            self._last_commit = None
            self.next_batch()

    def next_batch(self) -> None:
        """What the batch brought is durable."""
        self._active = False
        self._left = None
        if self._more:
            self._wanted = True
