"""Where the peer is, and under which ids the two ends reach each other.

Composes the validation of addresses with the connection ids of both ends, and with the answers to
probes of bindings. The connection gives it what comes in and sends what it says. Specification:
PROTOCOL §3.5, §3.10 and §3.11.
"""

from __future__ import annotations

from collections.abc import Callable

from udpim.hop.bindings import Bindings
from udpim.hop.cids import LocalIds, RemoteId, RemoteIds
from udpim.hop.codes import Address, Role
from udpim.hop.intake import IncomingPacket
from udpim.hop.path import PathValidator
from udpim.wire import frames as wire

FRAMES = frozenset(
    (
        wire.PATH_CHALLENGE,
        wire.PATH_RESPONSE,
        wire.NEW_CID,
        wire.RETIRE_CID,
        wire.BINDING_PROBE,
        wire.BINDING_ASK,
    )
)
"""The frames that are for :meth:`Paths.on_frame`."""


class Paths:
    """The addresses and the ids of one connection."""

    __slots__ = (
        "_bindings",
        "_follows",
        "_has_left",
        "_is_heard",
        "_moved",
        "_port_id",
        "_validator",
        "local",
        "remote",
    )

    def __init__(
        self,
        role: Role,
        validator: PathValidator,
        local: LocalIds,
        remote: RemoteIds,
        bindings: Bindings,
        *,
        moved: Callable[[bool], None],
    ) -> None:
        """Begin where the handshake was.

        Args:
            role: Which end this is.
            validator: Knows that address.
            local: The ids that the peer may send to.
            remote: The ids that we may send to.
            bindings: Answers probes.
            moved: Called when the path is another one, with whether the host is still the same.
        """
        self.local = local
        self.remote = remote
        self._validator = validator
        self._bindings = bindings
        self._port_id: RemoteId | None = None
        self._moved = moved
        self._follows = role is Role.CLIENT
        self._has_left = False
        self._is_heard = False

    @property
    def current(self) -> Address:
        """The peer's address."""
        return self._validator.current

    def on_taken(self, packet: IncomingPacket, *, newest: bool) -> None:
        """A packet was taken; ``newest``: its number is the highest so far."""
        self._is_heard = True
        if newest and not packet.probing:
            self._validator.on_newest_packet(packet.path, packet.size)
        if self.local.is_first_use(packet.cid):
            self._follow()

    def on_frame(self, frame: wire.Frame, path: Address, now: float) -> str | None:
        """Take in one of FRAMES that came from ``path``; returns what is wrong with it."""
        kind = frame[0]
        if kind == wire.NEW_CID:
            return self.remote.on_new(*frame[1:])
        if kind == wire.RETIRE_CID:
            return self.local.on_retired(frame[1])
        if kind == wire.PATH_CHALLENGE:
            self._validator.on_challenge(frame[1], path)
        elif kind == wire.BINDING_PROBE:
            self._bindings.on_probe(frame[1], path, now)
        elif kind == wire.BINDING_ASK:
            self._bindings.on_ask(frame[1], now)
        else:
            before = self.current
            if self._validator.on_response(frame[1], path):
                self._moved(before[0] == path[0])
        return None

    def frames_to_send(self, now: float) -> list[tuple[bytes, Address, bytes]]:
        """Frames that travel alone, each with its address and the id that it goes to."""
        out = self._validator.frames_to_send(now)
        if self._bindings.answers:
            for frame, path in self._bindings.frames_to_send():
                out.append((frame, path, self._validator.id_for(path)))
        return out

    def offer_ids(self) -> None:
        """Let the peer have spare ids, once a packet of it has shown that it is there."""
        if self._is_heard:
            self.local.offer()

    def leave(self) -> None:
        """We go to another address ourselves."""
        self._has_left = True
        self._validator.leave()
        self._moved(False)

    def spare_port_id(self) -> bytes | None:
        """The peer's id for packets that leave from a spare port of ours; None if none is free."""
        if self._port_id is None and self.remote.spare:
            self._port_id = self.remote.take()
        return None if self._port_id is None else self._port_id.cid

    def close_spare_port(self) -> None:
        """Nothing leaves from there any more."""
        if self._port_id is not None:
            self.remote.give_back(self._port_id)
            self._port_id = None

    def _follow(self) -> None:
        """The peer uses another id for us, so it has a reason to think that the path is another.

        Then a client uses another one too (RFC 9000 §9.5), unless it has done so already, being
        the one that left. A server does not: both would go on for ever.
        """
        if self._has_left:
            self._has_left = False
        elif self._follows:
            self._validator.leave()
