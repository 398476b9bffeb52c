"""The key log of a process: a file for debugging, which the environment names.

Whoever can read it can read all captured traffic of the process, for as long as both exist. So it
is off unless ``UDPIM_KEYLOGFILE`` is set, it is warned about, and it must be readable by its owner
alone.

Format: PROTOCOL §2.9.
"""

from __future__ import annotations

import logging
import os

from udpim.crypto.key_log import ConnectionSecrets, KeyLog, to_line
from udpim.errors import ConfigError

VARIABLE = "UDPIM_KEYLOGFILE"

logger = logging.getLogger("udpim")


def key_log_from_environment() -> KeyLog | None:
    """Return what writes the secrets of connections where the environment says; None: it is unset.

    Raises:
        ConfigError: The file cannot be written, or others may read it.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    log = KeyLogFile(path)
    logger.warning("%s is set: whoever reads %s can read the traffic", VARIABLE, path)
    return log


class KeyLogFile:
    """Appends a line for each connection."""

    def __init__(self, path: str) -> None:
        """Make the file, unless it is there.

        Raises:
            ConfigError: It cannot be written, or others may read it.
        """
        self._path = path
        try:
            self._append(b"")
            mode = os.stat(path).st_mode
        except OSError as error:
            raise ConfigError(f"cannot write the key log {path}: {error.strerror}") from None
        if mode & 0o077:
            raise ConfigError(f"others may read the key log {path}; chmod 600 it")

    def __call__(self, secrets: ConnectionSecrets) -> None:
        """Note a connection; one that cannot be noted goes on all the same."""
        try:
            self._append(to_line(secrets).encode("ascii") + b"\n")
        except OSError as error:
            logger.warning("the key log %s lacks a connection: %s", self._path, error.strerror)

    def _append(self, data: bytes) -> None:
        # One write for one line, so that processes which share the file do not mix theirs.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
