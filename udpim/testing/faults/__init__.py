"""The fault language and the link pipeline: what a network does to datagrams, said once.

`profile` says what one direction does, `orders` what happens to named packets and at stated times,
`toml` keeps both in a file, and `pipe` does it, without any I/O: the virtual network of
`udpim.testing` stands on it.
"""

from udpim.testing.faults.orders import Blackout, Drop, blackout
from udpim.testing.faults.pipe import Arrival, Pipe
from udpim.testing.faults.profile import Loss, Profile

__all__ = ["Arrival", "Blackout", "Drop", "Loss", "Pipe", "Profile", "blackout"]
