"""What the command prints: data on standard output, progress and complaints on standard error.

rich is used when it is installed and the stream is a terminal; everywhere else the same words
come as plain text, so that pipes and logs stay readable.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from enum import IntEnum
from importlib.util import find_spec
from typing import Any, TextIO

BAR_CELLS = 30


class Exit(IntEnum):
    """What the command returns to the shell."""

    OK = 0
    """Done as asked."""
    ERROR = 1
    """It could not be done; one line on standard error says why."""
    USAGE = 2
    """The arguments make no sense."""
    UNCONFIRMED = 3
    """Time was over before everything waited for had come."""
    REFUSED = 4
    """A message was rejected, or will never be delivered."""
    INTERRUPTED = 130
    """Ctrl-C."""


EXIT_WORDS = (
    "exit codes: 0 done · 1 error, one line on standard error says why · 2 usage · "
    "3 time was over before everything waited for had come · "
    "4 a message was rejected or will never be delivered · 130 interrupted"
)


def put(line: str) -> None:
    """Print one line of data, at once."""
    print(line, flush=True)


def put_json(value: dict[str, Any]) -> None:
    """Print one JSON object on a line of its own, at once."""
    put(json.dumps(value, ensure_ascii=False))


def say(line: str) -> None:
    """Print one line for the person in front, not for pipes."""
    print(line, file=sys.stderr, flush=True)


def complain(words: str) -> None:
    """Print the one line that an error gets."""
    say(f"udpim: {' '.join(words.split())}")


def printable(text: str) -> str:
    """Escape whatever a peer could steer a terminal with."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def payload_fields(payload: bytes) -> dict[str, str]:
    """Show a payload in JSON: as text where it is UTF-8, else as hex."""
    try:
        return {"text": payload.decode()}
    except UnicodeDecodeError:
        return {"hex": payload.hex()}


class OneLine(logging.Formatter):
    """Log records in one line each: what went wrong, without a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        words = " ".join(record.getMessage().split())
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            words += f" ({type(error).__name__}: {' '.join(str(error).split())})"
        return f"udpim: {words}"


def _rich_on(stream: TextIO) -> bool:
    return stream.isatty() and find_spec("rich") is not None


def table(title: str, heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table; the first column is left-aligned, the others are numbers."""
    if _rich_on(sys.stdout):
        from rich.console import Console
        from rich.table import Table

        drawn = Table(title=title, title_justify="left", title_style="bold")
        for index, head in enumerate((" ", *heads)):
            drawn.add_column(head, justify="right" if index else "left")
        for row in rows:
            drawn.add_row(*row)
        Console().print(drawn)
        return
    lines = [(title, *heads), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads) + 1)]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        put("  ".join(cells).rstrip())
    put("")


class Progress:
    """A bar on standard error while it is a terminal; elsewhere only the notes."""

    def __init__(self, total: int) -> None:
        """Begin at 0 of ``total``."""
        self._total = max(1, total)
        self._live = sys.stderr.isatty()
        self._bar: Any = None
        if _rich_on(sys.stderr):
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=self._total)
            self._bar.start()

    def update(self, done: int, words: str) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=words)
        elif self._live:
            cells = "#" * (BAR_CELLS * done // self._total)
            line = f"[{cells:.<{BAR_CELLS}}] {done}/{self._total} {words}"
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)

    def note(self, line: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            say(f"\r\x1b[K{line}" if self._live else line)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        elif self._live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
