"""The qlogs of a process: a folder for debugging, which the environment names.

Each client and each server that starts while ``UDPIM_QLOG`` is set writes a file of its own there.
It shows who talks to whom and when, and no payload, token or key; its owner alone may read it.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace

from udpim.errors import ConfigError
from udpim.hop.config import HopConfig
from udpim.observe.qlog import SUFFIX, Qlog, Record, text_of

VARIABLE = "UDPIM_QLOG"

logger = logging.getLogger("udpim")


def observed(hop: HopConfig, side: str) -> HopConfig:
    """Return the settings of a ``client`` or ``server``, with a qlog where the environment says so.

    Raises:
        ConfigError: The file cannot be written.
    """
    folder = os.environ.get(VARIABLE)
    if not folder or hop.trace is not None:
        return hop
    name = f"{side}-{os.getpid()}-{os.urandom(4).hex()}"
    file = QlogFile(os.path.join(folder, name + SUFFIX))
    began = time.monotonic()
    qlog = Qlog(name, side, lambda: time.monotonic() - began, file.put)
    file.put(qlog.header(time.time_ns() / 1e6))
    return replace(hop, trace=qlog.new_trace)


class QlogFile:
    """Appends a text for each record."""

    def __init__(self, path: str) -> None:
        """Make the file and its folder.

        Raises:
            ConfigError: It cannot be written.
        """
        self._path = path
        self._failed = False
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._append(b"")
        except OSError as error:
            raise ConfigError(f"cannot write the qlog {path}: {error.strerror}") from None

    def put(self, record: Record) -> None:
        """Write a record; a disk that takes no more ends the log, and nothing else."""
        if self._failed:
            return
        try:
            self._append(text_of(record).encode())
        except OSError as error:
            self._failed = True
            logger.warning("the qlog %s ends: %s", self._path, error.strerror)

    def _append(self, data: bytes) -> None:
        # Opened for each, so that nobody has to close it, and a process that dies has written all.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
