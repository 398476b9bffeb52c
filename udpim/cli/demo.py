"""``udpim demo``: two clients, one server, a bad network between them, and the truth.

The server is a process of its own and is killed in the middle. alice and bob live in this process
and talk to it through `udpim.cli.relay`. What happened is judged by `udpim.cli.audit`, which sees
payloads and files, and shown by `udpim.cli.report`.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from udpim import Client, connect
from udpim.cli.audit import judge, read_inbox
from udpim.cli.child import ServerProcess
from udpim.cli.output import Exit, Progress, complain, put_json
from udpim.cli.relay import Faults, Relay
from udpim.cli.report import DemoReport, DirectionReport
from udpim.cli.tally import Tally
from udpim.errors import ConfigError, DeliveryError, Error, PayloadTooLarge
from udpim.model import MessageState
from udpim.receipt import Receipt
from udpim.wire.im_schema import PAYLOAD_BYTES_MAX

UNSETTLED_SHARE, UNSETTLED_MIN, UNSETTLED_MAX = 8, 64, 512
"""Each sender keeps an eighth of its messages unreceipted, within limits: enough to fill the pipe,
few enough that the latencies tell about the network and not about a queue in front of it."""
BATCH_MAX = 32
"""Messages handed to ``send_many`` at once."""
MESSAGES_MAX = 100_000
"""Each way: as many as a client's store keeps for the audit."""
SIZE_BYTES_MIN = 16
"""Room for the sender's name and a number, so that no two payloads are equal."""
JITTER_RATIO = 0.2
"""Jitter, of the delay."""
CONNECT_S_MAX = 30.0
"""A login may need several attempts on a network like this."""
PROGRESS_S = 0.1
LINGER_S = 0.3
"""After the last message: time for a copy too many to show up."""


@dataclass(slots=True, kw_only=True)
class Direction:
    """The traffic from one client to the other, and what the programs at its ends saw."""

    sender: str
    receiver: str
    payloads: list[bytes]
    sent: list[bytes] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    handed: list[bytes] = field(default_factory=list)
    delivery_s: list[float] = field(default_factory=list)
    receipt_s: list[float] = field(default_factory=list)
    sent_at: dict[bytes, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    @property
    def name(self) -> str:
        """Who to whom."""
        return f"{self.sender} → {self.receiver}"


def run(args: argparse.Namespace) -> int:
    """Run the demo and print its report.

    Returns:
        `Exit.OK` only if nothing was lost, doubled or misordered, no receipt was false, the
        relay did drop datagrams and the server was replaced.

    Raises:
        Error: If the demo cannot even begin.
    """
    pair = make_payloads(args)
    options = {
        key: getattr(args, key)
        for key in ("loss", "duplicate", "reorder", "delay", "size", "seed", "lines")
    }
    if args.lines is not None:
        options["size"] = None
    options["messages"] = len(pair[0])
    with TemporaryDirectory(prefix="udpim-demo-") as folder:
        demo = Demo(Path(folder), pair, options, timeout_s=args.timeout)
        report = asyncio.run(demo.run())
    if args.json:
        put_json(report.to_dict())
    else:
        report.print()
    problems = report.problems()
    if problems:
        complain(f"demo failed: {'; '.join(problems)}")
    return Exit.ERROR if problems else Exit.OK


def make_payloads(args: argparse.Namespace) -> tuple[list[bytes], list[bytes]]:
    """What alice sends and what bob sends.

    Raises:
        ConfigError: If the file cannot be read, or there is nothing or too much to send.
        PayloadTooLarge: If a payload would be.
    """
    if args.lines is not None:
        lines = _read_lines(args.lines)
        return lines, lines
    if args.size < SIZE_BYTES_MIN:
        raise ConfigError(f"--size {args.size}: a payload needs {SIZE_BYTES_MIN} bytes at least")
    if args.size > PAYLOAD_BYTES_MAX:
        raise PayloadTooLarge(args.size, PAYLOAD_BYTES_MAX)
    if args.messages > MESSAGES_MAX:
        raise ConfigError(f"--messages {args.messages}: at most {MESSAGES_MAX} each way")
    random = Random(args.seed)

    def numbered(name: str) -> list[bytes]:
        heads = (f"{name} {n:07d} ".encode() for n in range(args.messages))
        return [head + random.randbytes(args.size - len(head)) for head in heads]

    return numbered("alice"), numbered("bob")


def _read_lines(path: str) -> list[bytes]:
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"--lines {path}: {error.strerror}") from error
    if not 1 <= len(lines) <= MESSAGES_MAX:
        raise ConfigError(f"--lines {path}: {len(lines)} lines, expected 1 to {MESSAGES_MAX}")
    for number, line in enumerate(lines, 1):
        if len(line) > PAYLOAD_BYTES_MAX:
            words = f"{len(line)} bytes are over the limit of {PAYLOAD_BYTES_MAX}"
            raise ConfigError(f"--lines {path}, line {number}: {words}")
    return lines


class Demo:
    """One run: `run` does everything and returns the report, whatever happened."""

    def __init__(
        self,
        folder: Path,
        payloads: tuple[list[bytes], list[bytes]],
        options: dict[str, Any],
        *,
        timeout_s: float,
    ) -> None:
        """Prepare files, users and the network's faults."""
        self._folder = folder
        self._options = options
        self._timeout_s = timeout_s
        self._tokens = {name: secrets.token_hex(16) for name in ("alice", "bob")}
        users = folder / "users"
        users.write_text("".join(f"{name} {token}\n" for name, token in self._tokens.items()))
        self._server = ServerProcess(folder / "server.db", users)
        delay_s = options["delay"] / 1000
        self._faults = Faults(
            loss=options["loss"],
            duplicate=options["duplicate"],
            reorder=options["reorder"],
            delay_s=delay_s,
            jitter_s=delay_s * JITTER_RATIO,
        )
        self._tally = Tally()
        self._directions = [
            Direction(sender="alice", receiver="bob", payloads=payloads[0]),
            Direction(sender="bob", receiver="alice", payloads=payloads[1]),
        ]
        self._total = sum(len(d.payloads) for d in self._directions)
        self._handed = 0
        self._half = asyncio.Event()
        self._all = asyncio.Event()
        self._killed_at: int | None = None
        self._killed = asyncio.Event()
        self._trouble: list[str] = []
        self._traffic_s = 0.0
        self._progress = Progress(self._total)

    async def run(self) -> DemoReport:
        """Run it; every failure ends up in the report."""
        try:
            await self._server.start()
            relay = Relay(
                self._server.address,
                up=self._faults,
                down=self._faults,
                seed=self._options["seed"],
                watch=self._tally.watch,
            )
            async with relay:
                await self._with_clients(relay)
        finally:
            self._progress.close()
            if not self._server.running:
                said = self._server.complaints() or "it said nothing"
                self._trouble.append(f"the server was not running at the end: {said}")
            await self._server.stop()
        return DemoReport(
            options=self._options,
            directions=[self._judge(d) for d in self._directions],
            up=relay.up.counters,
            down=relay.down.counters,
            sent=dict(self._tally.sent),
            resent=dict(self._tally.resent),
            pids=self._server.pids,
            killed_at=self._killed_at,
            traffic_s=self._traffic_s,
            trouble=self._trouble,
        )

    async def _with_clients(self, relay: Relay) -> None:
        loop = asyncio.get_running_loop()
        host, port = relay.address
        try:
            async with asyncio.timeout(self._timeout_s), AsyncExitStack() as stack:
                clients = {
                    name: await stack.enter_async_context(
                        connect(
                            f"udpim://{host}:{port}",
                            user=name,
                            device="demo",
                            token=token,
                            store=str(self._store(name)),
                            security="plain",
                            connect_timeout=CONNECT_S_MAX,
                        )
                    )
                    for name, token in self._tokens.items()
                }
                start = loop.time()
                try:
                    await self._traffic(clients, relay)
                except BaseException:
                    # The limit is hard: no draining of what cannot be drained.
                    await asyncio.gather(*(client.close(0) for client in clients.values()))
                    raise
                finally:
                    self._traffic_s = loop.time() - start
        except* Error as group:
            self._trouble += sorted({f"{type(error).__name__}: {error}" for error in _flat(group)})
        except* TimeoutError:
            self._trouble.append(f"not finished within {self._timeout_s:g} s")

    def _store(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    async def _traffic(self, clients: dict[str, Client], relay: Relay) -> None:
        """Both directions at once, and the kill; returns when every receipt has settled."""
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(self._show_progress(relay))]
            work = [group.create_task(self._replace_server()), group.create_task(self._all.wait())]
            for d in self._directions:
                work.append(group.create_task(self._send(clients[d.sender], d)))
                background.append(group.create_task(self._receive(clients[d.receiver], d)))
            await asyncio.wait(work)
            await asyncio.sleep(LINGER_S)
            for task in background:
                task.cancel()

    async def _send(self, client: Client, d: Direction) -> None:
        """Send everything, keeping only so many messages without a receipt."""
        loop = asyncio.get_running_loop()
        share = len(d.payloads) // UNSETTLED_SHARE
        room = asyncio.Semaphore(min(max(share, UNSETTLED_MIN), UNSETTLED_MAX))

        async def settle(receipt: Receipt, sent_at: float) -> None:
            try:
                await receipt
                d.receipt_s.append(loop.time() - sent_at)
            except DeliveryError:
                pass  # the audit looks at its state
            finally:
                room.release()

        async with asyncio.TaskGroup() as group:
            for batch in self._batches(d.payloads):
                if len(d.sent) >= self._held_back_from(d.payloads):
                    await self._killed.wait()
                for _ in batch:
                    await room.acquire()
                now = loop.time()
                for payload in batch:
                    d.sent_at[payload].append(now)
                d.sent += batch
                receipts = await client.send_many(d.receiver, batch)
                d.receipts += receipts
                for receipt in receipts:
                    group.create_task(settle(receipt, now))

    @staticmethod
    def _held_back_from(payloads: list[bytes]) -> int:
        """The last eighth leaves after the kill, so that even a short run is killed midway."""
        return len(payloads) - max(1, len(payloads) // 8)

    def _batches(self, payloads: list[bytes]) -> Iterator[list[bytes]]:
        held_back = self._held_back_from(payloads)
        for part in (payloads[:held_back], payloads[held_back:]):
            for start in range(0, len(part), BATCH_MAX):
                yield part[start : start + BATCH_MAX]

    async def _receive(self, client: Client, d: Direction) -> None:
        """Be the receiving program: note what is handed over, and when."""
        loop = asyncio.get_running_loop()
        async for message in client:
            payload = message.payload
            d.handed.append(payload)
            if d.sent_at.get(payload):
                d.delivery_s.append(loop.time() - d.sent_at[payload].popleft())
            self._handed += 1
            if self._handed >= self._total // 2:
                self._half.set()
            if all(len(each.handed) >= len(each.payloads) for each in self._directions):
                self._all.set()

    async def _replace_server(self) -> None:
        """Kill the server when half of the messages have been handed over; start it again."""
        await self._half.wait()
        self._killed_at = self._handed
        await self._server.kill()
        self._killed.set()
        self._progress.note(f"server {self._server.pids[-1]} killed with SIGKILL")
        await self._server.start()
        self._progress.note(f"server {self._server.pids[-1]} started on the same store")

    async def _show_progress(self, relay: Relay) -> None:
        while True:
            dropped = relay.up.counters.dropped + relay.down.counters.dropped
            receipts = sum(len(d.receipt_s) for d in self._directions)
            self._progress.update(
                self._handed, f"delivered, {receipts} receipts, {dropped} datagrams dropped"
            )
            await asyncio.sleep(PROGRESS_S)

    def _judge(self, d: Direction) -> DirectionReport:
        path = self._store(d.receiver)
        inbox = read_inbox(str(path), d.sender) if path.exists() else []
        states = [receipt.state for receipt in d.receipts]
        # A call that was cut off has returned no receipts; its messages may be under way.
        states += [MessageState.PENDING] * (len(d.sent) - len(states))
        return DirectionReport(
            name=d.name,
            verdict=judge(d.sent, states, inbox, d.handed),
            delivery_s=d.delivery_s,
            receipt_s=d.receipt_s,
        )


def _flat(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    """The exceptions of a group and of the groups in it."""
    nested = (_flat(e) if isinstance(e, BaseExceptionGroup) else [e] for e in group.exceptions)
    return [error for errors in nested for error in errors]
