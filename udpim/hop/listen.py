"""The server's side of establishment, and its answers to datagrams of no known connection.

An endpoint hands every datagram whose connection id it does not know to the
:class:`Listener`. State is kept only for HELLOs that were answered with WELCOME, bounded; until
an address is proven, all answers to it together are no larger than what came from it.
A plaintext HELLO opens a connection, an encrypted one a handshake that waits for its FINISH: which
of the two is spoken here is configured, and the other is dropped.

Specification: PROTOCOL §2.3, §2.5, §2.6 and §2.8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from udpim.crypto.handshake import HandshakeResult, accept_hello
from udpim.crypto.secure_handshake import SecureServer
from udpim.crypto.security import ClientSecurity, ServerSecurity
from udpim.crypto.tokens import AddressTokens, ConnectionIdIssuer
from udpim.errors import ConfigError, DecodeError
from udpim.hop.admission import Admission
from udpim.hop.bucket import TokenBucket
from udpim.hop.codes import Address, Role
from udpim.hop.config import HopConfig
from udpim.hop.connection import Connection
from udpim.hop.half_open import EARLY_DATAGRAMS_MAX, Handshake, HandshakeTable, HelloKey
from udpim.hop.stats import ListenerStats
from udpim.wire.packet import (
    DATAGRAM_BYTES_MAX,
    NO_CID,
    SHORT_BYTES_MIN,
    VERSION,
    Finish,
    Hello,
    LongPacket,
    Reset,
    Retry,
    SecureHello,
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


class Table(Protocol):
    """What the owner of a listener's connections knows them by, kept current by the owner."""

    def __contains__(self, cid: object, /) -> bool:
        """Whether this is an id of a connection here, closing ones included."""

    def __len__(self) -> int:
        """How many connections there are."""


class _Arrival(NamedTuple):
    """A datagram, and what there was to know when it came."""

    datagram: bytes
    path: Address
    now: float
    in_use: Table


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
        """Listen for one server process; nothing is known yet.

        Raises:
            ConfigError: If the configuration holds a client's keys.
        """
        if isinstance(config.security, ClientSecurity):
            raise ConfigError("a server needs ServerSecurity, or Plain")
        self.drops: dict[str, int] = {}
        """Datagrams dropped, by reason."""
        self.stats = ListenerStats()
        self._config = config
        self._issuer = issuer
        self._tokens = tokens
        self._random_bytes = random_bytes
        self._secure: SecureServer | None = None
        if isinstance(config.security, ServerSecurity):
            self._secure = SecureServer(config.security, random_bytes)
        self._admission = Admission(config)
        self._handshakes = HandshakeTable()
        self._early: list[tuple[bytes, Address]] = []
        self._resets = TokenBucket(config.resets_per_s, config.reset_burst)
        self._out: list[tuple[bytes, Address]] = []

    # Inputs.

    def receive_datagram(
        self, datagram: bytes, path: Address, now: float, in_use: Table
    ) -> Connection | None:
        """Take in a datagram that belongs to no known connection.

        Args:
            datagram: The whole UDP payload.
            path: Where it came from.
            now: The time.
            in_use: The owner's table, which a new connection goes on looking its ids up in.

        Returns:
            A new connection, which the owner must know by its ``local_cids`` from now on; they
            change, but only with what it takes and sends.
        """
        try:
            if not datagram:
                raise DecodeError("empty datagram")
            if not is_long(datagram):
                self._on_unknown_short(datagram, path, now)
                return None
            foreign = foreign_version_ids(datagram)
            if foreign is not None:
                if self._secure is not None and not self._secure.is_meant(datagram):
                    raise DecodeError("another version, without a mac for this server")
                theirs, ours = foreign
                offer = VersionOffer(destination_cid=ours, source_cid=theirs, versions=(VERSION,))
                self.stats.versions_sent += 1
                self._answer(offer, path)
                return None
            return self._on_long(_Arrival(datagram, path, now, in_use))
        except DecodeError as error:
            reason = str(error)
            self.drops[reason] = self.drops.get(reason, 0) + 1
            return None

    # Outputs.

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """The answers to what was received."""
        out, self._out = self._out, []
        return out

    def early_datagrams(self) -> list[tuple[bytes, Address]]:
        """Packets of the connection that was just returned, which were here before its FINISH."""
        early, self._early = self._early, []
        return early

    # Properties.

    @property
    def handshakes(self) -> int:
        """HELLOs remembered, so that their repetition opens no second connection."""
        return len(self._handshakes)

    @property
    def unproven_handshakes(self) -> int:
        """Those of them whose client has not proven its address, as of the last HELLO."""
        return self._handshakes.unproven

    # Private.

    def _on_long(self, arrival: _Arrival) -> Connection | None:
        packet = parse_long(arrival.datagram)
        if isinstance(packet, Finish):
            return self._on_finish(packet, arrival)
        if not isinstance(packet, Hello | SecureHello) or packet.destination_cid != NO_CID:
            raise DecodeError("not a HELLO")
        secure = self._secure
        if isinstance(packet, Hello):
            if secure is not None:
                raise DecodeError("plaintext is not spoken here")
            return self._on_hello(packet, arrival)
        if secure is None:
            raise DecodeError("encryption is not spoken here")
        refusal = secure.refusal(packet, arrival.datagram)
        if refusal is not None:
            raise DecodeError(refusal)
        self._on_secure_hello(secure, packet, arrival)
        return None

    # HELLO in plaintext.

    def _on_hello(self, hello: Hello, arrival: _Arrival) -> Connection | None:
        path, now = arrival.path, arrival.now
        key = (path, hello.source_cid, hello.payload)
        if self._is_repeated(key, path, now):
            return None
        proven = self._is_proven(hello.token, path, now)
        if not proven and self._asks_for_proof():
            token = self._tokens.issue(_named(path), now)
            retry = Retry(destination_cid=hello.source_cid, source_cid=NO_CID, token=token)
            self._ask_for_proof(encode_long(retry), path)
            return None
        self._check_room(arrival.in_use, proven=proven)
        cid = self._unused_cid(arrival.in_use)
        accepted = accept_hello(
            hello.payload, self._config.parameters(self._issuer.reset_token(cid))
        )
        if accepted is None:
            raise DecodeError("HELLO has a bad payload")
        payload, result = accepted
        welcome = Welcome(destination_cid=hello.source_cid, source_cid=cid, payload=payload)
        handshake = self._handshake(cid, hello.source_cid, path, encode_long(welcome), now)
        handshake.connection = self._open(handshake, result, arrival, validated=proven)
        self._answer_hello(key, handshake, proven=proven)
        return handshake.connection

    # HELLO and FINISH of an encrypted handshake.

    def _on_secure_hello(self, secure: SecureServer, hello: SecureHello, arrival: _Arrival) -> None:
        """Answer a HELLO whose mac is right; in order of cost, the DH last."""
        path, now = arrival.path, arrival.now
        key = (path, hello.source_cid, hello.mac)
        if self._is_repeated(key, path, now):
            return
        proven = self._is_proven(hello.token, path, now)
        if not proven and (self._asks_for_proof() or not self._admission.admits_unproven(now)):
            token = self._tokens.issue(_named(path), now)
            self._ask_for_proof(secure.retry(hello, token), path)
            return
        if proven and not self._admission.admits(path[0], now):
            raise DecodeError("too many HELLOs from one address")
        self._check_room(arrival.in_use, proven=proven)
        cid = self._unused_cid(arrival.in_use)
        parameters = self._config.parameters(self._issuer.reset_token(cid))
        waiting = secure.accept(hello, arrival.datagram, parameters, cid)
        if waiting is None:
            raise DecodeError("HELLO has a bad payload")
        handshake = self._handshake(cid, hello.source_cid, path, waiting.welcome, now)
        handshake.waiting = waiting
        self._answer_hello(key, handshake, proven=proven)

    def _on_finish(self, finish: Finish, arrival: _Arrival) -> Connection:
        """The client has proven its key, and that it receives where WELCOME went."""
        self._handshakes.forget(arrival.now)
        handshake = self._handshakes.of_cid(finish.destination_cid)
        if handshake is None:
            raise DecodeError("FINISH of an unknown handshake")
        if handshake.waiting is None:
            raise DecodeError("FINISH of a handshake that is over")
        self._check_connections(arrival.in_use)
        result = handshake.waiting.receive_finish(finish)
        if result is None:
            raise DecodeError("FINISH is not authentic")
        handshake.waiting = None
        handshake.connection = self._open(handshake, result, arrival, validated=True)
        self.stats.finishes_received += 1
        self._early, handshake.early = handshake.early, []
        return handshake.connection

    def _keep_early(self, handshake: Handshake, datagram: bytes, path: Address) -> None:
        """A packet has overtaken FINISH: waiting for it costs less than sending it again."""
        if len(handshake.early) >= EARLY_DATAGRAMS_MAX:
            raise DecodeError("too many packets before FINISH")
        self.stats.early_datagrams += 1
        handshake.early.append((datagram, path))

    # What both have in common.

    def _is_repeated(self, key: HelloKey, path: Address, now: float) -> bool:
        """Whether this HELLO was answered already; then it gets the same answer again."""
        self._handshakes.forget(now)
        self.stats.hellos_received += 1
        known = self._handshakes.get(key)
        if known is None:
            return False
        self.stats.hellos_repeated += 1
        self._out.append((known.welcome, path))
        return True

    def _is_proven(self, token: bytes, path: Address, now: float) -> bool:
        return self._tokens.valid(token, _named(path), now)

    def _asks_for_proof(self) -> bool:
        crowded = self._handshakes.unproven >= self._config.limits.unproven_handshakes_max
        return crowded or self._config.always_retry

    def _ask_for_proof(self, retry: bytes, path: Address) -> None:
        self.stats.retries_sent += 1
        self._out.append((retry, path))

    def _check_room(self, in_use: Table, *, proven: bool) -> None:
        if len(self._handshakes) >= self._config.limits.handshakes_max:
            if not (proven and self._handshakes.make_room()):
                raise DecodeError("too many handshakes")
            self.stats.handshakes_evicted += 1
        self._check_connections(in_use)

    def _check_connections(self, in_use: Table) -> None:
        limits = self._config.limits
        if len(in_use) >= limits.handshakes_max + limits.sessions_max:
            raise DecodeError("too many connections")

    def _handshake(
        self, cid: bytes, client_cid: bytes, path: Address, welcome: bytes, now: float
    ) -> Handshake:
        return Handshake(
            cid=cid,
            client_cid=client_cid,
            path=path,
            welcome=welcome,
            expires_at=now + self._config.handshake_s,
        )

    def _answer_hello(self, key: HelloKey, handshake: Handshake, *, proven: bool) -> None:
        self._handshakes.add(key, handshake, proven=proven)
        self._out.append((handshake.welcome, handshake.path))

    def _open(
        self, handshake: Handshake, result: HandshakeResult, arrival: _Arrival, *, validated: bool
    ) -> Connection:
        self.stats.connections_accepted += 1
        self._config.log_secrets(result.secrets)
        in_use = arrival.in_use
        return Connection(
            role=Role.SERVER,
            local_cid=handshake.cid,
            remote_cid=handshake.client_cid,
            handshake=result,
            path=handshake.path,
            config=self._config,
            random_bytes=self._random_bytes,
            now=arrival.now,
            validated=validated,
            issue_cid=lambda: self._spare_cid(in_use),
        )

    def _spare_cid(self, in_use: Table) -> tuple[bytes, bytes] | None:
        """One more id for a connection, with its reset token; None if none is found."""
        cid = self._free_cid(in_use)
        return None if cid is None else (cid, self._issuer.reset_token(cid))

    def _unused_cid(self, in_use: Table) -> bytes:
        cid = self._free_cid(in_use)
        if cid is None:
            raise DecodeError("no connection id is free")
        return cid

    def _free_cid(self, in_use: Table) -> bytes | None:
        for _ in range(CID_TRIES):
            cid = self._issuer.issue(self._random_bytes)
            if cid not in in_use and self._handshakes.of_cid(cid) is None:
                return cid
        return None

    def _on_unknown_short(self, datagram: bytes, path: Address, now: float) -> None:
        """Tell a peer of an earlier life of ours that its connection is gone."""
        self._handshakes.forget(now)
        cid = destination_cid(datagram)
        # Every short packet is longer than a RESET, so two strangers never reset in turns.
        if cid is None or not SHORT_BYTES_MIN <= len(datagram) <= DATAGRAM_BYTES_MAX:
            raise DecodeError("unknown connection id")
        handshake = self._handshakes.of_cid(cid)
        if handshake is not None and handshake.waiting is not None:
            self._keep_early(handshake, datagram, path)
            return
        if not self._issuer.verifies(cid):
            raise DecodeError("unknown connection id")
        if not self._resets.take(now):
            raise DecodeError("too many resets")
        self.stats.resets_sent += 1
        self._answer(Reset(cid=cid, token=self._issuer.reset_token(cid)), path)

    def _answer(self, packet: LongPacket, path: Address) -> None:
        self._out.append((encode_long(packet), path))


def _named(path: Address) -> bytes:
    """An address as its tokens have it."""
    return f"{path[0]} {path[1]}".encode()
