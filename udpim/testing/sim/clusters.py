"""Which seeds have a server of several processes, and what befalls those: a part of the swarm.

All of it is drawn from dice of its own, so that a seed's clients, links and messages are the same
with one process and with three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from random import Random

from udpim.testing.cluster.meeting import BUS, Setup
from udpim.testing.faults import Profile
from udpim.testing.sim.draws import Args, log_uniform
from udpim.testing.sim.plan import Action, Plan

CLUSTER_EVERY = 6
"""One seed in this many has a cluster."""
SIZES = (2, 2, 3)
LEASE_S = (0.4, 3.0)
RATE_PER_S = (0.05, 0.4)
"""How often an event of a kind that is on happens."""

_BUS: dict[str, Callable[[Profile, Random], Profile]] = {
    "bus loss": lambda p, d: p.loss(log_uniform(d, 0.01, 0.4)),
    "bus duplicate": lambda p, d: p.duplicate(log_uniform(d, 0.01, 0.5)),
    "bus reorder": lambda p, d: p.reorder(log_uniform(d, 0.01, 0.3), by=log_uniform(d, 0.002, 2.0)),
    "slow bus": lambda p, d: p.delay(p.delay_s, jitter=log_uniform(d, 0.001, 0.2)),
}


def _who(dice: Random) -> str:
    return dice.choice(["server", "server", "gate", "s1", "s2"])


def _dies(dice: Random) -> Args:
    down_s = round(log_uniform(dice, 0.01, 10.0), 3)
    return {"who": _who(dice), "landing": dice.choice([0, 0, 1, 5]), "down_s": down_s}


def _for_a_while(dice: Random) -> Args:
    return {"who": _who(dice), "for_s": round(log_uniform(dice, 0.1, 20.0), 3)}


def _part(dice: Random) -> Args:
    return {**_for_a_while(dice), "from": dice.choice(["bus", "directory", "both"])}


def _jumps(dice: Random) -> Args:
    return {"who": _who(dice), "by_s": round(log_uniform(dice, 0.1, 1e5), 3)}


_EVENTS: dict[str, tuple[Callable[[Random], Args], float]] = {
    "crash process": (_dies, 1.0),
    "pause process": (_for_a_while, 1.0),
    "part process": (_part, 1.0),
    "shut port": (_for_a_while, 0.5),
    "jump process": (_jumps, 1.0),
    "lose directory": (lambda dice: {}, 1.0),
    "give back": (lambda dice: {"who": _who(dice)}, 0.5),
}


def clustered(plan: Plan) -> Plan:
    """Return the plan, or the same with several server processes, as its seed decides."""
    dice = Random(f"{plan.seed}:cluster")
    if dice.randrange(CLUSTER_EVERY):
        return plan
    kinds = ["cluster"]

    def on(kind: str) -> bool:
        if dice.random() < 0.5:
            kinds.append(kind)
            return True
        return False

    bus = BUS
    for kind, worsen in _BUS.items():
        if on(kind):
            bus = worsen(bus, dice)
    setup = Setup(
        size=dice.choice(SIZES),
        lease_s=round(log_uniform(dice, *LEASE_S), 3),
        restore_s=round(log_uniform(dice, 0.001, 3.0), 3) if on("slow restore") else 0.0,
        bus=bus,
        directory_fails=(round(log_uniform(dice, 0.005, 0.2), 4) if on("directory fails") else 0.0),
    )
    sync_s = round(log_uniform(dice, 0.002, 0.2), 4) if on("slow shared disk") else 0.002
    actions = list(plan.actions)
    for kind, (args, weight) in _EVENTS.items():
        if on(kind):
            rate = weight * log_uniform(dice, *RATE_PER_S)
            at_s = dice.expovariate(rate)
            while at_s < plan.length_s:
                actions.append(Action(at_s=round(at_s, 3), kind=kind, args=args(dice)))
                at_s += dice.expovariate(rate)
    return replace(
        plan,
        server=replace(plan.server, durable=True, sync_s=sync_s),
        actions=tuple(sorted(actions, key=lambda action: action.at_s)),
        kinds=(*plan.kinds, *kinds),
        # A loss of power would end all processes of a host.
        disk="database" if plan.disk == "power" else plan.disk,
        cluster=asdict(setup),
    )
