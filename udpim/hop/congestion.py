"""The interface between a connection and its congestion controller.

Algorithms stand beside it (:mod:`udpim.hop.newreno`). Sizes are bytes of datagrams, times the
connection's clock in seconds.
"""

from __future__ import annotations

from typing import Protocol


class Controller(Protocol):
    """Decides how many bytes may be in flight."""

    window: int
    """The congestion window, bytes."""

    def on_ack(self, size_bytes: int, sent_at: float, *, app_limited: bool) -> None:
        """Packets of this total size were newly acked, the latest sent at ``sent_at``.

        ``app_limited`` says that the window was not what held the sender back.
        """

    def on_loss(self, sent_at: float, now: float, *, persistent: bool) -> None:
        """Packets were declared lost, the latest of them sent at ``sent_at``."""

    def pacing_rate(self, rtt_s: float) -> float | None:
        """Bytes per second that the window may leave with; None: as fast as they come."""

    def on_spurious_loss(self, sent_at: float) -> None:
        """A packet sent at ``sent_at`` had been declared lost and was acked after all."""
