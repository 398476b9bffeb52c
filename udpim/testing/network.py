"""A seeded virtual network: it loses, doubles, delays and reorders datagrams, and keeps a record.

Each ordered pair of hosts has its own faults and its own random stream, so a change at one link
does not shift the luck of another. Targeted drops name what is in a datagram ("the second msg:A to
alice"), for which the network reads along (`udpim.testing.wiretap`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Protocol

from udpim.model import Address
from udpim.testing.clock import VirtualClock
from udpim.testing.wiretap import Content, Wiretap

Receive = Callable[[bytes, Address], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFaults:
    """What happens to datagrams of one direction."""

    loss_ratio: float = 0.0
    """Share that never arrives."""
    duplicate_ratio: float = 0.0
    """Share that arrives twice."""
    reorder_ratio: float = 0.0
    """Share that is held back by ``reorder_s``, so that others overtake it."""
    delay_s: float = 0.02
    """Time from one host to the other."""
    jitter_s: float = 0.0
    """Further delay, drawn evenly from 0 to this."""
    reorder_s: float = 0.1
    """How long a reordered datagram is held back."""


PERFECT = LinkFaults()


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
    fate: str = "in flight"
    """``lost``, ``cut``, ``dropped``, ``delivered`` or ``unreachable``."""
    arrivals: int = 0
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
        if not _is_host(self.source, crossing.source):
            return False
        if not _is_host(self.destination, crossing.destination):
            return False
        self.seen += 1
        return self.copies is None or self.seen in self.copies


def _is_host(wanted: str | None, address: Address) -> bool:
    """Tell whether the address is the wanted host, or one of the wanted user's devices."""
    return wanted is None or wanted in (address[0], address[0].partition("/")[0])


class Observer(Protocol):
    """Who is told of every datagram."""

    def on_datagram_sent(self, crossing: Crossing) -> None:
        """A node, or a replay, put it on the network."""

    def on_datagram_arrived(self, crossing: Crossing) -> None:
        """A copy of it is about to be handed to its destination."""


@dataclass(slots=True)
class _Nobody:
    def on_datagram_sent(self, crossing: Crossing) -> None:
        pass

    def on_datagram_arrived(self, crossing: Crossing) -> None:
        pass


@dataclass(slots=True)
class VirtualNetwork:
    """All links between all hosts.

    Attributes:
        default: Faults of every link that has none of its own.
        counters: How many datagrams were sent, lost, cut, dropped, duplicated, reordered,
            delivered and unreachable.
        trace: Every datagram, in the order of sending.
        wiretap: Reads them, encrypted ones with the secrets that it is told.
    """

    clock: VirtualClock
    seed: object
    default: LinkFaults = PERFECT
    observer: Observer = field(default_factory=_Nobody)
    counters: Counter[str] = field(default_factory=Counter)
    trace: list[Crossing] = field(default_factory=list)
    wiretap: Wiretap = field(default_factory=Wiretap, repr=False)
    _links: dict[tuple[str, str], LinkFaults] = field(default_factory=dict)
    _luck: dict[tuple[str, str], random.Random] = field(default_factory=dict)
    _cuts: set[tuple[str, str]] = field(default_factory=set)
    _intercepts: list[Intercept] = field(default_factory=list)
    _bound: dict[Address, Receive] = field(default_factory=dict)

    # --- Hosts ---

    def bind(self, address: Address, receive: Receive) -> None:
        """Deliver what is sent to ``address`` to this receiver."""
        self._bound[address] = receive

    def unbind(self, address: Address) -> None:
        """Nobody listens at ``address`` any more."""
        self._bound.pop(address, None)

    # --- Faults ---

    def set_link(self, source: str, destination: str, faults: LinkFaults) -> None:
        """Give one direction its own faults."""
        self._links[source, destination] = faults

    def cut(self, one: str, other: str) -> None:
        """Let nothing pass between two hosts."""
        self._cuts |= {(one, other), (other, one)}

    def cut_one_way(self, source: str, destination: str) -> None:
        """Let nothing pass in this direction."""
        self._cuts.add((source, destination))

    def mend(self) -> None:
        """End every cut."""
        self._cuts.clear()

    def heal(self) -> None:
        """End every fault: no loss, no cuts, no intercepts. Delays stay."""
        self._cuts.clear()
        self._intercepts.clear()
        self.default = LinkFaults(delay_s=self.default.delay_s)
        for pair, faults in self._links.items():
            self._links[pair] = LinkFaults(delay_s=faults.delay_s)

    def intercept(
        self,
        label: str,
        *,
        source: str | None = None,
        destination: str | None = None,
        copies: Container[int] | None = (1,),
        drop: bool = True,
        then: Callable[[], None] | None = None,
    ) -> Intercept:
        """Do something about the datagrams that carry ``label``.

        Args:
            label: What is in it, as `udpim.testing.wiretap` names it: ``msg:R``, ``HELLO``, …
            source: Host or user it comes from; None for any.
            destination: Host or user it goes to; None for any.
            copies: Which of the matching datagrams, counted from 1; None for all.
            drop: Whether it is dropped.
            then: Called when such a datagram leaves its node: the place for a crash.

        Returns:
            The intercept, which counts what it did.
        """
        order = Intercept(
            label=label, source=source, destination=destination, copies=copies, drop=drop, then=then
        )
        self._intercepts.append(order)
        return order

    # --- Datagrams ---

    def send(self, source: Address, destination: Address, data: bytes) -> None:
        """Put one datagram on its way."""
        crossing = self._record(source, destination, data)
        dropped = False
        actions = []
        for order in self._intercepts:
            if order.matches(crossing):
                order.dropped += order.drop
                dropped |= order.drop
                actions.append(order.then)
        if dropped:
            self._lose(crossing, "dropped")
        else:
            self._cross(crossing)
        for action in actions:
            if action is not None:
                action()

    def replay(
        self, crossing: Crossing, *, source: Address | None = None, delay_s: float = 0.0
    ) -> None:
        """Let a captured datagram arrive (once more), perhaps from elsewhere; nothing stops it."""
        copy = self._record(source or crossing.source, crossing.destination, crossing.data)
        copy.replayed = True
        self._arrive_after(copy, delay_s)

    def _record(self, source: Address, destination: Address, data: bytes) -> Crossing:
        crossing = Crossing(
            number=len(self.trace) + 1,
            sent_at=self.clock.now,
            source=source,
            destination=destination,
            data=data,
            content=self.wiretap.read(data),
        )
        self.trace.append(crossing)
        self.counters["sent"] += 1
        self.observer.on_datagram_sent(crossing)
        return crossing

    def _lose(self, crossing: Crossing, fate: str) -> None:
        crossing.fate = fate
        self.counters[fate] += 1

    def _cross(self, crossing: Crossing) -> None:
        pair = (crossing.source[0], crossing.destination[0])
        faults = self._links.get(pair, self.default)
        luck = self._luck.get(pair)
        if luck is None:
            luck = self._luck[pair] = random.Random(f"{self.seed}:{pair}")
        if pair in self._cuts:
            self._lose(crossing, "cut")
            return
        if luck.random() < faults.loss_ratio:
            self._lose(crossing, "lost")
            return
        copies = 1
        if luck.random() < faults.duplicate_ratio:
            copies = 2
            self.counters["duplicated"] += 1
        for _ in range(copies):
            delay_s = faults.delay_s + faults.jitter_s * luck.random()
            if luck.random() < faults.reorder_ratio:
                delay_s += faults.reorder_s * luck.random()
                self.counters["reordered"] += 1
            self._arrive_after(crossing, delay_s)

    def _arrive_after(self, crossing: Crossing, delay_s: float) -> None:
        self.clock.call_later(delay_s, lambda: self._arrive(crossing))

    def _arrive(self, crossing: Crossing) -> None:
        receive = self._bound.get(crossing.destination)
        if receive is None:
            self._lose(crossing, "unreachable")
            return
        crossing.fate = "delivered"
        crossing.arrivals += 1
        self.counters["delivered"] += 1
        self.observer.on_datagram_arrived(crossing)
        receive(crossing.data, crossing.source)
