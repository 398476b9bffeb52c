"""``udpim user``: adds, lists and removes who may log in at ``udpim serve --users FILE``."""

from __future__ import annotations

import argparse
import sys

from udpim.cli.output import Exit, printable, put, put_json
from udpim.cli.users_file import (
    HASHED,
    add_user,
    check_foreign_token,
    draw_token,
    list_users,
    remove_user,
)
from udpim.errors import ConfigError
from udpim.runtime.settings import TOKEN_BYTES_MAX


def run(args: argparse.Namespace) -> int:
    """Do what was asked with the users file.

    Raises:
        ConfigError: If it cannot be done.
    """
    if args.action == "add":
        _add(args)
    elif args.action == "remove":
        remove_user(args.users, args.name)
        if args.json:
            put_json({"name": args.name})
    else:
        _list(args)
    return Exit.OK


def _add(args: argparse.Namespace) -> None:
    """Add a user, then show the token: it is nowhere else."""
    drawn = None if args.token_stdin or args.no_token else draw_token()
    token = _token_from_stdin() if args.token_stdin else drawn
    add_user(args.users, args.name, token, args.key)
    shown = {} if drawn is None else {"token": drawn}
    if args.json:
        put_json({"name": args.name, **shown})
    elif drawn is not None:
        put(drawn)


def _list(args: argparse.Namespace) -> None:
    for name, (secret, keys) in list_users(args.users).items():
        if args.json:
            is_hashed = None if secret is None else secret.startswith(HASHED)
            put_json({"name": name, "hashed": is_hashed, "keys": keys})
        else:
            put(printable(name))


def _token_from_stdin() -> str:
    """Read one line, and nothing after it.

    Raises:
        ConfigError: If that is no token.
    """
    data = sys.stdin.buffer.read(TOKEN_BYTES_MAX + 3)  # more is too much, however much it is
    lines = data.splitlines()
    if len(lines) != 1:
        raise ConfigError(f"standard input must hold the token in one line, not {len(lines)} lines")
    try:
        return check_foreign_token(lines[0].decode())
    except UnicodeDecodeError as error:
        raise ConfigError("the token is not UTF-8 text") from error
