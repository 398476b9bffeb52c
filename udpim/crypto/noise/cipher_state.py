"""A cipher key and the number of the next message under it.

Below :mod:`.symmetric_state`. Before the first key exchange there is no key, and what should be
sealed passes in the clear. Specification: Noise revision 34, §5.1 and §11.3 (rekey).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag

from udpim.crypto.noise.errors import AuthenticationFailed, KeyExhausted
from udpim.crypto.noise.suites import KEY_BYTES, NONCE_MAX, Aead, Cipher


class CipherState:
    """One direction of messages that arrive whole and in order."""

    __slots__ = ("_aead", "_cipher", "_number")

    def __init__(self, cipher: Cipher, key: bytes | None = None, *, number: int = 0) -> None:
        """Begin with a key, or without.

        Args:
            cipher: The suite's.
            key: 32 bytes; None seals nothing.
            number: Of the next message.
        """
        self._cipher = cipher
        self._aead: Aead | None = None if key is None else cipher.keyed(key)
        self._number = number

    @property
    def has_key(self) -> bool:
        """Whether anything is sealed."""
        return self._aead is not None

    def copy(self) -> CipherState:
        """The same key, and a number that goes its own way."""
        other = CipherState(self._cipher, number=self._number)
        other._aead = self._aead
        return other

    def encrypt(self, associated_data: bytes, plaintext: bytes) -> bytes:
        """Seal the next message.

        Raises:
            KeyExhausted: If all numbers were used.
        """
        if self._aead is None:
            return plaintext
        sealed = self._aead.encrypt(self._nonce(), plaintext, associated_data)
        self._number += 1
        return sealed

    def decrypt(self, associated_data: bytes, ciphertext: bytes) -> bytes:
        """Open the next message.

        Raises:
            AuthenticationFailed: If it is not what the peer sealed; the number stays.
            KeyExhausted: If all numbers were used.
        """
        if self._aead is None:
            return ciphertext
        try:
            opened = self._aead.decrypt(self._nonce(), ciphertext, associated_data)
        except InvalidTag:
            raise AuthenticationFailed from None
        self._number += 1
        return opened

    def rekey(self) -> None:
        """Replace the key by its successor, from which nobody can go back; the number stays."""
        assert self._aead is not None, "there is no key to replace"
        self._aead = self._cipher.keyed(successor(self._cipher, self._aead))

    def _nonce(self) -> bytes:
        if self._number >= NONCE_MAX:
            raise KeyExhausted("nonces")
        return self._cipher.nonce(self._number)


def successor(cipher: Cipher, aead: Aead) -> bytes:
    """The key that comes after the one in ``aead`` (Noise §4.2: REKEY)."""
    return aead.encrypt(cipher.nonce(NONCE_MAX), bytes(KEY_BYTES), b"")[:KEY_BYTES]
