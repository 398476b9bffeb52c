"""One side of a handshake: messages go out and come in by turns, and leave two keys behind.

On top of this package. A message that cannot be read, or not be written, changes nothing: the
state stays what it was, and waits for the true message. Differs from Noise §5.3, which has the
state deleted: over UDP anybody can send anything, and a forged datagram must not end a handshake.
Each message is tried on a copy, which takes the state's place once all of it was right.

Specification: Noise revision 34, §5.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from udpim.crypto.noise.errors import MalformedMessage
from udpim.crypto.noise.patterns import Pattern
from udpim.crypto.noise.suites import KEY_BYTES, TAG_BYTES, Cipher, KeyPair, Suite
from udpim.crypto.noise.symmetric_state import SymmetricState
from udpim.errors import ConfigError, LocalProtocolError, PayloadTooLarge

_T = TypeVar("_T")

MESSAGE_BYTES_MAX = 65535
"""Of any Noise message (Noise §3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportKeys:
    """What a finished handshake leaves behind; in a one-way pattern one key of them is not used."""

    cipher: Cipher
    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)


class HandshakeState:
    """One side. Give it the peer's messages while `may_read`, send its own while `may_write`."""

    __slots__ = (
        "_before",
        "_initiator",
        "_pattern",
        "_random_bytes",
        "_suite",
        "_turn",
    )

    def __init__(
        self,
        pattern: Pattern,
        suite: Suite,
        random_bytes: Callable[[int], bytes],
        *,
        initiator: bool,
        prologue: bytes = b"",
        static: KeyPair | None = None,
        remote_static: bytes | None = None,
        psks: Sequence[bytes] = (),
    ) -> None:
        """Check that there is what the pattern needs, and nothing that it would ignore.

        Args:
            pattern: Who sends what.
            suite: With which algorithms.
            random_bytes: Where private keys of this handshake come from.
            initiator: Whether this side writes the first message.
            prologue: What both sides must have seen alike before.
            static: This side's lasting key.
            remote_static: The other side's public key, where it is known before.
            psks: Pre-shared keys, 32 bytes each, in the order of their use.

        Raises:
            ConfigError: If a key is missing, of a wrong size, or of no use in this pattern.
        """
        _check_needed("static key", static, needed=pattern.needs_static(initiator=initiator))
        known = pattern.knows_before(initiator=initiator)
        _check_needed("remote static key", remote_static, needed=known)
        if remote_static is not None and len(remote_static) != suite.dh.size_bytes:
            raise ConfigError(f"a public key has {suite.dh.size_bytes} bytes")
        if [KEY_BYTES] * pattern.psks != [len(psk) for psk in psks]:
            raise ConfigError(f"pattern {pattern.name} takes {pattern.psks} keys of 32 bytes")
        name = suite.protocol_name(pattern.name).encode()
        symmetric = SymmetricState(name, suite.cipher, suite.hash)
        symmetric.mix_hash(prologue)
        local = None if static is None else static.public
        first, second = (local, remote_static) if initiator else (remote_static, local)
        for known, public in ((pattern.initiator_known, first), (pattern.responder_known, second)):
            if known:
                symmetric.mix_hash(_there(public))
        self._pattern = pattern
        self._suite = suite
        self._random_bytes = random_bytes
        self._initiator = initiator
        self._turn = 0
        self._before = _Attempt(symmetric, static, None, None, remote_static, tuple(psks))

    # Messages.

    def write_message(self, payload: bytes = b"") -> bytes:
        """The next message of this side, with a payload that is as safe as the pattern says.

        Raises:
            LocalProtocolError: If it is not this side's turn.
            PayloadTooLarge: If the message would be larger than 65535 bytes.
            PublicKeyRefused: If the peer's key gives a secret that everybody knows.
        """
        if not self.may_write:
            raise LocalProtocolError("it is not this side's turn to write")
        attempt = self._before.copy()
        message = b""
        for token in self._pattern.messages[self._turn]:
            match token:
                case "e":
                    message += self._write_ephemeral(attempt)
                case "s":
                    message += attempt.symmetric.encrypt_and_hash(_there(attempt.static).public)
                case _:
                    self._mix(attempt, token)
        room = MESSAGE_BYTES_MAX - len(message) - attempt.tag_bytes
        if len(payload) > room:
            raise PayloadTooLarge(len(payload), room)
        message += attempt.symmetric.encrypt_and_hash(payload)
        self._before = attempt
        self._turn += 1
        return message

    def read_message(self, message: bytes) -> bytes:
        """The payload of the peer's next message.

        Raises:
            LocalProtocolError: If it is not the peer's turn.
            NoiseError: If the message is not one that belongs here; nothing has changed then.
        """
        if not self.may_read:
            raise LocalProtocolError("it is not the peer's turn to write")
        if len(message) > MESSAGE_BYTES_MAX:
            raise MalformedMessage(len(message))
        attempt = self._before.copy()
        at = 0
        for token in self._pattern.messages[self._turn]:
            if token not in ("e", "s"):
                self._mix(attempt, token)
                continue
            end = at + self._suite.dh.size_bytes + (attempt.tag_bytes if token == "s" else 0)
            if len(message) < end:
                raise MalformedMessage(len(message))
            if token == "e":
                attempt.remote_ephemeral = message[at:end]
                self._mix_ephemeral(attempt, attempt.remote_ephemeral)
            else:
                attempt.remote_static = attempt.symmetric.decrypt_and_hash(message[at:end])
            at = end
        payload = attempt.symmetric.decrypt_and_hash(message[at:])
        self._before = attempt
        self._turn += 1
        return payload

    def split(self) -> TransportKeys:
        """The keys of what follows.

        Raises:
            LocalProtocolError: If the handshake is not finished.
        """
        self._check_finished()
        send, receive = self._before.symmetric.split()
        if not self._initiator:
            send, receive = receive, send
        return TransportKeys(cipher=self._suite.cipher, send=send, receive=receive)

    # What is known.

    @property
    def finished(self) -> bool:
        """Whether all messages were written and read."""
        return self._turn == len(self._pattern.messages)

    @property
    def may_write(self) -> bool:
        """Whether the next message is this side's."""
        return not self.finished and (self._turn % 2 == 0) == self._initiator

    @property
    def may_read(self) -> bool:
        """Whether the next message is the peer's."""
        return not self.finished and not self.may_write

    @property
    def remote_static(self) -> bytes | None:
        """The peer's lasting key; not proven to be the peer's before the handshake is finished."""
        return self._before.remote_static

    @property
    def handshake_hash(self) -> bytes:
        """What names this handshake and no other: a channel binding (Noise §11.2).

        Raises:
            LocalProtocolError: If the handshake is not finished.
        """
        self._check_finished()
        return self._before.symmetric.transcript_hash

    # Tokens.

    def _write_ephemeral(self, attempt: _Attempt) -> bytes:
        dh = self._suite.dh
        attempt.ephemeral = dh.key_pair(self._random_bytes(dh.size_bytes))
        public = attempt.ephemeral.public
        self._mix_ephemeral(attempt, public)
        return public

    def _mix_ephemeral(self, attempt: _Attempt, public: bytes) -> None:
        attempt.symmetric.mix_hash(public)
        if self._pattern.psks:
            # Noise §9.2: otherwise a pre-shared key could seal twice under one nonce.
            attempt.symmetric.mix_key(public)

    def _mix(self, attempt: _Attempt, token: str) -> None:
        """A pre-shared key, or a DH: the first letter is the initiator's key."""
        if token == "psk":
            attempt.symmetric.mix_key_and_hash(attempt.psks[0])
            attempt.psks = attempt.psks[1:]
            return
        mine, theirs = (token[0], token[1]) if self._initiator else (token[1], token[0])
        pair = attempt.static if mine == "s" else attempt.ephemeral
        public = attempt.remote_static if theirs == "s" else attempt.remote_ephemeral
        attempt.symmetric.mix_key(_there(pair).exchange(_there(public)))

    def _check_finished(self) -> None:
        if not self.finished:
            raise LocalProtocolError("the handshake is not finished")


@dataclass(slots=True, repr=False)
class _Attempt:
    """Everything that a message changes, so that a failed one can be forgotten."""

    symmetric: SymmetricState
    static: KeyPair | None
    ephemeral: KeyPair | None
    remote_ephemeral: bytes | None
    remote_static: bytes | None
    psks: tuple[bytes, ...]

    @property
    def tag_bytes(self) -> int:
        """How much longer what is sealed now becomes."""
        return TAG_BYTES if self.symmetric.has_key else 0

    def copy(self) -> _Attempt:
        """One to try a message on."""
        return _Attempt(
            self.symmetric.copy(),
            self.static,
            self.ephemeral,
            self.remote_ephemeral,
            self.remote_static,
            self.psks,
        )


def _check_needed(what: str, given: object, *, needed: bool) -> None:
    if needed != (given is not None):
        words = "needs" if needed else "has no use for"
        raise ConfigError(f"this side of the pattern {words} a {what}")


def _there(value: _T | None) -> _T:
    """A key that the pattern has put there before its use."""
    assert value is not None
    return value
