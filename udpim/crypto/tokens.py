"""What a server can recognise without having remembered it: ids and tokens with a keyed check.

Connection ids name the server process and carry check bytes, so that only ids that this process
(or an earlier life of it: the secret is persistent) has issued earn a stateless RESET. Address
tokens prove that a client receives at its address. All are keyed BLAKE2s.

Specification: PROTOCOL §2.3 and §2.5.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import blake2s

from udpim.wire.packet import CID_BYTES, RESET_TOKEN_BYTES

_RANDOM_BYTES = 4
_CHECK_BYTES = 3
_MAC_BYTES = 16
_TIME_BYTES = 8

ADDRESS_TOKEN_S_MAX = 15.0
"""Long enough for a round trip and some retransmissions, too short to collect tokens."""


class ConnectionIdIssuer:
    """Draws a server's connection ids: ``server_id u8 | 4 random bytes | 3 check bytes``."""

    def __init__(self, secret: bytes, server_id: int) -> None:
        """Issue ids for one server process.

        Args:
            secret: Persistent, known to this process only; 16 to 32 bytes.
            server_id: Which process this is, 0 to 255.
        """
        self._secret = secret
        self._server_id = server_id

    def issue(self, random_bytes: Callable[[int], bytes]) -> bytes:
        """A new connection id; the caller sees to it that it is not in use."""
        stem = bytes((self._server_id,)) + random_bytes(_RANDOM_BYTES)
        return stem + self._check(stem)

    def verifies(self, cid: bytes) -> bool:
        """Whether this process, now or in an earlier life, has issued this id."""
        stem = cid[:-_CHECK_BYTES]
        return (
            len(cid) == CID_BYTES
            and cid[0] == self._server_id
            and hmac.compare_digest(self._check(stem), cid[-_CHECK_BYTES:])
        )

    def reset_token(self, cid: bytes) -> bytes:
        """The 16 bytes that prove to this id's peer that a RESET is ours."""
        return _mac(self._secret, b"reset", cid, RESET_TOKEN_BYTES)

    def _check(self, stem: bytes) -> bytes:
        return _mac(self._secret, b"cid", stem, _CHECK_BYTES)


class AddressTokens:
    """Tokens that a client can only know if it receives at its address."""

    def __init__(self, secret: bytes) -> None:
        """Issue tokens under a secret of 16 to 32 bytes."""
        self._secret = secret

    def issue(self, address: bytes, now: float) -> bytes:
        """A token for one address, good for 15 s."""
        issued = round(now * 1e3).to_bytes(_TIME_BYTES, "big")
        return issued + self._mac(issued, address)

    def valid(self, token: bytes, address: bytes, now: float) -> bool:
        """Whether the token was issued to this address within the last 15 s."""
        issued, mac = token[:_TIME_BYTES], token[_TIME_BYTES:]
        if not hmac.compare_digest(self._mac(issued, address), mac):
            return False
        age_ms = round(now * 1e3) - int.from_bytes(issued, "big")
        return 0 <= age_ms <= ADDRESS_TOKEN_S_MAX * 1e3

    def _mac(self, issued: bytes, address: bytes) -> bytes:
        return _mac(self._secret, b"address", issued + address, _MAC_BYTES)


def _mac(secret: bytes, purpose: bytes, data: bytes, size: int) -> bytes:
    """Keyed BLAKE2s (RFC 7693); ``purpose`` keeps one use's outputs from serving another."""
    return blake2s(data, key=secret, person=purpose, digest_size=size).digest()
