"""The users file of ``udpim serve``: who may log in, and by which proof.

One line for each user; ``#`` begins a comment line. After the name come a token, public keys of the
user's devices, or both::

    alice sha256:9f86d0…                whoever has the token
    bob   key:PYkO1zqa… key:mG3xN9…     any of these two devices
    carol sha256:60303a… key:oR8xQe…    this device only, and with the token

A token stands there itself, or as ``sha256:`` and its digest in hex, which is what ``udpim user
add`` writes. A key is what ``udpim key`` prints; a server in plain text sees none.

There is one scheme, and it is a fast one. A token that nobody can guess needs no slow hash; a slow
one would be a lever for whoever floods the server with logins, would hold up everybody who comes
back after a restart, and beside fast ones it would tell by its time who exists. So tokens are
drawn, and one brought from elsewhere must have room for as much chance as a drawn one.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from udpim import Admitted
from udpim.errors import ConfigError
from udpim.runtime.keys import format_key, parse_key
from udpim.runtime.settings import check_name, check_token
from udpim.wire.im_schema import NAME_BYTES_MAX

TOKEN_RANDOM_BYTES = 20
"""160 bits of a drawn token."""
TOKEN_CHARACTERS_MIN = 22
"""Of a token brought from elsewhere: 128 bits in base64, if it was drawn."""
LOCK_S_MAX = 10.0
"""How long to wait for somebody else who is changing the file."""
LOCK_PAUSE_S = 0.05

HASHED = "sha256:"
KEY = "key:"
HEADER = "# Who may log in: a name, then a token (or sha256: and its digest), key:… or both\n"

_DIGEST = re.compile(HASHED + "[0-9a-f]{64}")


# --- Secrets ---


def draw_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_hex(TOKEN_RANDOM_BYTES)  # in base64 it might begin like an option


def check_foreign_token(token: str) -> str:
    """Return a token that was made elsewhere.

    Raises:
        ConfigError: If it is too long for a login, or too short to have been drawn.
    """
    check_token(token)
    if len(token) < TOKEN_CHARACTERS_MIN:
        raise ConfigError(
            f"the token has {len(token)} characters; at least {TOKEN_CHARACTERS_MIN} are wanted,"
            " drawn and not thought up, for a hash protects only what cannot be guessed"
        )
    return token


def hashed(token: str) -> str:
    """Return what the file keeps of a token."""
    return HASHED + hashlib.sha256(token.encode()).hexdigest()


def matches(secret: str, digest: str) -> bool:
    """Compare a token's digest with a secret of the file, in a time that tells nothing."""
    known = secret if _DIGEST.fullmatch(secret) else hashed(secret)
    return hmac.compare_digest(known, digest)


# --- Reading ---


class User(NamedTuple):
    """What a line asks of whoever logs in.

    Attributes:
        secret: The token, or its digest; None where keys are enough.
        keys: Public keys, of which the device must own one; none where the token is enough.
    """

    secret: str | None
    keys: tuple[str, ...] = ()

    def admits(self, digest: str, key: str | None) -> bool:
        """Tell whether a token, of which this is `hashed`, and a key are proof enough."""
        known = matches(self.secret or "", digest)  # in every case, for the time that it takes
        return (known or self.secret is None) and (not self.keys or key in self.keys)


NOBODY = User(hashed(secrets.token_hex()))
"""Asks for what nobody has, and takes as long as anybody."""


def list_users(path: str) -> dict[str, User]:
    """Read a users file: what each name is asked for, in the order of the file.

    Raises:
        ConfigError: If it cannot be read, or a line is malformed; the line's number is in it.
    """
    return parse_users(path, _read(path))


def read_users(path: str) -> dict[str, User]:
    """Read the users file of a server that is about to start.

    Raises:
        ConfigError: See `list_users`; also if it names nobody.
    """
    users = list_users(path)
    if not users:
        raise ConfigError(f"users file {path}: it names nobody")
    return users


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode()
    except OSError as error:
        raise ConfigError(f"users file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"users file {path}: it is not UTF-8 text") from error


def parse_users(path: str, text: str) -> dict[str, User]:
    """Read the text of a users file; the path is for the words of an error.

    Raises:
        ConfigError: If a line is malformed; its number is in it.
    """
    users: dict[str, User] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"users file {path}, line {number}"
        name, *proofs = words
        if len(name.encode()) > NAME_BYTES_MAX:
            raise ConfigError(f"{where}: the name is over {NAME_BYTES_MAX} bytes")
        if name in users:
            raise ConfigError(f"{where}: {name} was named before")
        users[name] = _parse_proofs(where, proofs)
    return users


def _parse_proofs(where: str, words: list[str]) -> User:
    tokens = [word for word in words if not word.startswith(KEY)]
    texts = [word.removeprefix(KEY) for word in words if word.startswith(KEY)]
    if not words or len(tokens) > 1:
        found = f"{len(tokens)} tokens" if words else "nothing"
        raise ConfigError(
            f"{where}: expected a token, {KEY}… or both after the name, found {found}"
        )
    for token in tokens:
        if token.startswith(HASHED) and not _DIGEST.fullmatch(token):
            raise ConfigError(f"{where}: after {HASHED} come 64 hexadecimal digits")
    keys = tuple(format_key(parse_key(f"{where}: what follows {KEY}", text)) for text in texts)
    return User(tokens[0] if tokens else None, keys)


# --- Changing ---


def add_user(path: str, name: str, token: str | None, keys: Sequence[str] = ()) -> None:
    """Add a user at the end of the file; a file that is not there is made, for its owner only.

    Args:
        path: Of the file.
        name: The user's.
        token: None where a key is enough.
        keys: Public keys, of which the user's device must own one; none where a token is enough.

    Raises:
        ConfigError: If the name does not fit or is there already, or the file cannot be changed.
    """
    check_name("the name", name)
    if name.split() != [name] or name.startswith("#") or not name.isprintable():
        raise ConfigError(f"{name!r}: a name has no spaces, no control signs, and no # in front")

    proofs = [] if token is None else [hashed(token)]
    proofs += [KEY + format_key(parse_key("the key", key)) for key in keys]
    if not proofs:
        raise ConfigError(f"{name}: without a token there must be a key")

    def added(text: str) -> str:
        if name in parse_users(path, text):
            raise ConfigError(f"users file {path}: {name} exists already")
        if text and not text.endswith(("\n", "\r")):
            text += "\n"
        return f"{text or HEADER}{name} {' '.join(proofs)}\n"

    _change(path, added, make=True)


def remove_user(path: str, name: str) -> None:
    """Take a user's line out of the file.

    Raises:
        ConfigError: If there is no such user, or the file cannot be changed.
    """

    def removed(text: str) -> str:
        if name not in parse_users(path, text):
            raise ConfigError(f"users file {path}: there is no user {name}")
        lines = text.splitlines(keepends=True)
        # An empty file would look like one that is just being written.
        return "".join(line for line in lines if line.split()[:1] != [name]) or HEADER

    _change(path, removed, make=False)


def _change(path: str, change: Callable[[str], str], *, make: bool) -> None:
    """Replace the file's text at once: whoever reads sees the old one or the new one."""
    target = os.path.realpath(path)  # a link stays one
    if not make:
        _read(path)  # leave no lock beside a file that is not there
    try:
        with _locked(target):
            present = _stat(target)
            text = change("" if present is None and make else _read(path))
            _replace(target, text.encode(), present)
    except OSError as error:
        raise ConfigError(f"users file {path}: {error.strerror}") from error


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


@contextmanager
def _locked(target: str) -> Iterator[None]:
    """Let one process at a time change the file.

    The lock is on a file beside it, for the file itself is replaced. That one stays, since whoever
    deleted it could take it away under somebody who waits for it.
    """
    lock = os.open(f"{target}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + LOCK_S_MAX
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    words = f"another process has been changing it for {LOCK_S_MAX:g} s"
                    raise ConfigError(f"users file {target}: {words}") from None
                time.sleep(LOCK_PAUSE_S)
        yield
    finally:
        os.close(lock)


def _replace(target: str, data: bytes, present: os.stat_result | None) -> None:
    beside = f"{target}.new"
    with suppress(FileNotFoundError):
        os.unlink(beside)  # of somebody who died; the lock is ours
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "wb") as writing:
            if present is not None:
                _keep_access(writing.fileno(), present)
            writing.write(data)
            writing.flush()
            os.fsync(writing.fileno())
        os.replace(beside, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    folder = os.open(os.path.dirname(target), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _keep_access(file: int, present: os.stat_result) -> None:
    """Give the new file the owner and mode of the old one, so that the server can still read it."""
    made = os.fstat(file)
    if (made.st_uid, made.st_gid) != (present.st_uid, present.st_gid):
        os.fchown(file, present.st_uid, present.st_gid)
    os.fchmod(file, stat.S_IMODE(present.st_mode))


# --- While a server runs ---


class LiveUsers:
    """The users of a running server: the file is read again when it has changed.

    What cannot be used changes nothing: the users stay as they were, and ``warn`` is told once for
    each change. A file that names nobody lets nobody in, unless it has no byte at all: that is what
    a file looks like that an editor is just about to write.
    """

    def __init__(self, path: str, warn: Callable[[str], None]) -> None:
        """Read it for the first time.

        Raises:
            ConfigError: See `read_users`.
        """
        self._path = path
        self._warn = warn
        self._seen = self._look()
        self._users = read_users(path)
        self.changes = 0
        """How often the users became others."""

    def admits(self, name: str, token: str, key: str | None = None) -> bool:
        """Tell whether token and key prove that this is the user; no key in plain text."""
        self.refresh()
        return self._users.get(name, NOBODY).admits(hashed(token), key)

    def still_admits(self, admitted: Admitted) -> bool:
        """Tell whether who was admitted, or is about to be, is one whom the file lets in."""
        digest = HASHED + admitted.token_sha256
        return self._users.get(admitted.user, NOBODY).admits(digest, admitted.key)

    def knows(self, name: str) -> bool:
        """Tell whether there is such a user."""
        self.refresh()
        return name in self._users

    def _look(self) -> tuple[int, ...]:
        """Return what differs once the file has changed: the error's number, or its identity."""
        try:
            found = os.stat(self._path)
        except OSError as error:
            return (error.errno or -1,)
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size

    def refresh(self) -> None:
        """Read the file, if it has changed."""
        # Looked at before it is read: a change in between is found the next time.
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            text = _read(self._path)
            if not text:
                raise ConfigError(f"users file {self._path}: it is empty")
            users = parse_users(self._path, text)
        except ConfigError as error:
            self._warn(f"{error}; the users stay as they were")
            return
        if not users:
            self._warn(f"users file {self._path}: it names nobody now; nobody can log in")
        self._users = users
        self.changes += 1
