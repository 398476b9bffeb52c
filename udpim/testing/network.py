"""A seeded virtual network: it does to datagrams what its profiles say, and keeps a record.

Each ordered pair of hosts has a `Pipe` of its own, with its own profile and its own random streams,
so a change at one link does not shift the luck of another. Targeted drops name what is in a
datagram ("the second msg:A to alice"), for which the network reads along (`udpim.testing.wiretap`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from functools import partial

from udpim.model import Address
from udpim.testing.choices import Choices
from udpim.testing.clock import VirtualClock
from udpim.testing.crossings import Crossing, Intercept, Nobody, Observer
from udpim.testing.faults import Arrival, Blackout, Drop, Pipe, Profile
from udpim.testing.faults.toml import FaultFile
from udpim.testing.nat import Nat
from udpim.testing.wiretap import Wiretap

Receive = Callable[[bytes, Address], None]

PERFECT = Profile()
_AT_THE_LINKS = ("duplicated", "late", "reordered", "corrupted", "truncated")
"""What pipes count and the fates of datagrams do not show."""


@dataclass(slots=True)
class VirtualNetwork:
    """All links between all hosts.

    Attributes:
        default: Profile of every link that has none of its own.
        choices: Who decides what strikes; the dice of ``seed`` unless told otherwise.
        gate: Is asked about every datagram that a node sends; true drops it.
        trace: Every datagram, in the order of sending.
        wiretap: Reads them, encrypted ones with the secrets that it is told.
    """

    clock: VirtualClock
    seed: object
    default: Profile = PERFECT
    observer: Observer = field(default_factory=Nobody)
    choices: Choices | None = None
    gate: Callable[[Crossing], bool] | None = None
    trace: list[Crossing] = field(default_factory=list)
    wiretap: Wiretap = field(default_factory=Wiretap, repr=False)
    _luck: Choices = field(init=False, repr=False)
    _counted: Counter[str] = field(default_factory=Counter)
    _links: dict[tuple[str, str], Profile] = field(default_factory=dict)
    _own: dict[tuple[str, str], Profile | None] = field(default_factory=dict)
    _pipes: dict[tuple[str, str], Pipe] = field(default_factory=dict)
    _nats: dict[str, Nat] = field(default_factory=dict)
    _cuts: set[tuple[str, str]] = field(default_factory=set)
    _blackouts: list[Blackout] = field(default_factory=list)
    _intercepts: list[Intercept] = field(default_factory=list)
    _bound: dict[Address, Receive] = field(default_factory=dict)
    _healed: int = 0

    def __post_init__(self) -> None:
        """Take the dice of the seed where nobody else decides."""
        self._luck = Choices(self.seed) if self.choices is None else self.choices

    @property
    def luck(self) -> Choices:
        """Who decides what strikes."""
        return self._luck

    # --- Hosts ---

    def bind(self, address: Address, receive: Receive) -> None:
        """Deliver what is sent to ``address`` to this receiver."""
        self._bound[address] = receive

    def unbind(self, address: Address) -> None:
        """Nobody listens at ``address`` any more."""
        self._bound.pop(address, None)

    def nat(self, host: str, life_s: float) -> Nat:
        """Put a host behind a NAT of its own, which forgets bindings that rest for so long.

        What it sends is seen to come from ``nat of HOST``; `Nat.rebind` changes that at will.
        """
        nat = self._nats[host] = Nat(f"nat of {host}", life_s)
        return nat

    # --- Faults ---

    def set_link(self, source: str, destination: str, faults: Profile) -> None:
        """Give one direction, between hosts or between all devices of users, its own faults."""
        self._links[source, destination] = faults
        self._own.clear()

    def apply(self, file: FaultFile) -> None:
        """Do everything that a fault file says, from this instant on."""
        self.default = file.link
        for (source, destination), profile in file.links.items():
            self.set_link(source, destination, profile)
        for drop in file.drops:
            self.order(drop)
        for cut in file.blackouts:
            self.order(cut)

    def order(self, order: Drop | Blackout) -> None:
        """Drop the named packets, or let nothing pass at the stated time, counted from now."""
        if isinstance(order, Drop):
            self.intercept(order.label, source=order.frm, destination=order.to, copies=order.copies)
            return
        healed = self._healed

        def begin() -> None:
            if self._healed == healed:
                self._blackouts.append(order)

        def end() -> None:
            if order in self._blackouts:
                self._blackouts.remove(order)

        self.clock.call_later(order.at_s, begin)
        self.clock.call_later(order.at_s + order.lasts_s, end)

    def cut(self, one: str, other: str) -> None:
        """Let nothing pass between two hosts."""
        self._cuts |= {(one, other), (other, one)}

    def cut_one_way(self, source: str, destination: str) -> None:
        """Let nothing pass in this direction."""
        self._cuts.add((source, destination))

    def mend_one_way(self, source: str, destination: str) -> None:
        """Let datagrams pass in this direction again."""
        self._cuts.discard((source, destination))

    def mend(self) -> None:
        """End every cut, and every blackout that has begun."""
        self._cuts.clear()
        self._blackouts.clear()

    def heal(self) -> None:
        """End every fault: no loss, no cuts, no orders, no late copies. Delays and NATs stay."""
        self.mend()
        self._healed += 1
        self._intercepts.clear()
        self.default = self.default.healed()
        for pair, faults in self._links.items():
            self._links[pair] = faults.healed()
        self._own.clear()

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

    # --- What was done ---

    @property
    def counters(self) -> Counter[str]:
        """How many datagrams were sent, and how often each fate and each fault befell one.

        ``sent``, the fates of `Crossing.fate`, and what pipes do to what arrives: ``duplicated``,
        ``late``, ``reordered``, ``corrupted``, ``truncated``.
        """
        counted = self._counted.copy()
        for pipe in self._pipes.values():
            counted.update({what: n for what in _AT_THE_LINKS if (n := pipe.counters[what])})
        return counted

    @property
    def pipes(self) -> dict[tuple[str, str], Pipe]:
        """The pipe of each (source, destination) that was used, for reading its counters."""
        return self._pipes

    # --- Datagrams ---

    def send(self, source: Address, destination: Address, data: bytes) -> None:
        """Put one datagram on its way."""
        crossing = self._record(source, destination, data)
        dropped = self.gate is not None and self.gate(crossing)
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
        copy.seen_from = None if source else crossing.seen_from
        copy.sent_to = None
        self._arrive_after(copy, delay_s)

    def _record(self, source: Address, destination: Address, data: bytes) -> Crossing:
        seen_from = sent_to = None
        if self._nats:
            nat = self._nats.get(source[0])
            if nat is not None:
                seen_from = nat.outward(source, self.clock.now)
            for nat in () if destination in self._bound else self._nats.values():
                inside = nat.whose(destination)
                if inside is not None:
                    destination, sent_to = inside, destination
                    break
        crossing = Crossing(
            number=len(self.trace) + 1,
            sent_at=self.clock.now,
            source=source,
            destination=destination,
            data=data,
            content=self.wiretap.read(data),
            seen_from=seen_from,
            sent_to=sent_to,
        )
        self.trace.append(crossing)
        self._counted["sent"] += 1
        self.observer.on_datagram_sent(crossing)
        return crossing

    def _lose(self, crossing: Crossing, fate: str) -> None:
        crossing.fate = fate
        self._counted[fate] += 1

    def _cross(self, crossing: Crossing) -> None:
        pair = (crossing.source[0], crossing.destination[0])
        if pair in self._cuts or (
            self._blackouts and any(each.covers(*pair) for each in self._blackouts)
        ):
            self._lose(crossing, "cut")
            return
        pipe = self._pipe(pair)
        arrivals = pipe.offer(crossing.data, self.clock.now)
        if not arrivals:
            self._lose(crossing, pipe.stopped.replace("_", " "))
        for arrival in arrivals:
            if arrival.what:
                crossing.faults += arrival.what
            self._arrive_at(crossing, arrival)

    def _pipe(self, pair: tuple[str, str]) -> Pipe:
        """Return the pipe of a direction, with the profile that holds now."""
        if pair not in self._own:
            self._own[pair] = self._profile_of(*pair)
        profile = self._own[pair] or self.default
        pipe = self._pipes.get(pair)
        if pipe is None:
            label = f"{pair[0]} > {pair[1]}"
            pipe = self._pipes[pair] = Pipe(profile, self._luck, label)
        elif pipe.profile is not profile:
            pipe.profile = profile
        return pipe

    def _profile_of(self, source: str, destination: str) -> Profile | None:
        """Find what was set for these hosts; what names a host goes before what names a user."""
        for one in (source, source.partition("/")[0]):
            for other in (destination, destination.partition("/")[0]):
                if (one, other) in self._links:
                    return self._links[one, other]
        return None

    def _arrive_after(self, crossing: Crossing, delay_s: float) -> None:
        self._arrive_at(crossing, Arrival(self.clock.now + delay_s, crossing.data))

    def _arrive_at(self, crossing: Crossing, arrival: Arrival) -> None:
        healed = self._healed if "late" in arrival.what else None
        self.clock.call_at(arrival.at, partial(self._arrive, crossing, arrival.data, healed))

    def _arrive(self, crossing: Crossing, data: bytes, healed: int | None) -> None:
        """Hand over what arrives, unless the network was healed since it was to come late."""
        if healed is not None and healed != self._healed:
            return
        destination: Address | None = crossing.destination
        if crossing.sent_to is not None:
            nat = self._nats[crossing.destination[0]]
            destination = nat.inward(crossing.sent_to, self.clock.now)
        receive = None if destination is None else self._bound.get(destination)
        if receive is None:
            self._counted["unreachable"] += 1
            if crossing.fate not in ("delivered", "damaged"):
                crossing.fate = "unreachable"
        elif data == crossing.data:
            crossing.fate = "delivered"
            crossing.arrivals += 1
            self._counted["delivered"] += 1
            self.observer.on_datagram_arrived(crossing)
            receive(data, crossing.seen_from or crossing.source)
        else:
            crossing.fate = "damaged"  # all copies of it are, so none was delivered
            self._counted["damaged"] += 1
            self.observer.on_datagram_damaged(crossing, data)
            receive(data, crossing.seen_from or crossing.source)
