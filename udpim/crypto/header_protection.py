"""Masks for packet numbers, so that nobody between the ends can read or count them.

The mask depends on a sample of what was sealed, so the receiver can make it before it knows the
packet number. Nothing is masked in this version of the protocol.

Specification: RFC 9001 §5.4.3 and §5.4.4.
"""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from udpim.errors import ConfigError

MASK_BYTES = 5
"""One for the flags, four for the longest packet number."""
SAMPLE_BYTES = 16

_CHACHA20_KEY_BYTES = 32
_AES_KEY_BYTES = (16, 32)


class HeaderMask(Protocol):
    """One direction's key for masks."""

    def mask(self, sample: bytes) -> bytes:
        """The 5 bytes that belong to 16 sealed ones; the caller has looked at their number."""


class ChaCha20Mask:
    """The key stream of ChaCha20; the sample holds its counter and nonce (RFC 9001 §5.4.4)."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        """Take a key of 32 bytes.

        Raises:
            ConfigError: If it has another size.
        """
        _check_size(key, (_CHACHA20_KEY_BYTES,))
        self._key = key

    def mask(self, sample: bytes) -> bytes:
        """The mask of a sample."""
        assert len(sample) == SAMPLE_BYTES
        stream = Cipher(algorithms.ChaCha20(self._key, sample), mode=None).encryptor()
        return stream.update(bytes(MASK_BYTES))


class AesMask:
    """One block of AES under its own key (RFC 9001 §5.4.3)."""

    __slots__ = ("_block",)

    def __init__(self, key: bytes) -> None:
        """Take a key of 16 or 32 bytes.

        Raises:
            ConfigError: If it has another size.
        """
        _check_size(key, _AES_KEY_BYTES)
        # Every block stands for itself in this mode, so one context does for all samples.
        self._block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()

    def mask(self, sample: bytes) -> bytes:
        """The mask of a sample."""
        assert len(sample) == SAMPLE_BYTES
        return self._block.update(sample)[:MASK_BYTES]


def _check_size(key: bytes, sizes: tuple[int, ...]) -> None:
    if len(key) not in sizes:
        allowed = " or ".join(str(size) for size in sizes)
        raise ConfigError(f"a header protection key has {allowed} bytes, this has {len(key)}")
