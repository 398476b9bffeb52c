"""The command ``udpim``: try the transport, run a server, talk through it, look at its bytes.

The top floor: it uses the public facade (`udpim.client`, `udpim.server`) as any program would.
"""

from udpim.cli.command import main

__all__ = ["main"]
