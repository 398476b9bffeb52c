"""What a client sends together with its login: kept until the login is answered (PROTOCOL §4.2).

A client that the server knows need not wait a round trip before its messages leave. The server node
takes them into memory, within limits, and routes them once there is a session; a login that is
refused ends the connection, and they are as lost as with a server that dies.
"""

from __future__ import annotations

from collections.abc import Sequence

from udpim.config import EARLY_BYTES_MAX, EARLY_BYTES_TOTAL_MAX
from udpim.im.sender import Outbox
from udpim.node.link import Link
from udpim.wire.im_packets import ImPacket

MESSAGE_BYTES = 128
"""At most what a message takes in a frame of its own, beside its payload."""


def fits_early(outbox: Outbox) -> bool:
    """Tell whether all that is open in an outbox may leave together with a login."""
    return outbox.open_bytes + MESSAGE_BYTES * outbox.open_messages <= EARLY_BYTES_MAX


class Early:
    """Packets that wait for the answer to a login, of all connections."""

    def __init__(self) -> None:
        """Start with none."""
        self.bytes = 0
        """Of all bodies."""
        self._waiting: dict[Link, tuple[int, list[ImPacket | None]]] = {}

    def keep(self, link: Link, packets: Sequence[ImPacket | None], size_bytes: int) -> bool:
        """Keep packets in the order in which they came.

        Returns:
            False when there is no room for them.
        """
        before, waiting = self._waiting.get(link, (0, []))
        room = min(EARLY_BYTES_MAX - before, EARLY_BYTES_TOTAL_MAX - self.bytes)
        if size_bytes > room:
            return False
        self._waiting[link] = (before + size_bytes, [*waiting, *packets])
        self.bytes += size_bytes
        return True

    def take(self, link: Link) -> list[ImPacket | None]:
        """Return what a connection's login was waited for with; nothing of it is kept."""
        size_bytes, packets = self._waiting.pop(link, (0, []))
        self.bytes -= size_bytes
        return packets
