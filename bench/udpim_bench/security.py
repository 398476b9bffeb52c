"""The keys of nodes that a benchmark puts into one process."""

from __future__ import annotations

from random import Random

from udpim.crypto.noise.suites import KEY_BYTES, X25519_DH
from udpim.crypto.security import ClientSecurity, ServerSecurity
from udpim.hop.config import HopConfig

SERVER_KEY = bytes(range(1, 33))


def server_hop(suite: int | None) -> HopConfig:
    """Return a server's settings for connections under a suite; None: in plaintext."""
    if suite is None:
        return HopConfig()
    return HopConfig(security=ServerSecurity(static=X25519_DH.key_pair(SERVER_KEY)))


def client_hop(suite: int | None, random_: Random) -> HopConfig:
    """Return those of a client that has the server's key pinned; None: in plaintext."""
    if suite is None:
        return HopConfig()
    key = X25519_DH.key_pair(random_.randbytes(KEY_BYTES))
    server_key = X25519_DH.key_pair(SERVER_KEY).public
    return HopConfig(security=ClientSecurity(static=key, server_key=server_key, suite=suite))
