"""A process's two ways in: its UDP port, and the bus. Sends everything on to the home.

Looks like a datagram endpoint to the driver of a home's node, so that the node knows nothing of
gates: a client that comes through one has ``host@gate`` in its address, and an answer to such an
address leaves through that gate. The hop takes a client that changes its gate for one that changed
its address, which is validated and goes on. PROTOCOL §8.3.

::

    gate:  UDP ─► door ─► bus                    home:  UDP ─┐
                                                         bus ┴► door ─► node
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from udpim.cluster.bus import Bus
from udpim.cluster.directory import Lease
from udpim.cluster.frames import Kind, decode, in_frames
from udpim.cluster.once import Once
from udpim.errors import DecodeError
from udpim.model import Address

MARK = "@"
"""Between a client's host and the gate; no host has it."""
Burst = list[tuple[bytes, Address]]


class UdpPort(Protocol):
    """The process's own UDP endpoint."""

    kind: str
    drops: dict[str, int]

    def send(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send a burst."""

    def stats(self) -> dict[str, int]:
        """Return counters."""


class Door:
    """Between UDP port, bus and, where this process is the home, the node."""

    def __init__(self, node: str, port: UdpPort, bus: Bus) -> None:
        """Start without a home.

        Args:
            node: This process's name on the bus.
            port: Its UDP endpoint; give its bursts to `receive`.
            bus: Reaches the others; give its frames to `receive_frames`.
        """
        self._node = node
        self._port = port
        self._bus = bus
        self._home: Lease | None = None
        self._inward: Callable[[Burst], None] | None = None
        self._number = 1
        """Of the next frame that goes out."""
        self._once = Once()
        self._drops: dict[str, int] = {}

    # --- Who is the home ---

    def follow(self, home: Lease | None) -> None:
        """Be a gate: another process is the home, or none is."""
        self._home = home
        self._inward = None

    def become_home(self, lease: Lease, inward: Callable[[Burst], None]) -> None:
        """Be the home; ``inward`` takes what clients send, through whatever gate."""
        self._home = lease
        self._inward = inward

    # --- Inward ---

    def receive(self, burst: Burst) -> None:
        """Take a burst from this process's UDP port."""
        if self._inward is not None:
            self._inward(burst)
        elif self._home is not None:
            self._pass_on(Kind.INWARD, self._home, self._home.node, burst)
        else:
            self._drop("no home", len(burst))

    def receive_frames(self, frames: list[bytes]) -> None:
        """Take what other processes sent."""
        burst: Burst = []
        for raw in frames:
            try:
                frame = decode(raw)
            except DecodeError as error:
                self._drop(str(error))
                continue
            if self._home is None or frame.epoch != self._home.epoch:
                self._drop("bus frame of another epoch")
            elif not self._once.is_new(frame.sender, frame.number):
                self._drop("bus frame once more")
            elif frame.kind is Kind.OUTWARD and self._inward is None:
                self._port.send(frame.datagrams)
            elif frame.kind is Kind.INWARD and self._inward is not None:
                at = f"{MARK}{frame.sender}"
                burst += [(data, (host + at, port)) for data, (host, port) in frame.datagrams]
            else:
                self._drop("bus frame for another role")
        if burst and self._inward is not None:
            self._inward(burst)

    # --- Outward, for the home's driver ---

    @property
    def kind(self) -> str:
        """Name of the kind of UDP endpoint."""
        return self._port.kind

    @property
    def drops(self) -> dict[str, int]:
        """Datagrams and frames that were not passed on, by reason."""
        return {**self._port.drops, **self._drops}

    def stats(self) -> dict[str, int]:
        """Return the counters of UDP port and bus."""
        return {**self._port.stats(), **self._bus.stats()}

    def send(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send a burst of the home's, each datagram through the port that its client uses."""
        own: Burst = []
        by_gate: dict[str, Burst] = {}
        for data, (host, port) in datagrams:
            client, mark, gate = host.partition(MARK)
            part = by_gate.setdefault(gate, []) if mark else own
            part.append((data, (client, port)))
        if own:
            self._port.send(own)
        if self._home is not None:
            for gate, part in by_gate.items():
                self._pass_on(Kind.OUTWARD, self._home, gate, part)

    def _pass_on(self, kind: Kind, home: Lease, to: str, burst: Burst) -> None:
        frames = in_frames(kind, home.epoch, self._number, self._node, burst)
        self._number += len(frames)
        self._bus.send(to, frames)

    def _drop(self, reason: str, count: int = 1) -> None:
        self._drops[reason] = self._drops.get(reason, 0) + count
