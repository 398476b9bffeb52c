"""The node of one process of a virtual cluster: a server's, behind a door instead of a port."""

from __future__ import annotations

from collections.abc import Callable

from udpim.cluster.door import Door
from udpim.model import Address
from udpim.node import events as ev
from udpim.testing.clock import VirtualClock
from udpim.testing.facts import SERVER
from udpim.testing.network import Receive
from udpim.testing.nodes import VirtualServer


class DoorLink:
    """What a home's node has for a network: the door of the process's present life.

    Attributes:
        door: Where datagrams leave.
        receive: The node, while it is at work.
    """

    def __init__(self, clock: VirtualClock) -> None:
        """Lead nowhere."""
        self.clock = clock
        self.door: Door | None = None
        self.receive: Receive | None = None

    def bind(self, address: Address, receive: Receive) -> None:
        """The node is at work."""
        self.receive = receive

    def unbind(self, address: Address) -> None:
        """It is no more."""
        self.receive = None

    def send(self, source: Address, destination: Address, data: bytes) -> None:
        """Let one datagram out."""
        assert self.door is not None, "a process that is down says nothing"
        self.door.send([(data, destination)])


class HomeServer(VirtualServer):
    """The node while its process is the home; each term is a life of it.

    Attributes:
        failed: Is told why its store does not let it go on.
    """

    failed: Callable[[Exception], None]

    def halt(self) -> None:
        """Say nothing more, as the product's driver does when the store has failed."""
        if self._node is not None:
            self.history.on_died(SERVER)
        self._node = self._executor = None
        self._armed = None

    def end_term(self) -> None:
        """Stop, and close the store: what is in flight lands, unless the fence is in its way."""
        self.halt()
        self.store.close()
        self.crash()

    def crash(self, *, landing: int = 0) -> None:
        """Die at once, at work or not; see `VirtualProcess.crash`."""
        self.halt()
        self._buffer.clear()
        self._paused = False
        self._network.unbind(self.address)
        self.store.crash(landing=landing)

    def _on_event(self, event: ev.Event) -> None:
        if isinstance(event, ev.StoreFailed) and event.is_final:
            self.halt()
            self.failed(event.error)
