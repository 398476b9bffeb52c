"""A command on a terminal of its own, and what stands on that terminal's screen."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from tests.cli.processes import PATIENCE_S, UDPIM

SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


class Grid:
    """As much of a terminal as prompt_toolkit writes to: text, moves, erasing."""

    def __init__(self, rows, cells):
        self.rows, self.cells = rows, cells
        self.lines = [[" "] * cells for _ in range(rows)]
        self.y = self.x = 0

    def write(self, text):
        """Draw it; return the rest, which is the beginning of a sequence."""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = SEQUENCE.match(text, at)
                if found is None:
                    assert re.fullmatch(r"\x1b(\[[?\d;]*)?", text[at:]), f"unknown: {text[at:]!r}"
                    return text[at:]
                self.obey(*found.groups())
                at = found.end()
                continue
            self.put(text[at])
            at += 1
        return ""

    def put(self, sign):
        if sign == "\r":
            self.x = 0
        elif sign == "\n":
            if self.y == self.rows - 1:
                self.lines = [*self.lines[1:], [" "] * self.cells]
            self.y = min(self.y + 1, self.rows - 1)
        elif sign == "\b":
            self.x = max(0, self.x - 1)
        else:
            assert sign.isprintable(), f"{sign!r} was written to the terminal"
            self.lines[self.y][min(self.x, self.cells - 1)] = sign
            self.x = min(self.x + 1, self.cells)

    def obey(self, numbers, name):
        count = int(numbers) if numbers.isdigit() else 1
        if name in "AB":
            step = count if name == "B" else -count
            self.y = min(max(self.y + step, 0), self.rows - 1)
        elif name in "CD":
            self.x = min(max(self.x + (count if name == "C" else -count), 0), self.cells - 1)
        elif name == "H":
            self.y, self.x = [int(each) - 1 for each in (numbers or "1;1").split(";")]
        elif name in "JK":
            begin = 0 if numbers == "2" else self.x
            self.lines[self.y][begin:] = [" "] * (self.cells - begin)
            if name == "J":
                first = 0 if numbers == "2" else self.y + 1
                self.lines[first:] = [[" "] * self.cells for _ in self.lines[first:]]
        else:
            assert name in "mhlq", f"unknown: {numbers}{name}"

    @property
    def shown(self):
        return ["".join(line).rstrip() for line in self.lines]


class Terminal:
    """Runs a command on a terminal while the body runs."""

    def __init__(self, *arguments, **environment):
        self.written = ""
        self._rest = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._master, slave = pty.openpty()
        self.resize(24, 80)
        self.process = subprocess.Popen(
            (*UDPIM, *arguments), stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, env={**os.environ, "TERM": "xterm", **environment},
        )  # fmt: skip
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def resize(self, rows, cells):
        self.grid = Grid(rows, cells)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cells, 0, 0))

    def type(self, text):
        os.write(self._master, text.encode())

    def row(self, text):
        """The number of the first row that holds the text, or None."""
        return next((y for y, row in enumerate(self.grid.shown) if text in row), None)

    def see(self, *texts):
        """Wait until all of them are on the screen."""
        end = time.monotonic() + PATIENCE_S
        while any(self.row(text) is None for text in texts):
            assert time.monotonic() < end, self.grid.shown
            assert self._read(), self.grid.shown

    def _read(self):
        if not select.select([self._master], [], [], 1)[0]:
            return True
        try:
            chunk = self._decode(os.read(self._master, 65_536))
        except OSError:  # its last process has gone
            return False
        self.written += chunk
        self._rest = self.grid.write(self._rest + chunk)
        return True

    def end(self):
        """Wait for the end; return the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    @property
    def after(self):
        """What was written once the screen was given back."""
        return self.written.rpartition("\x1b[?2004l")[2].replace("\r\n", "\n")
