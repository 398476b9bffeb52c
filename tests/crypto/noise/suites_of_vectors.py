"""The suites that public vectors use and udpim does not: another curve, longer hashes."""

import hashlib
from itertools import product

from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey

from udpim.crypto.noise.suites import (
    AES_GCM,
    BLAKE2S,
    CHACHA_POLY,
    SHA256,
    X25519_DH,
    HashlibHash,
    Suite,
)


class X448Pair:
    def __init__(self, private):
        self._private = private
        self.public = private.public_key().public_bytes_raw()

    def exchange(self, public):
        return self._private.exchange(X448PublicKey.from_public_bytes(public))


class X448:
    name = "448"
    size_bytes = 56

    def key_pair(self, private):
        return X448Pair(X448PrivateKey.from_private_bytes(private))


HASHES = (
    BLAKE2S,
    SHA256,
    HashlibHash("BLAKE2b", hashlib.blake2b, 64, 128),
    HashlibHash("SHA512", hashlib.sha512, 64, 128),
)
SUITES = tuple(
    Suite(dh, cipher, hash_)
    for dh, cipher, hash_ in product((X25519_DH, X448()), (CHACHA_POLY, AES_GCM), HASHES)
)
