"""The processes of ``udpim_bench slow``: server, those who talk, and the one that stops reading.

As in `udpim_bench.loopback_peer`, each answers a line on standard input with a line of JSON, and
ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import udpim
from udpim_bench.loopback_peer import NUMBER_BYTES, lines, tell
from udpim_bench.measure import WrongCounts

SENDER, SLOW = "alice", "bob"
CONVERSATIONS = {
    "same sender": ((SENDER, "carol"), (SENDER, "dave")),
    "other senders": (("erin", "frank"), ("erin", "grace")),
}
"""Who talks to whom all the time: the pusher to others, and people who do not know the slow one."""
STEADY_BYTES = 128
PUSH_BYTES_MAX = 1024 * 1024 * 1024
"""A sender that nobody holds back stops there by itself."""
PUSH_BATCH_BYTES = 4096
"""Small messages are pushed in batches of so many bytes."""
SETTLE_S = 60.0
"""How long nothing may arrive, once the slow one reads again, before the run counts as failed …"""
SETTLE_S_MAX = 900.0
"""… and how long all of it may take."""
LOOK_S = 0.05


def numbered(number: int, size_bytes: int) -> bytes:
    """Return a payload that begins with its number."""
    return number.to_bytes(NUMBER_BYTES, "big") + bytes(size_bytes - NUMBER_BYTES)


class Reading:
    """A recipient's program that insists on every message, once, in order; it can be stopped."""

    def __init__(self, client: udpim.Client) -> None:
        """Read what this client gets."""
        self.handled = 0
        self.going = asyncio.Event()
        self.going.set()
        self._client = client

    async def run(self) -> None:
        """Read until the client is closed; stopped, it stays inside of the loop's body."""
        async for message in self._client:
            number = int.from_bytes(message.payload[:NUMBER_BYTES], "big")
            if number != self.handled:
                raise WrongCounts(f"message {number} was handed out where {self.handled} was due")
            await self.going.wait()
            self.handled += 1


class Conversation:
    """Messages at a steady rate, whatever became of the ones before."""

    def __init__(self, sender: udpim.Client, recipient: str, rate_per_s: float) -> None:
        """Send ``rate_per_s`` small messages a second."""
        self.sent = 0
        self.latencies_s: list[float] = []
        self._sender = sender
        self._recipient = recipient
        self._interval_s = 1 / rate_per_s
        self._pending: dict[int, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Send until cancelled. Latencies count from when a message was due, not from its call."""
        due = time.perf_counter()
        while True:
            due += self._interval_s
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._pending[self.sent] = due
            task = asyncio.create_task(self._send(self.sent))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self.sent += 1

    async def _send(self, number: int) -> None:
        receipt = await self._sender.send(self._recipient, numbered(number, STEADY_BYTES))
        await receipt
        self.latencies_s.append(time.perf_counter() - self._pending.pop(number))

    def take_latencies(self) -> list[float]:
        """Return the latencies since the last call; what is still open has its age as latency."""
        now = time.perf_counter()
        taken, self.latencies_s = self.latencies_s, []
        return taken + [now - due for due in self._pending.values()]

    @property
    def open(self) -> int:
        """Messages without a receipt."""
        return len(self._pending)


class Pusher:
    """A sender that sends as fast as ``send`` lets it."""

    def __init__(self, sender: udpim.Client, size_bytes: int) -> None:
        """Push messages of this size to the slow recipient."""
        self.receipts: list[udpim.Receipt] = []
        self._sender = sender
        self._size = size_bytes
        self._task: asyncio.Task[None] | None = None

    async def few(self, count: int) -> None:
        """Send a few and see them delivered: everybody knows everybody."""
        await self._send(count)
        for receipt in self.receipts:
            await receipt

    async def _send(self, count: int) -> None:
        first = len(self.receipts)
        payloads = [numbered(first + n, self._size) for n in range(count)]
        self.receipts += await self._sender.send_many(SLOW, payloads)

    async def _push(self) -> None:
        batch = max(1, PUSH_BATCH_BYTES // self._size)
        while len(self.receipts) * self._size < PUSH_BYTES_MAX:
            await self._send(batch)

    def start(self) -> None:
        """Begin to push."""
        self._task = asyncio.create_task(self._push())

    async def stop(self) -> None:
        """Push no more. A call that is cut off may have sent its messages all the same."""
        assert self._task is not None, "started before"
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def states(self) -> dict[str, int]:
        """Count what the receipts show."""
        return dict(Counter(receipt.state.name for receipt in self.receipts))


async def serve(words: argparse.Namespace) -> None:
    """Serve until standard input ends; answer each line with what is in memory."""
    commands = await lines()
    store = _file(words, "server")
    server = udpim.Server(open_to_all=True, security="plain", store=store)
    async with server.listen("127.0.0.1", 0) as listening:
        tell({"port": listening.address[1]})
        while await commands.readline():
            stats = listening.stats()
            router, hop = stats["router"], stats["hop"]
            memory = {
                "pushed_bytes": router["pushed_bytes"],
                "pushed_messages": router["pushed_messages"],
                "committing_bytes": router["held_bytes"],
                "queued_messages": router["queued_messages"],
                "waiting_bytes": hop["queued_bulk_bytes"],
                "waiting_frames": hop["queued_frames"],
                "pieces_bytes": hop["reassembly_bytes"],
            }
            tell({"memory": memory, "sessions": stats["sessions"]})


def _connect(words: argparse.Namespace, user: str) -> udpim.Connecting:
    where, store = f"udpim://127.0.0.1:{words.port}", _file(words, user)
    return udpim.connect(where, user=user, security="plain", store=store)


def _file(words: argparse.Namespace, name: str) -> str | None:
    return words.folder and str(Path(words.folder) / f"{words.prefix}{name}.db")


async def read_slowly(words: argparse.Namespace) -> None:
    """Be the recipient that stops: ``pause``, ``resume`` and ``count``."""
    commands = await lines()
    async with _connect(words, SLOW) as client:
        reading = Reading(client)
        task = asyncio.create_task(reading.run())
        tell({"ready": True})
        while line := await commands.readline():
            if line == b"pause\n":
                reading.going.clear()
            elif line == b"resume\n":
                reading.going.set()
            if task.done():
                task.result()
            tell({"handled": reading.handled, "logins": client.stats()["logins"]})
        task.cancel()


class Talkers:
    """Everybody but the server and the slow one."""

    def __init__(
        self,
        pusher: Pusher,
        talks: dict[str, list[Conversation]],
        readings: list[tuple[Conversation, Reading]],
    ) -> None:
        """Name them."""
        self._pusher = pusher
        self._talks = talks
        self._readings = readings

    async def obey(self, line: str) -> dict[str, Any]:
        """Carry out one command."""
        if line == "push":
            self._pusher.start()
        elif line == "stop":
            await self._pusher.stop()
            return {"pushed": len(self._pusher.receipts), "states": self._pusher.states()}
        elif line == "window":
            return {"latencies_s": {name: self._take(name) for name in self._talks}}
        return {}

    def _open(self, sender: udpim.Client) -> int:
        open_: int = sender.stats()["outbox"]["open_messages"]
        return open_ + sum(talk.open for talk, _ in self._readings)

    def _take(self, name: str) -> list[float]:
        return [one for talk in self._talks[name] for one in talk.take_latencies()]

    async def settle(self, sender: udpim.Client) -> dict[str, Any]:
        """Wait until nothing is open any more."""
        started = moved = time.perf_counter()
        least = left = self._open(sender)
        while left:
            await asyncio.sleep(LOOK_S)
            now, left = time.perf_counter(), self._open(sender)
            if left < least:
                least, moved = left, now
            elif now > min(moved + SETTLE_S, started + SETTLE_S_MAX):
                raise WrongCounts(f"{left} messages stay open")
        for talk, reading in self._readings:
            if talk.sent != reading.handled:
                raise WrongCounts(f"{talk.sent} were sent, {reading.handled} handled")
        return {"states": self._pusher.states(), "sent": sum(t.sent for t, _ in self._readings)}


async def talk(words: argparse.Namespace) -> None:
    """Be everybody else: ``push``, ``stop``, ``window`` and ``settle``."""
    commands = await lines()
    async with AsyncExitStack() as stack:
        names = {name for pairs in CONVERSATIONS.values() for pair in pairs for name in pair}
        clients = {
            name: await stack.enter_async_context(_connect(words, name)) for name in sorted(names)
        }
        pusher = Pusher(clients[SENDER], words.size)
        await pusher.few(words.few)
        talks = {
            name: [Conversation(clients[a], b, words.rate) for a, b in pairs]
            for name, pairs in CONVERSATIONS.items()
        }
        recipients = [b for pairs in CONVERSATIONS.values() for _, b in pairs]
        flat = [one for some in talks.values() for one in some]
        readings = [(t, Reading(clients[b])) for t, b in zip(flat, recipients, strict=True)]
        readers = [asyncio.create_task(reading.run()) for _, reading in readings]
        writers = [asyncio.create_task(one.run()) for one in flat]
        talkers = Talkers(pusher, talks, readings)
        tell({"ready": True})
        while line := await commands.readline():
            for task in (*readers, *writers):
                if task.done() and not task.cancelled():
                    task.result()
            if line == b"settle\n":
                for task in writers:
                    task.cancel()
                tell(await talkers.settle(clients[SENDER]))
            else:
                tell(await talkers.obey(line.decode().strip()))
        for task in readers:
            task.cancel()


ROLES = {"server": serve, "slow": read_slowly, "talkers": talk}


def main() -> int:
    """Be one of the processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--port", type=int)
    parser.add_argument("--folder")
    parser.add_argument("--prefix", default="", help="of the files in the folder")
    parser.add_argument("--size", type=int)
    parser.add_argument("--few", type=int)
    parser.add_argument("--rate", type=float)
    words = parser.parse_args()
    try:
        asyncio.run(ROLES[words.role](words))
    except (udpim.Error, TimeoutError) as error:
        tell({"error": f"{words.role}: {str(error) or type(error).__name__}"})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
