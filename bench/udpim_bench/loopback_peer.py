"""The two processes of ``udpim_bench loopback``: the server in one, all clients in the other.

Each is told what to do by its arguments, and talks to `udpim_bench.loopback` in lines of JSON: one
on standard output for each line on standard input. The end of standard input ends the process.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import os
import sys
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from itertools import repeat
from pathlib import Path
from typing import Any

import udpim
from udpim.model import MessageState
from udpim_bench.measure import WrongCounts

SENDER = "alice"
NUMBER_BYTES = 8
"""What a payload begins with: its place in its stream."""
SETTLE_S = 60.0
"""How long the last receipts may take before the run counts as failed."""


def tell(values: dict[str, Any]) -> None:
    """Answer with a line of JSON."""
    print(json.dumps(values), flush=True)


def _cpu() -> float:
    return time.process_time()


async def lines() -> asyncio.StreamReader:
    """Return standard input, to be read line by line."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def serve(store: str | None, security: str) -> None:
    """Serve until standard input ends; answer each line with the CPU time spent so far."""
    commands = await lines()
    server = udpim.Server(open_to_all=True, security=security, store=store)
    async with server.listen("127.0.0.1", 0) as listening:
        key = listening.public_key if security == "require" else None
        tell({"port": listening.address[1], "key": key})
        while await commands.readline():
            tell({"cpu_s": _cpu(), "stats": listening.stats()})


class Stream:
    """Messages from one sender to one recipient, a window of them on the way."""

    def __init__(
        self, sender: udpim.Client, recipient: udpim.Client, window: int, size_bytes: int
    ) -> None:
        """Name both ends."""
        self.latencies_s: list[float] = []
        self.sent = 0
        self.handled = 0
        self._sender = sender
        self._recipient = recipient
        self._window = window
        self._filler = bytes(size_bytes - NUMBER_BYTES)

    async def read(self) -> None:
        """Be the recipient's program: take every message, and insist on the order."""
        async for message in self._recipient:
            number = int.from_bytes(message.payload[:NUMBER_BYTES], "big")
            if number != self.handled:
                raise WrongCounts(f"message {number} was handed out where {self.handled} was due")
            self.handled += 1

    async def write(self, count: int) -> None:
        """Be the sender's program: keep the window full, and see every receipt DELIVERED."""
        until = self.sent + count
        pending: deque[udpim.Receipt] = deque()
        started: deque[float] = deque()
        latencies, delivered, clock = self.latencies_s, MessageState.DELIVERED, time.perf_counter
        while pending or self.sent < until:
            room = min(self._window - len(pending), until - self.sent)
            if room:
                numbers = range(self.sent, self.sent + room)
                payloads = [n.to_bytes(NUMBER_BYTES, "big") + self._filler for n in numbers]
                self.sent += room
                started.extend(repeat(clock(), room))
                pending.extend(await self._sender.send_many(self._recipient.user, payloads))
            await pending[0]
            now = clock()
            while pending and pending[0].state is delivered:
                pending.popleft()
                latencies.append(now - started.popleft())


async def talk(words: argparse.Namespace) -> None:
    """Log all clients in; for each line, a number, send so many messages and tell how it went."""
    commands = await lines()
    folder = words.folder
    async with AsyncExitStack() as stack:

        async def client(user: str) -> udpim.Client:
            return await stack.enter_async_context(
                udpim.connect(
                    f"udpim://127.0.0.1:{words.port}",
                    user=user,
                    security="plain" if words.key is None else "require",
                    server_key=words.key,
                    store=None if folder is None else str(Path(folder) / f"{user}.db"),
                )
            )

        sender = await client(SENDER)
        share = max(1, words.window // words.streams)
        streams = [
            Stream(sender, await client(f"reader{n}"), share, words.size)
            for n in range(words.streams)
        ]
        readers = [asyncio.create_task(stream.read()) for stream in streams]
        tell({"ready": True})
        while line := await commands.readline():
            await _measure(streams, readers, int(line), sender)
        for reader in readers:
            reader.cancel()


async def _measure(
    streams: list[Stream], readers: list[asyncio.Task[None]], count: int, sender: udpim.Client
) -> None:
    for stream in streams:
        stream.latencies_s.clear()
    gc.collect()
    cpu, started = _cpu(), time.perf_counter()
    shares = [len(range(n, count, len(streams))) for n in range(len(streams))]
    work = [stream.write(share) for stream, share in zip(streams, shares, strict=True)]
    await _together(work, readers)
    async with asyncio.timeout(SETTLE_S):
        while any(s.handled < s.sent for s in streams):  # noqa: ASYNC110  # no event per message
            await asyncio.sleep(0)
    wall_s, cpu_s = time.perf_counter() - started, _cpu() - cpu
    latencies = sorted(value for stream in streams for value in stream.latencies_s)
    tell(
        {
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "handled": sum(stream.handled for stream in streams),
            "sent": sum(stream.sent for stream in streams),
            "receipted": len(latencies),
            "receipt_p50_ms": _percentile_ms(latencies, 0.50),
            "receipt_p99_ms": _percentile_ms(latencies, 0.99),
            "stats": sender.stats(),
        }
    )


async def _together(
    work: list[Coroutine[Any, Any, None]], readers: list[asyncio.Task[None]]
) -> None:
    """Wait for the writers, unless a reader has given up before."""
    writing = {asyncio.create_task(one) for one in work}
    while writing:
        done, _ = await asyncio.wait({*writing, *readers}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # a reader is only done when it has given up
        writing -= done


def _percentile_ms(values: list[float], share: float) -> float:
    return round(values[min(len(values) - 1, int(len(values) * share))] * 1000, 3)


def main() -> int:
    """Be one of the processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("server", "clients"))
    parser.add_argument("--security", default="require")
    parser.add_argument("--port", type=int)
    parser.add_argument("--key")
    parser.add_argument("--folder")
    parser.add_argument("--window", type=int)
    parser.add_argument("--streams", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--profile")
    words = parser.parse_args()
    profile = cProfile.Profile()
    if words.profile is not None:
        profile.enable()
    try:
        if words.role == "server":
            store = None if words.folder is None else os.path.join(words.folder, "s.db")
            asyncio.run(serve(store, words.security))
        else:
            asyncio.run(talk(words))
    except (udpim.Error, TimeoutError) as error:
        tell({"error": f"{words.role}: {str(error) or type(error).__name__}"})
        return 1
    finally:
        if words.profile is not None:
            profile.disable()
            profile.dump_stats(words.profile)
    return 0


if __name__ == "__main__":
    sys.exit(main())
