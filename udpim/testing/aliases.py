"""Which connection ids mean the same end of the same connection, as an onlooker learns it.

The two ends of a connection give each other spare ids (PROTOCOL §3.10) and go over to them when a
path changes. For the record of a virtual network an end is named by its first id all the time.
"""

from __future__ import annotations

from collections import defaultdict


class Aliases:
    """Every id that was seen to be given, and whose it is."""

    def __init__(self) -> None:
        """Nobody has met."""
        self._first: dict[bytes, bytes] = {}
        self._peers: defaultdict[bytes, list[bytes]] = defaultdict(list)
        self._used: set[bytes] = set()

    def first(self, cid: bytes) -> bytes:
        """Return the id that this end had in the handshake."""
        return self._first.get(cid, cid)

    def met(self, client: bytes, server: bytes) -> None:
        """A WELCOME tells the client to send to ``server``; it may be one of several."""
        self._peers[client].append(server)
        self._peers[server].append(client)

    def used(self, cid: bytes) -> None:
        """A packet of a connection was sent to this end."""
        self._used.add(cid)

    def given(self, cid: bytes, to: bytes) -> None:
        """The peer of the end ``to`` gave it this id of its own."""
        owner = next((peer for peer in self._peers[to] if peer in self._used), None)
        if owner is not None:
            self._first.setdefault(cid, owner)
