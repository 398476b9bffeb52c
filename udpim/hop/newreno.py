"""NewReno congestion control, byte-counted.

Behind :class:`udpim.hop.congestion.Controller`. Source: RFC 9002 §7 and appendix B.
"""

from __future__ import annotations

INITIAL_PACKETS = 10
"""RFC 9002 §7.2."""
MINIMUM_PACKETS = 4
"""Differs from RFC 9002 §7.2 (2): a thin stream of messages needs three packets after a lost
one to notice the loss without a timeout, and four small packets per round trip harm nobody."""
WINDOW_BYTES_MAX = 2 * 1024 * 1024
"""More than the frames that the largest frame window lets be in flight."""
PACING_GAIN = 1.25
"""RFC 9002 §7.7: a little more than the window per round trip, so that pacing never limits it."""
PACED_PACKETS_MIN = 10
"""Per round trip; a smaller window is no burst that would hurt anybody."""


class NewReno:
    """Slow start, additive increase, halving once per round trip with losses."""

    def __init__(self, datagram_bytes: int) -> None:
        """Start with ten datagrams of this size."""
        self._datagram_bytes = datagram_bytes
        self._minimum = MINIMUM_PACKETS * datagram_bytes
        self.window = INITIAL_PACKETS * datagram_bytes
        self.ssthresh = WINDOW_BYTES_MAX
        self._recovery_at = float("-inf")
        self._credit_bytes = 0
        self._undo: tuple[float, int, int] | None = None

    def on_ack(self, size_bytes: int, sent_at: float, *, app_limited: bool) -> None:
        """Grow: by what was acked in slow start, by one datagram per window after it."""
        # RFC 9002 §7.8: what was not used proves nothing. §7.3.2: no growth in recovery.
        if app_limited or sent_at <= self._recovery_at:
            return
        if self.window < self.ssthresh:
            self.window += size_bytes
        else:
            self._credit_bytes += size_bytes
            if self._credit_bytes >= self.window:
                self._credit_bytes -= self.window
                self.window += self._datagram_bytes
        self.window = min(self.window, WINDOW_BYTES_MAX)

    def on_loss(self, sent_at: float, now: float, *, persistent: bool) -> None:
        """Halve, unless this loss belongs to a round trip that was already punished."""
        if sent_at > self._recovery_at:
            self._undo = (sent_at, self.window, self.ssthresh)
            self._recovery_at = now
            self.ssthresh = self.window = max(self.window // 2, self._minimum)
            self._credit_bytes = 0
        if persistent:
            # RFC 9002 §7.6.2: start again as on a new path.
            self.window = self._minimum
            self._recovery_at = float("-inf")
            self._undo = None

    def pacing_rate(self, rtt_s: float) -> float | None:
        """The window and a quarter per round trip; none while the window is small."""
        if self.window < PACED_PACKETS_MIN * self._datagram_bytes:
            return None
        return PACING_GAIN * self.window / rtt_s

    def on_spurious_loss(self, sent_at: float) -> None:
        """Take the last halving back if it was this packet that caused it."""
        if self._undo is not None and self._undo[0] == sent_at:
            _, window, self.ssthresh = self._undo
            self.window = max(self.window, window)
            self._recovery_at = float("-inf")
            self._undo = None
