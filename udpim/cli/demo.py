"""``udpim demo``: clients, one server, a bad network between them, and the truth.

The server is a process of its own and is killed in the middle. The clients, alice and bob or
everybody in a chat log, live in this process (`udpim.cli.cast`), play a script
(`udpim.cli.traffic`) and talk to the server through `udpim.cli.relay`. What happened is judged by
`udpim.cli.audit`, which sees payloads and files, and shown by `udpim.cli.report`.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from udpim import Client
from udpim.cli.audit import Verdict, judge, read_inbox
from udpim.cli.cast import Cast, make_room
from udpim.cli.child import ServerProcess
from udpim.cli.output import Exit, Progress, complain, put_json
from udpim.cli.relay import Faults, Relay
from udpim.cli.replay import GROUP, read_script
from udpim.cli.report import DemoReport, PairReport
from udpim.cli.script import Script, lines_of, numbered
from udpim.cli.tally import Tally
from udpim.cli.traffic import Pair, Traffic
from udpim.errors import Error
from udpim.model import MessageState

JITTER_RATIO = 0.2
"""Jitter, of the delay."""
PROGRESS_S = 0.1
LINGER_S = 0.3
"""After the last message: time for a copy too many to show up."""


def run(args: argparse.Namespace) -> int:
    """Run the demo and print its report.

    Returns:
        `Exit.OK` only if nothing was lost, doubled or misordered, no receipt was false, the
        relay did drop datagrams and the server was replaced.

    Raises:
        Error: If the demo cannot even begin.
    """
    script = make_script(args)
    make_room(len(script.cast))
    with TemporaryDirectory(prefix="udpim-demo-") as folder:
        demo = Demo(Path(folder), script, options_of(args, script), timeout_s=args.timeout)
        report = asyncio.run(demo.run())
    if args.json:
        put_json(report.to_dict())
    else:
        report.print()
    problems = report.problems()
    if problems:
        complain(f"demo failed: {'; '.join(problems)}")
    return Exit.ERROR if problems else Exit.OK


def make_script(args: argparse.Namespace) -> Script:
    """What is sent.

    Raises:
        ConfigError: If the file cannot be read, or there is nothing or too much to send.
        PayloadTooLarge: If a payload would be.
    """
    if args.replay is not None:
        return read_script(args.replay, GROUP if args.group else "")
    if args.lines is not None:
        return lines_of(args.lines)
    return numbered(args.messages, args.size, args.seed)


def options_of(args: argparse.Namespace, script: Script) -> dict[str, Any]:
    """What was asked for, for the report."""
    keys = ["loss", "duplicate", "reorder", "delay", "size", "seed", "lines", "replay"]
    keys += ["group", "exchange", "security"]
    options = {key: getattr(args, key) for key in keys}
    if args.lines is not None or args.replay is not None:
        options["size"] = None
    options["messages"] = None if args.replay is not None else len(script.lines) // 2
    return options


class Demo:
    """One run: `run` does everything and returns the report, whatever happened."""

    def __init__(
        self, folder: Path, script: Script, options: dict[str, Any], *, timeout_s: float
    ) -> None:
        """Prepare files, users and the network's faults."""
        self._folder = folder
        self._script = script
        self._options = options
        self._timeout_s = timeout_s
        self._tokens = {name: secrets.token_hex(16) for name in script.cast}
        users = folder / "users"
        lines = (f"{name} {token}\n" for name, token in self._tokens.items())
        users.write_text("".join(lines), "utf-8", newline="\n")
        self._server = ServerProcess(folder / "server.db", users, options["security"])
        delay_s = options["delay"] / 1000
        self._faults = Faults(
            loss=options["loss"],
            duplicate=options["duplicate"],
            reorder=options["reorder"],
            delay_s=delay_s,
            jitter_s=delay_s * JITTER_RATIO,
        )
        self._tally = Tally()
        self._killed_at: int | None = None
        self._trouble: list[str] = []
        self._login_s = 0.0
        self._gather_s = 0.0
        self._traffic_s = 0.0
        self._traffic = Traffic(script)
        self._progress = Progress(self._traffic.deliveries)

    async def run(self) -> DemoReport:
        """Run it; every failure ends up in the report."""
        traffic = self._traffic
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
                exchange = self._options["exchange"]
                cast = Cast(
                    relay.address,
                    self._tokens,
                    self._folder,
                    exchange=exchange,
                    server_key=self._server.key,
                    key_log=self._tally.learn,
                )
                await self._with_clients(cast, traffic, relay)
        finally:
            self._progress.close()
            if not self._server.running:
                said = self._server.complaints() or "it said nothing"
                self._trouble.append(f"the server was not running at the end: {said}")
            await self._server.stop()
        return DemoReport(
            options=self._options,
            facts=self._script.facts,
            messages=len(self._script.lines),
            expected=traffic.deliveries,
            pairs=self._judge(cast, traffic),
            up=relay.up.counters,
            down=relay.down.counters,
            sent=dict(self._tally.sent),
            resent=dict(self._tally.resent),
            pids=self._server.pids,
            killed_at=self._killed_at,
            login_s=self._login_s,
            gather_s=self._gather_s,
            traffic_s=self._traffic_s,
            trouble=self._trouble,
        )

    async def _with_clients(self, cast: Cast, traffic: Traffic, relay: Relay) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        try:
            async with asyncio.timeout(self._timeout_s), cast as clients:
                start = loop.time()
                self._login_s = start - begin
                if self._script.group:
                    await cast.gather(self._script.group)
                    start, begin = loop.time(), start
                    self._gather_s = start - begin
                    self._progress.note(f"{len(clients)} members of {self._script.group}")
                try:
                    await self._play(clients, traffic, relay)
                finally:
                    self._traffic_s = loop.time() - start
        except* Error as group:
            self._trouble += sorted({f"{type(error).__name__}: {error}" for error in _flat(group)})
        except* TimeoutError:
            self._trouble.append(f"not finished within {self._timeout_s:g} s")

    async def _play(self, clients: dict[str, Client], traffic: Traffic, relay: Relay) -> None:
        """Everybody at once, and the kill; returns when every receipt has settled."""
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(self._show_progress(traffic, relay))]
            for name, client in clients.items():
                background.append(group.create_task(traffic.receive(name, client)))
            await asyncio.wait(
                [
                    group.create_task(self._replace_server(traffic)),
                    group.create_task(traffic.complete.wait()),
                    group.create_task(traffic.send(clients)),
                ]
            )
            await asyncio.sleep(LINGER_S)
            for task in background:
                task.cancel()

    async def _replace_server(self, traffic: Traffic) -> None:
        """Kill the server when half of the messages have been handed over; start it again."""
        await traffic.half.wait()
        self._killed_at = traffic.handed
        await self._server.kill()
        traffic.may_end.set()
        self._progress.note(f"server {self._server.pids[-1]} killed with SIGKILL")
        await self._server.start()
        self._progress.note(f"server {self._server.pids[-1]} started on the same store")

    async def _show_progress(self, traffic: Traffic, relay: Relay) -> None:
        while True:
            dropped = relay.up.counters.dropped + relay.down.counters.dropped
            self._progress.update(
                traffic.handed,
                f"delivered, {traffic.receipts} receipts, {dropped} datagrams dropped",
            )
            await asyncio.sleep(PROGRESS_S)

    def _judge(self, cast: Cast, traffic: Traffic) -> list[PairReport]:
        """Judge each pair of the script, and of whatever else is in an inbox."""
        inboxes: dict[tuple[str, str], list[bytes]] = {}
        for name in self._tokens:
            path = cast.store(name)
            if path.exists():
                for sender, payloads in read_inbox(str(path)).items():
                    inboxes[sender, name] = payloads
                    traffic.pair(sender, name)
        reports = [_report(pair, inboxes.get(key, [])) for key, pair in traffic.pairs.items()]
        return _by_sender(reports, traffic) if self._script.group else reports


def _report(pair: Pair, inbox: list[bytes]) -> PairReport:
    said = pair.said
    states = [receipt.state for receipt in said.receipts]
    # A call that was cut off has returned no receipts; its messages may be under way.
    states += [MessageState.PENDING] * (len(said.sent) - len(states))
    return PairReport(
        sender=pair.sender,
        recipient=pair.recipient,
        verdict=judge(said.sent, states, inbox, pair.handed),
        delivery_s=pair.delivery_s,
        receipt_s=said.receipt_s,
    )


def _by_sender(reports: list[PairReport], traffic: Traffic) -> list[PairReport]:
    """Add up what a sender's messages to the group became; pairs in trouble stand for themselves.

    All members share the receipts of a message, so these stand in the sums.
    """
    troubled = [replace(each, receipt_s=[]) for each in reports if not each.verdict.clean]
    clean: dict[str, list[PairReport]] = {sender: [] for sender, _ in traffic.said}
    for each in reports:
        if each.verdict.clean and each.sender in clean:
            clean[each.sender].append(each)
    sums = [
        PairReport(
            sender=sender,
            recipient=group,
            verdict=sum((each.verdict for each in clean[sender]), Verdict()),
            delivery_s=[s for each in clean[sender] for s in each.delivery_s],
            receipt_s=said.receipt_s,
        )
        for (sender, group), said in traffic.said.items()
    ]
    return sums + troubled


def _flat(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    """The exceptions of a group and of the groups in it."""
    nested = (_flat(e) if isinstance(e, BaseExceptionGroup) else [e] for e in group.exceptions)
    return [error for errors in nested for error in errors]
