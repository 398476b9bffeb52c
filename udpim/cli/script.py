"""What a demo sends: who says what to whom, in which order.

Arguments or files → `Script` → `udpim.cli.traffic`, which sends it line by line. The scripts of
the demo's alice and bob are made here, those of chat logs in `udpim.cli.replay`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from udpim.errors import ConfigError, PayloadTooLarge
from udpim.wire.im_schema import PAYLOAD_BYTES_MAX

MESSAGES_MAX = 100_000
"""To one recipient: as many as a client's store keeps for the audit."""
SIZE_BYTES_MIN = 16
"""Room for the sender's name and a number, so that no two payloads are equal."""


class Line(NamedTuple):
    """One message that is to be sent."""

    sender: str
    recipient: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """All messages of a run, in the order in which they are sent."""

    lines: list[Line]
    facts: dict[str, Any] = field(default_factory=dict)
    """What the file that it was read from held, for the report."""
    group: str = ""
    """Where it is set, every line goes to this group, and so to everybody else."""

    @property
    def cast(self) -> list[str]:
        """Everybody who sends or receives, in order of appearance."""
        names = (name for line in self.lines for name in (line.sender, line.recipient))
        return [name for name in dict.fromkeys(names) if name != self.group]

    def recipients(self, sender: str, to: str) -> list[str]:
        """Everybody who gets what ``sender`` says to a user or to the group."""
        return [name for name in self.cast if name != sender] if to == self.group else [to]


def numbered(messages: int, size_bytes: int, seed: int) -> Script:
    """Numbered payloads of one size from alice to bob and from bob to alice, all different.

    Raises:
        ConfigError: If they are too many, or too small to differ.
        PayloadTooLarge: If they are too large.
    """
    if size_bytes < SIZE_BYTES_MIN:
        raise ConfigError(f"--size {size_bytes}: a payload needs {SIZE_BYTES_MIN} bytes at least")
    if size_bytes > PAYLOAD_BYTES_MAX:
        raise PayloadTooLarge(size_bytes, PAYLOAD_BYTES_MAX)
    if messages > MESSAGES_MAX:
        raise ConfigError(f"--messages {messages}: at most {MESSAGES_MAX} each way")
    random = Random(seed)

    def payloads(name: str) -> list[bytes]:
        heads = (f"{name} {n:07d} ".encode() for n in range(messages))
        return [head + random.randbytes(size_bytes - len(head)) for head in heads]

    return _both_ways(payloads("alice"), payloads("bob"))


def lines_of(path: str) -> Script:
    """The lines of a file, whatever bytes they are, from alice to bob and from bob to alice.

    Raises:
        ConfigError: If the file cannot be read, or holds nothing, too much or a line too long.
    """
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
    return _both_ways(lines, lines)


def _both_ways(alice: Sequence[bytes], bob: Sequence[bytes]) -> Script:
    """The two take turns."""
    turns = zip(alice, bob, strict=True)
    lines = [
        line
        for hers, his in turns
        for line in (Line("alice", "bob", hers), Line("bob", "alice", his))
    ]
    return Script(lines=lines)
