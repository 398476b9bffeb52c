"""Handshake parameters: what two neighbours tell each other about themselves.

A list of (id u8, length u8, value). Unknown ids are skipped, so that later versions can add
some; a repeated id, a wrong length or a missing one is refused.

Specification: PROTOCOL §2.4; declared in :mod:`udpim.wire.hop_schema`.
"""

from __future__ import annotations

from dataclasses import dataclass

from udpim.errors import DecodeError
from udpim.wire.frames import BODY_BYTES_MAX
from udpim.wire.packet import CID_BYTES

NONCE_BYTES = 16

IDLE_TIMEOUT_MS = 1
MAX_DATAGRAM_BYTES = 2
FRAME_WINDOW = 3
MAX_ACK_DELAY_US = 4
RESET_TOKEN = 5
NONCE = 6
BULK_WINDOW_BYTES = 7
CONNECTION_ID = 8

PARAMETER_BYTES = {
    IDLE_TIMEOUT_MS: 4,
    MAX_DATAGRAM_BYTES: 2,
    FRAME_WINDOW: 2,
    MAX_ACK_DELAY_US: 4,
    RESET_TOKEN: 16,
    NONCE: NONCE_BYTES,
    BULK_WINDOW_BYTES: 4,
    CONNECTION_ID: CID_BYTES,
}
"""Length of each known parameter's value."""
MANDATORY = PARAMETER_BYTES.keys() - {RESET_TOKEN, BULK_WINDOW_BYTES, CONNECTION_ID}
"""Without these a peer is not understood."""


_LEAST_WINDOW = BODY_BYTES_MAX.to_bytes(4, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerParameters:
    """One side's parameters, as the other side learns them."""

    idle_timeout_s: float = 30.0
    """Silence after which this side forgets the connection, seconds."""
    max_datagram_bytes: int = 1200
    """Largest UDP payload this side wants to receive."""
    frame_window: int = 1024
    """How far beyond the lowest missing reliable frame this side accepts frames."""
    max_ack_delay_s: float = 0.005
    """Longest time this side holds back an ack, seconds."""
    reset_token: bytes | None = None
    """What a RESET of this side will carry; servers only."""
    nonce: bytes = bytes(NONCE_BYTES)
    """Chosen by the client and echoed by the server."""
    bulk_window_bytes: int = BODY_BYTES_MAX
    """Bytes of bulk bodies that this side takes before its first CREDIT."""
    connection_id: bytes | None = None
    """What the header of an encrypted handshake's packet said already, in the clear."""


def encode_parameters(parameters: PeerParameters) -> bytes:
    """Build the payload of HELLO or WELCOME; an encrypted handshake seals it."""
    values = {
        IDLE_TIMEOUT_MS: round(parameters.idle_timeout_s * 1e3).to_bytes(4, "big"),
        MAX_DATAGRAM_BYTES: parameters.max_datagram_bytes.to_bytes(2, "big"),
        FRAME_WINDOW: parameters.frame_window.to_bytes(2, "big"),
        MAX_ACK_DELAY_US: round(parameters.max_ack_delay_s * 1e6).to_bytes(4, "big"),
        NONCE: parameters.nonce,
    }
    if parameters.reset_token is not None:
        values[RESET_TOKEN] = parameters.reset_token
    if parameters.bulk_window_bytes != BODY_BYTES_MAX:
        values[BULK_WINDOW_BYTES] = parameters.bulk_window_bytes.to_bytes(4, "big")
    if parameters.connection_id is not None:
        values[CONNECTION_ID] = parameters.connection_id
    return b"".join(bytes((key, len(value))) + value for key, value in sorted(values.items()))


def parse_parameters(payload: bytes) -> PeerParameters:
    """Read the payload of HELLO or WELCOME.

    Raises:
        DecodeError: If it is truncated, or a parameter is repeated, missing or of a wrong length.
    """
    found: dict[int, bytes] = {}
    position = 0
    while position < len(payload):
        key, value = payload[position], payload[position + 2 :]
        length = payload[position + 1] if position + 1 < len(payload) else 0xFFFF
        if length > len(value):
            raise DecodeError("parameters are truncated")
        if key in found:
            raise DecodeError("a parameter is repeated")
        if length != PARAMETER_BYTES.get(key, length):
            raise DecodeError("a parameter has a wrong length")
        found[key] = value[:length]
        position += 2 + length
    if not found.keys() >= MANDATORY:
        raise DecodeError("a parameter is missing")
    return PeerParameters(
        idle_timeout_s=int.from_bytes(found[IDLE_TIMEOUT_MS], "big") / 1e3,
        max_datagram_bytes=int.from_bytes(found[MAX_DATAGRAM_BYTES], "big"),
        frame_window=int.from_bytes(found[FRAME_WINDOW], "big"),
        max_ack_delay_s=int.from_bytes(found[MAX_ACK_DELAY_US], "big") / 1e6,
        reset_token=found.get(RESET_TOKEN),
        nonce=found[NONCE],
        bulk_window_bytes=int.from_bytes(found.get(BULK_WINDOW_BYTES, _LEAST_WINDOW), "big"),
        connection_id=found.get(CONNECTION_ID),
    )
