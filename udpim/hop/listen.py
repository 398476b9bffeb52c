"""The server's side of establishment, and its answers to datagrams of no known connection.

An endpoint hands every datagram whose connection id it does not know to the
:class:`Listener`. State is kept only for HELLOs that were answered with WELCOME, bounded; until
an address is proven, all answers to it together are no larger than what came from it.

Specification: PROTOCOL §2.3, §2.5 and §2.6.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from udpim.crypto.handshake import accept_hello
from udpim.crypto.tokens import AddressTokens, ConnectionIdIssuer
from udpim.errors import DecodeError
from udpim.hop.bucket import TokenBucket
from udpim.hop.codes import Address, ConnectionState, Role
from udpim.hop.config import HopConfig
from udpim.hop.connection import Connection
from udpim.hop.stats import ListenerStats
from udpim.wire.packet import (
    NO_CID,
    SHORT_BYTES_MIN,
    VERSION,
    Hello,
    LongPacket,
    Reset,
    Retry,
    VersionOffer,
    Welcome,
    destination_cid,
    encode_long,
    foreign_version_ids,
    is_long,
    parse_long,
)

CID_TRIES = 8
"""Draws of an unused connection id; with 2**32 of them, two are hardly ever needed."""

_HelloKey = tuple[Address, bytes, bytes]
"""Address, the client's connection id, and its payload, which holds its nonce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Handshake:
    """A HELLO that was answered."""

    welcome: bytes
    expires_at: float
    connection: Connection


class Listener:
    """Turns HELLOs into connections."""

    def __init__(
        self,
        *,
        config: HopConfig,
        issuer: ConnectionIdIssuer,
        tokens: AddressTokens,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Listen for one server process; nothing is known yet."""
        self.drops: dict[str, int] = {}
        """Datagrams dropped, by reason."""
        self.stats = ListenerStats()
        self._config = config
        self._issuer = issuer
        self._tokens = tokens
        self._random_bytes = random_bytes
        self._handshakes: OrderedDict[_HelloKey, _Handshake] = OrderedDict()
        self._unproven: deque[_Handshake] = deque()
        self._resets = TokenBucket(config.resets_per_s, config.reset_burst)
        self._out: list[tuple[bytes, Address]] = []

    # Inputs.

    def receive_datagram(
        self, datagram: bytes, path: Address, now: float, in_use: Collection[bytes]
    ) -> Connection | None:
        """Take in a datagram that belongs to no known connection.

        Args:
            datagram: The whole UDP payload.
            path: Where it came from.
            now: The time.
            in_use: The connection ids of all connections here, closing ones included.

        Returns:
            A new connection, which the owner must know by its ``local_cid`` from now on.
        """
        try:
            if not datagram:
                raise DecodeError("empty datagram")
            if not is_long(datagram):
                self._on_unknown_short(datagram, path, now)
                return None
            foreign = foreign_version_ids(datagram)
            if foreign is not None:
                theirs, ours = foreign
                offer = VersionOffer(destination_cid=ours, source_cid=theirs, versions=(VERSION,))
                self.stats.versions_sent += 1
                self._answer(offer, path)
                return None
            packet = parse_long(datagram)
            if not isinstance(packet, Hello) or packet.destination_cid != NO_CID:
                raise DecodeError("not a HELLO")
            return self._on_hello(packet, path, now, in_use)
        except DecodeError as error:
            reason = str(error)
            self.drops[reason] = self.drops.get(reason, 0) + 1
            return None

    # Outputs.

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """The answers to what was received."""
        out, self._out = self._out, []
        return out

    # Properties.

    @property
    def handshakes(self) -> int:
        """HELLOs remembered, so that their repetition opens no second connection."""
        return len(self._handshakes)

    @property
    def unproven_handshakes(self) -> int:
        """Those of them whose client has not proven its address, as of the last HELLO."""
        return len(self._unproven)

    # Private.

    def _on_hello(
        self, hello: Hello, path: Address, now: float, in_use: Collection[bytes]
    ) -> Connection | None:
        self._forget(now)
        self.stats.hellos_received += 1
        key = (path, hello.source_cid, hello.payload)
        known = self._handshakes.get(key)
        if known is not None:
            self.stats.hellos_repeated += 1
            self._out.append((known.welcome, path))
            return None
        address = f"{path[0]} {path[1]}".encode()
        proven = self._tokens.valid(hello.token, address, now)
        crowded = len(self._unproven) >= self._config.limits.unproven_handshakes_max
        if not proven and (crowded or self._config.always_retry):
            token = self._tokens.issue(address, now)
            retry = Retry(destination_cid=hello.source_cid, source_cid=NO_CID, token=token)
            self.stats.retries_sent += 1
            self._answer(retry, path)
            return None
        limits = self._config.limits
        if len(self._handshakes) >= limits.handshakes_max:
            raise DecodeError("too many handshakes")
        if len(in_use) >= limits.handshakes_max + limits.sessions_max:
            raise DecodeError("too many connections")
        handshake = self._accept(hello, path, now, self._unused_cid(in_use), validated=proven)
        self._handshakes[key] = handshake
        self.stats.connections_accepted += 1
        if not proven:
            self._unproven.append(handshake)
        self._out.append((handshake.welcome, path))
        return handshake.connection

    def _accept(
        self, hello: Hello, path: Address, now: float, cid: bytes, *, validated: bool
    ) -> _Handshake:
        accepted = accept_hello(
            hello.payload, self._config.parameters(self._issuer.reset_token(cid))
        )
        if accepted is None:
            raise DecodeError("HELLO has a bad payload")
        payload, result = accepted
        welcome = Welcome(destination_cid=hello.source_cid, source_cid=cid, payload=payload)
        connection = Connection(
            role=Role.SERVER,
            local_cid=cid,
            remote_cid=hello.source_cid,
            protection=result.protection,
            parameters=result.peer,
            path=path,
            config=self._config,
            random_bytes=self._random_bytes,
            now=now,
            validated=validated,
        )
        return _Handshake(
            welcome=encode_long(welcome),
            expires_at=now + self._config.handshake_s,
            connection=connection,
        )

    def _unused_cid(self, in_use: Collection[bytes]) -> bytes:
        for _ in range(CID_TRIES):
            cid = self._issuer.issue(self._random_bytes)
            if cid not in in_use:
                return cid
        raise DecodeError("no connection id is free")

    def _forget(self, now: float) -> None:
        """Drop what is too old to be repeated, and count as proven what is proven."""
        handshakes, unproven = self._handshakes, self._unproven
        while handshakes and next(iter(handshakes.values())).expires_at <= now:
            handshakes.popitem(last=False)
        while unproven and (
            unproven[0].connection.validated
            or unproven[0].connection.state is ConnectionState.CLOSED
            or unproven[0].expires_at <= now
        ):
            unproven.popleft()

    def _on_unknown_short(self, datagram: bytes, path: Address, now: float) -> None:
        """Tell a peer of an earlier life of ours that its connection is gone."""
        cid = destination_cid(datagram)
        # Every short packet is longer than a RESET, so two strangers never reset in turns.
        if cid is None or len(datagram) < SHORT_BYTES_MIN or not self._issuer.verifies(cid):
            raise DecodeError("unknown connection id")
        if not self._resets.take(now):
            raise DecodeError("too many resets")
        self.stats.resets_sent += 1
        self._answer(Reset(cid=cid, token=self._issuer.reset_token(cid)), path)

    def _answer(self, packet: LongPacket, path: Address) -> None:
        self._out.append((encode_long(packet), path))
