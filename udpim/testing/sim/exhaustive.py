"""Everything that can go wrong with one message: every pattern of losses, every moment to die.

Alice sends Bob one message. Of the first twelve datagrams after that each is lost or not, in all
4096 ways; and in each of them every role dies once at each boundary of its effects: when a
transaction becomes pending, when it is durable and nobody was told, and when a datagram has left.
Then the network is fair, and the oracle wants the message delivered once and its receipt true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import get_args

from udpim.config import Exchange
from udpim.testing.crossings import Crossing
from udpim.testing.facts import SERVER
from udpim.testing.faults import Loss
from udpim.testing.process import VirtualProcess
from udpim.testing.sim.run import judged
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


@dataclass(slots=True, kw_only=True)
class Sweep:
    """All patterns of losses for one moment to die."""

    exchange: Exchange
    role: str
    boundary: int
    runs: int = 0
    """Cases that were played; the others end before their last losses matter."""
    covered: int = 0
    """Cases that these stand for."""
    reached: int = 0
    """In how many of them the role died."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """(case, what is wrong) of each case that failed."""


class _Trouble:
    """Loses datagrams by a pattern, and lets one role die at its n-th boundary."""

    def __init__(self, world: World, case: Case) -> None:
        self.asked = 0
        self.died = False
        self._world = world
        self._case = case
        self._boundaries = 0
        world.network.gate = self._gate
        if case.role:
            self._process().store.meddle = self._boundary

    def _process(self) -> VirtualProcess:
        world, role = self._world, self._case.role
        return world.server() if role == SERVER else world.clients[role]

    def _gate(self, crossing: Crossing) -> bool:
        lost = False
        if self.asked < DATAGRAMS:
            lost = bool(self._case.pattern >> (DATAGRAMS - 1 - self.asked) & 1)
            self.asked += 1
        if crossing.source[0] == self._case.role or (
            self._case.role and self._process().address == crossing.source
        ):
            self._boundary()
        return lost

    def _boundary(self) -> None:
        self._boundaries += 1
        if self._boundaries == self._case.boundary and not self.died:
            self.died = True
            process = self._process()
            process.crash()
            self._world.clock.call_later(DOWN_S, process.start)


def play(case: Case) -> Played:
    """Play one case in a world of its own."""
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
    return Played(violated=names, story=story, asked=trouble.asked, died=trouble.died)


def sweep(exchange: Exchange, role: str, boundary: int) -> Sweep:
    """Play every pattern of losses for one moment to die."""
    done = Sweep(exchange=exchange, role=role, boundary=boundary)
    pattern = 0
    while pattern < PATTERNS:
        case = Case(exchange=exchange, role=role, boundary=boundary, pattern=pattern)
        played = play(case)
        # Patterns that differ only in what was never sent are the same run.
        alike = 1 << (DATAGRAMS - played.asked)
        done.runs += 1
        done.covered += alike
        done.reached += alike * played.died
        if played.violated:
            done.failures.append((str(case), f"{', '.join(played.violated)}: {played.story}"))
        pattern = (pattern // alike + 1) * alike
    return done


def _moments(mode: Exchange) -> Iterator[tuple[Exchange, str, int]]:
    yield mode, NOBODY, 0
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
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
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
                        running[pool.submit(sweep, *moment)] = moment
                if not running:
                    continue
                future = next(as_completed(running))
                done, (_, role, _) = future.result(), running.pop(future)
                if role and not done.reached:
                    beyond.add(role)
                    continue
                sweeps.append(done)
                tell(done)
    return sweeps
