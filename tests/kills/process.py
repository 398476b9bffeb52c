"""The parent's side of a runner: start it, command it, hear it, see it die."""

import asyncio
import json
import os
from contextlib import suppress

LINE_BYTES_MAX = 1 << 20
END_S_MAX = 20.0


class Process:
    """One runner process.

    Attributes:
        returncode: Its exit code, negative for a signal, None while it runs.
        last_words: What it said before it killed itself, None while it has not.
        counts: Effects by kind, once it has ended in peace.
        up_at_s: When it was ready to take commands, monotonic.
    """

    def __init__(self, nursery, folder, name, *, target=None, phase=None, hasty=False):
        self.returncode = None
        self.last_words = None
        self.counts = None
        self.up_at_s = 0.0
        self._nursery = nursery
        self._errors = folder / f"{name}.err"
        self._argv = ["--target", target, "--phase", phase] if target else []
        self._argv += ["--hasty"] if hasty else []
        self._listeners = {}
        self._pid = None
        self._stdin = None
        self._reader = None
        self._up = asyncio.Event()

    @property
    def pid(self):
        """Its process id, None before it is started."""
        return self._pid

    async def start(self):
        """Start it and wait until it takes commands."""
        stdin, self._stdin = os.pipe()
        out, stdout = os.pipe()
        try:
            self._pid = await self._nursery.fork(self._argv, self._errors, stdin, stdout)
        finally:
            os.close(stdin)
            os.close(stdout)
        self._reader = asyncio.create_task(self._read(os.fdopen(out, "rb")))
        up = asyncio.create_task(self._up.wait())
        await asyncio.wait([up, self._reader], return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        assert self._up.is_set(), f"a runner did not start: {self.complaints()}"
        return self

    def listen(self, who, heard, died):
        """Call ``heard`` with each line about this user or server, ``died`` at the end."""
        self._listeners[who] = (heard, died)

    def command(self, do, who, **fields):
        """Give a command; to a dead process it is nothing."""
        if self._stdin is not None:
            with suppress(BrokenPipeError):
                os.write(
                    self._stdin, (json.dumps({"do": do, "who": who, **fields}) + "\n").encode()
                )

    async def _read(self, out):
        lines = asyncio.StreamReader(LINE_BYTES_MAX)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), out
        )
        while line := await lines.readline():
            self._heard(json.loads(line))
        transport.close()
        self._close_stdin()
        self.returncode = await self._nursery.exit_code(self._pid)
        for _, died in list(self._listeners.values()):
            died()

    def _heard(self, line):
        match line["event"]:
            case "up":
                self.up_at_s = line["at_s"]
                self._up.set()
            case "killing":
                self.last_words = line
            case "counts":
                self.counts = line["counts"]
            case _ if line["who"] in self._listeners:
                self._listeners[line["who"]][0](line)

    def _close_stdin(self):
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    async def end(self):
        """Let it end in peace, which the end of its input means to it."""
        self._close_stdin()
        await asyncio.wait_for(self._reader, END_S_MAX)

    def complaints(self):
        """What it wrote on standard error."""
        return self._errors.read_text(errors="replace").strip() if self._errors.exists() else ""
