"""A virtual directory: one lease in memory, which its processes reach slowly, or not at all.

What it does is what `udpim.cluster.directory.Directory` promises; how long that takes and how it
fails is decided per call, by a stream of choices of each process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import TypeVar

from udpim.cluster.directory import Lease
from udpim.errors import StoreError, StoreLocked
from udpim.testing.choices import Choices
from udpim.testing.cluster.routine import nap

NAME = "the virtual directory"
CALL_S = 0.001
"""How long a call takes to arrive, and as long again its answer."""
LOCK_WAIT_S = 2.0
"""After what time a call fails that finds it held by somebody, or out of reach."""
SLOW_MS = 1500
"""How much longer a call takes at most with which something is wrong."""
_SORTS = 4
"""What can be wrong: slow, held by somebody, failed, failed although it happened."""

T = TypeVar("T")


class VirtualDirectory:
    """Where the processes of one virtual cluster meet.

    Attributes:
        lease: What stands in it.
        fails: Share of calls with which something is wrong.
        counters: ``takeovers`` of a lease that nobody had given back, and ``rivals``: claims that
            came too late.
    """

    def __init__(self, choices: Choices, fails: float = 0.0) -> None:
        """Start empty."""
        self.lease: Lease | None = None
        self.fails = fails
        self.counters: Counter[str] = Counter()
        self._choices = choices
        self._cut: set[str] = set()

    # --- Trouble ---

    def cut(self, who: str) -> None:
        """Let a process not reach it."""
        self._cut.add(who)

    def mend(self, who: str) -> None:
        """Let a process reach it again."""
        self._cut.discard(who)

    def lose(self) -> None:
        """Start empty: somebody has deleted the file."""
        self.lease = None

    def heal(self) -> None:
        """End every trouble."""
        self._cut.clear()
        self.fails = 0.0

    # --- A call, as a process makes it ---

    async def ask(self, who: str, call: Callable[[], T]) -> T:
        """Do one of the calls below, with all that can come between.

        Raises:
            StoreLocked: It was not reached.
            StoreError: It failed.
        """
        fate = self._choices.stream(f"{who}: directory").decide(self._draw) if self.fails else 0
        sort, slow_ms = fate % _SORTS, fate // _SORTS
        await nap(CALL_S + slow_ms / 1000)
        if who in self._cut or sort == 1:
            await nap(LOCK_WAIT_S)
            raise StoreLocked(NAME, "another process has it open")
        if sort == 2:
            raise StoreError(NAME, "it cannot be read or written")
        answer = call()
        await nap(CALL_S)
        if sort == 3:
            raise StoreError(NAME, "it was not synced")
        return answer

    def _draw(self, dice: Random) -> int:
        return dice.randrange(1, _SORTS * SLOW_MS) if dice.random() < self.fails else 0

    # --- What it does; each call at once and whole ---

    def look(self) -> Lease | None:
        """See `Directory.look`."""
        return self.lease

    def claim(self, node: str, seen: Lease | None, least_epoch: int = 1) -> Lease | None:
        """See `Directory.claim`."""
        if self.lease != seen:
            self.counters["rivals"] += 1
            return None
        self.counters["takeovers"] += seen is not None and bool(seen.node)
        epoch = max(least_epoch, 1 if seen is None else seen.epoch + 1)
        self.lease = Lease(node, epoch, 0)
        return self.lease

    def renew(self, lease: Lease) -> Lease | None:
        """See `Directory.renew`."""
        if not self._is_ours(lease):
            return None
        self.lease = lease._replace(beats=lease.beats + 1)
        return self.lease

    def release(self, lease: Lease) -> None:
        """See `Directory.release`."""
        if self._is_ours(lease):
            self.lease = lease._replace(node="")

    def _is_ours(self, lease: Lease) -> bool:
        return self.lease is not None and self.lease[:2] == lease[:2]
