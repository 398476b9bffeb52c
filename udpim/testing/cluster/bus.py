"""A virtual bus between the processes of a cluster: it loses, doubles and reorders as it is told.

Each ordered pair of processes has a `Pipe` of its own, as in the virtual network; datagrams on the
bus are no datagrams of the network, for no client and no oracle sees them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from udpim.cluster.bus import OnFrames
from udpim.testing.choices import Choices
from udpim.testing.clock import VirtualClock
from udpim.testing.faults import Pipe, Profile


def name_of(node: str) -> str:
    """Return the process whose life this is: ``s1`` for ``s1.3``."""
    return node.partition(".")[0]


class VirtualBus:
    """All the wires of one cluster.

    Attributes:
        faults: What happens to frames.
        counters: Frames that arrived, and drops by reason.
    """

    def __init__(self, clock: VirtualClock, choices: Choices, faults: Profile) -> None:
        """Start with nobody on it."""
        self.faults = faults
        self.counters: Counter[str] = Counter()
        self._clock = clock
        self._choices = choices
        self._sockets: dict[str, OnFrames] = {}
        self._pipes: dict[tuple[str, str], Pipe] = {}
        self._cut: set[str] = set()

    def join(self, node: str, on_frames: OnFrames) -> VirtualSocket:
        """Open the socket of one life of a process."""
        self._sockets[node] = on_frames
        return VirtualSocket(self, node)

    def leave(self, node: str) -> None:
        """That life is over."""
        self._sockets.pop(node, None)

    def cut(self, who: str) -> None:
        """Let nothing pass between a process and the others."""
        self._cut.add(who)

    def mend(self, who: str) -> None:
        """Let frames pass again."""
        self._cut.discard(who)

    def heal(self) -> None:
        """End every fault; what is on its way stays so."""
        self._cut.clear()
        self.faults = self.faults.healed()

    def send(self, source: str, destination: str, frame: bytes) -> None:
        """Carry one frame from one life to another."""
        pair = name_of(source), name_of(destination)
        if self._cut.intersection(pair):
            self.counters["cut"] += 1
            return
        pipe = self._pipes.get(pair)
        if pipe is None:
            label = f"bus {pair[0]} > {pair[1]}"
            pipe = self._pipes[pair] = Pipe(self.faults, self._choices, label)
        pipe.profile = self.faults
        for arrival in pipe.offer(frame, self._clock.now):
            self._clock.call_at(arrival.at, partial(self._arrive, destination, arrival.data))

    def _arrive(self, destination: str, frame: bytes) -> None:
        on_frames = self._sockets.get(destination)
        if on_frames is None:
            self.counters["unreachable"] += 1
            return
        self.counters["arrived"] += 1
        on_frames([frame])

    def is_dead(self, asking: str, node: str) -> bool:
        """Tell whether a life is known to be over; nobody knows of what he is cut off from."""
        cut = self._cut.intersection((name_of(asking), name_of(node)))
        return not cut and node not in self._sockets


class VirtualSocket:
    """The `udpim.cluster.bus.Bus` of one life of a process."""

    def __init__(self, bus: VirtualBus, node: str) -> None:
        """Made by `VirtualBus.join`."""
        self._bus = bus
        self._node = node

    def send(self, node: str, frames: Sequence[bytes]) -> None:
        """See `Bus.send`."""
        for frame in frames:
            self._bus.send(self._node, node, frame)

    def is_dead(self, node: str) -> bool:
        """See `Bus.is_dead`."""
        return self._bus.is_dead(self._node, node)

    def stats(self) -> dict[str, int]:
        """See `Bus.stats`; the virtual bus counts for all."""
        return {}

    def close(self) -> None:
        """See `Bus.close`."""
        self._bus.leave(self._node)
