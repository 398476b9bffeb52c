"""A client's spare port, on which it finds out how often it has to keep its bindings alive.

Between the client node and :mod:`udpim.hop.nat`, which decides: carries probes out through a second
socket that the node's owner opens while it is wanted, and sets the keepalive of the connection by
what was learnt (PROTOCOL §3.11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from udpim.hop.connection import Connection
from udpim.hop.intake import IncomingPacket
from udpim.hop.nat import BindingLearner, Step
from udpim.model import Address
from udpim.wire.frames import (
    BINDING_ANSWER,
    BINDING_ASK,
    BINDING_PROBE,
    BINDING_REPORT,
    encode_path,
)
from udpim.wire.packet import is_long


class SparePort:
    """What a client node does with its spare port.

    Attributes:
        life_s: How long a binding was seen to live, on the present network; None: not known.
    """

    def __init__(self, random_bytes: Callable[[int], bytes], *, learns: bool) -> None:
        """There is no connection yet; ``learns``: whether anything is to be found out."""
        self.life_s: float | None = None
        self._random_bytes = random_bytes
        self._learns = learns
        self._learner: BindingLearner | None = None
        self._connection: Connection | None = None

    @property
    def wanted(self) -> bool:
        """Whether the node's owner should have a second socket open, and carry its datagrams."""
        return self._learner is not None

    # --- The link ---

    def online(self, connection: Connection, now: float) -> None:
        """The client is logged in: use what is known, or begin to learn."""
        if not self._learns:
            return
        self._connection = connection
        if self.life_s is not None:
            connection.keep_bindings(self.life_s, now)
        else:
            self._learner = BindingLearner(self._random_bytes)

    def offline(self) -> None:
        """The link is lost."""
        self._connection = self._learner = None

    def rebound(self, now: float) -> None:
        """The way to the network is another one: what was learnt is worth nothing."""
        self.life_s = None
        connection = self._connection
        if connection is not None:
            connection.close_spare_port()
            self.online(connection, now)

    # --- Datagrams ---

    def receive_datagrams(self, datagrams: Sequence[tuple[bytes, Address]], now: float) -> None:
        """Take what has come to the second socket."""
        connection, learner = self._connection, self._learner
        if connection is None or learner is None:
            return
        for data, path in datagrams:
            if not data or is_long(data):
                continue
            packet = connection.receive_packet(data, path, now)
            if packet is None:
                continue
            answers = [frame[1] for frame in packet.others if frame[0] == BINDING_ANSWER]
            if not answers or not packet.probing:
                connection.refuse("not for the spare port")
                continue
            packet.aside = True
            connection.take(packet, now)
            learner.on_answer(answers[0])
        self._look(now)

    def look(self, packet: IncomingPacket, now: float) -> None:
        """A packet was taken on the path of the connection; only while `wanted`."""
        assert self._learner is not None, "it is wanted"
        for frame in packet.others:
            if frame[0] == BINDING_REPORT:
                self._learner.on_report(frame[1], now, sent=bool(frame[2]))
        self._look(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        if self._learner is not None:
            self._learner.handle_timeout(now)
            self._look(now)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Return what the second socket has to send."""
        connection, learner = self._connection, self._learner
        if connection is None or learner is None or learner.step is not Step.PROBE:
            return []
        packet = connection.packet_aside(encode_path(BINDING_PROBE, learner.data))
        if packet is None:
            return []
        learner.on_sent(now)
        return [(packet, connection.path)]

    def next_timeout(self) -> float | None:
        """Return when `handle_timeout` has something to do."""
        return None if self._learner is None else self._learner.next_timeout()

    def _look(self, now: float) -> None:
        """See what the learner wants after an input."""
        connection, learner = self._connection, self._learner
        assert connection is not None, "there is no learner without one"
        assert learner is not None, "the callers have looked"
        if learner.step is Step.ASK:
            connection.steer(encode_path(BINDING_ASK, learner.data))
            learner.on_sent(now)
        elif learner.step is Step.OVER:
            self._learner = None
            connection.close_spare_port()
            self.life_s = learner.life_s
            if self.life_s is not None:
                connection.keep_bindings(self.life_s, now)
