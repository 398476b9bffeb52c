"""How an endpoint protects its connections: one of three values, and no way between them.

`udpim.hop.config.HopConfig` carries it. A client says one pattern and one suite in its HELLO; the
server takes them or is silent, so there is nothing that an attacker could talk anybody down from.
Private keys and pre-shared ones are printed nowhere.

Specification: PROTOCOL §2.8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from udpim.crypto.noise.errors import PublicKeyRefused
from udpim.crypto.noise.patterns import Pattern, pattern_named
from udpim.crypto.noise.suites import (
    AES_GCM,
    DEFAULT_SUITE,
    KEY_BYTES,
    SHA256,
    X25519_DH,
    KeyPair,
    Suite,
)
from udpim.errors import ConfigError

XK = 1
XX = 2
XK_PSK = 3
XX_PSK = 4
PATTERNS: dict[int, Pattern] = {
    XK: pattern_named("XK"),
    XX: pattern_named("XX"),
    XK_PSK: pattern_named("XKpsk3"),
    XX_PSK: pattern_named("XXpsk3"),
}
"""By their byte in HELLO: the client knows the server's key before, or learns it; with or without
a secret that both share."""

CHACHA_BLAKE2S = 1
AES_SHA256 = 2
SUITES: dict[int, Suite] = {
    CHACHA_BLAKE2S: DEFAULT_SUITE,
    AES_SHA256: Suite(X25519_DH, AES_GCM, SHA256),
}
"""By their byte in HELLO."""


@dataclass(frozen=True, slots=True)
class Plain:
    """No protection: whoever can reach the network can read and write everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecurity:
    """A client that talks to nobody but the owner of a key that it knows or accepts."""

    static: KeyPair
    """This device's lasting key (``X25519_DH.key_pair``), by which servers know it again."""
    server_key: bytes | None = None
    """The server's public key, pinned: 32 bytes."""
    accept_key: Callable[[bytes], bool] | None = None
    """Without a pinned key: whether the public key that a server has proven to own will do. Called
    once in an attempt, before anything of ours that is secret leaves; it must not raise."""
    psk: bytes | None = field(default=None, repr=False)
    """A secret shared with the server, 32 bytes."""
    suite: int = CHACHA_BLAKE2S
    """One of `SUITES`."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: If a key has a wrong size or gives no secret, or if nothing or two things
                decide which server is the right one.
        """
        if (self.server_key is None) == (self.accept_key is None):
            raise ConfigError("give either server_key, or accept_key to judge what a server shows")
        _check_key("server_key", self.server_key)
        _check_key("psk", self.psk)
        _check_suites((self.suite,))
        if self.server_key is not None:
            try:
                self.static.exchange(self.server_key)
            except PublicKeyRefused as error:
                raise ConfigError("server_key is no key: it gives no secret") from error

    @property
    def pattern(self) -> int:
        """One of `PATTERNS`."""
        if self.server_key is None:
            return XX if self.psk is None else XX_PSK
        return XK if self.psk is None else XK_PSK

    @property
    def psks(self) -> tuple[bytes, ...]:
        """The shared secrets, as a handshake takes them."""
        return () if self.psk is None else (self.psk,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSecurity:
    """A server that takes encrypted handshakes only."""

    static: KeyPair
    """Its lasting key, which clients pin (``X25519_DH.key_pair``)."""
    first_contact: bool = True
    """Whether clients that do not know the key may ask for it."""
    psk: bytes | None = field(default=None, repr=False)
    """A secret that every client must have, 32 bytes."""
    suites: tuple[int, ...] = tuple(SUITES)
    """Which of `SUITES` are taken."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: If the shared secret has a wrong size, or a suite is unknown.
        """
        _check_key("psk", self.psk)
        _check_suites(self.suites)

    @property
    def patterns(self) -> tuple[int, ...]:
        """Which of `PATTERNS` are taken."""
        known, unknown = (XK, XX) if self.psk is None else (XK_PSK, XX_PSK)
        return (known, unknown) if self.first_contact else (known,)

    @property
    def psks(self) -> tuple[bytes, ...]:
        """The shared secrets, as a handshake takes them."""
        return () if self.psk is None else (self.psk,)


Security = Plain | ClientSecurity | ServerSecurity


def _check_key(name: str, key: bytes | None) -> None:
    if key is not None and len(key) != KEY_BYTES:
        raise ConfigError(f"{name} has {KEY_BYTES} bytes, this has {len(key)}")


def _check_suites(suites: tuple[int, ...]) -> None:
    if not suites or not set(suites) <= SUITES.keys():
        raise ConfigError(f"suites are {sorted(SUITES)}, not {suites}")
