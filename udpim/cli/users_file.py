"""The users file of ``udpim serve``: who may log in, and with which token.

One line for each user, a name and a secret; ``#`` begins a comment line. A secret is the token
itself, or ``sha256:`` and the token's digest in hex, which is what ``udpim user add`` writes.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from udpim.errors import ConfigError
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
HEADER = "# Who may log in: a name and a token, or its digest after sha256:\n"

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


def matches(secret: str | None, token: str) -> bool:
    """Compare a token with a secret of the file, in a time that tells nothing; None fits none."""
    known = secret if secret is not None and _DIGEST.fullmatch(secret) else hashed(secret or "")
    return hmac.compare_digest(known, hashed(token)) and secret is not None


# --- Reading ---


def list_users(path: str) -> dict[str, str]:
    """Read a users file: the secret of each name, in the order of the file.

    Raises:
        ConfigError: If it cannot be read, or a line is malformed; the line's number is in it.
    """
    return parse_users(path, _read(path))


def read_users(path: str) -> dict[str, str]:
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


def parse_users(path: str, text: str) -> dict[str, str]:
    """Read the text of a users file; the path is for the words of an error.

    Raises:
        ConfigError: If a line is malformed; its number is in it.
    """
    users: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"users file {path}, line {number}"
        if len(words) != 2:
            raise ConfigError(f"{where}: expected a name and a token, found {len(words)} words")
        name, secret = words
        if len(name.encode()) > NAME_BYTES_MAX:
            raise ConfigError(f"{where}: the name is over {NAME_BYTES_MAX} bytes")
        if name in users:
            raise ConfigError(f"{where}: {name} was named before")
        if secret.startswith(HASHED) and not _DIGEST.fullmatch(secret):
            raise ConfigError(f"{where}: after {HASHED} come 64 hexadecimal digits")
        users[name] = secret
    return users


# --- Changing ---


def add_user(path: str, name: str, token: str) -> None:
    """Add a user at the end of the file; a file that is not there is made, for its owner only.

    Raises:
        ConfigError: If the name does not fit or is there already, or the file cannot be changed.
    """
    check_name("the name", name)
    if name.split() != [name] or name.startswith("#") or not name.isprintable():
        raise ConfigError(f"{name!r}: a name has no spaces, no control signs, and no # in front")

    def added(text: str) -> str:
        if name in parse_users(path, text):
            raise ConfigError(f"users file {path}: {name} exists already")
        if text and not text.endswith(("\n", "\r")):
            text += "\n"
        return f"{text or HEADER}{name} {hashed(token)}\n"

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

    def admits(self, name: str, token: str) -> bool:
        """Tell whether this is the user's token."""
        self._refresh()
        return matches(self._users.get(name), token)

    def knows(self, name: str) -> bool:
        """Tell whether there is such a user."""
        self._refresh()
        return name in self._users

    def _look(self) -> tuple[int, ...]:
        """Return what differs once the file has changed: the error's number, or its identity."""
        try:
            found = os.stat(self._path)
        except OSError as error:
            return (error.errno or -1,)
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size

    def _refresh(self) -> None:
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
