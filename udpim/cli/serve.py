"""``udpim serve``: a server on a UDP port, with its users in a file that may change meanwhile."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from udpim import Cluster, Listening, LoginRequest, NotHome, Server
from udpim.cli.output import Exit, complain, put, put_json, say
from udpim.cli.users_file import LiveUsers

USERS_LOOK_S = 1.0
"""How often to look whether the users file has changed; who logs in makes it look at once."""
NO_MORE = "the server lets this login in no more"
"""What a client is told whose line has gone or has changed."""


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, then drain and leave.

    Raises:
        Error: If the users file, the store or the port cannot be used.
    """
    users = None if args.open else LiveUsers(args.users, complain)
    return asyncio.run(_serve(args, users))


async def _serve(args: argparse.Namespace, users: LiveUsers | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = _make(args, users)
    async with server.listen(args.host, args.port) as listening:
        host, port = listening.address
        key = _key(args, listening)
        if args.json:
            about = {"event": "listening", "host": host, "port": port, "pid": os.getpid()}
            put_json(about if key is None else {**about, "key": key})
        else:
            put(f"listening on {f'[{host}]' if ':' in host else host}:{port}")
            if key is not None:
                put(f"server key {key}")
        waits = [stop.wait(), listening.serve_forever()]
        if users is not None:
            waits.append(_keep_out(users, listening))
        await _first_of(*waits)
        if not args.json:
            say("going down")
        if args.stats:
            put_json({"event": "stats", **listening.stats()})
    return Exit.OK


def _key(args: argparse.Namespace, listening: Listening) -> str | None:
    """Return the public key for its clients; None in plain text, or where another process has it.

    Processes that share a store need `--key` for that, or their clients a list of known servers.
    """
    if args.security == "plain":
        return None
    try:
        return listening.public_key
    except NotHome:
        return None


async def _keep_out(users: LiveUsers, listening: Listening) -> None:
    """End the sessions of whom the users file lets in no more."""
    seen = users.changes
    while True:
        await asyncio.sleep(USERS_LOOK_S)
        users.refresh()
        if users.changes == seen:
            continue
        seen = users.changes
        with suppress(NotHome):  # where the sessions are, the same is done
            await listening.recheck(users.still_admits, reason=NO_MORE)


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


def _make(args: argparse.Namespace, users: LiveUsers | None) -> Server:
    cluster = None
    if args.cluster is not None:
        on_role = _role_teller(as_json=args.json)
        cluster = Cluster(folder=args.cluster, lease_s=args.lease, on_role=on_role)
    if users is None:
        return Server(
            open_to_all=True,
            store=args.store,
            security=args.security,
            key=args.key,
            psk=args.psk,
            cluster=cluster,
        )

    def authenticate(login: LoginRequest) -> bool:
        return users.admits(login.user, login.token, login.key)

    return Server(
        authenticate=authenticate,
        known_user=users.knows,
        store=args.store,
        security=args.security,
        key=args.key,
        psk=args.psk,
        cluster=cluster,
    )


def _role_teller(*, as_json: bool) -> Callable[[str, int], None]:
    def tell(role: str, epoch: int) -> None:
        if as_json:
            put_json({"event": "role", "role": role, "epoch": epoch})
        else:
            say(f"home of the cluster, epoch {epoch}" if role == "home" else "gate")

    return tell
