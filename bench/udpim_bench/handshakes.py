"""``udpim_bench handshakes``: how many connections one core opens in a second, both ends of each.

HELLO, WELCOME, FINISH and the first packet with data, through a dialer and a listener in memory:
from nothing to a frame that the server has taken. Half of it is the client's work. Virtual time
goes on between two handshakes, as far as the server's limits for unproven addresses ask for.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from udpim.crypto.noise.suites import X25519_DH
from udpim.crypto.security import (
    AES_SHA256,
    CHACHA_BLAKE2S,
    PATTERNS,
    SUITES,
    ClientSecurity,
    Plain,
    Security,
    ServerSecurity,
)
from udpim.crypto.tokens import AddressTokens, ConnectionIdIssuer
from udpim.hop.config import HopConfig
from udpim.hop.connection import Connection
from udpim.hop.dial import Dialer
from udpim.hop.listen import Listener
from udpim.wire.packet import is_long
from udpim_bench.hop_pair import CLIENT, SERVER
from udpim_bench.measure import WrongCounts, environment, interleaved, spread

PER_S_MIN = 750
"""Encrypted handshakes that a core has to do in a second, both ends."""
HANDSHAKES = 200
"""Of one repetition."""
LOGIN = b"a frame as long as most logins are, with a name and a token in it"
_STEP_S = 0.02
_SECRET = bytes(range(16))


class Plan(NamedTuple):
    """How much is done."""

    handshakes: int
    repeat: int
    judged: bool


class Handshakes:
    """Handshakes of one kind, one after the other: a `udpim_bench.measure.Case`."""

    def __init__(self, suite: int | None, handshakes: int, *, seed: int = 1) -> None:
        """Start a server; a run opens so many connections to it, in plaintext without a suite."""
        self._random = random.Random(seed)
        static = [X25519_DH.key_pair(self._random.randbytes(32)) for _ in range(2)]
        client: Security = Plain()
        server: Security = Plain()
        self.name = "plaintext"
        if suite is not None:
            client = ClientSecurity(static=static[0], server_key=static[1].public, suite=suite)
            server = ServerSecurity(static=static[1])
            self.name = SUITES[suite].protocol_name(PATTERNS[client.pattern].name)
        self._config = HopConfig(security=client)
        self._listener = Listener(
            config=HopConfig(security=server),
            issuer=ConnectionIdIssuer(_SECRET, 0),
            tokens=AddressTokens(_SECRET),
            random_bytes=self._random.randbytes,
        )
        self._handshakes = handshakes
        self._now = 100.0
        self._taken = 0
        self.datagrams = 0

    def run(self) -> int:
        """Open all connections; return how many that was."""
        for _ in range(self._handshakes):
            self._taken += self._one()
            self._now += _STEP_S
        return self._handshakes

    def _one(self) -> bool:
        """Open one; tell whether its first frame has arrived."""
        now, listener = self._now, self._listener
        dialer = Dialer(
            server=SERVER, config=self._config, random_bytes=self._random.randbytes, now=now
        )
        ((hello, _),) = dialer.datagrams_to_send(now)
        known: dict[bytes, Connection] = {}
        self._receive(hello, known)
        for welcome, _ in listener.datagrams_to_send(now):
            dialer.receive_datagram(welcome, SERVER, now)
        client = dialer.connection
        if client is None:
            return False
        client.send_frame(LOGIN, None, now)
        return [
            frame
            for data, _ in client.datagrams_to_send(now)
            for frame in self._receive(data, known)
        ] == [LOGIN]

    def _receive(self, data: bytes, known: dict[bytes, Connection]) -> list[bytes]:
        """Take a datagram in as a server does; return its frames."""
        self.datagrams += 1
        if is_long(data):
            new = self._listener.receive_datagram(data, CLIENT, self._now, known)
            if new is not None:
                known[new.local_cid] = new
            return []
        connection = known[data[1:9]]
        packet = connection.receive_packet(data, CLIENT, self._now)
        if packet is None:
            return []
        connection.take(packet, self._now)
        return packet.frames

    def check(self) -> None:
        """Verify that every connection was opened and its first frame taken.

        Raises:
            WrongCounts: If not.
        """
        taken, self._taken = self._taken, 0
        if taken != self._handshakes:
            raise WrongCounts(f"{self.name}: {taken} of {self._handshakes} handshakes")


def run(plan: Plan, progress: Callable[[str], None]) -> dict[str, Any]:
    """Measure all kinds; return the report."""
    cases = [Handshakes(suite, plan.handshakes) for suite in (CHACHA_BLAKE2S, AES_SHA256, None)]
    for case in cases:  # what is imported or made only once is not timed
        case.run()
        case.check()
    costs = interleaved(cases, plan.repeat, progress)
    rows = [
        {
            "handshake": name,
            "us_per_handshake": spread(samples),
            "per_s": spread([1e6 / sample for sample in samples]),
            "samples": [round(sample, 3) for sample in samples],
        }
        for name, samples in costs.items()
    ]
    report = {
        "benchmark": "handshakes",
        "environment": environment(),
        "handshakes": plan.handshakes,
        "repeat": plan.repeat,
        "rows": rows,
    }
    return report | {"problems": judge(rows) if plan.judged else []}


def judge(rows: list[dict[str, Any]]) -> list[str]:
    """Return what is too slow, in words."""
    return [
        f"{row['handshake']}: {row['per_s']['median']:.0f} handshakes/s, {PER_S_MIN} are wanted"
        for row in rows
        if row["per_s"]["median"] < PER_S_MIN
    ]


def lines(report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    load = report["environment"]["load_average"][0]
    return [
        f"both ends on one core, median of {report['repeat']} × {report['handshakes']} handshakes "
        f"with the first data packet, load {load}",
        *(
            f"{row['handshake']:<34} {row['per_s']['median']:7.0f}/s  "
            f"{row['us_per_handshake']['median']:7.0f} us "
            f"({row['us_per_handshake']['min']:.0f} to {row['us_per_handshake']['max']:.0f})"
            for row in report["rows"]
        ),
    ]
