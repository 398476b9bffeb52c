"""What every UDP endpoint of ours is: bounded, counted, and never ended by one datagram's error.

The driver hands bursts out and takes bursts in through this; `udpim.runtime.endpoint` has the
portable kind and chooses, `udpim.runtime.linux_endpoint` has the fast one.
"""

from __future__ import annotations

import errno
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from udpim.model import Address

BURST_DATAGRAMS_MAX = 64
"""Datagrams, or buffers of several, taken in one turn of the loop; the rest waits in the kernel
meanwhile."""
SEND_QUEUE_DATAGRAMS_MAX = 4096
"""Datagrams that wait for a kernel without room; one more is dropped, like anything on a full
link, and counted."""

Burst = list[tuple[bytes, Address]]
OnBurst = Callable[[Burst], None]
OnLost = Callable[[Exception], None]


class Outlet(Protocol):
    """Where a driver's datagrams leave: an endpoint, or what sends on to several."""

    @property
    def kind(self) -> str:
        """Its name, for statistics."""

    @property
    def drops(self) -> Mapping[str, int]:
        """Datagrams that did not leave or did not reach us, by reason."""

    def send(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send a burst."""

    def stats(self) -> dict[str, int]:
        """Return the counters."""


class DatagramEndpoint(ABC):
    """One UDP socket.

    UDP promises nothing, so no error of one datagram ends anything: ECONNREFUSED, ENETUNREACH,
    EPERM and ENOBUFS are attempts that failed, and the timers above send again.

    Attributes:
        address: Host and port that it is bound to.
        errors: Failed attempts, by the name of their errno.
        drops: Datagrams that did not leave or did not reach us, by reason.
    """

    kind: str
    """Its name, as `udpim.runtime.endpoint.open_endpoint` takes it."""

    def __init__(self, sock: socket.socket, on_burst: OnBurst, on_lost: OnLost) -> None:
        """See `udpim.runtime.endpoint.open_endpoint`."""
        self.address: Address = sock.getsockname()[:2]
        self.errors: dict[str, int] = {}
        self.drops: dict[str, int] = {}
        self._socket = sock
        self._on_burst = on_burst
        self._on_lost = on_lost
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._sent = 0
        self._received = 0
        self._bursts = 0
        self._stalls = 0

    @abstractmethod
    def send(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send a burst; what the kernel has no room for waits here, up to the limit."""

    @abstractmethod
    async def close(self) -> None:
        """Close the socket, after what waits in the kernel's and asyncio's hands has left."""

    def error_received(self, exc: Exception) -> None:
        """Count it: an attempt, never the end."""
        number = exc.errno if isinstance(exc, OSError) else None
        name = errno.errorcode.get(number or 0, type(exc).__name__)
        self.errors[name] = self.errors.get(name, 0) + 1

    def _enqueue(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Let them wait: the oldest stay, what has no room is dropped."""
        room = SEND_QUEUE_DATAGRAMS_MAX - len(self._waiting)
        self._waiting.extend(datagrams[:room])
        self._drop("send queue full", len(datagrams) - room)

    def _drop(self, reason: str, count: int = 1) -> None:
        if count > 0:
            self.drops[reason] = self.drops.get(reason, 0) + count

    def stats(self) -> dict[str, int]:
        """Return the counters; a stall is a moment at which the kernel had no room (EAGAIN)."""
        return {
            "datagrams_sent": self._sent,
            "datagrams_received": self._received,
            "bursts_received": self._bursts,
            "datagrams_waiting": len(self._waiting),
            "send_stalls": self._stalls,
            **{f"error {name}": count for name, count in self.errors.items()},
        }
