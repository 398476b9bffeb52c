"""What goes wrong in a handshake or with a key; whoever owns them counts it and says a reason.

None of these carries keys, nor anything that was or should have been opened. They stay within
:mod:`udpim.crypto` and its owners: no application sees one.
"""

from __future__ import annotations

from udpim.errors import Error


class NoiseError(Error):
    """A handshake or a cipher cannot go on with this; never leaves a core."""


class MalformedMessage(NoiseError):
    """A handshake message has a length that none in this place can have.

    Attributes:
        size_bytes: Its length.
    """

    def __init__(self, size_bytes: int) -> None:
        """Keep the length."""
        super().__init__(size_bytes)
        self.size_bytes = size_bytes

    def __str__(self) -> str:
        """One line for a person."""
        return f"no handshake message here has {self.size_bytes} bytes"


class AuthenticationFailed(NoiseError):
    """Somebody else has sealed this, or under another key, or it was changed on the way."""

    def __str__(self) -> str:
        """One line for a person."""
        return "not what the peer has sealed"


class PublicKeyRefused(NoiseError):
    """A public key of small order: the secret shared with its owner would be known to everybody."""

    def __str__(self) -> str:
        """One line for a person."""
        return "the public key gives no secret"


class KeyExhausted(NoiseError):
    """A key has done what it may; only another one can go on.

    Attributes:
        limit: Which limit was reached.
    """

    def __init__(self, limit: str) -> None:
        """Keep the limit."""
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        """One line for a person."""
        return f"the key is used up: {self.limit}"
