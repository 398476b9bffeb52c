"""Everything that can go wrong with one message: every pattern of losses, every moment to die.

Alice sends Bob one message. Of the first twelve datagrams after that each is lost or not, in all
4096 ways; and in each of them every role dies once at each boundary of its effects: when a
transaction becomes pending, when it is durable and nobody was told, and when a datagram has left.
Then the network is fair, and the oracle wants the message delivered once and its receipt true.

What is known to be the same run is not played again, as long as it held: patterns that differ only
in what was never sent, or in what arrived where nobody listens, and deaths at a boundary that the
pattern never brings about, which are the run in which nobody dies (`Calm`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from typing import get_args

from udpim.config import Exchange
from udpim.testing.crossings import Crossing
from udpim.testing.facts import SERVER
from udpim.testing.faults import Loss
from udpim.testing.process import VirtualProcess
from udpim.testing.sim.run import garbage_at_the_end, judged
from udpim.testing.world import World

DATAGRAMS = 12
"""Datagrams whose loss is tried."""
PATTERNS = 1 << DATAGRAMS
ROLES = ("alice/phone", "server", "bob/phone")
NOBODY = ""
BOUNDARIES_MAX = 64
"""Far more than one message makes any role pass; a sweep that nobody reaches ends it earlier."""
DELAY_S = 0.01
SYNC_S = 0.001
DOWN_S = 0.2
"""How long who died is away."""
MODES: tuple[Exchange, ...] = get_args(Exchange)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way in which it can go."""

    exchange: Exchange
    role: str
    """Who dies; nobody if empty."""
    boundary: int
    """At which of its boundaries, from 1."""
    pattern: int
    """Which datagrams are lost: the highest bit is the first one."""

    def __str__(self) -> str:
        """As a failure names it."""
        lost = [str(n + 1) for n in range(DATAGRAMS) if self.pattern >> (DATAGRAMS - 1 - n) & 1]
        death = f", {self.role} dies at boundary {self.boundary}" if self.role else ""
        return f"{self.exchange} packets, lost: {' '.join(lost) or 'none'}{death}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What one case came to."""

    violated: tuple[str, ...]
    story: str
    asked: int
    """How many datagrams there were whose loss was decided, at most `DATAGRAMS`."""
    died: bool
    in_vain: int = 0
    """Which datagrams arrived where nobody listened, as a pattern: they might as well be lost."""
    boundaries: Mapping[str, int] = field(default_factory=dict)
    """How many of its boundaries each role has passed, where nobody dies."""

    @property
    def alike(self) -> int:
        """How many patterns this run stands for, from its own on."""
        return 1 << (DATAGRAMS - self.asked)

    @property
    def held(self) -> bool:
        """Whether nothing was violated."""
        return not self.violated


@dataclass(slots=True, kw_only=True)
class Sweep:
    """All patterns of losses for one moment to die."""

    exchange: Exchange
    role: str
    boundary: int
    runs: int = 0
    """Cases that were played; the others are known to be the same as one of them."""
    covered: int = 0
    """All cases."""
    reached: int = 0
    """In how many of them the role died."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """(case, what is wrong) of each case that failed."""


@dataclass(slots=True)
class Calm:
    """The runs of one mode in which nobody dies, by pattern; those alone that held."""

    runs: Mapping[int, Played] = field(default_factory=dict)

    def without_death(self, case: Case) -> Played | None:
        """Return the run in which nobody dies, if whoever shall die does not come so far."""
        played = self.runs.get(case.pattern)
        if played is None or played.boundaries[case.role] >= case.boundary:
            return None
        return played


class _Trouble:
    """Loses datagrams by a pattern, and lets one role die at its n-th boundary."""

    def __init__(self, world: World, case: Case) -> None:
        self.asked = 0
        self.died = False
        self._world = world
        self._case = case
        self._crossings: list[Crossing] = []
        self.boundaries = dict.fromkeys([case.role] if case.role else ROLES, 0)
        world.network.gate = self._gate
        for role in self.boundaries:
            self._process(role).store.meddle = partial(self._boundary, role)

    @property
    def in_vain(self) -> int:
        """Which datagrams arrived where nobody listened."""
        bits = (crossing.fate == "unreachable" for crossing in self._crossings)
        return sum(bit << (DATAGRAMS - 1 - n) for n, bit in enumerate(bits))

    def _process(self, role: str) -> VirtualProcess:
        return self._world.server() if role == SERVER else self._world.clients[role]

    def _gate(self, crossing: Crossing) -> bool:
        lost = False
        if self.asked < DATAGRAMS:
            lost = bool(self._case.pattern >> (DATAGRAMS - 1 - self.asked) & 1)
            self.asked += 1
            self._crossings.append(crossing)
        if crossing.source[0] in self.boundaries:
            self._boundary(crossing.source[0])
        return lost

    def _boundary(self, role: str) -> None:
        self.boundaries[role] += 1
        if self.boundaries[role] == self._case.boundary and not self.died:
            self.died = True
            process = self._process(role)
            process.crash()
            self._world.clock.call_later(DOWN_S, process.start)


def play(case: Case) -> Played:
    """Play one case in a world of its own."""
    with garbage_at_the_end():
        return _play(case)


def _play(case: Case) -> Played:
    world = World(
        "exhaustive",
        faults=Loss.none().delay(DELAY_S),
        sync_s=SYNC_S,
        encrypted=False,
        exchange=case.exchange,
    )
    world.server()
    alice = world.client("alice")
    world.client("bob")
    world.online()
    trouble = _Trouble(world, case)

    # With the first transaction the sender may die while the application is still asking.
    def send() -> None:
        alice.send("bob", b"the message")

    world.clock.call_later(0.0, send)

    def finish() -> None:
        world.settle()
        world.run(1.0)
        world.network.heal()
        world.heal_and_settle()
        world.check(empty=True)

    names, story = judged(finish)
    return Played(
        violated=names,
        story=story,
        asked=trouble.asked,
        died=trouble.died,
        in_vain=trouble.in_vain,
        boundaries={} if case.role else trouble.boundaries,
    )


def sweep(exchange: Exchange, role: str, boundary: int, calm: Calm | None = None) -> Sweep:
    """Try every pattern of losses for one moment to die.

    Args:
        exchange: How many packets an exchange has.
        role: Who dies; nobody if empty.
        boundary: At which of its boundaries.
        calm: What is known of the runs in which nobody dies; is learnt where nobody does.
    """
    done = Sweep(exchange=exchange, role=role, boundary=boundary)
    held: dict[int, Played] = {}
    pattern = 0
    while pattern < PATTERNS:
        case = Case(exchange=exchange, role=role, boundary=boundary, pattern=pattern)
        played = _known(pattern, held)
        if played is None and role and calm is not None:
            played = calm.without_death(case)
        if played is None:
            played = play(case)
            done.runs += 1
        if played.held:
            held[pattern] = played
        else:
            done.failures.append((str(case), f"{', '.join(played.violated)}: {played.story}"))
        done.covered += played.alike
        done.reached += played.alike * played.died
        pattern += played.alike
    if calm is not None and not role:
        calm.runs = held
    return done


def _known(pattern: int, held: Mapping[int, Played]) -> Played | None:
    """Return the run of a pattern in which less is lost, and what this one loses came in vain."""
    for datagram in range(DATAGRAMS):
        bit = 1 << datagram
        less = held.get(pattern & ~bit) if pattern & bit else None
        if less is not None and less.in_vain & bit:
            # From here on it is the same run, so what else came in vain did so, too.
            return replace(less, in_vain=less.in_vain & ~bit)
    return None


def learn(mode: Exchange) -> tuple[Sweep, Calm]:
    """Try every pattern while nobody dies, and tell what is known then."""
    calm = Calm()
    return sweep(mode, NOBODY, 0, calm), calm


def _moments(mode: Exchange) -> Iterator[tuple[Exchange, str, int]]:
    for role in ROLES:
        for boundary in range(1, BOUNDARIES_MAX + 1):
            yield mode, role, boundary


def exhaust(
    modes: tuple[Exchange, ...] = MODES,
    *,
    jobs: int = 1,
    tell: Callable[[Sweep], None] = lambda sweep: None,
) -> list[Sweep]:
    """Sweep over every moment of every role, until no pattern reaches the next one.

    Args:
        modes: Exchanges to try.
        jobs: How many processes.
        tell: Is told of each sweep that is done.
    """
    sweeps: list[Sweep] = []

    def keep(done: Sweep) -> None:
        sweeps.append(done)
        tell(done)

    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        calms: dict[Exchange, Calm] = {}
        for mode, learning in [(mode, pool.submit(learn, mode)) for mode in modes]:
            done, calms[mode] = learning.result()
            keep(done)
        for mode in modes:
            beyond: set[str] = set()
            waiting = _moments(mode)
            running: dict[Future[Sweep], tuple[Exchange, str, int]] = {}
            more = True
            while more or running:
                while more and len(running) < 2 * jobs:
                    moment = next(waiting, None)
                    more = moment is not None
                    if moment is not None and moment[1] not in beyond:
                        running[pool.submit(sweep, *moment, calms[mode])] = moment
                if not running:
                    continue
                future = next(as_completed(running))
                done, (_, role, _) = future.result(), running.pop(future)
                if not done.reached:
                    beyond.add(role)
                    continue
                keep(done)
    return sweeps
