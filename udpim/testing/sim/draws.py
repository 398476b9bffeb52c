"""How the swarm draws numbers, and what it draws them for."""

from __future__ import annotations

import math
from random import Random

from udpim.testing.sim.plan import Value

Args = dict[str, Value]
"""Of one action."""


def log_uniform(dice: Random, low: float, high: float) -> float:
    """Draw between two positive numbers, evenly in the logarithm."""
    return math.exp(dice.uniform(math.log(low), math.log(high)))
