"""Where the peer is: path validation when its address changes.

A connection is named by its id, so a peer may come from another address at any time (a NAT
rebinding, another network). We keep sending to the old address until the new one has answered
a challenge; only the newest packet of the connection can raise the question, so a replayed one
cannot.

Specification: PROTOCOL §3.5; RFC 9000 §8.2 and §9.3.
"""

from __future__ import annotations

from collections.abc import Callable

from udpim.hop.codes import Address
from udpim.wire.frames import CHALLENGE_BYTES, PATH_CHALLENGE, PATH_RESPONSE, encode_path

CHALLENGE_S_MIN = 0.1
"""Time between two challenges of one address; the peer's packets trigger them."""
RESPONSES_MAX = 4
"""Challenges answered in one turn; the others are forgotten, the peer asks again."""


class PathValidator:
    """The current path of a connection, and at most one candidate for it."""

    def __init__(
        self, path: Address, random_bytes: Callable[[int], bytes], challenge_bytes: int
    ) -> None:
        """Start on a path.

        Args:
            path: The peer's address.
            random_bytes: Challenges are drawn from it.
            challenge_bytes: Size of a datagram with one path frame: what an address must have
                sent us before it gets one.
        """
        self.current = path
        self._challenge_bytes = challenge_bytes
        self._random_bytes = random_bytes
        self._candidate: Address | None = None
        self._challenge = b""
        self._credit_bytes = 0
        self._challenge_from = 0.0
        self._responses: list[tuple[bytes, Address]] = []

    def on_newest_packet(self, path: Address, size: int) -> None:
        """The newest packet so far came from this address; ``size`` is the datagram's, bytes."""
        if path == self.current:
            self._candidate = None
            return
        if path != self._candidate:
            self._candidate = path
            self._challenge = self._random_bytes(CHALLENGE_BYTES)
            self._credit_bytes = 0
            self._challenge_from = float("-inf")
        # RFC 9000 §8: what an unproven address gets is limited by what came from it.
        self._credit_bytes += size

    def on_challenge(self, data: bytes, path: Address) -> None:
        """The peer asks whether we receive at the address it sent this to."""
        if len(self._responses) < RESPONSES_MAX:
            self._responses.append((data, path))

    def on_response(self, data: bytes, path: Address) -> bool:
        """The peer answers a challenge; True if that moved the connection to a new path."""
        if path != self._candidate or data != self._challenge:
            return False
        self.current = path
        self._candidate = None
        return True

    def frames_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Path frames, each to travel alone to its address."""
        out = [(encode_path(PATH_RESPONSE, data), path) for data, path in self._responses]
        self._responses.clear()
        if (
            self._candidate is not None
            and self._challenge_from <= now
            and self._credit_bytes >= self._challenge_bytes
        ):
            self._credit_bytes -= self._challenge_bytes
            self._challenge_from = now + CHALLENGE_S_MIN
            out.append((encode_path(PATH_CHALLENGE, self._challenge), self._candidate))
        return out
