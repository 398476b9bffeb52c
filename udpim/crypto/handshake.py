"""The handshake's inside: what the payloads of HELLO and WELCOME say, and what comes of them.

:mod:`udpim.hop.dial` and :mod:`udpim.hop.listen` carry the payloads; this module alone knows
that they are plaintext parameter lists. A Noise handshake replaces the inside, not the callers.
The client's nonce is echoed by the server, so that nobody off the path can write a WELCOME.

Specification: PROTOCOL §2.3 and §2.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from udpim.crypto.protection import PlaintextProtection, ProtectionPair
from udpim.errors import DecodeError
from udpim.wire.frames import BODY_BYTES_MAX
from udpim.wire.packet import DATAGRAM_BYTES_MAX
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
    protection: ProtectionPair
    """How packets are sealed and opened from now on."""


class ClientHandshake:
    """The client's half: one HELLO payload, then one WELCOME payload."""

    def __init__(self, params: PeerParameters, random_bytes: Callable[[int], bytes]) -> None:
        """Draw the nonce of this attempt."""
        self._params = replace(params, nonce=random_bytes(NONCE_BYTES), reset_token=None)

    def hello_payload(self) -> bytes:
        """The payload of HELLO, the same each time."""
        return encode_parameters(self._params)

    def receive_welcome(self, payload: bytes) -> HandshakeResult | None:
        """The result, or None if this payload does not answer our HELLO."""
        peer = _acceptable(payload)
        if peer is None or peer.nonce != self._params.nonce or peer.reset_token is None:
            return None
        return HandshakeResult(peer=peer, protection=_plaintext())


def accept_hello(payload: bytes, params: PeerParameters) -> tuple[bytes, HandshakeResult] | None:
    """The server's half.

    Args:
        payload: What the HELLO carried.
        params: The server's parameters, with the reset token of the connection id it chose.

    Returns:
        The payload of WELCOME and the result; None if the HELLO cannot be accepted.
    """
    peer = _acceptable(payload)
    if peer is None:
        return None
    welcome = encode_parameters(replace(params, nonce=peer.nonce))
    return welcome, HandshakeResult(peer=peer, protection=_plaintext())


def _acceptable(payload: bytes) -> PeerParameters | None:
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


def _plaintext() -> ProtectionPair:
    return ProtectionPair(send=PlaintextProtection(), receive=PlaintextProtection())
