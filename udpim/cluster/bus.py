"""How the processes of a cluster reach each other: the bus's interface.

A bus may lose, double or reorder what it carries, like the network behind it: the datagrams on it
are protected end to end by the hop, which sends again. All that a better bus gains is speed.
PROTOCOL §8.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

OnFrames = Callable[[list[bytes]], None]
"""Takes what arrived in one turn of the loop."""


class Bus(Protocol):
    """Carries frames between named processes."""

    def send(self, node: str, frames: Sequence[bytes]) -> None:
        """Send frames to a process; what cannot be sent is dropped and counted."""

    def is_dead(self, node: str) -> bool:
        """Tell whether a process is known not to run; False where that cannot be known."""

    def stats(self) -> dict[str, int]:
        """Return counters: frames sent and received, drops by reason."""

    def close(self) -> None:
        """Stop; frames that wait are dropped."""
