"""The keys of one direction of an encrypted connection, and its packet numbers (PROTOCOL §2.9).

`cryptography` does the ciphers; everything about them is said here a second time: how keys are
drawn from a secret, the mask of a header, nonces, a key's successor, and numbers from their low
bits.
"""

from __future__ import annotations

import hmac
import struct
from bisect import bisect_right
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

CHACHA = 1
AESGCM_SUITE = 2
HASHES = {CHACHA: "blake2s", AESGCM_SUITE: "sha256"}
"""Whose HMAC draws the keys, by suite."""
KEY_BYTES = 32
REKEY_NONCE = 2**64 - 1
PHASE_BIT = 0x20
HEADER_BYTES = 13
SAMPLE_BYTES = 16

_header = struct.Struct(">B8sI")
_mask = struct.Struct(">BI").unpack_from
_chacha_nonce = struct.Struct("<4xQ").pack
_gcm_nonce = struct.Struct(">4xQ").pack


class Clear(NamedTuple):
    """A packet that could be opened."""

    generation: int
    """How often its key was updated."""
    number: int
    """The whole packet number."""
    frames: bytes


def expand_number(largest: int, low: int) -> int:
    """Return the number with these low 32 bits that is closest to the one after ``largest``."""
    expected = largest + 1
    number = expected & ~0xFFFF_FFFF | low
    if number + 0x8000_0000 <= expected:
        return number + 0x1_0000_0000
    if number > expected + 0x8000_0000 and number >= 0x1_0000_0000:
        return number - 0x1_0000_0000
    return number


def expand_key(suite: int, secret: bytes, label: bytes) -> bytes:
    """HKDF-Expand (RFC 5869) to one block, which is as long as a key."""
    return hmac.digest(secret, label + b"\1", HASHES[suite])


class Direction:
    """Opens what goes one way."""

    __slots__ = ("_aeads", "_firsts", "_largest", "_mask", "_nonce", "_suite")

    def __init__(self, suite: int, secret: bytes) -> None:
        """Draw the keys; nothing has crossed."""
        self._suite = suite
        self._nonce = _chacha_nonce if suite == CHACHA else _gcm_nonce
        header_key = expand_key(suite, secret, b"udpim headers")
        self._mask = Cipher(AES(header_key), ECB()).encryptor()
        self._largest = -1
        self._firsts = [0]
        """Lowest number that was seen under each key, by generation."""
        self._aeads = [self._aead(expand_key(suite, secret, b"udpim packets"))]
        """Each key that was in use, and the successor of the last one."""
        self._add_successor()

    def _aead(self, key: bytes) -> ChaCha20Poly1305 | AESGCM:
        return ChaCha20Poly1305(key) if self._suite == CHACHA else AESGCM(key)

    def _add_successor(self) -> None:
        sealed = self._aeads[-1].encrypt(self._nonce(REKEY_NONCE), bytes(KEY_BYTES), None)
        self._aeads.append(self._aead(sealed[:KEY_BYTES]))

    def open(self, datagram: bytes) -> Clear | None:
        """Open an encrypted short packet of this direction; None if it is not authentic."""
        sealed = datagram[HEADER_BYTES:]
        flags, cid, low = _header.unpack_from(datagram)
        phase_mask, number_mask = _mask(self._mask.update(sealed[:SAMPLE_BYTES]))
        flags ^= phase_mask & PHASE_BIT
        low ^= number_mask
        number = expand_number(self._largest, low)
        header = _header.pack(flags, cid, low)
        nonce = self._nonce(number)
        for generation in self._candidates(number, flags & PHASE_BIT != 0):
            try:
                frames = self._aeads[generation].decrypt(nonce, sealed, header)
            except InvalidTag:
                continue
            self._took(generation, number)
            return Clear(generation, number, frames)
        return None

    def _candidates(self, number: int, phase: bool) -> tuple[int, ...]:
        """The keys that may have sealed this number: those in use about it, of its phase.

        A sender never goes back to an older key, so numbers rise with the generations. A packet
        that was overtaken may be the first one that is seen under its key.
        """
        about = bisect_right(self._firsts, number) - 1
        if about & 1 == phase:
            return (about,)
        return (about + 1, about - 1) if about else (1,)

    def _took(self, generation: int, number: int) -> None:
        self._largest = max(self._largest, number)
        if generation == len(self._firsts):
            self._firsts.append(number)
            self._add_successor()
        elif number < self._firsts[generation]:
            self._firsts[generation] = number
