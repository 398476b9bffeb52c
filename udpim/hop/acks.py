"""When to acknowledge what: the receiver's half of reliability.

The connection reports every packet it took; datagrams_to_send asks for ACK frames. A packet of
acks alone never causes one. Hot module.

Specification: PROTOCOL §3.2; RFC 9000 §13.2 has the reasons.
"""

from __future__ import annotations

from udpim.hop.window import ReceiveWindow
from udpim.wire.frames import ACK_DELAY_MAX, ACK_DELAY_UNIT_S, BITMAP_BYTES_MAX, encode_ack

PACKETS_AT_ONCE = 2
"""Ack-eliciting packets that are acked at the end of the turn without waiting."""
PACKETS_PER_ACK_MAX = 128
"""Beyond this, one burst gets a further ACK: the bitmap reaches 256 numbers back."""
REPEAT_PACKETS = 64
"""Numbers below the oldest new one that an ACK repeats, since earlier ACKs may be lost."""
READY_ACKS_MAX = 16
"""ACKs of one turn; they fit one packet. Beyond, the oldest is dropped and probes repair it."""


class AckScheduler:
    """Knows which packets were taken and which of them still wait for an ACK."""

    __slots__ = (
        "_max_ack_delay_s",
        "_oldest_new",
        "_ready",
        "_top_at",
        "_waiting",
        "deadline",
        "window",
    )

    def __init__(self, first_packet_number: int, max_ack_delay_s: float) -> None:
        """Expect this packet number first; hold acks back for so long at most."""
        self.window = ReceiveWindow(first_packet_number)
        self.deadline: float | None = None
        """When an ACK must leave; None if none waits."""
        self._max_ack_delay_s = max_ack_delay_s
        self._waiting = 0
        self._oldest_new = 0
        self._top_at = 0.0
        self._ready: list[bytes] = []

    def on_taken(self, number: int, *, ack_eliciting: bool, now: float) -> None:
        """Mark a packet as taken."""
        window = self.window
        ahead = number - window.top
        if ahead > 0:
            self._top_at = now
        window.mark(number)
        if not ack_eliciting:
            return
        if not self._waiting or number < self._oldest_new:
            self._oldest_new = number
        self._waiting += 1
        if self._waiting >= PACKETS_PER_ACK_MAX:
            self._build(now)
        elif self._waiting >= PACKETS_AT_ONCE or ahead != 1:
            # A gap, or a packet that fills one: the peer's loss detection waits for this.
            self.deadline = now
        else:
            self.deadline = now + self._max_ack_delay_s

    def frames_to_send(self, now: float, *, data_goes_out: bool) -> list[bytes]:
        """The ACK frames to put at the head of the next packet; often none."""
        if self._waiting and (data_goes_out or (self.deadline or 0.0) <= now):
            self._build(now)
        # Always a list of its own: the caller goes on to fill the packet into it.
        ready, self._ready = self._ready, []
        return ready

    def _build(self, now: float) -> None:
        window = self.window
        span = window.top - self._oldest_new + REPEAT_PACKETS
        # Below number 0 there is nothing to speak of.
        count = min((min(span, window.top) + 7) >> 3, BITMAP_BYTES_MAX)
        delay = min(int((now - self._top_at) / ACK_DELAY_UNIT_S), ACK_DELAY_MAX)
        bitmap = window.below_top(count * 8)
        if len(self._ready) == READY_ACKS_MAX:
            del self._ready[0]
        self._ready.append(encode_ack(window.top, delay, bitmap, count))
        self._waiting = 0
        self.deadline = None
