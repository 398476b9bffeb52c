"""The semantics in both exchanges and on both stores.

UDPIM_EXCHANGE=four runs all of it in four packets, UDPIM_STORE=sqlite on SQLite's tables.
"""

import os

from tests.semantics.situations import FOUR
from udpim.testing import World
from udpim.testing.sqlite_disk import SQLiteDisk
from udpim.testing.storage import VirtualStore

World.exchange = "four" if FOUR else "six"
if os.environ.get("UDPIM_STORE") == "sqlite":
    VirtualStore.new_disk = SQLiteDisk
