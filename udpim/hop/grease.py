"""Extension frames of random type, now and then, so that peers stay able to skip them.

The connection puts one into an ack-eliciting packet. Specification: PROTOCOL §2.7.
"""

from __future__ import annotations

from collections.abc import Callable

from udpim.wire.frames import EXTENSION_MIN, encode_extension


class Grease:
    """When the next one is due, and what it is."""

    __slots__ = ("_due_in", "_packets_max", "_random_bytes")

    def __init__(self, packets_max: int, random_bytes: Callable[[int], bytes]) -> None:
        """One rides every 1 to ``packets_max`` packets; 0: never."""
        self._packets_max = packets_max
        self._random_bytes = random_bytes
        self._due_in = self._gap()

    def add(self, parts: list[bytes], room: int) -> None:
        """A packet of these frames leaves: add one if it is due and fits into ``room`` bytes."""
        self._due_in -= 1
        if self._due_in:
            return
        kind, size, *body = self._random_bytes(10)
        extension = encode_extension(EXTENSION_MIN | kind & 0x3F, bytes(body[: size % len(body)]))
        if sum(map(len, parts)) + len(extension) <= room:
            parts.append(extension)
        self._due_in = self._gap()

    def _gap(self) -> int:
        """How many packets until the next one; 0: there is none."""
        highest = self._packets_max
        return self._random_bytes(1)[0] % highest + 1 if highest else 0
