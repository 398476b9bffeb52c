"""Datagrams on their way through the virtual network, and who is told of them.

A `Crossing` is the record of one datagram, for the oracle and for stories; an `Intercept` is what a
test wants done with certain ones. `udpim.testing.network` makes the former and obeys the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Protocol

from udpim.model import Address
from udpim.testing.faults.orders import is_host
from udpim.testing.wiretap import Content


@dataclass(slots=True, kw_only=True)
class Crossing:
    """One datagram on its way, for the record."""

    number: int
    """Counts all datagrams from 1."""
    sent_at: float
    source: Address
    destination: Address
    data: bytes
    content: Content
    seen_from: Address | None = None
    """The public address of the source's NAT, from which others see it come; None: no NAT."""
    sent_to: Address | None = None
    """The public address of the destination's NAT, which its sender wrote on it; None: no NAT."""
    fate: str = "in flight"
    """``lost``, ``outage``, ``too big``, ``queue full``, ``cut``, ``dropped``, ``unreachable``,
    ``damaged`` (it arrived, but never as it was sent) or ``delivered``."""
    faults: tuple[str, ...] = ()
    """What was done to what arrives of it, in the words of `Pipe.counters`."""
    arrivals: int = 0
    """Copies that arrived as they were sent."""
    replayed: bool = False
    """It was injected by a test, not sent by a node."""


@dataclass(slots=True, kw_only=True)
class Intercept:
    """What a test wants done with certain datagrams."""

    label: str
    source: str | None
    destination: str | None
    copies: Container[int] | None
    drop: bool
    then: Callable[[], None] | None
    seen: int = 0
    """Datagrams that matched so far."""
    dropped: int = 0
    """Of these, dropped here."""

    def matches(self, crossing: Crossing) -> bool:
        """Tell whether it is about this datagram; counts."""
        if self.label not in crossing.content.labels:
            return False
        if not is_host(self.source, crossing.source[0]):
            return False
        if not is_host(self.destination, crossing.destination[0]):
            return False
        self.seen += 1
        return self.copies is None or self.seen in self.copies


class Observer(Protocol):
    """Who is told of every datagram."""

    def on_datagram_sent(self, crossing: Crossing) -> None:
        """A node, or a replay, put it on the network."""

    def on_datagram_arrived(self, crossing: Crossing) -> None:
        """A copy of it, as it was sent, is about to be handed to its destination."""

    def on_datagram_damaged(self, crossing: Crossing, data: bytes) -> None:
        """Changed bytes of it are about to be handed to its destination."""


@dataclass(slots=True)
class Nobody:
    """An observer that does not care."""

    def on_datagram_sent(self, crossing: Crossing) -> None:
        """See `Observer`."""

    def on_datagram_arrived(self, crossing: Crossing) -> None:
        """See `Observer`."""

    def on_datagram_damaged(self, crossing: Crossing, data: bytes) -> None:
        """See `Observer`."""
