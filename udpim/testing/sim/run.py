"""One run: a plan is played in a world, everything heals, and the oracle judges.

The same plan and the same choices give the same run, to the last byte of its trace.
"""

from __future__ import annotations

import gc
import hashlib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import NamedTuple

from udpim.config import ClientConfig, Limits, ServerConfig
from udpim.errors import ConfigError
from udpim.hop.config import HopConfig
from udpim.hop.trace import NewTrace
from udpim.testing.canary import CANARY_BYTES, no_plaintext
from udpim.testing.choices import Choices, Tape
from udpim.testing.cluster import Member, Setup
from udpim.testing.faults import Profile
from udpim.testing.invariants import i14_liveness
from udpim.testing.ledger import no_amplification
from udpim.testing.oracle import LIVENESS_S, Oracle, Violated
from udpim.testing.process import VirtualProcess
from udpim.testing.sim.account import account
from udpim.testing.sim.actions import REPAIR_S, Stage
from udpim.testing.sim.budgets import over_budget
from udpim.testing.sim.labels import reached
from udpim.testing.sim.plan import Plan, Seat
from udpim.testing.sqlite_disk import SQLiteDisk
from udpim.testing.storage import Disk
from udpim.testing.world import World

SAMPLE_S = 1.0
"""How often the sizes of the nodes' tables are looked at."""
AFTERMATH_S = 5.0
"""What is left to say when everything has settled."""


class Lost(NamedTuple):
    """A datagram that the dice lost."""

    at_s: float
    source: str
    destination: str
    number: int
    """Of the decisions about this direction, counted from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one run."""

    plan: Plan
    tape: Tape
    violated: tuple[str, ...]
    """Names of the violated invariants; none: the promise held."""
    story: str
    """What is wrong, in words."""
    trace: str
    """Hash of everything that happened; empty where nobody asked for it."""
    account: Counter[str]
    labels: frozenset[str]
    """Which of the rare things happened, see `udpim.testing.sim.labels`."""
    datagrams: int
    virtual_s: float
    faults: Counter[str] = field(default_factory=Counter)
    """What the links did."""
    lost: tuple[Lost, ...] = ()
    """Where something was violated: which datagrams did not arrive, for whoever looks for less."""


def run(
    plan: Plan,
    tape: Mapping[str, Mapping[int, int]] | None = None,
    *,
    watch: Callable[[World, Stage], None] = lambda world, stage: None,
    hashed: bool = True,
    new_trace: Callable[[str], NewTrace] | None = None,
) -> Result:
    """Play a plan and judge.

    Args:
        plan: What to do.
        tape: What is decided; None draws from the plan's seed.
        watch: Is given the world before anything happens in it.
        hashed: Whether the trace is wanted.
        new_trace: See `World`.
    """
    choices = Choices(plan.seed, tape)
    with garbage_at_the_end():
        return _run(plan, choices, build(plan, choices, new_trace), watch, hashed=hashed)


@contextmanager
def garbage_at_the_end() -> Iterator[None]:
    """Collect no cycles during a run: nearly all that it makes lives as long as its world.

    Looking for garbage again and again costs a tenth of it; once, when the world is gone, little.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)
        if was_on:
            gc.enable()


def _run(
    plan: Plan,
    choices: Choices,
    world: World,
    watch: Callable[[World, Stage], None],
    *,
    hashed: bool,
) -> Result:
    stage = Stage(world, plan, Random(f"{plan.seed}:canary").randbytes(CANARY_BYTES))
    watch(world, stage)
    names, story = judged(lambda: _play(plan, choices, world, stage))
    return Result(
        plan=plan,
        tape=choices.tape(),
        violated=names,
        story=story,
        trace=trace_hash(world) if hashed else "",
        account=account(world.history),
        labels=frozenset(reached(world, stage)),
        datagrams=len(world.network.trace),
        virtual_s=world.clock.now,
        faults=Counter(world.network.counters),
        lost=tuple(_lost(world)) if names else (),
    )


def _lost(world: World) -> Iterator[Lost]:
    """Find what was lost, and number it as pipes do: in the order of what reached them."""
    offered: Counter[tuple[str, str]] = Counter()
    for crossing in world.network.trace:
        pair = (crossing.source[0], crossing.destination[0])
        if crossing.fate in ("lost", "outage"):
            yield Lost(crossing.sent_at, *pair, offered[pair])
        offered[pair] += not crossing.replayed and crossing.fate not in ("dropped", "cut")


def judged(play: Callable[[], None]) -> tuple[tuple[str, ...], str]:
    """Play, and return the names of what was violated and the words for it."""
    try:
        play()
    except Violated as violated:
        return tuple(violated.invariants), str(violated)
    except AssertionError as error:
        return ("i14_liveness",) if "not settled" in str(error) else (_where(error),), str(error)
    except Exception as error:
        return (_where(error),), _told(error)
    return (), ""


def _where(error: Exception) -> str:
    """Name an exception by what raised it, so that the shrinker keeps to the same one."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}"


def _told(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    lines = [f"{Path(one.filename).name}:{one.lineno} in {one.name}: {one.line}" for one in frames]
    return "\n".join([*lines, f"{type(error).__name__}: {error}"])


def build(
    plan: Plan, choices: Choices, new_trace: Callable[[str], NewTrace] | None = None
) -> World:
    """Return a plan's world, with nobody up in it but the server; for ``new_trace`` see there."""
    hop = HopConfig()
    if plan.key_update_packets:
        hop = HopConfig(key_update_packets=plan.key_update_packets)
    world = World(
        plan.seed,
        faults=Profile(**plan.link),
        choices=choices,
        hop_config=hop,
        encrypted=plan.encrypted,
        exchange=plan.exchange,
        new_disk=_new_disk(plan, choices),
        new_trace=new_trace,
    )
    config = ServerConfig(limits=Limits(**plan.limits))
    if plan.cluster:
        bus = Profile(**plan.cluster["bus"])
        members = world.cluster(Setup(**{**plan.cluster, "bus": bus}), config=config).members
        for member in members:
            member.store.sync_s = plan.server.sync_s
        return world
    world.server(durable=plan.server.durable, config=config).store.sync_s = plan.server.sync_s
    return world


def _new_disk(plan: Plan, choices: Choices) -> Callable[[str], Disk] | None:
    if plan.disk == "objects":
        return None
    if plan.disk == "database":
        return lambda host: SQLiteDisk()
    if find_spec("apsw") is None:
        raise ConfigError("power losses of the SQLite store need apsw: pip install 'udpim[sim]'")
    power = import_module("udpim.testing.power.disk")

    new_disk: Callable[[str], Disk] = power.power_disks(choices)
    return new_disk


def _play(plan: Plan, choices: Choices, world: World, stage: Stage) -> None:
    clock = world.clock
    for seat in plan.seats:
        _seat(world, plan, seat)
    for process in world.processes:
        _endanger(plan, choices, stage, process)
    for action in plan.actions:
        clock.call_at(action.at_s, partial(stage.do, action))
    while clock.now < plan.length_s:
        world.run(min(SAMPLE_S, plan.length_s - clock.now))
        over_budget(world)
    heal(world, stage)
    world.settle(LIVENESS_S)
    world.online()
    world.run(AFTERMATH_S)
    _copies_for_own_devices(world)
    over_budget(world)
    settled = not world.history.open
    world.check(empty=True)
    extra = list(no_amplification(world.history))
    Oracle.refuse([("no_amplification", story) for story in extra])
    if plan.encrypted:
        shown = no_plaintext(world.history, stage.canary)
        Oracle.refuse([("no_plaintext", story) for story in shown])
    # Copies that are still to come get answers; a NAT that forgets moves paths at each keepalive.
    if plan.quiet and settled and not {"replay", "late copy", "NAT"} & set(plan.kinds):
        world.check_quiet()


def _copies_for_own_devices(world: World) -> None:
    """Give the last copies time to arrive, of which a sender is shown nothing (I14)."""
    up = [host for host, client in world.clients.items() if client.up]
    end = world.clock.now + LIVENESS_S
    while any(True for _ in i14_liveness(world.history, up)) and world.clock.now < end:
        world.run(1.0)


def _seat(world: World, plan: Plan, seat: Seat) -> None:
    config = ClientConfig(
        user=seat.user,
        device=seat.device,
        exchange=plan.exchange,
        limits=Limits(**plan.limits),
    )
    client = world.client(seat.user, seat.device, durable=seat.durable, start=False, config=config)
    client.store.sync_s = seat.sync_s
    client.handle_after_s = None if seat.handle_after_s < 0 else seat.handle_after_s
    if plan.nat_s:
        world.network.nat(client.host, plan.nat_s)
    if seat.from_s <= 0:
        client.start()
    elif seat.from_s < plan.length_s:
        world.clock.call_at(seat.from_s, lambda: None if client.up else client.start())


def _endanger(plan: Plan, choices: Choices, stage: Stage, process: VirtualProcess | Member) -> None:
    """Let a process die in the middle of writes, as often as the plan says."""
    if not plan.crash_ratio or not process.store.durable:
        return
    dice = choices.stream(f"{process.host}: crash in a write")

    def meddle() -> None:
        if stage.ended:
            return
        fate = dice.decide(lambda d: 1 + d.randrange(3000) if d.random() < plan.crash_ratio else 0)
        if fate:
            # How long it is down, and whether what is in flight still lands.
            stage.crash(process, fate % 3, (fate - 1) / 1000)

    process.store.meddle = meddle


def heal(world: World, stage: Stage) -> None:
    """End every trouble: fair links, and everybody is up."""
    stage.ended = True
    world.heal()
    for process in world.processes:
        process.store.heal()
        dead = process.up and (bool(process.errors) or getattr(process, "closed", False))
        process.errors.clear()
        if dead:
            process.restart()
        elif not process.up:
            process.start()
        process.resume()
        # A transaction that is on its way may still fail.
        world.clock.call_later(REPAIR_S, partial(stage.repair, process))
    for client in world.clients.values():
        client.handle_after_s = client.handle_after_s or 0.0
        client.handle()


def trace_hash(world: World) -> str:
    """Return a hash of every datagram and every fact of a world."""
    digest = hashlib.blake2b(digest_size=16)
    for crossing in world.network.trace:
        head = (crossing.number, crossing.sent_at, crossing.source, crossing.destination)
        digest.update(repr((*head, crossing.fate, crossing.arrivals)).encode())
        digest.update(crossing.data)
    history = world.history
    for msgid, states in history.shown.items():
        digest.update(repr((msgid, [(one.order, one.state) for one in states])).encode())
    for one in history.handovers:
        digest.update(repr((one.order, one.at, one.endpoint, one.msgid)).encode())
    return digest.hexdigest()
