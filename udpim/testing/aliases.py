"""Which connection ids mean the same end of the same connection, as an onlooker learns it.

The two ends of a connection give each other spare ids (PROTOCOL §3.10) and go over to them when a
path changes. For the record of a virtual network an end is named by its first id all the time.
"""

from __future__ import annotations

from collections import defaultdict

NOBODY = b""


class Aliases:
    """Every id that was seen to be given, and whose it is."""

    def __init__(self) -> None:
        """Nobody has met."""
        self._first: dict[bytes, bytes] = {}
        self._met: defaultdict[bytes, list[bytes]] = defaultdict(list)
        self._used: set[bytes] = set()
        self._peers: dict[bytes, bytes] = {}

    def first(self, cid: bytes) -> bytes:
        """Return the id that this end had in the handshake."""
        return self._first.get(cid, cid)

    def peer(self, cid: bytes) -> bytes:
        """Return the first id of the other end, to which packets went; empty if there is none."""
        known = self._peers.get(cid)
        if known is None:
            known = next((peer for peer in self._met[cid] if peer in self._used), NOBODY)
            if known:
                self._peers[cid] = known
        return known

    def met(self, client: bytes, server: bytes) -> None:
        """A WELCOME tells the client to send to ``server``; it may be one of several."""
        self._met[client].append(server)
        self._met[server].append(client)

    def used(self, cid: bytes) -> None:
        """A packet of a connection was sent to this end."""
        self._used.add(cid)

    def given(self, cid: bytes, to: bytes) -> None:
        """The peer of the end ``to`` gave it this id of its own."""
        owner = self.peer(to)
        if owner:
            self._first.setdefault(cid, owner)
