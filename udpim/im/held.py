"""What of each sender waits for the server's disk: queue rows whose commit is under way.

The node tells the sender's connection, which gives back as credit what is not held: a slow disk
holds back who writes to it. A slow recipient does not, for its sender has others to write to: what
it may cost is bounded by the session's limits and the sender's window of bytes (PROTOCOL §3.8).
"""

from __future__ import annotations

from udpim.model import Endpoint, StreamId


class HeldBytes:
    """Bytes by sending endpoint."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._bytes: dict[Endpoint, int] = {}
        self._changed: dict[Endpoint, None] = {}

    def add(self, stream: StreamId, size: int) -> None:
        """So many bytes of a stream came into memory, or left it (negative)."""
        sender = Endpoint(stream.user, stream.device)
        held = self._bytes.get(sender, 0) + size
        assert held >= 0, "what left had come"
        if held:
            self._bytes[sender] = held
        else:
            self._bytes.pop(sender, None)
        self._changed[sender] = None

    def of(self, sender: Endpoint) -> int:
        """Return what is held of one endpoint's messages."""
        return self._bytes.get(sender, 0)

    def total(self) -> int:
        """Return what is held of all."""
        return sum(self._bytes.values())

    def take_changed(self) -> list[Endpoint]:
        """Return whose bytes changed since the last call."""
        changed = list(self._changed)
        self._changed.clear()
        return changed
