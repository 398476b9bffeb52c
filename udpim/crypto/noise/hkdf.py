"""HKDF over any hash of a suite: one secret becomes several.

:mod:`.symmetric_state` chains its keys with it. Specification: RFC 5869; Noise revision 34, §4.3.
"""

from __future__ import annotations

from udpim.crypto.noise.suites import Hash
from udpim.errors import ConfigError

_BLOCKS_MAX = 255
"""The counter has one byte."""


def extract(hash_: Hash, salt: bytes, secret: bytes) -> bytes:
    """Gather what is random in a secret into one key."""
    return hash_.hmac(salt, secret)


def expand(hash_: Hash, key: bytes, info: bytes, size_bytes: int) -> bytes:
    """As many bytes as wanted from a key of :func:`extract`.

    Raises:
        ConfigError: If more are wanted than 255 blocks of the hash.
    """
    blocks = -(-size_bytes // hash_.size_bytes)
    if blocks > _BLOCKS_MAX:
        raise ConfigError(f"HKDF gives {_BLOCKS_MAX * hash_.size_bytes} bytes at most")
    block, output = b"", b""
    for counter in range(1, blocks + 1):
        block = hash_.hmac(key, block + info + bytes((counter,)))
        output += block
    return output[:size_bytes]


def chain(hash_: Hash, chaining_key: bytes, secret: bytes, outputs: int) -> list[bytes]:
    """Noise's HKDF: ``outputs`` values of the hash's size (Noise §4.3)."""
    key = extract(hash_, chaining_key, secret)
    values = [hash_.hmac(key, b"\x01")]
    while len(values) < outputs:
        values.append(hash_.hmac(key, values[-1] + bytes((len(values) + 1,))))
    return values
