"""How connections are protected, from what a program asked for: the settings of its hop.

Between what the facade was told (:mod:`.settings`) and :mod:`udpim.crypto.security`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from udpim.crypto.noise.suites import KeyPair
from udpim.crypto.security import ClientSecurity, Security, ServerSecurity
from udpim.hop.config import HopConfig
from udpim.runtime.key_log_file import key_log_from_environment
from udpim.runtime.qlog_files import observed
from udpim.runtime.settings import Secrets, Trust


def client_hop(
    hop: HopConfig | None,
    key: KeyPair | None,
    trust: Trust,
    secrets: Secrets,
    accepts: Callable[[bytes], bool],
) -> HopConfig:
    """Return a client's settings.

    Args:
        hop: What the program gave.
        key: This device's; None in plain text.
        trust: Which server is the right one.
        secrets: What both ends share.
        accepts: Judges the key of a server that is not pinned.

    Raises:
        ConfigError: A key has no right form, or the key log or a qlog cannot be written.
    """
    if key is None:
        return observed(hop or HopConfig(), "client")
    pinned = trust.server_key
    security = ClientSecurity(
        static=key,
        server_key=pinned,
        accept_key=accepts if pinned is None else None,
        psk=secrets.psk,
    )
    return observed(_protected(hop, security), "client")


def server_hop(hop: HopConfig | None, key: KeyPair | None, secrets: Secrets) -> HopConfig:
    """Return a server's settings; ``key`` is None in plain text.

    Raises:
        ConfigError: As :func:`client_hop`.
    """
    if key is None:
        return observed(hop or HopConfig(), "server")
    return observed(_protected(hop, ServerSecurity(static=key, psk=secrets.psk)), "server")


def _protected(hop: HopConfig | None, security: Security) -> HopConfig:
    hop = hop or HopConfig()
    return replace(hop, security=security, key_log=hop.key_log or key_log_from_environment())
