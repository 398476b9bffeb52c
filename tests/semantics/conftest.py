"""The semantics in both exchanges, on both stores, encrypted and in plaintext.

UDPIM_EXCHANGE=four runs all of it in four packets, UDPIM_STORE=sqlite on SQLite's tables,
UDPIM_SECURITY=plain without encryption.
"""

import os

from tests.semantics.situations import FOUR
from udpim.testing import World
from udpim.testing.sqlite_disk import SQLiteDisk
from udpim.testing.storage import VirtualStore

World.exchange = "four" if FOUR else "six"
World.encrypted = os.environ.get("UDPIM_SECURITY") != "plain"
if os.environ.get("UDPIM_STORE") == "sqlite":
    VirtualStore.new_disk = SQLiteDisk
