"""The round-trip time estimate of one path.

Fed by the loss detector with one sample per ACK that newly acks its largest packet; read by
every timer. Source: RFC 9002 §5, with the variance taken from the smoothed RTT (erratum 7539).
"""

from __future__ import annotations

GRANULARITY_S = 0.001
"""RFC 9002 §6.1.2 kGranularity."""
PTO_S_INITIAL = 0.333
"""Before the first sample (RFC 9002 §6.2.2 kInitialRtt)."""


class RttEstimator:
    """Smoothed RTT, its variation, and the least and latest sample; all in seconds."""

    __slots__ = ("latest_rtt", "min_rtt", "rttvar", "sampled", "smoothed_rtt")

    def __init__(self) -> None:
        """Know nothing yet."""
        self.sampled = False
        self.latest_rtt = PTO_S_INITIAL
        self.smoothed_rtt = PTO_S_INITIAL
        self.rttvar = PTO_S_INITIAL / 2
        self.min_rtt = 0.0

    def update(self, latest_s: float, ack_delay_s: float) -> None:
        """Fold one RTT sample into the estimate.

        Args:
            latest_s: Send-to-ack time of the largest newly acked packet, seconds.
            ack_delay_s: Delay the peer reports, already capped at its max_ack_delay.
        """
        self.latest_rtt = latest_s
        if not self.sampled:
            self.sampled = True
            self.min_rtt = self.smoothed_rtt = latest_s
            self.rttvar = latest_s / 2
            return
        self.min_rtt = min(self.min_rtt, latest_s)
        # RFC 9002 §5.3: a peer cannot talk the estimate below min_rtt.
        adjusted_rtt = latest_s
        if latest_s >= self.min_rtt + ack_delay_s:
            adjusted_rtt = latest_s - ack_delay_s
        self.rttvar += (abs(self.smoothed_rtt - adjusted_rtt) - self.rttvar) / 4
        self.smoothed_rtt += (adjusted_rtt - self.smoothed_rtt) / 8

    def pto_s(self, max_ack_delay_s: float) -> float:
        """The probe timeout before any back-off (RFC 9002 §6.2.1)."""
        if not self.sampled:
            return PTO_S_INITIAL
        return self.smoothed_rtt + max(4 * self.rttvar, GRANULARITY_S) + max_ack_delay_s
