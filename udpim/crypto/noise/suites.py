"""The algorithms of a handshake: what Noise asks of them, and those that udpim uses.

:class:`Dh`, :class:`Cipher` and :class:`Hash` are all that the rest of this package knows, so that
tests can bring others. An :class:`Aead` is made once for each key: it has the shape of the classes
of `cryptography`, so the hot path calls those directly.

Specification: Noise revision 34, §4 and §12; RFC 7748 §6.1; RFC 8439 §2.8.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from udpim.crypto.noise.errors import PublicKeyRefused
from udpim.errors import ConfigError

KEY_BYTES = 32
"""Of a cipher, and of a pre-shared key."""
TAG_BYTES = 16
NONCE_MAX = (1 << 64) - 1
"""Reserved for making the next key; no message is sealed with it (Noise §5.1)."""


class KeyPair(Protocol):
    """A private key and what the peer may know of it."""

    @property
    def public(self) -> bytes:
        """The public key."""

    def exchange(self, public: bytes) -> bytes:
        """The secret that is shared with the owner of a public key.

        Raises:
            PublicKeyRefused: If there is none, or one that everybody knows.
        """


class Dh(Protocol):
    """A Diffie-Hellman function."""

    @property
    def name(self) -> str:
        """As in a protocol name."""

    @property
    def size_bytes(self) -> int:
        """Of a private key, a public key and a shared secret."""

    def key_pair(self, private: bytes) -> KeyPair:
        """The pair of a private key.

        Raises:
            ConfigError: If it is of another size.
        """


class Aead(Protocol):
    """A cipher with a key in it."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Ciphertext and tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Undo :meth:`encrypt`; raises `cryptography.exceptions.InvalidTag`."""


class Cipher(Protocol):
    """An AEAD with keys of 32 bytes and tags of 16."""

    @property
    def name(self) -> str:
        """As in a protocol name."""

    @property
    def nonce(self) -> Callable[[int], bytes]:
        """How a number of 64 bits becomes a nonce."""

    def keyed(self, key: bytes) -> Aead:
        """The cipher under a key.

        Raises:
            ConfigError: If the key has another size.
        """


class Hash(Protocol):
    """A hash function and its HMAC."""

    @property
    def name(self) -> str:
        """As in a protocol name."""

    @property
    def size_bytes(self) -> int:
        """Of what comes out."""

    def digest(self, data: bytes) -> bytes:
        """The hash of some data."""

    def hmac(self, key: bytes, data: bytes) -> bytes:
        """The keyed hash of some data (RFC 2104)."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What a protocol name says behind the pattern."""

    dh: Dh
    cipher: Cipher
    hash: Hash

    def protocol_name(self, pattern: str) -> str:
        """The whole name, for example ``Noise_XK_25519_ChaChaPoly_BLAKE2s``."""
        return f"Noise_{pattern}_{self.dh.name}_{self.cipher.name}_{self.hash.name}"


class X25519Pair:
    """A key pair of curve 25519; what is printed of it is the public half."""

    __slots__ = ("_private", "public")

    def __init__(self, private: X25519PrivateKey) -> None:
        """Compute the public key."""
        self._private = private
        self.public = private.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        """Never the private key."""
        return f"X25519Pair(public={self.public.hex()})"

    def exchange(self, public: bytes) -> bytes:
        """Multiply; points of small order, whose products are all zero, are refused."""
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            # The cause is left out: it has nothing to add, and errors keep away from keys.
            raise PublicKeyRefused from None


class X25519:
    """Curve 25519 of RFC 7748."""

    name = "25519"
    size_bytes = 32

    def key_pair(self, private: bytes) -> X25519Pair:
        """The pair of 32 private bytes."""
        if len(private) != self.size_bytes:
            raise ConfigError(f"a private key has {self.size_bytes} bytes, this has {len(private)}")
        return X25519Pair(X25519PrivateKey.from_private_bytes(private))


@dataclass(frozen=True, slots=True)
class AeadCipher:
    """A cipher of `cryptography`; ``nonce`` packs a number into 12 bytes, four of them zero."""

    name: str
    aead: Callable[[bytes], Aead]
    nonce: Callable[[int], bytes]

    def keyed(self, key: bytes) -> Aead:
        """The cipher under a key of 32 bytes: AES-GCM would take shorter ones as well."""
        if len(key) != KEY_BYTES:
            raise ConfigError(f"a key has {KEY_BYTES} bytes, this has {len(key)}")
        return self.aead(key)


class _Hashing(Protocol):
    def digest(self) -> bytes:
        """The hash."""


@dataclass(frozen=True, slots=True)
class HashlibHash:
    """A hash of the standard library: ``new`` begins one with some data."""

    name: str
    new: Callable[[bytes], _Hashing]
    size_bytes: int
    block_bytes: int

    def digest(self, data: bytes) -> bytes:
        """The hash of some data."""
        return self.new(data).digest()

    def hmac(self, key: bytes, data: bytes) -> bytes:
        """The keyed hash of some data (RFC 2104).

        Not that of the `hmac` module: OpenSSL looks its algorithm up anew each time, and with 32 of
        them that is a tenth of the cost of a handshake.
        """
        if len(key) > self.block_bytes:
            key = self.digest(key)
        key = key.ljust(self.block_bytes, b"\0")
        inner = self.digest(key.translate(_INNER) + data)
        return self.digest(key.translate(_OUTER) + inner)


_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


X25519_DH = X25519()
CHACHA_POLY = AeadCipher("ChaChaPoly", ChaCha20Poly1305, struct.Struct("<4xQ").pack)
AES_GCM = AeadCipher("AESGCM", AESGCM, struct.Struct(">4xQ").pack)
BLAKE2S = HashlibHash("BLAKE2s", hashlib.blake2s, 32, 64)
SHA256 = HashlibHash("SHA256", hashlib.sha256, 32, 64)

DEFAULT_SUITE = Suite(X25519_DH, CHACHA_POLY, BLAKE2S)
