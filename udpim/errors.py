"""The error tree: every exception that udpim raises on purpose.

Errors carry their data as attributes and compose the sentence in ``__str__``;
timeouts are also :class:`TimeoutError`, wrong arguments also :class:`ValueError`.

::

    udpim.Error
    ├─ ConfigError(ValueError)
    ├─ ConnectError ── ConnectTimeout(TimeoutError) · HandshakeFailed
    ├─ LoginError
    ├─ ConnectionClosed
    ├─ ProtocolError ── LocalProtocolError · RemoteProtocolError
    ├─ DeliveryError ── DeliveryTimeout(TimeoutError) · DeliveryVoid · DeliveryRejected
    ├─ PresenceError ── PresenceRefused · UnknownUser
    ├─ GroupRefused
    ├─ TooManyInquiries
    ├─ OutboxFull · AsideFull
    ├─ PayloadTooLarge(ValueError)
    ├─ StoreError ── StoreLocked · StoreFormat · StoreFull
    └─ never leave a core: DecodeError · NoiseError ── MalformedMessage · AuthenticationFailed
       · PublicKeyRefused · KeyExhausted
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol


class ReceiptLike(Protocol):
    """What a delivery error shows of a receipt."""

    @property
    def msgid(self) -> object:
        """The message's identity."""

    @property
    def state(self) -> Enum:
        """What it shows now."""


class Error(Exception):
    """Base of everything that udpim raises on purpose."""


class ConfigError(Error, ValueError):
    """A setting is wrong; raised where it is given, before anything is sent."""


class ConnectError(Error):
    """No connection to the server could be made."""


class ConnectTimeout(ConnectError, TimeoutError):
    """Nobody answered in time.

    Attributes:
        address: What was dialled, ``host:port``.
        timeout_s: How long was waited, seconds.
    """

    def __init__(self, address: str, timeout_s: float) -> None:
        """Keep what was dialled and how long was waited."""
        super().__init__(address, timeout_s)
        self.address = address
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        """One line for a person."""
        words = "nobody is there, or somebody with another key or another choice of security"
        return f"no answer from {self.address} within {self.timeout_s:g} s: {words}"


class HandshakeFailed(ConnectError):
    """The peer answered, but no connection could be agreed on."""


class ServerKeyChanged(HandshakeFailed):
    """The server shows another key than the one that it had before: perhaps it is somebody else.

    Attributes:
        address: ``host:port`` of the server.
        path: The list of known servers in which the key stands.
    """

    def __init__(self, address: str, path: str) -> None:
        """Keep the address and the file."""
        super().__init__(address, path)
        self.address = address
        self.path = path

    def __str__(self) -> str:
        """One line for a person."""
        return (
            f"{self.address} shows another key than the one in {self.path}: somebody may sit"
            " between, or the server has a new key; only if you know that, remove its line there"
        )


_NOT_OF_A_LOGIN = 16
"""From here on `udpim.model.LoginCode`, which stands above this module, is about sessions."""


class LoginError(Error):
    """The server refused the login or revoked it later, or another one took its place.

    Attributes:
        code: A :class:`udpim.model.LoginCode` number.
        reason: What the server said.
    """

    def __init__(self, code: int, reason: str) -> None:
        """Keep the server's code and words."""
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        """One line for a person."""
        return self.reason if self.code >= _NOT_OF_A_LOGIN else f"login refused: {self.reason}"


class ConnectionClosed(Error):
    """The client was closed, or closed for good by the peer.

    Attributes:
        code: The close code of PROTOCOL §3.3.
        reason: Words that came with it.
    """

    def __init__(self, code: int, reason: str) -> None:
        """Keep the code and the words."""
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        """One line for a person."""
        return f"closed: {self.reason} (code {self.code})"


class ProtocolError(Error):
    """Somebody broke PROTOCOL.md."""


class LocalProtocolError(ProtocolError):
    """A method was called in a state that does not allow it."""


class RemoteProtocolError(ProtocolError):
    """An authenticated peer broke PROTOCOL.md."""


class DeliveryError(Error):
    """A receipt says that the message was not delivered, or not yet.

    Attributes:
        receipt: The receipt that speaks; it lives on.
    """

    def __init__(self, receipt: ReceiptLike) -> None:
        """Keep the receipt."""
        super().__init__(receipt)
        self.receipt = receipt

    def __str__(self) -> str:
        """One line for a person."""
        return f"message {self.receipt.msgid}: {self.receipt.state.name.lower()}"


class DeliveryTimeout(DeliveryError, TimeoutError):
    """The deadline is over and the outcome is unknown; it may still be delivered."""

    def __str__(self) -> str:
        """One line for a person."""
        return f"message {self.receipt.msgid}: deadline over, outcome unknown"


class DeliveryVoid(DeliveryError):
    """The recipient said that it will never deliver this message."""


class DeliveryRejected(DeliveryError):
    """The server refused the message for good.

    Attributes:
        code: A :class:`udpim.model.RejectCode`.
    """

    def __init__(self, receipt: ReceiptLike, code: int, words: str) -> None:
        """Keep the receipt and the server's reason."""
        super().__init__(receipt)
        self.code = code
        self.words = words

    def __str__(self) -> str:
        """One line for a person."""
        return f"message {self.receipt.msgid}: rejected, {self.words}"


class OutboxFull(Error):
    """Back-pressure from ``send_nowait``: nothing was queued.

    Attributes:
        limit: How much may be unsettled at once, of all messages or of those to one recipient.
        unit: What it counts, "messages" or "bytes".
    """

    def __init__(self, limit: int, unit: str = "messages") -> None:
        """Keep the limit."""
        super().__init__(limit, unit)
        self.limit = limit
        self.unit = unit

    def __str__(self) -> str:
        """One line for a person."""
        return f"outbox full: {self.limit} {self.unit} are unsettled"


class AsideFull(Error):
    """No further message can be set aside; this one waits on, and its stream with it.

    Attributes:
        messages: How many are set aside.
        size_bytes: How large they are together.
    """

    def __init__(self, messages: int, size_bytes: int) -> None:
        """Keep how much there is."""
        super().__init__(messages, size_bytes)
        self.messages = messages
        self.size_bytes = size_bytes

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.messages} messages of {self.size_bytes} bytes are set aside: no room"


class PayloadTooLarge(Error, ValueError):
    """A payload is over the limit; nothing was sent.

    Attributes:
        size_bytes: The payload's size.
        limit_bytes: What is allowed.
    """

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        """Keep both sizes."""
        super().__init__(size_bytes, limit_bytes)
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes

    def __str__(self) -> str:
        """One line for a person."""
        return f"payload of {self.size_bytes} bytes is over the limit of {self.limit_bytes}"


class PresenceError(Error):
    """The server did not say who of a user is there.

    Attributes:
        user: Whom the question was about.
    """

    def __init__(self, user: str) -> None:
        """Keep the user."""
        super().__init__(user)
        self.user = user


class PresenceRefused(PresenceError):
    """This user may not know; whether there is such a user is not said either."""

    def __str__(self) -> str:
        """One line for a person."""
        return f"the presence of {self.user} is not to be seen"


class UnknownUser(PresenceError):
    """There is no such user."""

    def __str__(self) -> str:
        """One line for a person."""
        return f"there is no user {self.user}"


class TooManyInquiries(Error):
    """More questions wait for answers than may; nothing was asked.

    Attributes:
        limit: How many may.
        about: What they are about.
    """

    def __init__(self, limit: int, about: str = "presence") -> None:
        """Keep the limit."""
        super().__init__(limit, about)
        self.limit = limit
        self.about = about

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.limit} questions about {self.about} wait for answers already"


class GroupRefused(Error):
    """The server did not do what was asked of a group.

    Attributes:
        group: Its name; empty where the user's own groups were to be listed.
        code: A `udpim.GroupCode`; BUSY means that asking again later may help.
        words: The same for people.
    """

    def __init__(self, group: str, code: int, words: str = "refused") -> None:
        """Keep the name, and why."""
        super().__init__(group, code, words)
        self.group = group
        self.code = code
        self.words = words

    def __str__(self) -> str:
        """One line for a person."""
        return f"group {self.group or '(all)'}: {self.words} (code {self.code})"


class StoreError(Error):
    """The store could not do what a promise needs.

    Attributes:
        path: The store's file.
    """

    def __init__(self, path: str, words: str) -> None:
        """Keep the file and what is wrong with it."""
        super().__init__(path, words)
        self.path = path
        self.words = words

    def __str__(self) -> str:
        """One line for a person."""
        return f"store {self.path}: {self.words}"


class StoreLocked(StoreError):
    """Another process has the store open."""


class StoreFormat(StoreError):
    """The file is not a udpim store, is of another kind, or is newer than this version."""


class StoreFenced(StoreError):
    """A later home has taken the store over; this process may promise nothing from it any more.

    Attributes:
        epoch: The fencing epoch that stands in the store.
    """

    def __init__(self, path: str, words: str, epoch: int = 0) -> None:
        """Keep the file, what is wrong, and the epoch found in it."""
        super().__init__(path, words)
        self.epoch = epoch


class StoreFull(StoreError):
    """The disk has no room left; the transaction did not happen."""


class NotHome(Error):
    """Another process of the cluster is the home, or none is at the moment; ask that one.

    Attributes:
        home: Name of the home in the directory; None if there is none.
    """

    def __init__(self, home: str | None) -> None:
        """Keep who the home is."""
        super().__init__(home)
        self.home = home

    def __str__(self) -> str:
        """One line for a person."""
        if self.home is None:
            return "no process of the cluster holds the store at the moment"
        return f"process {self.home} of the cluster holds the store, not this one"


class DecodeError(Error):
    """Bytes that are not what PROTOCOL.md says; never leaves a core."""
