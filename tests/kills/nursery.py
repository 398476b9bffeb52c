"""Forks runner processes from one that has imported everything: a start costs milliseconds.

The child is a process like any other, with nothing of an earlier one's memory: the nursery itself
opens no store and no socket, and runs no event loop and no thread.
"""

import asyncio
import gc
import json
import os
import socket
import sys
from asyncio.subprocess import DEVNULL
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUEST_BYTES_MAX = 4096


class Nursery:
    """The parent's side; one request at a time."""

    def __init__(self):
        self._lock = asyncio.Lock()
        self._process = None
        self._control = None

    async def __aenter__(self):
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        paths = [str(ROOT), os.environ.get("PYTHONPATH")]
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.kills.nursery"),
                stdin=theirs,
                stdout=DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            )
        return self

    async def __aexit__(self, *_):
        self._control.close()
        await self._process.wait()

    async def fork(self, argv, errors, stdin, stdout):
        """Fork a runner and return its process id; the descriptors become its standard streams."""
        request = {"argv": argv, "errors": str(errors)}
        return await self._ask(request, [stdin, stdout])

    async def exit_code(self, pid):
        """The exit code of a runner that has closed its streams, negative for a signal."""
        return await self._ask({"wait": pid}, [])

    async def _ask(self, request, descriptors):
        async with self._lock:
            socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
            answer = await asyncio.get_running_loop().sock_recv(self._control, REQUEST_BYTES_MAX)
        assert answer, "the nursery has died"
        return int(answer)


def main():
    """The nursery's side: fork, and reap."""
    from tests.kills import runner

    gc.freeze()
    control = socket.socket(fileno=os.dup(0))
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, REQUEST_BYTES_MAX, 2)
        if not data:
            return
        request = json.loads(data)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                control.close()
                _become(runner, request, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
        control.send(str(answer).encode())


def _become(runner, request, descriptors):
    """In the child: be a runner to the end."""
    errors = os.open(request["errors"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    for number, descriptor in enumerate([*descriptors, errors]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    code = 1
    try:
        runner.run(request["argv"])
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
