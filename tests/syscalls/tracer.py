"""strace at a process that runs already: it counts system calls, and meddles with one of them.

strace counts per thread. A store's writer is a thread of its own, but a store is opened on the main
thread; so what is to happen to the writer's calls is attached when the store is open.
"""

import asyncio
import shutil
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from contextlib import suppress

ATTACH_S_MAX = 10.0
TRACED = ("sendto", "sendmsg", "fdatasync", "fsync", "pwrite64")


def missing():
    """Say why nothing can be traced here, None if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        tried = subprocess.run(
            ["strace", "-p", str(sleeper.pid), "-e", "trace=none", "-I", "1"],
            capture_output=True,
            text=True,
            timeout=1.0,
            check=False,
        )
        return f"processes cannot be traced here: {tried.stderr.strip()}"
    except subprocess.TimeoutExpired:  # it is attached, and would be for ever
        return None
    finally:
        sleeper.kill()
        sleeper.communicate()


class Tracer:
    """One strace.

    Attributes:
        counts: (thread, system call) → how many were seen to begin.
        injected: Set once the call was meddled with; a killed process may take that word along.
    """

    def __init__(self, strace):
        self.counts = Counter()
        self.injected = asyncio.Event()
        self._strace = strace
        self._reader = None

    @classmethod
    async def attach(cls, pid, injection=None):
        """Attach to all threads of a process; return when it is.

        Args:
            pid: Of the process.
            injection: What to do to which call, in strace's words; None to count.
        """
        calls = TRACED if injection is None else [injection.partition(":")[0]]
        meddling = [] if injection is None else ["-e", f"inject={injection}"]
        strace = await asyncio.create_subprocess_exec(
            *("strace", "-f", "-p", str(pid), "-e", f"trace={','.join(calls)}", *meddling),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            limit=1 << 20,
        )
        tracer = cls(strace)
        first = await asyncio.wait_for(strace.stderr.readline(), ATTACH_S_MAX)
        assert b"attached" in first, first
        tracer._reader = asyncio.create_task(tracer._read())
        return tracer

    async def _read(self):
        while line := await self._strace.stderr.readline():
            words = line.decode(errors="replace")
            thread, text = "main", words
            if words.startswith("[pid"):
                thread, _, text = words[4:].strip().partition("] ")
            call = text.partition("(")[0]
            if call in TRACED:
                self.counts[thread, call] += 1
            if "INJECTED" in words:
                self.injected.set()

    async def end(self):
        """Let go of the process, if it lives."""
        with suppress(ProcessLookupError):
            self._strace.terminate()
        await self._strace.wait()
        await self._reader

    def most(self, call):
        """How often the thread made this call that made it most often."""
        return max((n for (_, name), n in self.counts.items() if name == call), default=0)
