"""Seal and open packets: the interface, and the plaintext implementation.

Between a connection's :mod:`udpim.hop.sealing` and the bytes of its datagrams. The plaintext
implementation puts a CRC-32 in the tag's place: it finds corruption, not attackers.

Specification: PROTOCOL §2.2.
"""

from __future__ import annotations

from typing import Protocol
from zlib import crc32


class Protection(Protocol):
    """One direction of a connection's packet protection."""

    tag_bytes: int
    """How many bytes sealing adds."""
    encrypted: bool
    """What the packets' ENCRYPTED flag says."""

    def seal(self, header: bytes, packet_number: int, payload: bytes) -> bytes:
        """Protect a packet.

        Args:
            header: The header that goes before it, authenticated with it.
            packet_number: All 64 bits of it; never used twice.
            payload: The frames.

        Returns:
            What follows the header in the datagram, ``tag_bytes`` longer than the payload.
        """

    def open(self, header: bytes, packet_number: int, sealed: bytes) -> bytes | None:
        """Undo :meth:`seal`; None if the packet is not what the peer sealed."""


class PlaintextProtection:
    """No secrecy: the tag is the CRC-32 of header and payload."""

    tag_bytes = 4
    encrypted = False

    def seal(self, header: bytes, packet_number: int, payload: bytes) -> bytes:
        """Append the checksum."""
        return payload + crc32(payload, crc32(header)).to_bytes(4, "big")

    def open(self, header: bytes, packet_number: int, sealed: bytes) -> bytes | None:
        """Check and remove the checksum."""
        payload = sealed[:-4]
        if sealed[-4:] != crc32(payload, crc32(header)).to_bytes(4, "big"):
            return None
        return payload
