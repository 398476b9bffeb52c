"""The semantics in both exchanges: UDPIM_EXCHANGE=four runs all of it in four packets."""

import os

from udpim.testing import World

World.exchange = os.environ.get("UDPIM_EXCHANGE", "six")
