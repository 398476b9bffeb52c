"""The sender's half of a connection: what may leave, what comes back, what must go again.

Composes the loss detector, the send queue, the RTT estimate and the congestion controller, and
owns the probe timeouts. Between :mod:`udpim.hop.connection`, which builds packets, and those
leaves. Hot module.

Source: PROTOCOL §3.6; RFC 9002 §6 and §7. Differs from §6.2: the probe timeout runs from the
oldest packet in flight, probes always carry the oldest data, the second one follows a little
later, and a thin stream does not back off at once.
"""

from __future__ import annotations

from udpim.hop.config import HopConfig
from udpim.hop.congestion import Controller
from udpim.hop.loss import LossDetector, SentPacket
from udpim.hop.newreno import NewReno
from udpim.hop.pacing import RTT_S_MIN, Pacer
from udpim.hop.rtt import GRANULARITY_S, RttEstimator
from udpim.hop.sendqueue import OutgoingFrame, SendQueue
from udpim.hop.stats import HopStats
from udpim.hop.timers import Timer, TimerTable
from udpim.hop.trace import Measures, Trace
from udpim.wire.parameters import PeerParameters

PTO_S_MIN = 0.01
PTO_S_MAX = 3.0
"""A person waits; three seconds between probes burden no network."""
PROBE_SPACING_S = 0.01
"""Losses come in bursts: the second of two probes waits a little."""
THIN_PACKETS = 4
THIN_TRIES = 6
"""With fewer than 4 packets in flight the first 6 probe timeouts do not back off (as TCP does
for thin streams): a lone message has no later ones that would reveal its loss."""
SPARE_PACKETS = 3
"""With more than this unused, the window was not what held the sender back."""


class Recovery:
    """Everything about what was sent and is not acked."""

    def __init__(
        self,
        *,
        config: HopConfig,
        parameters: PeerParameters,
        datagram_bytes: int,
        timers: TimerTable,
        stats: HopStats,
        room: int,
        trace: Trace | None = None,
    ) -> None:
        """Start with nothing sent; sets the timers LOSS, PTO, PROBE, WINDOW, PACING and DEAD."""
        self.queue = SendQueue(config, parameters, stats, room)
        self.rtt = RttEstimator()
        self.congestion: Controller = NewReno(datagram_bytes)
        self._loss = LossDetector(self.rtt, config.first_packet_number)
        self.trace = trace
        self._timers = timers
        self._stats = stats
        self._datagram_bytes = datagram_bytes
        self._max_ack_delay_s = parameters.max_ack_delay_s
        self._dead_s = config.dead_s
        self._pto_count = 0
        self._pto_is_thin = False
        self._pto_from = float("-inf")
        self._probes_due = 0
        self._probe_since: int | None = None
        self._last_sent_at = float("-inf")
        self._pacer = Pacer(datagram_bytes)
        self._is_paced = False

    # Inputs.

    def on_sent(self, number: int, size: int, frames: list[OutgoingFrame], now: float) -> None:
        """An ack-eliciting packet left; ``size`` is the datagram's, bytes."""
        self._loss.on_sent(SentPacket(number, now, size, frames))
        self._last_sent_at = now
        self._pacer.left -= size

    def on_ack(
        self, largest: int, bitmap: int, bitmap_bytes: int, delay_s: float, now: float
    ) -> None:
        """The peer acked packets that were all sent (see :meth:`LossDetector.on_ack`)."""
        in_flight_bytes = self._loss.bytes_in_flight
        acked, spurious = self._loss.on_ack(largest, bitmap)
        queue = self.queue
        if acked:
            newest = acked[-1]
            if newest.number == largest:
                self.rtt.update(now - newest.sent_at, min(delay_s, self._max_ack_delay_s))
            spare_bytes = self.congestion.window - in_flight_bytes
            queue.on_acked([packet.frames for packet in acked])
            self.congestion.on_ack(
                in_flight_bytes - self._loss.bytes_in_flight,
                newest.sent_at,
                # RFC 9002 §7.8: a window that pacing keeps from being full is used all the same.
                app_limited=not self._is_paced
                and spare_bytes > SPARE_PACKETS * self._datagram_bytes,
            )
            self._pto_count = self._probes_due = 0
            self._timers.set(Timer.PROBE, None)
            self._timers.set(Timer.DEAD, None)
        if spurious:
            queue.on_acked([packet.frames for packet in spurious])
            self._stats.packets_spuriously_lost += len(spurious)
            for packet in spurious:
                self.congestion.on_spurious_loss(packet.sent_at)
        self._detect_lost(now, largest - 8 * bitmap_bytes)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        if self._timers.due(Timer.LOSS, now):
            self._detect_lost(now, self._loss.largest_acked)
        if self._timers.due(Timer.PTO, now):
            if self._pto_count == 0:
                self._pto_is_thin = self._loss.packets_in_flight < THIN_PACKETS
            self._pto_count += 1
            self._pto_from = now
            self._probes_due = 1
            self._probe_since = None
            self._timers.set(Timer.PTO, None)
            self._timers.set(Timer.PROBE, now + PROBE_SPACING_S)
        if self._timers.due(Timer.PROBE, now):
            self._probes_due = 1
            self._timers.set(Timer.PROBE, None)

    def on_path_changed(self, *, same_host: bool) -> None:
        """The peer is somewhere else; what was learnt about the way there is worth nothing."""
        if not same_host:
            # RFC 9000 §9.4; a changed port alone is a NAT's doing.
            self.rtt = self._loss.rtt = RttEstimator()
            self.congestion = NewReno(self._datagram_bytes)
        # What is on its way to the old address is probably gone, and nobody will say so: it goes
        # again at once. What was not gone comes twice, and counts once.
        for packet in self._loss.abandon():
            self.queue.on_lost(packet.number, packet.frames)
        self._pto_count = 0

    # Outputs.

    def wants_to_send(self, now: float) -> bool:
        """Whether :meth:`fill` would put something into a packet; a turn of sending begins."""
        rtt_s, queue = self.rtt.smoothed_rtt, self.queue
        self._pacer.fill(self.congestion.pacing_rate(max(rtt_s, RTT_S_MIN)), now)
        if queue.datagrams.waiting:
            queue.datagrams.expire(now)
        return self._probes_due > 0 or (queue.ready and self._window_is_open(now))

    def fill(
        self, parts: list[bytes], room: int, number: int, now: float
    ) -> tuple[list[OutgoingFrame], bool]:
        """Append what packet ``number`` shall carry.

        Args:
            parts: The packet's encoded frames so far.
            room: Bytes left in it.
            number: Its packet number.
            now: The time.

        Returns:
            (the frames it carries now, whether it is a probe that needs a PING).
        """
        if self._probes_due:
            first = not parts
            frames = self._fill_probe(parts, room, number)
            if frames or first:
                self._probes_due = 0
                self._stats.probes_sent += 1
            return frames, first and not frames
        if self._window_is_open(now):
            return self.queue.fill(parts, room, number), False
        return [], False

    def arm(self, now: float) -> None:
        """Set the timers, when all that can leave now has left."""
        timers, loss = self._timers, self._loss
        oldest, pto_at, window_at, pacing_at = loss.oldest_sent_at(), None, None, None
        if loss.loss_at is None and oldest is not None:
            pto_at = max(oldest, self._pto_from) + self._pto_interval_s()
        self._is_paced = False
        if self.queue.ready:
            if loss.bytes_in_flight >= self.congestion.window:
                self._stats.window_waits += 1
                window_at = self._window_opens_at()
            elif self._pacer.left <= 0:
                self._is_paced = True
                self._stats.pacing_waits += 1
                pacing_at = self._pacer.opens_at()
        timers.set_sending(loss.loss_at, pto_at, window_at, pacing_at)
        if not self.queue.in_flight_frames:
            timers.set(Timer.DEAD, None)
        elif not timers.is_set(Timer.DEAD):
            timers.set(Timer.DEAD, now + self._dead_s)

    def pto_s(self) -> float:
        """The probe timeout before any back-off."""
        pto_s = self.rtt.pto_s(self._max_ack_delay_s)
        return pto_s if pto_s > PTO_S_MIN else PTO_S_MIN

    # Private.

    def _detect_lost(self, now: float, reach: int) -> None:
        lost = self._loss.detect_lost(now, reach)
        if lost:
            persistent = self._loss.is_persistent(lost, self.pto_s())
            self.congestion.on_loss(lost[-1].sent_at, now, persistent=persistent)
            for packet in lost:
                self.queue.on_lost(packet.number, packet.frames)
            self._stats.packets_lost += len(lost)
        if self.trace is not None:
            self.trace.recovered(self._measures(), [packet.number for packet in lost])

    def _measures(self) -> Measures:
        rtt = self.rtt
        return Measures(
            rtt.smoothed_rtt,
            rtt.latest_rtt,
            rtt.min_rtt,
            rtt.rttvar,
            congestion_window=self.congestion.window,
            bytes_in_flight=self._loss.bytes_in_flight,
            pto_count=self._pto_count,
        )

    def _fill_probe(self, parts: list[bytes], room: int, number: int) -> list[OutgoingFrame]:
        """The oldest data in flight; the second probe prefers what the first did not carry."""
        if self._probe_since is None:
            self._probe_since = number
        for since in (self._probe_since, number):
            frames = self.queue.fill_probe(parts, room, number, since=since)
            if frames:
                return frames
        return self.queue.fill(parts, room, number)

    def _pto_interval_s(self) -> float:
        doublings = self._pto_count
        if not doublings:
            return min(self.pto_s(), PTO_S_MAX)
        if self._pto_is_thin:
            doublings = max(0, doublings - THIN_TRIES)
        # Ten doublings of the least PTO are beyond the cap.
        return min(self.pto_s() * 2.0 ** min(doublings, 10), PTO_S_MAX)

    def _window_is_open(self, now: float) -> bool:
        # RFC 8085 §3.1.1: one datagram per round trip is always allowed.
        if self._loss.bytes_in_flight < self.congestion.window and self._pacer.left > 0:
            return True
        return self._window_opens_at() <= now

    def _window_opens_at(self) -> float:
        return self._last_sent_at + max(self.rtt.smoothed_rtt, GRANULARITY_S)
