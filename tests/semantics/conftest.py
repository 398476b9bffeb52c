"""The semantics in both exchanges: UDPIM_EXCHANGE=four runs all of it in four packets."""

from tests.semantics.situations import FOUR
from udpim.testing import World

World.exchange = "four" if FOUR else "six"
