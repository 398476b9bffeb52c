"""Where the peer is: path validation when its address changes.

A connection is named by its id, so a peer may come from another address at any time (a NAT
rebinding, another network). We keep sending to the old address until the new one has answered
a challenge; only the newest packet of the connection can raise the question, so a replayed one
cannot. Each address gets packets under another connection id of the peer's, as far as there are
spare ones, so that nobody who sees both paths can tell that they belong together.

Specification: PROTOCOL §3.5 and §3.10; RFC 9000 §8.2, §9.3 and §9.5.
"""

from __future__ import annotations

from collections.abc import Callable

from udpim.hop.cids import RemoteId, RemoteIds
from udpim.hop.codes import Address
from udpim.wire.frames import CHALLENGE_BYTES, PATH_CHALLENGE, PATH_RESPONSE, encode_path

CHALLENGE_S_MIN = 0.1
"""Time between two challenges of one address; the peer's packets trigger them."""
RESPONSES_MAX = 4
"""Challenges answered in one turn; the others are forgotten, the peer asks again."""


class PathValidator:
    """The current path of a connection, and at most one candidate for it."""

    __slots__ = (
        "_aside",
        "_aside_id",
        "_candidate",
        "_challenge",
        "_challenge_bytes",
        "_challenge_from",
        "_credit_bytes",
        "_ids",
        "_random_bytes",
        "_responses",
        "current",
    )

    def __init__(
        self,
        path: Address,
        random_bytes: Callable[[int], bytes],
        challenge_bytes: int,
        ids: RemoteIds,
    ) -> None:
        """Start on a path.

        Args:
            path: The peer's address.
            random_bytes: Challenges are drawn from it.
            challenge_bytes: Size of a datagram with one path frame: what an address must have
                sent us before it gets one.
            ids: The peer's connection ids.
        """
        self.current = path
        self._ids = ids
        self._aside: Address | None = None
        self._aside_id: RemoteId | None = None
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
        fresh = self._id_aside(path)
        self._aside = self._aside_id = None
        if fresh is not None:
            self._ids.switch(fresh)
        self.current = path
        self._candidate = None
        return True

    def leave(self) -> None:
        """We go somewhere else ourselves: use another id of the peer's from now on."""
        fresh = self._ids.take()
        if fresh is not None:
            self._ids.switch(fresh)

    def id_for(self, path: Address) -> bytes:
        """The id of the peer's that packets to an address carry."""
        if path == self.current:
            return self._ids.current.cid
        return (self._id_aside(path) or self._ids.current).cid

    def _id_aside(self, path: Address) -> RemoteId | None:
        """The id kept for one address that is not the current one; None: there was no spare one.

        It stays with that address until another one needs an id, so that whoever keeps sending
        copies from somewhere uses one up and not all.
        """
        if path != self._aside:
            if self._aside_id is not None:
                self._ids.give_back(self._aside_id)
            self._aside, self._aside_id = path, None
        if self._aside_id is None:
            self._aside_id = self._ids.take()
        return self._aside_id

    def frames_to_send(self, now: float) -> list[tuple[bytes, Address, bytes]]:
        """Path frames, each to travel alone to its address under the id that goes with it."""
        if self._candidate is None and not self._responses:
            return []
        out = [
            (encode_path(PATH_RESPONSE, data), path, self.id_for(path))
            for data, path in self._responses
        ]
        self._responses.clear()
        if (
            self._candidate is not None
            and self._challenge_from <= now
            and self._credit_bytes >= self._challenge_bytes
        ):
            self._credit_bytes -= self._challenge_bytes
            self._challenge_from = now + CHALLENGE_S_MIN
            candidate = self._candidate
            frame = encode_path(PATH_CHALLENGE, self._challenge)
            out.append((frame, candidate, self.id_for(candidate)))
        return out
