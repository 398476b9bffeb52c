"""Packets under an AEAD: one direction, one key, and a count of what the key may still do.

Takes the place of :class:`udpim.crypto.protection.PlaintextProtection` once a handshake has left
keys behind. The packet number is the nonce, as Noise encodes it; the whole header is authenticated.
:mod:`udpim.crypto.key_schedule` replaces keys long before they are used up. Hot module: the
cipher is made once, and called without anything between.

Specification: Noise revision 34, §11.4 (numbers that travel with their messages); limits of use
from RFC 9001 §6.6.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag

from udpim.crypto.noise.cipher_state import successor
from udpim.crypto.noise.errors import KeyExhausted
from udpim.crypto.noise.suites import AES_GCM, CHACHA_POLY, NONCE_MAX, TAG_BYTES, Cipher
from udpim.errors import ConfigError, LocalProtocolError

CONFIDENTIALITY = "confidentiality limit"
INTEGRITY = "integrity limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class UseLimits:
    """What a key may do before it tells too much."""

    sealed_packets_max: int
    """Beyond, ciphertexts could be told from noise."""
    forged_packets_max: int
    """Beyond, one forgery could have been lucky; counted over all keys of a connection."""


# RFC 9001 §6.6. ChaCha20-Poly1305 outlasts all packet numbers.
LIMITS = {
    CHACHA_POLY.name: UseLimits(sealed_packets_max=NONCE_MAX, forged_packets_max=1 << 36),
    AES_GCM.name: UseLimits(sealed_packets_max=1 << 23, forged_packets_max=1 << 52),
}


class AeadProtection:
    """One key of one direction: sealing and opening are counted apart."""

    __slots__ = (
        "_aead",
        "_cipher",
        "_decrypt",
        "_encrypt",
        "_next",
        "_nonce",
        "encrypted",
        "forged_packets",
        "limits",
        "sealed_packets",
        "tag_bytes",
    )

    def __init__(self, cipher: Cipher, key: bytes, *, limits: UseLimits | None = None) -> None:
        """Make the cipher.

        Args:
            cipher: The one that the handshake agreed on.
            key: 32 bytes.
            limits: What the key may do; None stands for those of RFC 9001.

        Raises:
            ConfigError: If the key has another size, or nobody says what this cipher may do.
        """
        if limits is None and cipher.name not in LIMITS:
            raise ConfigError(f"the limits of {cipher.name} are not known")
        self.tag_bytes = TAG_BYTES
        self.encrypted = True
        self.limits = limits or LIMITS[cipher.name]
        self.sealed_packets = 0
        self.forged_packets = 0
        self._next = 0
        self._cipher = cipher
        self._nonce = cipher.nonce
        self._aead = cipher.keyed(key)
        self._encrypt = self._aead.encrypt
        self._decrypt = self._aead.decrypt

    def seal(self, header: bytes, packet_number: int, payload: bytes) -> bytes:
        """Protect a packet; numbers rise, so that none is used twice.

        Raises:
            KeyExhausted: If the key has sealed all that it may. `exhausted` says so before.
            LocalProtocolError: If this number, or a larger one, was used already.
        """
        if packet_number < self._next:
            raise LocalProtocolError(f"packet number {packet_number} cannot be used again")
        if packet_number >= NONCE_MAX:
            raise KeyExhausted("nonces")
        if self.sealed_packets >= self.limits.sealed_packets_max:
            raise KeyExhausted(CONFIDENTIALITY)
        self._next = packet_number + 1
        self.sealed_packets += 1
        return self._encrypt(self._nonce(packet_number), payload, header)

    def open(self, header: bytes, packet_number: int, sealed: bytes) -> bytes | None:
        """Undo :meth:`seal`; None if somebody else sealed it, or the integrity limit is reached."""
        if packet_number >= NONCE_MAX or self.forged_packets >= self.limits.forged_packets_max:
            return None
        try:
            return self._decrypt(self._nonce(packet_number), sealed, header)
        except InvalidTag:
            self.forged_packets += 1
            return None

    def successor(self) -> AeadProtection:
        """The same direction under the next key, from which nobody comes back to this one."""
        key = successor(self._cipher, self._aead)
        return AeadProtection(self._cipher, key, limits=self.limits)

    @property
    def exhausted(self) -> str | None:
        """Which limit this key has reached, after which its connection must end or update."""
        if self.sealed_packets >= self.limits.sealed_packets_max:
            return CONFIDENTIALITY
        return INTEGRITY if self.forged_packets >= self.limits.forged_packets_max else None
