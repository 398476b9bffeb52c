"""A hop pair in memory: two connections, reliable frames one way, acks the other.

One burst is queued, then datagrams are handed over until neither end has one; 1 ms of virtual
time passes, or as long as a held-back ack needs.
"""

from __future__ import annotations

import random
from typing import Any

from udpim.crypto.handshake import HandshakeResult
from udpim.crypto.noise.handshake_state import TransportKeys
from udpim.crypto.packet_keys import PacketKeys, packet_keys
from udpim.crypto.security import SUITES
from udpim.hop.codes import Address, Role
from udpim.hop.config import HopConfig
from udpim.hop.connection import Connection
from udpim_bench.measure import WrongCounts

BURST_FRAMES = 256
"""Frames queued at once."""
CLIENT: Address = ("198.51.100.7", 40_000)
SERVER: Address = ("192.0.2.1", 9000)
_STEP_S = 0.001


def make_end(
    role: Role, random_: random.Random, now: float, suite: int | None = None
) -> Connection:
    """Return one end of a connection between `CLIENT` and `SERVER`, as after its handshake.

    Args:
        role: Which end.
        random_: What it draws from.
        now: The time.
        suite: How it is encrypted, a number of `SUITES`; None for plaintext.
    """
    config = HopConfig()
    is_client = role is Role.CLIENT
    mine, other = (b"client-1", b"server-1") if is_client else (b"server-1", b"client-1")
    return Connection(
        role=role,
        local_cid=mine,
        remote_cid=other,
        handshake=HandshakeResult(
            peer=config.parameters(bytes(16) if is_client else None),
            keys=None if suite is None else _keys(role, suite),
        ),
        path=SERVER if is_client else CLIENT,
        config=config,
        random_bytes=random_.randbytes,
        now=now,
        validated=True,
    )


def _keys(role: Role, suite: int) -> PacketKeys:
    """Return keys that fit those of the other end, without the cost of a handshake."""
    mine, other = bytes(range(32)), bytes(range(32, 64))
    send, receive = (mine, other) if role is Role.CLIENT else (other, mine)
    secrets = TransportKeys(cipher=SUITES[suite].cipher, send=send, receive=receive)
    return packet_keys(SUITES[suite].hash, secrets)


class HopPair:
    """Frames of one size through a pair of connections: a `udpim_bench.measure.Case`."""

    def __init__(
        self, frame_bytes: int, bursts: int, *, seed: int = 1, suite: int | None = None
    ) -> None:
        """Connect two ends, encrypted by a suite or in plaintext; a run moves ``bursts`` bursts."""
        self.name = f"frames of {frame_bytes} bytes"
        if suite is not None:
            self.name += f", {SUITES[suite].cipher.name}"
        self._bursts = bursts
        self._body = bytes(frame_bytes - 4)
        self._random = random.Random(seed)
        self._now = 100.0
        self._client = make_end(Role.CLIENT, self._random, self._now, suite)
        self._server = make_end(Role.SERVER, self._random, self._now, suite)
        self._sent = 0
        self._received: list[bytes] = []
        self._acked: list[object] = []
        self.frames = 0
        self.run()
        self.check()
        self.frames = 0
        self._packets_before = self._packets()

    def _packets(self) -> tuple[int, int]:
        return self._client.stats.datagrams_sent, self._server.stats.datagrams_sent

    def run(self) -> int:
        """Move all bursts; return how many frames that was."""
        body = self._body
        for _ in range(self._bursts):
            for number in range(self._sent, self._sent + BURST_FRAMES):
                self._client.send_frame(number.to_bytes(4, "big") + body, number, self._now)
            self._sent += BURST_FRAMES
            self._until_acked()
            self._now += _STEP_S
        self.frames += self._bursts * BURST_FRAMES
        return self._bursts * BURST_FRAMES

    def _until_acked(self) -> None:
        client, server = self._client, self._server
        while True:
            there = self._hand_over(client, server, CLIENT)
            back = self._hand_over(server, client, SERVER)
            self._acked += client.acked_tags()
            if not client.queued_frames and not client.in_flight_frames:
                return
            if not there and not back:
                times = [end.next_timeout() for end in (client, server)]
                self._now = max(self._now, min(t for t in times if t is not None))
                client.handle_timeout(self._now)
                server.handle_timeout(self._now)

    def _hand_over(self, source: Connection, target: Connection, address: Address) -> bool:
        datagrams = source.datagrams_to_send(self._now)
        for data, _ in datagrams:
            packet = target.receive_packet(data, address, self._now)
            if packet is not None:
                self._received += packet.frames
                target.take(packet, self._now)
        return bool(datagrams)

    def check(self) -> None:
        """Verify that every frame arrived once and was acked once.

        Raises:
            WrongCounts: If not.
        """
        numbers = [int.from_bytes(frame[:4], "big") for frame in self._received]
        expected = list(range(self._sent - len(numbers), self._sent))
        moved = self._bursts * BURST_FRAMES
        if len(numbers) != moved or sorted(numbers) != expected or len(self._acked) != moved:
            raise WrongCounts(f"{self.name}: {len(numbers)} arrived, {len(self._acked)} acked")
        self._received.clear()
        self._acked.clear()

    def counts(self) -> dict[str, Any]:
        """Return what travelled since the first, untimed run."""
        there, back = self._packets()
        data, acks = there - self._packets_before[0], back - self._packets_before[1]
        return {
            "frames": self.frames,
            "data_packets": data,
            "ack_packets": acks,
            "frames_per_data_packet": round(self.frames / max(1, data), 2),
            "packets_per_frame": (data + acks) / max(1, self.frames),
            "packets_lost": self._client.stats.packets_lost,
        }
