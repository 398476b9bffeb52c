"""What nodes send follows PROTOCOL.md: the oracle's own decoder can read it.

Two nodes that share a mistake of format understand each other, and nothing else would be wrong.

Specification: PROTOCOL §1.1-1.
"""

from __future__ import annotations

from udpim.testing.facts import SERVER
from udpim.testing.history import History
from udpim.testing.promises import Stories
from udpim.testing.wiretap import UNREADABLE

_SHOWN_BYTES = 40


def all_is_legible(h: History) -> Stories:
    """Everything that a node sends can be read, but of nodes that a test lets lie."""
    nodes = {SERVER, *map(str, h.incarnations)} - h.hostile
    for crossing in h.crossings:
        if UNREADABLE in crossing.content.labels and not crossing.replayed:
            source = crossing.source[0]
            if source in nodes:
                start = crossing.data[:_SHOWN_BYTES].hex()
                yield f"datagram {crossing.number} of {source} is {UNREADABLE}: {start}…"
