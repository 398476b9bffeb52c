"""What a handshake has agreed on so far: a chaining key, a transcript hash, and the present key.

Between :mod:`.handshake_state` and :mod:`.cipher_state`. Specification: Noise revision 34, §5.2.
"""

from __future__ import annotations

from udpim.crypto.noise.cipher_state import CipherState
from udpim.crypto.noise.hkdf import chain
from udpim.crypto.noise.suites import KEY_BYTES, Cipher, Hash


class SymmetricState:
    """Whatever is mixed in here has to be the same on both sides."""

    __slots__ = ("_chaining_key", "_cipher", "_cipher_state", "_hash", "transcript_hash")

    def __init__(self, protocol_name: bytes, cipher: Cipher, hash_: Hash) -> None:
        """Begin with the name of the protocol, hashed if it is longer than a hash."""
        size = hash_.size_bytes
        long = len(protocol_name) > size
        start = hash_.digest(protocol_name) if long else protocol_name.ljust(size, b"\0")
        self._hash = hash_
        self._cipher = cipher
        self._cipher_state = CipherState(cipher)
        self._chaining_key = start
        self.transcript_hash = start

    @property
    def has_key(self) -> bool:
        """Whether anything is sealed yet."""
        return self._cipher_state.has_key

    def copy(self) -> SymmetricState:
        """One that can fail without harm to this one."""
        other = SymmetricState.__new__(SymmetricState)
        other._hash = self._hash
        other._cipher = self._cipher
        other._cipher_state = self._cipher_state.copy()
        other._chaining_key = self._chaining_key
        other.transcript_hash = self.transcript_hash
        return other

    def mix_hash(self, data: bytes) -> None:
        """Bind the handshake to something that both sides know."""
        self.transcript_hash = self._hash.digest(self.transcript_hash + data)

    def mix_key(self, secret: bytes) -> None:
        """Go on with a key that nobody has without this secret."""
        self._chaining_key, key = chain(self._hash, self._chaining_key, secret, 2)
        self._cipher_state = CipherState(self._cipher, key[:KEY_BYTES])

    def mix_key_and_hash(self, secret: bytes) -> None:
        """Both, for a pre-shared key: which one it was becomes part of the transcript."""
        self._chaining_key, bound, key = chain(self._hash, self._chaining_key, secret, 3)
        self.mix_hash(bound)
        self._cipher_state = CipherState(self._cipher, key[:KEY_BYTES])

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        """Seal, if there is a key, and bind."""
        ciphertext = self._cipher_state.encrypt(self.transcript_hash, plaintext)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        """Open, if there is a key, and bind.

        Raises:
            AuthenticationFailed: If it is not what the peer sealed.
        """
        plaintext = self._cipher_state.decrypt(self.transcript_hash, ciphertext)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """The keys of what follows: from the initiator, from the responder."""
        first, second = chain(self._hash, self._chaining_key, b"", 2)
        return first[:KEY_BYTES], second[:KEY_BYTES]
