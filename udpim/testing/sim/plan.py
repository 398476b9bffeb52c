"""What one simulated run is made of: who is there, how bad the links are, and what happens when.

A plan is plain data. `udpim.testing.sim.swarm` draws one from a seed, a tape keeps it as JSON, and
the shrinker leaves parts of it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from udpim.config import Exchange

Value = str | int | float | bool
"""What an action's arguments are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One device of one user, or the server."""

    user: str
    device: str = ""
    durable: bool = True
    """Whether its store survives a crash."""
    sync_s: float = 0.002
    """How long a transaction stays pending."""
    handle_after_s: float = 0.0
    """When its application has finished with a message; negative: only at the end."""
    from_s: float = 0.0
    """When it comes for the first time."""

    @property
    def host(self) -> str:
        """Its name in the virtual network."""
        return f"{self.user}/{self.device}" if self.device else self.user


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that is done at a moment; `udpim.testing.sim.actions` knows how."""

    at_s: float
    kind: str
    args: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        """As a story tells it."""
        words = " ".join(f"{name}={value}" for name, value in self.args.items())
        return f"{self.kind} {words}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run, but for its dice."""

    seed: str
    server: Seat
    seats: tuple[Seat, ...]
    actions: tuple[Action, ...]
    length_s: float
    """How long there is trouble; then everything heals."""
    kinds: tuple[str, ...] = ()
    """Which kinds of trouble and which features the swarm switched on."""
    link: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the links' `udpim.testing.Profile`."""
    exchange: Exchange = "six"
    encrypted: bool = True
    disk: str = "objects"
    """What stores are made of: ``objects``; ``power``: the real SQLite, whose power may fail; or
    ``database``: its SQL and nothing else, for a cluster."""
    crash_ratio: float = 0.0
    """Share of writes in flight in which their process dies."""
    key_update_packets: int = 0
    """After how many packets keys are updated; 0: as in the product."""
    nat_s: float = 0.0
    """How long the NAT before each client keeps a binding; 0: there is none."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Limits of the nodes that are tighter than the product's."""
    cluster: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `udpim.testing.cluster.Setup`; empty: the server is one process."""
    quiet: bool = False
    """Whether the end is watched for silence, which takes a virtual minute."""


def to_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain lists and dicts."""
    return asdict(plan)


def from_json(value: Mapping[str, Any]) -> Plan:
    """Return the plan that `to_json` made this of.

    Raises:
        TypeError: If it is not one.
    """
    seats = tuple(Seat(**seat) for seat in value["seats"])
    actions = tuple(Action(**action) for action in value["actions"])
    parts = {
        "server": Seat(**value["server"]),
        "seats": seats,
        "actions": actions,
        "kinds": tuple(value["kinds"]),
    }
    return Plan(**{**value, **parts})
