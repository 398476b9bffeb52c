"""What callers hand in: checked where it is given, before anything is sent.

Shared by client and server: addresses, names, the security that was asked for, the store.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from udpim.config import ClientConfig
from udpim.crypto.noise.suites import KeyPair
from udpim.errors import ConfigError
from udpim.hop.config import HopConfig
from udpim.model import GROUP_MARK, is_group
from udpim.runtime.keys import (
    KnownHosts,
    default_known_hosts,
    parse_key,
    read_key_pair,
    read_secret,
)
from udpim.store.base import Store
from udpim.store.memory import MemoryStore
from udpim.store.sqlite import SQLiteStore
from udpim.wire.im_schema import NAME_BYTES_MAX

DEFAULT_PORT = 9000
TOKEN_BYTES_MAX = 1024
"""A login has to fit one packet."""

SCHEME = "udpim://"
PORT_MAX = 65_535
ADDRESSES_MAX = 16
"""Addresses of one server, which a client tries in turn."""


def parse_address(text: str) -> tuple[str, int]:
    """Read ``udpim://host:port``, ``host:port``, ``[ipv6]:port`` or a host alone.

    Raises:
        ConfigError: If it is none of them, or the port is out of range.
    """
    rest = text.removeprefix(SCHEME)
    if "://" in rest:
        raise ConfigError(f"{text!r} is no udpim address; write udpim://host:port")
    rest = rest.removesuffix("/")
    if rest.startswith("["):
        host, closed, after = rest[1:].partition("]")
        colon, port = after[:1], after[1:]
        wrong = not closed or colon not in ("", ":")
    elif rest.count(":") > 1:
        host, colon, port, wrong = rest, "", "", False
    else:
        host, colon, port = rest.partition(":")
        wrong = False
    if wrong or not host or set(host) & set("/?#@ "):
        raise ConfigError(f"{text!r} is no udpim address; write udpim://host:port")
    if not colon:
        return host, DEFAULT_PORT
    if not (port.isascii() and port.isdigit()):
        raise ConfigError(f"{port!r} is no port number")
    return host, check_port(int(port), least=1)


def parse_addresses(text: str) -> tuple[tuple[str, int], ...]:
    """Read one address, or several with commas between them: of one server, or of one cluster.

    Raises:
        ConfigError: See `parse_address`; or there are more than `ADDRESSES_MAX`.
    """
    parts = text.removeprefix(SCHEME).split(",")
    if len(parts) > ADDRESSES_MAX:
        raise ConfigError(f"{len(parts)} addresses of the server, the limit is {ADDRESSES_MAX}")
    return tuple(parse_address(part.strip()) for part in parts)


def check_port(port: int, *, least: int) -> int:
    """Return the port.

    Raises:
        ConfigError: If it is out of range.
    """
    if not least <= port <= PORT_MAX:
        raise ConfigError(f"port {port} is out of range, {least} to {PORT_MAX}")
    return port


@lru_cache(maxsize=1024)
def check_recipient(name: str) -> str:
    """Return the name of a user or a group.

    Raises:
        ConfigError: If it is neither.
    """
    check_name("recipient", name)
    if name == GROUP_MARK:
        raise ConfigError(f"{GROUP_MARK} alone is no group")
    return name


def check_user(name: str) -> str:
    """Return the name of a user.

    Raises:
        ConfigError: If no user can have it.
    """
    check_name("user", name)
    if is_group(name):
        raise ConfigError(f"user {name!r} begins with {GROUP_MARK}, as groups do")
    return name


def check_name(what: str, name: str) -> str:
    """Return the name.

    Raises:
        ConfigError: If it is empty, too long, or not text that travels.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ConfigError(f"{what} {name!r} is not valid Unicode") from None
    if not 1 <= size <= NAME_BYTES_MAX:
        raise ConfigError(f"{what} must have 1 to {NAME_BYTES_MAX} bytes of UTF-8, not {size}")
    if "\x00" in name:
        raise ConfigError(f"{what} must not contain NUL")
    return name


def check_token(token: str) -> bytes:
    """Return the token as it travels.

    Raises:
        ConfigError: If it is too long, or not text that travels.
    """
    try:
        encoded = token.encode()
    except UnicodeEncodeError:
        raise ConfigError("the token is not valid Unicode") from None
    if len(encoded) > TOKEN_BYTES_MAX:
        raise ConfigError(f"the token has {len(encoded)} bytes, the limit is {TOKEN_BYTES_MAX}")
    return encoded


Security = Literal["require", "plain"]
"""Whether connections must be encrypted, or are in plain text; nothing in between."""


def check_security(security: str) -> Security:
    """Return it.

    Raises:
        ConfigError: It is neither.
    """
    if security == "require":
        return "require"
    if security == "plain":
        return "plain"
    words = '"require" for encryption, or "plain" to talk in plain text'
    raise ConfigError(f"security is {words}, not {security!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Which server is the right one for a client."""

    security: Security
    server_key: bytes | None = None
    """The server's public key."""
    known_hosts: KnownHosts | None = None
    """Or where it stands after the first contact; in plain text neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What this end proves to the other one, in plain text nothing."""

    security: Security
    key: KeyPair | None = None
    """Its lasting key; None: that of its store."""
    psk: bytes | None = field(default=None, repr=False)
    """A secret that both ends share."""


def check_secrets(
    security: str,
    key: str | os.PathLike[str] | None,
    psk: str | os.PathLike[str] | None,
) -> Secrets:
    """Read the secrets that files hold.

    Raises:
        ConfigError: One cannot be read, or nothing needs it; see also `check_security`.
    """
    chosen = check_security(security)
    if chosen == "plain" and (key is not None or psk is not None):
        raise ConfigError('nobody proves anything with security="plain": leave key and psk out')
    return Secrets(
        security=chosen,
        key=None if key is None else read_key_pair(key),
        psk=None if psk is None else read_secret("shared secret", psk),
    )


def check_trust(
    security: str, server_key: str | None, known_hosts: str | os.PathLike[str] | None
) -> Trust:
    """Return what decides on the server.

    Raises:
        ConfigError: Two things do, or nothing may.
    """
    chosen = check_security(security)
    said = [one for one in (server_key, known_hosts) if one is not None]
    if chosen == "plain" and said:
        raise ConfigError('nothing checks the server with security="plain": leave its key out')
    if chosen == "plain":
        return Trust(security=chosen)
    if len(said) > 1:
        raise ConfigError("either server_key says which server is the right one, or known_hosts")
    if server_key is not None:
        return Trust(security=chosen, server_key=parse_key("server_key", server_key))
    return Trust(security=chosen, known_hosts=KnownHosts(known_hosts or default_known_hosts()))


StoreChoice = Store | str | os.PathLike[str] | None
"""A path for SQLite, None for memory, or a store that the caller owns and closes."""


async def open_store(
    choice: StoreChoice, kind: Literal["client", "server"], fence: int | None = None
) -> Store:
    """Open the store; on a thread, for a disk may take its time.

    Args:
        choice: Which.
        kind: Whose.
        fence: The epoch of the home of a file that several processes share.

    Raises:
        StoreFenced: A home of this epoch or a later one has been there.
        StoreError: If the file cannot be used.
    """
    if choice is None:
        return MemoryStore()
    if not isinstance(choice, str | os.PathLike):
        return choice
    path = str(Path(choice))
    opening = asyncio.ensure_future(asyncio.to_thread(SQLiteStore, path, kind=kind, fence=fence))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise


def _close_unwanted(opening: asyncio.Task[SQLiteStore]) -> None:
    """Whoever asked for the store has gone: leave no lock behind."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def close_store(store: Store, choice: StoreChoice) -> None:
    """Commit and close what `open_store` opened; a caller's own store stays open."""
    if store is not choice:
        await asyncio.to_thread(store.close)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What `udpim.connect` was told."""

    config: ClientConfig
    addresses: tuple[tuple[str, int], ...]
    """Host and port, at least one; all but the first are tried in turn after a loss."""
    store: StoreChoice
    trust: Trust
    secrets: Secrets
    connect_timeout_s: float
    close_timeout_s: float
    hop: HopConfig | None
