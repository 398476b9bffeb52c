"""Reliable frames beside datagrams in flight: one connection, no IM.

A round: one frame that fills a packet leaves the client, what left ``in_flight`` rounds ago
arrives, and the acks come back at once.
"""

from __future__ import annotations

import random
from collections import deque

from udpim.hop.codes import Role
from udpim_bench.flat_meter import Meter
from udpim_bench.hop_pair import CLIENT, SERVER, make_end
from udpim_bench.measure import WrongCounts

FRAME_BYTES = 1100
ROUND_S = 100e-6
"""With a thousand rounds under way the round trip is a tenth of a second."""
WARM_UP_TRIPS_MAX = 40
"""Round trips with a full load in which the congestion window has to open."""
SPARE_PACKETS = 64
"""The load is so much more than what will be in flight."""


class HopFlight:
    """Datagrams of one connection on their way."""

    def __init__(self, in_flight: int, rounds: int) -> None:
        """Let so many datagrams be under way."""
        self._wanted = in_flight
        self._rounds = rounds
        self._now = 100.0
        chance = random.Random(1)
        self._client = make_end(Role.CLIENT, chance, self._now)
        self._server = make_end(Role.SERVER, chance, self._now)
        self._body = bytes(FRAME_BYTES - 4)
        self._flying: deque[tuple[int, bytes]] = deque()
        self._round_number = 0
        self._sent = 0
        self._received: list[bytes] = []
        self._acked = 0
        self._open_window()
        for _ in range(2 * in_flight + 100):
            self._round()
        self._received.clear()

    def _open_window(self) -> None:
        load = self._wanted + SPARE_PACKETS
        for _ in range(WARM_UP_TRIPS_MAX):
            for _ in range(load):
                self._send()
            while self._client.in_flight_frames or self._client.queued_frames:
                self._pass_round()
            if self._client.congestion_window_bytes >= load * FRAME_BYTES:
                return
        raise WrongCounts("the congestion window does not open")

    def _send(self) -> None:
        self._client.send_frame(self._sent.to_bytes(4, "big") + self._body, True, self._now)
        self._sent += 1

    def _round(self) -> None:
        self._send()
        self._pass_round()

    def _pass_round(self) -> None:
        client, server, now = self._client, self._server, self._now
        for end in (client, server):
            timeout = end.next_timeout()
            if timeout is not None and timeout <= now:
                end.handle_timeout(now)
        due = self._round_number + self._wanted
        flying = self._flying
        flying.extend((due, data) for data, _ in client.datagrams_to_send(now))
        while flying and flying[0][0] <= self._round_number:
            packet = server.receive_packet(flying.popleft()[1], CLIENT, now)
            if packet is not None:
                self._received += packet.frames
                server.take(packet, now)
        for data, _ in server.datagrams_to_send(now):
            packet = client.receive_packet(data, SERVER, now)
            if packet is not None:
                client.take(packet, now)
        self._acked += len(client.acked_tags())
        self._round_number += 1
        self._now = now + ROUND_S

    def run(self, meter: Meter) -> None:
        """See `FlatCase.run`."""
        with meter.section("frame", self._rounds):
            for _ in range(self._rounds):
                self._round()

    def check(self) -> None:
        """See `FlatCase.check`."""
        numbers = [int.from_bytes(frame[:4], "big") for frame in self._received]
        first = self._sent - self._wanted - self._rounds
        if numbers != list(range(first, first + self._rounds)):
            raise WrongCounts(f"{len(numbers)} frames of {self._rounds} arrived in their order")
        if self._client.stats.packets_lost:
            raise WrongCounts("a packet was lost where none is")
        self._received.clear()

    def counts(self) -> dict[str, int]:
        """See `FlatCase.counts`."""
        return {
            "datagrams_in_flight": len(self._flying),
            "sent": self._sent,
            "acked": self._acked,
        }

    def close(self) -> None:
        """See `FlatCase.close`."""
