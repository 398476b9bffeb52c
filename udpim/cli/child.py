"""The demo's server: ``udpim serve`` in a process of its own, that can be killed and come back."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path

from udpim.errors import ConnectError
from udpim.model import Address

READY_S_MAX = 20.0
"""How long a server may take to say that it listens."""
STOP_S_MAX = 10.0
"""How long it may take to go when asked; then it is killed."""


class ServerProcess:
    """One server on one store; a killed one comes back on the same port.

    Attributes:
        pids: Process ids, one for each start.
        address: Where it listens, once started.
        key: Its public key, once started; None in plaintext.
    """

    def __init__(self, store: Path, users: Path, security: str) -> None:
        """Name the files that every start uses, and whether it encrypts."""
        self.pids: list[int] = []
        self.address: Address = ("127.0.0.1", 0)
        self.key: str | None = None
        self._options = ("--store", str(store), "--users", str(users), "--security", security)
        self._process: Process | None = None
        self._errors = store.with_suffix(".err")

    async def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            ConnectError: If it does not; what it said is in the words.
        """
        host, port = self.address
        command = (sys.executable, "-m", "udpim", "serve", "--json")
        with self._errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *command, "--host", host, "--port", str(port), *self._options,
                stdin=DEVNULL, stdout=PIPE, stderr=errors, start_new_session=True,
            )  # fmt: skip
        self.pids.append(self._process.pid)
        assert self._process.stdout is not None, "asked for above"
        line = b""
        with suppress(TimeoutError):
            line = await asyncio.wait_for(self._process.stdout.readline(), READY_S_MAX)
        if not line:
            raise ConnectError(f"the server process did not start: {self.complaints() or 'silent'}")
        ready = json.loads(line)
        self.address = ready["host"], ready["port"]
        self.key = ready.get("key")

    async def kill(self) -> None:
        """End it with SIGKILL: no goodbye, nothing written any more."""
        assert self._process is not None, "started before"
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> None:
        """Ask it to go, and kill it if it does not."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S_MAX)
        except TimeoutError:
            await self.kill()

    @property
    def running(self) -> bool:
        """Whether the present process lives."""
        return self._process is not None and self._process.returncode is None

    def complaints(self) -> str:
        """What all its processes wrote on standard error."""
        return self._errors.read_text(errors="replace").strip() if self._errors.exists() else ""
