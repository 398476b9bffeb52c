"""The command line: arguments in, an exit code out, and never a traceback.

Each command lives in its module and is imported when it is called, so ``udpim --version`` stays
quick.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn, get_args

from udpim import __version__
from udpim.cli.arguments import count, delay, lines, port, ratio, seconds
from udpim.cli.output import EXIT_WORDS, Exit, OneLine, complain
from udpim.cli.sim_arguments import add_sim
from udpim.config import Exchange
from udpim.errors import Error

DEBUG = "UDPIM_DEBUG"
"""Environment variable: set, tracebacks are shown, for a report about a bug."""


class Parser(argparse.ArgumentParser):
    """An argument parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read on."""
        complain(f"{message} (see {self.prog} --help)")
        raise SystemExit(Exit.USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        An `Exit` code.
    """
    debug = bool(os.environ.get(DEBUG))
    _log_in_one_line(debug=debug)
    try:
        parser = make_parser()
        # argparse gives up on optional positionals that follow options; `send` wants those.
        args, rest = parser.parse_known_args(argv)
        if args.module == "send" and (rest[:1] == ["--"] or not any(map(_is_option, rest))):
            args.message += rest[rest[:1] == ["--"] :]
        elif rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        if args.module == "demo" and args.group and args.replay is None:
            parser.error("--group wants a log that says who belongs to it: --replay FILE")
        run = importlib.import_module(f"udpim.cli.{args.module}").run
        return int(run(args))
    except SystemExit as leaving:  # argparse: help, version, usage
        return int(leaving.code or 0)
    except KeyboardInterrupt:
        complain("interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has left; the interpreter must not try to flush at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.ERROR
    except Error as error:
        complain(str(error))
        return Exit.ERROR
    except Exception as error:
        if debug:
            raise
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        complain(f"a bug: {type(error).__name__}: {error}; {DEBUG}=1 shows where")
        return Exit.ERROR


def make_parser() -> Parser:
    """Build the parser of all commands."""
    parser = Parser(
        prog="udpim",
        description="Instant messages over UDP: delivered exactly once, with receipts that are"
        " true.",
        epilog=EXIT_WORDS,
    )
    parser.add_argument("--version", action="version", version=f"udpim {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, module: str, words: str) -> Parser:
        made = commands.add_parser(name, help=words, description=words + ".", epilog=EXIT_WORDS)
        made.set_defaults(module=module)
        made.add_argument("--json", action="store_true", help="print JSON, one object a line")
        return made

    _demo(command("demo", "demo", "clients, one server, a bad network, and the truth"))
    _serve(command("serve", "serve", "run a server"))
    _send(command("send", "send", "send messages and wait for their receipts"))
    _listen(command("listen", "listen", "print messages as they arrive"))
    _chat(command("chat", "chat", "talk with somebody, on a terminal or through pipes"))
    _user(commands)
    add_sim(commands, get_args(Exchange))
    keygen = command("keygen", "keygen", "make a private key in a file, and print the public one")
    keygen.add_argument("file", metavar="FILE", help="where to; it must not exist")
    keygen.add_argument(
        "--psk",
        action="store_true",
        help="make a secret that a server and its clients share, and print nothing of it",
    )
    key = command("key", "key", "print a device's public key, for the users file of a server")
    key.add_argument(
        "--store", required=True, metavar="FILE", help="the device's, made if there is none"
    )
    decode = command("decode", "decode", "show a datagram field by field")
    decode.add_argument(
        "hex", nargs="+", metavar="HEX", help="the datagram; - reads standard input, one a line"
    )
    decode.add_argument(
        "--keylog",
        metavar="FILE",
        help="the secrets of connections, as UDPIM_KEYLOGFILE keeps them: opens encrypted ones",
    )
    return parser


def _demo(parser: Parser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--messages", type=count, default=1000, metavar="N", help="each way (default: 1000)"
    )
    what.add_argument("--lines", metavar="FILE", help="send the lines of this file, one a message")
    what.add_argument(
        "--replay",
        metavar="FILE",
        help="replay a chat log, a client for each nick: lines of `[hh:mm] <nick> text`; those"
        " that begin with another nick go to that one, others to the last other speaker. FILE is"
        " looked for as it is, in the folder UDPIM_DATA, and among the logs that come along"
        " (garden.txt)",
    )
    parser.add_argument(
        "--group",
        action="store_true",
        help="with --replay: all nicks are one group, and every line goes to everybody else",
    )
    _exchange(parser)
    _security(parser)
    for name, default, words in (
        ("loss", 0.2, "of all datagrams, in each direction, vanish"),
        ("duplicate", 0.05, "arrive twice"),
        ("reorder", 0.1, "are held back until later ones have overtaken them"),
    ):
        parser.add_argument(
            f"--{name}", type=ratio, default=default, metavar="P", help=f"{words} ({default})"
        )
    parser.add_argument(
        "--delay", type=delay, default=10.0, metavar="MS", help="each way, plus jitter (10)"
    )
    parser.add_argument(
        "--size", type=count, default=128, metavar="BYTES", help="of each payload (128)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of all faults (1)")
    parser.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="S", help="give up then (300)"
    )


def _serve(parser: Parser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=port, default=9000, help="0 takes any free one (9000)")
    store = parser.add_mutually_exclusive_group(required=True)
    store.add_argument("--store", metavar="FILE", help="SQLite file, made if there is none")
    store.add_argument(
        "--memory", action="store_true", help="keep nothing: a restart forgets what waits"
    )
    users = parser.add_mutually_exclusive_group(required=True)
    users.add_argument(
        "--users",
        metavar="FILE",
        help="who may log in: lines of a name, then a token, key:KEY or both; # for comments",
    )
    users.add_argument("--open", action="store_true", help="let anybody log in as anybody")
    parser.add_argument(
        "--key",
        metavar="FILE",
        help="the private key, as `udpim keygen` made it; without it, the one in the store",
    )
    parser.add_argument(
        "--cluster",
        metavar="DIR",
        help="folder in which the processes meet that share --store; one of them does the work",
    )
    parser.add_argument(
        "--lease",
        type=seconds,
        default=3.0,
        metavar="S",
        help="how long one that shows no sign of life keeps the store from the others (3)",
    )
    _security(parser)
    _both_ends(parser)


def _send(parser: Parser) -> None:
    _login(parser)
    parser.add_argument("--to", required=True, metavar="USER", help="the recipient")
    parser.add_argument(
        "--wait",
        choices=("accepted", "stored", "delivered"),
        default="delivered",
        help="what to wait for (delivered)",
    )
    parser.add_argument(
        "--timeout", type=seconds, default=30.0, metavar="S", help="how long to wait for it (30)"
    )
    parser.add_argument(
        "message",
        nargs="*",
        metavar="MESSAGE",
        help="each argument is one; without any, each line of standard input is one",
    )


def _listen(parser: Parser) -> None:
    _login(parser)
    parser.add_argument("--count", type=count, metavar="N", help="leave after so many messages")
    parser.add_argument("--timeout", type=seconds, metavar="S", help="leave after so long")


def _chat(parser: Parser) -> None:
    _login(parser)
    parser.description = (
        "Talk with somebody. On a terminal it fills the screen: /help says how. Otherwise, and with"
        " --json, each line of standard input is sent, what arrives is printed, and the end of"
        " the input ends it. With --store the conversation is kept in a file beside it."
    )
    parser.add_argument("--to", required=True, metavar="USER", help="the partner to begin with")
    parser.add_argument(
        "--history", type=lines, default=100, metavar="N", help="lines of before to show (100)"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="S",
        help="how long to wait at the end for what is not yet stored or delivered"
        " (30; on a terminal 5)",
    )


def _user(commands: argparse._SubParsersAction[Parser]) -> None:
    words = "add, list or remove who may log in at a server"
    parser = commands.add_parser(
        "user",
        help=words,
        description=f"{words.capitalize()}. A server that runs takes changes over by itself. Who"
        " is removed cannot log in any more, sessions of theirs end within a second or so, and"
        " what waits for the user's devices stays in their queues.",
        epilog=EXIT_WORDS,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action, words in (
        ("add", "add a user and print the token, which is drawn and shown only here"),
        ("list", "print the names"),
        ("remove", "remove a user"),
    ):
        made = actions.add_parser(
            action, help=words, description=words.capitalize() + ".", epilog=EXIT_WORDS
        )
        made.set_defaults(module="user", action=action)
        made.add_argument("--json", action="store_true", help="print JSON, one object a line")
        made.add_argument("--users", required=True, metavar="FILE", help="the server's users file")
        if action != "list":
            made.add_argument("name", metavar="NAME", help="the user's name")
        if action == "add":
            _proofs(made)


def _proofs(parser: Parser) -> None:
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEY",
        help="the public key of a device, as `udpim key` prints it: only with it the token lets"
        " in; give it again for each further device",
    )
    token = parser.add_mutually_exclusive_group()
    token.add_argument(
        "--token-stdin",
        action="store_true",
        help="take the token from standard input: one line, drawn elsewhere",
    )
    token.add_argument("--no-token", action="store_true", help="the key alone lets in")


def _login(parser: Parser) -> None:
    parser.add_argument("server", metavar="SERVER", help="udpim://host:port")
    parser.add_argument("--user", required=True, help="who you are")
    parser.add_argument("--device", default="cli", help="which of your devices this is (cli)")
    parser.add_argument(
        "--token",
        default=os.environ.get("UDPIM_TOKEN", ""),
        help="your token; better in the environment variable UDPIM_TOKEN",
    )
    parser.add_argument(
        "--store", metavar="FILE", help="SQLite file of this device; without it, memory only"
    )
    parser.add_argument(
        "--connect-timeout", type=seconds, default=10.0, metavar="S", help="for the login (10)"
    )
    _exchange(parser)
    _security(parser)
    _both_ends(parser)
    right = parser.add_mutually_exclusive_group()
    right.add_argument(
        "--server-key", metavar="KEY", help="the server's public key, as `udpim serve` tells it"
    )
    right.add_argument(
        "--known-hosts",
        metavar="FILE",
        help="without it: a file for the key that the server shows at the first contact"
        " (~/.config/udpim/known_hosts)",
    )
    parser.add_argument(
        "--key",
        metavar="FILE",
        help="this device's private key, as `udpim keygen` made it; without it, the one in the"
        " store, and without a store a new one each time",
    )


def _exchange(parser: Parser) -> None:
    parser.add_argument(
        "--exchange",
        choices=get_args(Exchange),
        default="six",
        help="four does without msg:A and ack:A: less traffic, and the first news of a message is"
        " that it is stored or delivered (six)",
    )


def _security(parser: Parser) -> None:
    parser.add_argument(
        "--security",
        choices=("require", "plain"),
        default="require",
        help="encryption, or none; both ends have to say the same (require)",
    )


def _both_ends(parser: Parser) -> None:
    parser.add_argument(
        "--psk",
        metavar="FILE",
        help="a secret that server and clients share, as `udpim keygen --psk` made it",
    )
    parser.add_argument("--stats", action="store_true", help="print all counters at the end")


def _is_option(text: str) -> bool:
    return text.startswith("-")


def _log_in_one_line(*, debug: bool) -> None:
    handler = logging.StreamHandler()
    if not debug:
        handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
