"""The keys of a connection's packets, drawn from what a Noise handshake leaves behind.

Noise's two secrets are used for nothing but this: each gives a key for packets, replaced by
updates, and one for masks of headers, which lasts as long as the connection.

Specification: PROTOCOL §2.9; RFC 5869 (HKDF-Expand).
"""

from __future__ import annotations

from dataclasses import dataclass

from udpim.crypto.aead_protection import AeadProtection
from udpim.crypto.header_protection import AesMask, HeaderMask
from udpim.crypto.key_schedule import KeySchedule
from udpim.crypto.noise.handshake_state import TransportKeys
from udpim.crypto.noise.hkdf import expand
from udpim.crypto.noise.suites import KEY_BYTES, Cipher, Hash

PACKETS_LABEL = b"udpim packets"
HEADERS_LABEL = b"udpim headers"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PacketKeys:
    """Both directions of one connection."""

    schedule: KeySchedule
    send_mask: HeaderMask
    receive_mask: HeaderMask


def packet_keys(hash_: Hash, secrets: TransportKeys) -> PacketKeys:
    """Draw all keys from the two secrets of a finished handshake."""
    send, send_mask = direction_keys(hash_, secrets.cipher, secrets.send)
    receive, receive_mask = direction_keys(hash_, secrets.cipher, secrets.receive)
    return PacketKeys(
        schedule=KeySchedule(send, receive), send_mask=send_mask, receive_mask=receive_mask
    )


def direction_keys(hash_: Hash, cipher: Cipher, secret: bytes) -> tuple[AeadProtection, AesMask]:
    """Draw the first packet key of one direction, and its header key."""
    packets = expand(hash_, secret, PACKETS_LABEL, KEY_BYTES)
    headers = expand(hash_, secret, HEADERS_LABEL, KEY_BYTES)
    return AeadProtection(cipher, packets), AesMask(headers)
