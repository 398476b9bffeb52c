"""Keys as people handle them: text, files, and the list of servers that were met before.

A key travels as 44 characters of base64. What decides whether a server is the right one is either
the key that the caller pinned, or, at the first contact, trust: the key is noted in a file, and any
other one is refused from then on. Only that file and this process ever see private keys.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from udpim.crypto.noise.suites import KEY_BYTES, X25519_DH, KeyPair
from udpim.errors import ConfigError, ServerKeyChanged
from udpim.im.records import ClientSnapshot, PutMeta, ServerSnapshot
from udpim.store.base import Store

STATIC_KEY = "static_key"
"""Name in the store of the private key of a client's device, or of a server."""
Snapshot = TypeVar("Snapshot", ClientSnapshot, ServerSnapshot)
KNOWN_HOSTS_BYTES_MAX = 1024 * 1024
"""A larger file is not read: it is none of ours."""


def parse_key(what: str, text: str) -> bytes:
    """Read a key from its text.

    Raises:
        ConfigError: It is none; the message does not repeat it.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{what} is no key: it must be {KEY_BYTES} bytes in base64")
    return key


def format_key(key: bytes) -> str:
    """Return a key's text."""
    return base64.b64encode(key).decode()


def read_key_pair(path: str | os.PathLike[str]) -> KeyPair:
    """Read a private key from a file that `write_key_pair` made.

    Raises:
        ConfigError: It cannot be read, holds no key, or others may read it.
    """
    return X25519_DH.key_pair(read_secret("private key", path))


def read_secret(what: str, path: str | os.PathLike[str]) -> bytes:
    """Read a private key, or a secret that both ends share, from a file that only its owner reads.

    Raises:
        ConfigError: It cannot be read, holds no key, or others may read it.
    """
    try:
        if Path(path).stat().st_mode & 0o077:
            raise ConfigError(f"others may read the {what} in {path}; chmod 600 it")
        text = Path(path).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"no {what} in {path}: {words}") from None
    return parse_key(f"what stands in {path}", text)


def write_key_pair(path: str | os.PathLike[str]) -> KeyPair:
    """Draw a private key and put it into a new file.

    Raises:
        ConfigError: There is such a file, or it cannot be made.
    """
    return X25519_DH.key_pair(write_secret(path))


def write_secret(path: str | os.PathLike[str]) -> bytes:
    """Draw what `read_secret` reads, and put it into a new file.

    Raises:
        ConfigError: There is such a file, or it cannot be made.
    """
    secret = os.urandom(KEY_BYTES)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(format_key(secret) + "\n")
    except OSError as error:
        raise ConfigError(f"cannot make {path}: {error.strerror}") from None
    return secret


def load_with_key(
    store: Store, load: Callable[[], Snapshot], given: KeyPair | None, *, encrypted: bool
) -> tuple[Snapshot, KeyPair | None]:
    """Load a store, and tell the lasting key of its owner, None where nothing is encrypted.

    The store keeps a key only for whoever needs one and brings none. A new one is durable before
    anybody can see it.

    Args:
        store: Nothing was submitted to it yet.
        load: Its method for this kind of store; blocks.
        given: The key, where it does not come from the store.
        encrypted: Whether there is any use for a key.

    Raises:
        StoreError: It cannot be read, or did not take the key.
    """
    snapshot = load()
    if not encrypted or given is not None:
        return snapshot, given if encrypted else None
    if STATIC_KEY not in snapshot.meta:
        store.submit(0, [PutMeta(STATIC_KEY, os.urandom(KEY_BYTES))])
        snapshot = load()
        for completion in store.completed():
            if completion.error is not None:
                raise completion.error
    return snapshot, X25519_DH.key_pair(snapshot.meta[STATIC_KEY])


def default_known_hosts() -> Path:
    """Return the file of this user for the keys of servers.

    Raises:
        ConfigError: Nobody knows where this user keeps files.
    """
    config = os.environ.get("XDG_CONFIG_HOME")
    try:
        folder = Path(config) if config else Path.home() / ".config"
    except RuntimeError:
        words = "this user has no home: say server_key, or in which file known_hosts is"
        raise ConfigError(words) from None
    return folder / "udpim" / "known_hosts"


class KnownHosts:
    """The servers that were met before: a file with lines of ``host:port`` and key."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Use this file; it is made with the first server."""
        self._path = Path(path)

    def find(self, address: str) -> bytes | None:
        """Return the key that a server had.

        Raises:
            ConfigError: The file cannot be read, or a line of it.
        """
        for number, line in enumerate(self._lines(), 1):
            name, _, key = line.partition(" ")
            if name == address:
                return parse_key(f"line {number} of {self._path}", key)
        return None

    def check(self, address: str, key: bytes) -> None:
        """Accept the key that is known, or note a server's first one.

        Raises:
            ServerKeyChanged: Another one is known.
            ConfigError: The file cannot be read or written.
        """
        known = self.find(address)
        if known is None:
            self._add(f"{address} {format_key(key)}\n")
        elif known != key:
            raise ServerKeyChanged(address, str(self._path))

    def _lines(self) -> list[str]:
        try:
            with self._path.open("r", encoding="ascii") as file:
                text = file.read(KNOWN_HOSTS_BYTES_MAX + 1)
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            words = getattr(error, "strerror", None) or "it is no text"
            raise ConfigError(f"cannot read {self._path}: {words}") from None
        if len(text) > KNOWN_HOSTS_BYTES_MAX:
            raise ConfigError(f"{self._path} is too large for a list of known servers")
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    def _add(self, line: str) -> None:
        """Append, and sync: a server that was trusted once must not be unknown after a crash."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            with open(os.open(self._path, flags, 0o600), "a", encoding="ascii") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ConfigError(f"cannot write {self._path}: {error.strerror}") from None
