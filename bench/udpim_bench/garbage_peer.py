"""The processes of ``udpim_bench garbage`` beside the server: who talks, and who sends garbage.

The talkers reach the server through a relay of their own, without faults, which lets them keep
copies of real datagrams; the sender of garbage starts from these. Lines as in
`udpim_bench.loopback_peer`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import udpim
from udpim.cli.relay import Faults, Relay
from udpim.wire.packet import CID_BYTES, HELLO_BYTES_MIN, SHORT_HEADER_BYTES
from udpim_bench.loopback_peer import lines, tell
from udpim_bench.slow_peer import SETTLE_S, Conversation, Reading

PAIR = ("alice", "bob")
SAMPLES_MAX = 2000
"""Real datagrams that are kept."""
BURST = 32
"""Datagrams of garbage between two looks at the clock."""
SLICE_S = 10.0
"""The slowest stretch of this length is reported, too."""
DATAGRAM_BYTES_MAX = 1472


async def talk(words: argparse.Namespace) -> None:
    """Have two clients write to each other: ``save`` keeps samples, ``settle`` ends it."""
    commands = await lines()
    samples: list[bytes] = []

    def watch(data: bytes, up: bool) -> None:
        if up and len(samples) < SAMPLES_MAX:
            samples.append(data)

    async with AsyncExitStack() as stack:
        clear = Faults()
        relay = Relay(("127.0.0.1", words.port), up=clear, down=clear, seed=1, watch=watch)
        await stack.enter_async_context(relay)
        host, port = relay.address
        clients = [
            await stack.enter_async_context(
                udpim.connect(f"udpim://{host}:{port}", user=user, security="plain")
            )
            for user in PAIR
        ]
        talks = [
            Conversation(client, to, words.rate)
            for client, to in zip(clients, reversed(PAIR), strict=True)
        ]
        readings = [Reading(client) for client in reversed(clients)]
        readers = [asyncio.create_task(reading.run()) for reading in readings]
        writers = [asyncio.create_task(one.run()) for one in talks]
        tell({"ready": True})
        while line := await commands.readline():
            for task in (*readers, *writers):
                if task.done() and not task.cancelled():
                    task.result()
            if line == b"save\n":
                await asyncio.to_thread(_save, Path(words.samples), samples)
                tell({"samples": len(samples)})
                continue
            for task in writers:
                task.cancel()
            async with asyncio.timeout(SETTLE_S):
                while any(one.open for one in talks):  # noqa: ASYNC110  # no event per receipt
                    await asyncio.sleep(0.05)
            tell(
                {
                    "sent": [one.sent for one in talks],
                    "handled": [reading.handled for reading in readings],
                    "latencies_s": [s for one in talks for s in one.take_latencies()],
                    "logins": [client.stats()["logins"] for client in clients],
                    "duplicates": sum(c.stats()["inbox"]["duplicates"] for c in clients),
                    "relayed": relay.up.counters.sent,
                }
            )
        for task in readers:
            task.cancel()


def _save(path: Path, samples: list[bytes]) -> None:
    path.write_text(json.dumps([data.hex() for data in samples]), "ascii")


class Garbage:
    """Datagrams that a server must not believe, of several kinds."""

    def __init__(self, seed: int, samples: list[bytes]) -> None:
        """Make them from these real ones."""
        self._rng = random.Random(seed)
        self._samples = samples
        self.kinds: tuple[Callable[[], bytes], ...] = (
            self.noise,
            self.flipped,
            self.truncated,
            self.lengthened,
            self.new_tail,
            self.long_packet,
            self.replay,
        )

    def next(self) -> tuple[str, bytes]:
        """Return the name of a kind and one datagram of it."""
        kind = self._rng.choice(self.kinds)
        return kind.__name__, kind()

    def _sample(self) -> bytes:
        return self._rng.choice(self._samples)

    def noise(self) -> bytes:
        """Random bytes of any length, none included."""
        return self._rng.randbytes(self._rng.randrange(DATAGRAM_BYTES_MAX + 1))

    def flipped(self) -> bytes:
        """A real datagram with one to three bits flipped: any CRC-32 notices that."""
        rng, data = self._rng, bytearray(self._sample())
        for bit in rng.sample(range(8 * len(data)), rng.randrange(1, 4)):
            data[bit // 8] ^= 1 << bit % 8
        return bytes(data)

    def truncated(self) -> bytes:
        """A real datagram without its end."""
        data = self._sample()
        return data[: self._rng.randrange(len(data))]

    def lengthened(self) -> bytes:
        """A real datagram with something behind it."""
        data = self._sample()
        room = max(1, DATAGRAM_BYTES_MAX - len(data))
        return data + self._rng.randbytes(self._rng.randrange(1, min(100, room) + 1))

    def new_tail(self) -> bytes:
        """A valid first byte, connection id or header of a live connection, and random bytes."""
        end = self._rng.choice((1, 1 + CID_BYTES, SHORT_HEADER_BYTES))
        return self._sample()[:end] + self._rng.randbytes(self._rng.randrange(200))

    def long_packet(self) -> bytes:
        """The first byte of a handshake packet of any type and version, long enough to count."""
        first = 0x80 | self._rng.randrange(0x40)
        return bytes((first,)) + self._rng.randbytes(HELLO_BYTES_MIN)

    def replay(self) -> bytes:
        """A real datagram once more, from an address that never sent it."""
        return self._sample()


def throw(words: argparse.Namespace) -> None:
    """Send garbage at a steady rate, count the answers, and tell."""
    samples = [bytes.fromhex(line) for line in json.loads(Path(words.samples).read_text("ascii"))]
    garbage = Garbage(words.seed, samples)
    counts: Counter[str] = Counter()
    sent_bytes = replies = reply_bytes = 0
    marks = [(0, 0.0)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", words.port))
        sock.setblocking(False)
        started = time.perf_counter()
        sent = 0
        while sent < words.datagrams:
            for _ in range(min(BURST, words.datagrams - sent)):
                name, data = garbage.next()
                try:
                    sock.send(data)
                except BlockingIOError:
                    time.sleep(0.001)
                    continue
                counts[name] += 1
                sent_bytes += len(data)
                sent += 1
            for answer in _answers(sock):
                replies += 1
                reply_bytes += answer
            passed = time.perf_counter() - started
            if passed >= marks[-1][1] + SLICE_S:
                marks.append((sent, passed))
            time.sleep(max(0.0, sent / words.rate - passed))
        seconds = time.perf_counter() - started
    rates = [(b - a) / (t - s) for (a, s), (b, t) in pairwise(marks)]
    tell(
        {
            "sent": sent,
            "sent_bytes": sent_bytes,
            "seconds": seconds,
            "slowest_per_s": min(rates, default=sent / seconds),
            "kinds": dict(counts),
            "replies": replies,
            "reply_bytes": reply_bytes,
        }
    )


def _answers(sock: socket.socket) -> list[int]:
    """Return the sizes of what came back, as much as one look brings."""
    sizes: list[int] = []
    try:
        for _ in range(BURST):
            sizes.append(len(sock.recv(DATAGRAM_BYTES_MAX)))
    except BlockingIOError:
        pass
    return sizes


def main() -> int:
    """Be one of the processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("talkers", "garbage"))
    parser.add_argument("--port", type=int)
    parser.add_argument("--samples")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--datagrams", type=int)
    parser.add_argument("--seed", type=int)
    words = parser.parse_args()
    try:
        if words.role == "talkers":
            asyncio.run(talk(words))
        else:
            throw(words)
    except (udpim.Error, TimeoutError, OSError) as error:
        tell({"error": f"{words.role}: {str(error) or type(error).__name__}"})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
