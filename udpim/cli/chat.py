"""``udpim chat``: talk with somebody, on a terminal or through pipes."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec

from udpim.cli.chat_history import History, history_beside
from udpim.cli.chat_lines import LineView
from udpim.cli.chat_log import ChatLog, Notice, marks_for
from udpim.cli.chat_talk import Talk, first_of
from udpim.cli.login import connect_as
from udpim.cli.output import complain, put_json, say
from udpim.cli.send import stdin_lines
from udpim.client import Client
from udpim.errors import ConfigError
from udpim.runtime.settings import check_name

TERMINAL_TIMEOUT_S = 5.0
"""How long somebody who leaves waits for receipts; the store file keeps the rest."""
PIPE_TIMEOUT_S = 30.0
CLOSE_S = 1.0
"""How long closing drains when the wait before it was in vain."""
FORGOTTEN = "without --store this conversation is forgotten at the end"
REMARK = "nothing is kept (no --store)"


def run(args: argparse.Namespace) -> int:
    """Talk until somebody leaves, or the input ends.

    Raises:
        Error: If there is no connection, or the login is refused or replaced.
    """
    check_name("recipient", args.to)
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and not args.json
    terminal = terminal and os.environ.get("TERM", "dumb") != "dumb"  # or it cannot be drawn on
    if terminal and find_spec("prompt_toolkit") is None:
        raise ConfigError(
            "a chat on a terminal needs prompt_toolkit: pip install 'udpim[cli]';"
            " without it, --json or pipes"
        )
    return asyncio.run(_talk(args, terminal=terminal))


async def _talk(args: argparse.Namespace, *, terminal: bool) -> int:
    client = await connect_as(args)
    try:
        # Not before the store is ours: so only one process at a time has the history, too.
        history = await asyncio.to_thread(History, history_beside(args.store))
        run_in = _on_terminal if terminal else _through_pipes
        return await run_in(args, client, history)
    finally:
        await client.close()


async def _on_terminal(args: argparse.Namespace, client: Client, history: History) -> int:
    from udpim.cli.chat_screen import Screen

    log = ChatLog(marks_for(sys.stdout.encoding))
    screen = Screen(log, user=args.user, to=args.to, remark="" if args.store else REMARK)
    talk = Talk(client, history, screen)
    async with _ended(args, client, talk):
        for line in await talk.begin(args.history):
            log.add(line)
        if not args.store:
            log.add(Notice(FORGOTTEN))
        await first_of(screen.run(talk), talk.receive(), talk.watch())
        timeout_s = args.timeout or TERMINAL_TIMEOUT_S
        if talk.waiting:
            what = f"what is not stored yet ({talk.waiting})"
            say(f"waiting at most {timeout_s:g} s for {what}; Ctrl-C leaves")
            await talk.settle(timeout_s)
    return talk.verdict


async def _through_pipes(args: argparse.Namespace, client: Client, history: History) -> int:
    if not args.store:
        complain(FORGOTTEN)
    view = LineView(as_json=args.json)
    talk = Talk(client, history, view)
    async with _ended(args, client, talk):
        await talk.begin(0)
        sending = view.run(talk, args.to, stdin_lines(), args.timeout or PIPE_TIMEOUT_S)
        await first_of(sending, talk.receive(), talk.watch())
    view.finish()
    return talk.verdict


@asynccontextmanager
async def _ended(args: argparse.Namespace, client: Client, talk: Talk) -> AsyncIterator[None]:
    """However the body ends: drain, then record what the last receipts said."""
    try:
        yield
        if args.stats:
            put_json({"event": "stats", **client.stats()})
    finally:
        await client.close(CLOSE_S if talk.waiting else None)
        await talk.end()
