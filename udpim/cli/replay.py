"""Reads a chat log in the manner of IRC, for ``udpim demo --replay``.

File → `find_log` → bytes → `parse` → `udpim.cli.script.Script`. A message is a line
``[hh:mm] <nick> text``; whatever else is counted by kind and skipped. The rules:

* Whoever speaks is a client, named by the nick as it is written.
* A text that begins with another speaker's nick and a colon or a comma goes to that speaker; where
  several nicks fit, to the longest.
* Any other text goes to whoever spoke last before, the author excepted. Before anybody else has
  spoken, it goes to the first other speaker that is still to come.
* The payload is the whole text, as UTF-8.

With ``--group`` nobody is addressed: every line goes to the group of all speakers.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from udpim.cli.output import printable
from udpim.cli.script import MESSAGES_MAX, Line, Script
from udpim.errors import ConfigError
from udpim.wire.im_schema import NAME_BYTES_MAX, PAYLOAD_BYTES_MAX

DATA = "UDPIM_DATA"
"""Environment variable: a folder of logs."""
GROUP = "#replay"
"""The group of all speakers."""
SKIPPED_KINDS = ("status", "action", "blank", "malformed")
"""Lines that are no messages: ``=== …`` (joins, renames), ``* nick waves``, nothing, the rest."""

# No blank in a nick, for a line of the server's users file holds a name and a token; no # in
# front, for there it begins a comment, and on IRC a channel.
_MESSAGE = re.compile(r"\[[0-9]{2}:[0-9]{2}\] <(?!#)([^<>\s\0]+)> (.+)", re.DOTALL)
_ACTION = re.compile(r"\[[0-9]{2}:[0-9]{2}\] +\* .*", re.DOTALL)
_FIRST_WORD = re.compile(r"\S*")


class Said(NamedTuple):
    """One message line."""

    number: int
    """Of the line in the file, from 1."""
    nick: str
    text: str


def read_script(name: str, group: str = "") -> Script:
    """Find a log and read it; with ``group``, every line is for that group.

    Raises:
        ConfigError: If there is none, or it is not text, or holds no conversation; or there is
            too much of something in it.
    """
    data, where = find_log(name)
    try:
        return parse(data, where, group)
    except ConfigError as error:
        raise ConfigError(f"--replay {name}{error}") from error


def find_log(name: str) -> tuple[bytes, str]:
    """Look for a log: as named, then in the folder of logs, then among those that are shipped.

    Returns:
        What it holds, and where it was.

    Raises:
        ConfigError: If it is nowhere, or cannot be read.
    """
    shipped = files("udpim.cli") / "data"
    places: list[Path | Traversable] = [Path(name), shipped / name]
    folder = os.environ.get(DATA)
    if folder:
        places.insert(1, Path(folder) / name)
    for place in places:
        try:
            return place.read_bytes(), str(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConfigError(f"--replay {name}: {error.strerror}") from error
    logs = ", ".join(sorted(log.name for log in shipped.iterdir()))
    raise ConfigError(f"--replay {name}: no such file, none in {DATA}, and shipped is only {logs}")


def parse(data: bytes, where: str, group: str = "") -> Script:
    """Read a log.

    Args:
        data: What the file holds.
        where: Its name, for the report.
        group: Whom every line is for; empty for the speaker that it is meant for.

    Raises:
        ConfigError: See `read_script`; the words go on where the file's name ends.
    """
    said, skipped = split(_decode(data))
    nicks = list(dict.fromkeys(each.nick for each in said))
    _check(said, nicks, sum(skipped.values()))
    to = [group] * len(said) if group else recipients(said)
    lines = [
        Line(each.nick, recipient, each.text.encode())
        for each, recipient in zip(said, to, strict=True)
    ]
    facts = {
        "file": where,
        "nicks": len(nicks),
        "pairs": len(nicks) * (len(nicks) - 1) if group else len({line[:2] for line in lines}),
        "message_lines": len(lines),
        "skipped_lines": sum(skipped.values()),
        "skipped": {kind: skipped[kind] for kind in SKIPPED_KINDS},
    }
    return Script(lines=lines, facts=facts, group=group)


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f", line {number}: it is not UTF-8 text") from error


def split(text: str) -> tuple[list[Said], Counter[str]]:
    """Tell messages from other lines, and count those by kind.

    Only line feeds end a line: chat holds characters that `str.splitlines` takes for ends too.
    """
    rows = text.split("\n")
    if not rows[-1]:
        rows.pop()
    said: list[Said] = []
    skipped: Counter[str] = Counter()
    for number, row in enumerate(rows, 1):
        line = row.removesuffix("\r")
        if found := _MESSAGE.fullmatch(line):
            said.append(Said(number, found[1], found[2]))
        else:
            skipped[_kind(line)] += 1
    return said, skipped


def _kind(line: str) -> str:
    if not line.strip():
        return "blank"
    if line.startswith("==="):
        return "status"
    return "action" if _ACTION.fullmatch(line) else "malformed"


def _check(said: list[Said], nicks: list[str], skipped: int) -> None:
    """Refuse what makes no conversation, and what does not fit a client."""
    if not said:
        raise ConfigError(f": none of its {skipped} lines is a message, [hh:mm] <nick> text")
    if len(nicks) < 2:
        raise ConfigError(f": nobody speaks but {printable(nicks[0])}, and a chat needs two")
    if len(said) > MESSAGES_MAX:
        raise ConfigError(f": {len(said)} messages are over the limit of {MESSAGES_MAX}")
    for number, nick, text in said:
        for what, size, limit in (
            ("nick", len(nick.encode()), NAME_BYTES_MAX),
            ("text", len(text.encode()), PAYLOAD_BYTES_MAX),
        ):
            if size > limit:
                words = f"{size} bytes of UTF-8 are over the limit of {limit}"
                raise ConfigError(f", line {number}, its {what}: {words}")


def recipients(said: list[Said]) -> list[str]:
    """Whom each message goes to; at least two nicks speak."""
    nicks = dict.fromkeys(each.nick for each in said)
    first, second = list(nicks)[:2]
    # Whoever spoke last, and whoever spoke last but that one. Before the first line, it is as if
    # those two had spoken that are yet to come.
    last, before = second, first
    found = []
    for _, nick, text in said:
        other = before if last == nick else last
        found.append(_addressee(text, nick, nicks) or other)
        if last != nick:
            last, before = nick, last
    return found


def _addressee(text: str, author: str, nicks: Collection[str]) -> str | None:
    """The speaker whose nick a text begins with."""
    word = _FIRST_WORD.match(text)
    assert word is not None, "it matches nothing, too"
    ends = (at for at, sign in enumerate(word[0][: NAME_BYTES_MAX + 1]) if sign in ":,")
    fits = (name for at in ends if (name := text[:at]) in nicks and name != author)
    return max(fits, key=len, default=None)
