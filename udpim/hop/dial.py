"""The client's side of establishment: HELLO until WELCOME, with RETRY in between if asked.

A :class:`Dialer` is driven like a connection until ``connection`` or ``failed`` is set; how long
to keep trying is the caller's decision. An encrypted connection has a FINISH to show first, which
it does by itself.

Specification: PROTOCOL §2.3 and §2.8.
"""

from __future__ import annotations

from collections.abc import Callable

from udpim.crypto.handshake import HandshakeResult, Refused
from udpim.crypto.secure_handshake import client_side
from udpim.crypto.security import ServerSecurity
from udpim.errors import ConfigError, DecodeError
from udpim.hop.codes import Address, Role
from udpim.hop.config import HopConfig
from udpim.hop.connection import Connection
from udpim.hop.stats import HopStats
from udpim.wire.packet import (
    CID_BYTES,
    VERSION,
    LongPacket,
    Reset,
    Retry,
    SecureRetry,
    SecureWelcome,
    VersionOffer,
    Welcome,
    parse_long,
)

RETRIES_MAX = 3
"""RETRYs obeyed in one attempt; a server has no honest reason for more."""


class Dialer:
    """One attempt to open a connection to one address."""

    def __init__(
        self,
        *,
        server: Address,
        config: HopConfig,
        random_bytes: Callable[[int], bytes],
        now: float,
    ) -> None:
        """Start an attempt; the first HELLO is due at once.

        Raises:
            ConfigError: If the configuration holds a server's keys.
        """
        if isinstance(config.security, ServerSecurity):
            raise ConfigError("a client needs ClientSecurity, or Plain")
        self.server = server
        self.local_cid = random_bytes(CID_BYTES)
        """The id that the server's packets to us will carry."""
        self.connection: Connection | None = None
        """The open connection, when there is one."""
        self.failed: str | None = None
        """Why there will not be one, when that is certain."""
        self.drops: dict[str, int] = {}
        """Datagrams dropped, by reason."""
        self.stats = HopStats()
        """What this attempt counted; the connection has counters of its own."""
        self._config = config
        self._random_bytes = random_bytes
        self._handshake = client_side(
            config.security, config.parameters(), random_bytes, self.local_cid
        )
        self._hello_at = now
        self._sent_at = now
        self._interval_s = config.hello_retry_s

    # Inputs.

    def receive_datagram(self, datagram: bytes, path: Address, now: float) -> None:
        """Take in an answer; afterwards look at ``connection`` and ``failed``."""
        try:
            self._receive(datagram, path, now)
        except DecodeError as error:
            reason = str(error)
            self.drops[reason] = self.drops.get(reason, 0) + 1

    def handle_timeout(self, now: float) -> None:
        """Nothing to do: a HELLO that is due leaves with :meth:`datagrams_to_send`."""

    # Outputs.

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """The HELLO, if it is due."""
        if self._is_over or now < self._hello_at:
            return []
        self.stats.hellos_sent += 1
        self._sent_at = now
        self._hello_at = now + self._interval_s
        longer_s = self._interval_s * self._config.hello_retry_ratio
        self._interval_s = min(longer_s, self._config.hello_retry_s_max)
        return [(self._handshake.hello, self.server)]

    def next_timeout(self) -> float | None:
        """When the next HELLO is due; None when the attempt is over."""
        return None if self._is_over else self._hello_at

    # Private.

    @property
    def _is_over(self) -> bool:
        return self.connection is not None or self.failed is not None

    def _receive(self, datagram: bytes, path: Address, now: float) -> None:
        if self._is_over:
            raise DecodeError("handshake is over")
        if path != self.server:
            raise DecodeError("not from the server")
        packet = parse_long(datagram)
        if isinstance(packet, Reset) or packet.destination_cid != self.local_cid:
            raise DecodeError("not for this attempt")
        self._on_packet(packet, now)

    def _on_packet(self, packet: LongPacket, now: float) -> None:
        match packet:
            case Welcome() | SecureWelcome():
                self._on_welcome(packet, now)
            case Retry() | SecureRetry() if self.stats.retries_received < RETRIES_MAX:
                handshake = self._handshake.retried(packet)
                if handshake is None:
                    raise DecodeError("RETRY does not answer our HELLO")
                self.stats.retries_received += 1
                self._handshake = handshake
                self._hello_at = now
            case VersionOffer(versions=versions) if VERSION not in versions:
                spoken = ", ".join(map(str, versions)) or "none"
                self.failed = f"the server speaks other protocol versions ({spoken})"
            case _:
                raise DecodeError("unexpected long packet")

    def _on_welcome(self, packet: Welcome | SecureWelcome, now: float) -> None:
        result = self._handshake.receive_welcome(packet)
        if result is None:
            raise DecodeError("WELCOME does not answer our HELLO")
        if isinstance(result, Refused):
            self.failed = result.reason
        else:
            self._connect(result, packet.source_cid, now)

    def _connect(self, result: HandshakeResult, remote_cid: bytes, now: float) -> None:
        self._config.log_secrets(result.secrets)
        self.connection = Connection(
            role=Role.CLIENT,
            local_cid=self.local_cid,
            remote_cid=remote_cid,
            handshake=result,
            path=self.server,
            config=self._config,
            random_bytes=self._random_bytes,
            now=now,
            validated=True,
            issue_cid=lambda: (self._random_bytes(CID_BYTES), b""),
        )
        if self.stats.hellos_sent == 1:
            # Only then it is certain which HELLO was answered.
            self.connection.rtt.update(now - self._sent_at, 0.0)
        # Something must leave soon, for it is what proves our address to the server.
        self.connection.ping()
