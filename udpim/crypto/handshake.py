"""The inside of a handshake: what HELLO and WELCOME carry, and what comes of it.

:mod:`udpim.hop.dial` and :mod:`udpim.hop.listen` move the datagrams; what is in them is known here,
for plaintext, and in :mod:`udpim.crypto.secure_handshake`. In plaintext the client's nonce is
echoed by the server, so that nobody off the path can write a WELCOME.

Specification: PROTOCOL §2.3 and §2.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from udpim.crypto.key_log import ConnectionSecrets
from udpim.crypto.packet_keys import PacketKeys
from udpim.errors import DecodeError
from udpim.wire.frames import BODY_BYTES_MAX
from udpim.wire.packet import DATAGRAM_BYTES_MAX, Hello, LongPacket, Retry, Welcome, encode_long
from udpim.wire.parameters import (
    NONCE_BYTES,
    PeerParameters,
    encode_parameters,
    parse_parameters,
)

IDLE_TIMEOUT_S_MIN = 1.0
FRAME_WINDOW_MIN = 16
MAX_ACK_DELAY_S_MAX = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeResult:
    """What a finished handshake leaves behind."""

    peer: PeerParameters
    """The other side's parameters, within their limits."""
    keys: PacketKeys | None = field(default=None, repr=False)
    """How packets are sealed and opened from now on; None: in plaintext."""
    peer_static: bytes | None = None
    """The other side's lasting public key, which it has proven to own."""
    channel_binding: bytes | None = field(default=None, repr=False)
    """The hash that names this handshake and no other, the same on both sides."""
    finish: bytes = field(default=b"", repr=False)
    """The datagram that a client has to show until it is answered; empty if there is none."""
    secrets: ConnectionSecrets | None = field(default=None, repr=False)
    """What a key log is told; None: in plaintext."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The answer was authentic, but there will be no connection."""

    reason: str
    """Words for people."""


class ClientSide(Protocol):
    """A client's half of a handshake, whatever the protection."""

    hello: bytes
    """The first datagram, the same each time."""

    def retried(self, packet: LongPacket) -> ClientSide | None:
        """What goes on with the token of a RETRY; None if this packet is no answer to HELLO."""

    def receive_welcome(self, packet: LongPacket) -> HandshakeResult | Refused | None:
        """The end of the handshake; None if this packet is no answer to HELLO."""


class ClientHandshake:
    """The client's half in plaintext."""

    def __init__(
        self, params: PeerParameters, random_bytes: Callable[[int], bytes], cid: bytes
    ) -> None:
        """Draw the nonce of this attempt; ``cid`` is what the server shall send to."""
        self._params = replace(params, nonce=random_bytes(NONCE_BYTES), reset_token=None)
        payload = encode_parameters(self._params)
        self._hello = Hello(source_cid=cid, token=b"", payload=payload)
        self.hello = encode_long(self._hello)

    def retried(self, packet: LongPacket) -> ClientHandshake | None:
        """The same with a token."""
        if not isinstance(packet, Retry):
            return None
        self._hello = replace(self._hello, token=packet.token)
        self.hello = encode_long(self._hello)
        return self

    def receive_welcome(self, packet: LongPacket) -> HandshakeResult | None:
        """The result, or None if this packet does not answer our HELLO."""
        peer = acceptable(packet.payload) if isinstance(packet, Welcome) else None
        if peer is None or peer.nonce != self._params.nonce or peer.reset_token is None:
            return None
        return HandshakeResult(peer=peer)


def accept_hello(payload: bytes, params: PeerParameters) -> tuple[bytes, HandshakeResult] | None:
    """The server's half in plaintext.

    Args:
        payload: What the HELLO carried.
        params: The server's parameters, with the reset token of the connection id it chose.

    Returns:
        The payload of WELCOME and the result; None if the HELLO cannot be accepted.
    """
    peer = acceptable(payload)
    if peer is None:
        return None
    return encode_parameters(replace(params, nonce=peer.nonce)), HandshakeResult(peer=peer)


def acceptable(payload: bytes) -> PeerParameters | None:
    """The peer's parameters, if they are well-formed and such that one can live with them."""
    try:
        peer = parse_parameters(payload)
    except DecodeError:
        return None
    fine = (
        peer.idle_timeout_s >= IDLE_TIMEOUT_S_MIN
        and peer.max_datagram_bytes >= DATAGRAM_BYTES_MAX
        and peer.frame_window >= FRAME_WINDOW_MIN
        and peer.max_ack_delay_s <= MAX_ACK_DELAY_S_MAX
        and peer.bulk_window_bytes >= BODY_BYTES_MAX
    )
    return peer if fine else None
