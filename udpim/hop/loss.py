"""Which packets arrived and which are lost: the sender's half of reliability.

The connection reports what it sent and what an ACK says, and learns which packets are newly
acked, lost, or were declared lost in error. Only ack-eliciting packets are remembered. Every
packet is looked at a constant number of times. Hot module.

A packet is lost when a packet sent ``packet_threshold`` later was acked, or when one sent later
was acked and it is older than ``time_ratio`` round trips. An ACK that does not reach back to a
packet says nothing about it: such a packet is lost by time only.

Source: PROTOCOL §3.6; RFC 9002 §6.1; RFC 5827 for the threshold when little is in flight.
"""

from __future__ import annotations

from udpim.hop.rtt import GRANULARITY_S, RttEstimator
from udpim.hop.sendqueue import OutgoingFrame

PACKET_THRESHOLD = 3
PACKET_THRESHOLD_MAX = 20
TIME_RATIOS = (9 / 8, 5 / 4, 3 / 2)
"""Steps of the time threshold; every spurious loss goes one further. Not beyond 3/2: a late
retransmission is felt by a person, a needless one only by the network's spare room."""
LOST_PACKETS_MAX = 1024
"""Packets declared lost that are remembered, to notice that one was not."""
ACKED_REACH = 1024
"""How far below the largest acked number it is known which ones were acked."""

_ACKED_ALL = (1 << ACKED_REACH) - 1


class SentPacket:
    """An ack-eliciting packet in flight."""

    __slots__ = ("frames", "number", "sent_at", "size")

    def __init__(self, number: int, sent_at: float, size: int, frames: list[OutgoingFrame]) -> None:
        """Keep what is needed when it is acked or lost; ``size`` is the datagram's, bytes."""
        self.number = number
        self.sent_at = sent_at
        self.size = size
        self.frames = frames


class LossDetector:
    """The packets of one connection that are in flight."""

    def __init__(self, rtt: RttEstimator, first: int) -> None:
        """Judge by this RTT estimate; packet numbers start at ``first``."""
        self.rtt = rtt
        self.bytes_in_flight = 0
        self.largest_acked = first - 1
        self.loss_at: float | None = None
        """When the oldest packet in flight will count as lost by time."""
        self.packets_lost = 0
        self.packets_spuriously_lost = 0
        self._acked = 0  # bit i: largest_acked - i
        self._sent: dict[int, SentPacket] = {}
        self._oldest = first  # no packet below it is in flight
        self._next = first  # no packet from it on was sent
        self._scanned = first  # the packet threshold was applied to all below it
        self._packet_threshold = PACKET_THRESHOLD
        self._thin_threshold = PACKET_THRESHOLD
        self._time_step = 0
        self._lost: dict[int, SentPacket] = {}

    def on_sent(self, packet: SentPacket) -> None:
        """An ack-eliciting packet left; numbers rise."""
        self._sent[packet.number] = packet
        self._next = packet.number + 1
        self.bytes_in_flight += packet.size

    def on_ack(self, largest: int, bitmap: int) -> tuple[list[SentPacket], list[SentPacket]]:
        """Take in what an ACK says of packets that were all sent.

        Args:
            largest: The largest number it acks.
            bitmap: Bit k set: ``largest - 1 - k`` is acked too.

        Returns:
            (newly acked, declared lost before but acked now), each in rising order.
        """
        in_flight = len(self._sent)
        acked, spurious = [], []
        new = self._newly_acked(largest, bitmap << 1 | 1)
        sent = self._sent
        high = largest
        while new:
            # One step per run of numbers, for acks come in long runs.
            gap = (new & -new).bit_length() - 1
            new >>= gap
            high -= gap
            run = (~new & new + 1).bit_length() - 1
            for number in range(high, high - run, -1):
                packet = sent.pop(number, None)
                if packet is not None:
                    self.bytes_in_flight -= packet.size
                    acked.append(packet)
                elif number in self._lost:
                    spurious.append(self._lost.pop(number))
            new >>= run
            high -= run
        if spurious:
            self._widen(spurious)
        # RFC 5827 §3: with n packets outstanding, n - 1 later ones are all that can be acked.
        self._thin_threshold = min(self._packet_threshold, max(1, in_flight - 1))
        acked.reverse()
        spurious.reverse()
        return acked, spurious

    def detect_lost(self, now: float, reach: int) -> list[SentPacket]:
        """Declare packets lost, and set :attr:`loss_at` for the oldest that is not.

        Args:
            now: The time.
            reach: The lowest number of which the latest ACK speaks.

        Returns:
            The packets newly lost, in rising order.
        """
        lost = []
        sent = self._sent
        end = self.largest_acked - self._threshold() + 1
        for number in range(max(self._scanned, reach), end):
            packet = sent.pop(number, None)
            if packet is not None:
                lost.append(packet)
        self._scanned = max(self._scanned, end)
        delay = self._loss_delay_s()
        self.loss_at = None
        number = self._oldest
        while number < self.largest_acked:
            packet = sent.get(number)
            if packet is not None:
                # The very sum that a timer is set to, so that the timer always makes progress.
                if packet.sent_at + delay > now:
                    self.loss_at = packet.sent_at + delay
                    break
                lost.append(sent.pop(number))
            number += 1
        self._oldest = number
        self._remember(lost)
        return lost

    def abandon(self) -> list[SentPacket]:
        """Give up everything in flight, for a reason that says nothing about the network."""
        gone = list(self._sent.values())
        self._sent.clear()
        self.bytes_in_flight = 0
        self.loss_at = None
        return gone

    def is_persistent(self, lost: list[SentPacket], pto_s: float) -> bool:
        """Whether these losses mean persistent congestion (RFC 9002 §7.6).

        They span more than three PTOs, and nothing sent between the first and the last of them
        was acked.
        """
        first, last = lost[0], lost[-1]
        if not self.rtt.sampled or last.sent_at - first.sent_at <= 3 * pto_s:
            return False
        between = (1 << last.number - first.number) - 1
        return not self._acked >> self.largest_acked - last.number & between

    def oldest_sent_at(self) -> float | None:
        """When the oldest packet in flight was sent; None if nothing is in flight."""
        if not self._sent:
            self._oldest = self._next
            return None
        while self._oldest not in self._sent:
            self._oldest += 1
        return self._sent[self._oldest].sent_at

    @property
    def packets_in_flight(self) -> int:
        """Ack-eliciting packets neither acked nor lost."""
        return len(self._sent)

    def _newly_acked(self, largest: int, acked: int) -> int:
        """The bits of ``acked`` (bit 0: largest) that no earlier ACK had; remembers them."""
        ahead = largest - self.largest_acked
        if ahead >= 0:
            known = self._acked << ahead if ahead < ACKED_REACH else 0
            self._acked = (known | acked) & _ACKED_ALL
            self.largest_acked = largest
            return acked & ~known
        if ahead <= -ACKED_REACH:
            return 0
        known = self._acked >> -ahead
        self._acked |= acked << -ahead & _ACKED_ALL
        return acked & ~known

    def _threshold(self) -> int:
        # Where reordering was seen, a thin stream has no business guessing early.
        reordered = self.packets_spuriously_lost > 0
        return self._packet_threshold if reordered else self._thin_threshold

    def _loss_delay_s(self) -> float:
        longest = max(self.rtt.smoothed_rtt, self.rtt.latest_rtt)
        return max(TIME_RATIOS[self._time_step] * longest, GRANULARITY_S)

    def _widen(self, spurious: list[SentPacket]) -> None:
        self.packets_spuriously_lost += len(spurious)
        distance = self.largest_acked - spurious[-1].number + 1
        self._packet_threshold = min(max(self._packet_threshold, distance), PACKET_THRESHOLD_MAX)
        self._time_step = min(self._time_step + 1, len(TIME_RATIOS) - 1)

    def _remember(self, lost: list[SentPacket]) -> None:
        lost.sort(key=_number)
        self.packets_lost += len(lost)
        for packet in lost:
            self.bytes_in_flight -= packet.size
            self._lost[packet.number] = packet
        while len(self._lost) > LOST_PACKETS_MAX:
            del self._lost[next(iter(self._lost))]


def _number(packet: SentPacket) -> int:
    return packet.number
