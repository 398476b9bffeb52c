"""``udpim serve``: a server on a UDP port, with its users in a file."""

from __future__ import annotations

import argparse
import asyncio
import hmac
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from udpim import LoginRequest, Server
from udpim.cli.output import Exit, put, put_json, say
from udpim.errors import ConfigError
from udpim.wire.im_schema import NAME_BYTES_MAX


def read_users(path: str) -> dict[str, str]:
    """Read a users file: a name and a token on each line, ``#`` begins a comment line.

    Raises:
        ConfigError: If it cannot be read, or a line is malformed; the line's number is in it.
    """
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"users file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"users file {path}: it is not UTF-8 text") from error
    users: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"users file {path}, line {number}"
        if len(words) != 2:
            raise ConfigError(f"{where}: expected a name and a token, found {len(words)} words")
        name, token = words
        if len(name.encode()) > NAME_BYTES_MAX:
            raise ConfigError(f"{where}: the name is over {NAME_BYTES_MAX} bytes")
        if name in users:
            raise ConfigError(f"{where}: {name} was named before")
        users[name] = token
    if not users:
        raise ConfigError(f"users file {path}: it names nobody")
    return users


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, then drain and leave.

    Raises:
        Error: If the users file, the store or the port cannot be used.
    """
    users = None if args.open else read_users(args.users)
    return asyncio.run(_serve(args, users))


async def _serve(args: argparse.Namespace, users: dict[str, str] | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = _make(args, users)
    async with server.listen(args.host, args.port) as listening:
        host, port = listening.address
        if args.json:
            put_json({"event": "listening", "host": host, "port": port, "pid": os.getpid()})
        else:
            put(f"listening on {f'[{host}]' if ':' in host else host}:{port}")
        await _first_of(stop.wait(), listening.serve_forever())
        if not args.json:
            say("going down")
        if args.stats:
            put_json({"event": "stats", **listening.stats()})
    return Exit.OK


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait for any of these; what it raises is raised."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


def _make(args: argparse.Namespace, users: dict[str, str] | None) -> Server:
    if users is None:
        return Server(open_to_all=True, store=args.store, security=args.security)

    def authenticate(login: LoginRequest) -> bool:
        expected = users.get(login.user)
        # An unknown name costs the same comparison, so time does not tell who exists.
        same = hmac.compare_digest(login.token.encode(), (expected or "").encode())
        return same and expected is not None

    return Server(
        authenticate=authenticate,
        known_user=users.__contains__,
        store=args.store,
        security=args.security,
    )
