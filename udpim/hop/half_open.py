"""Handshakes that a server has answered: bounded, and forgotten after `handshake_s`.

The table of :mod:`udpim.hop.listen`. A HELLO that comes again finds its WELCOME here, so it opens
no second connection and costs no second DH. An encrypted handshake waits here for its FINISH, and a
few packets that have overtaken it wait along.

Specification: PROTOCOL §2.3 and §2.8.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from udpim.crypto.secure_handshake import ServerHandshake
from udpim.hop.codes import Address, ConnectionState
from udpim.hop.connection import Connection

EARLY_DATAGRAMS_MAX = 4
"""Packets kept for one handshake: a login and what follows in its flight."""

HelloKey = tuple[Address, bytes, bytes]
"""Address, the client's connection id, and what differs between attempts: the payload of a
plaintext HELLO, which holds a nonce, or the mac of an encrypted one."""


@dataclass(slots=True, kw_only=True)
class Handshake:
    """A HELLO that was answered."""

    cid: bytes
    """The connection id that the client was told."""
    path: Address
    """Where the HELLO came from."""
    welcome: bytes
    """The answer, the same each time."""
    expires_at: float
    """When it is forgotten."""
    connection: Connection | None = None
    """What it has led to; an encrypted one leads to nothing before FINISH."""
    waiting: ServerHandshake | None = None
    """What reads FINISH, as long as it has not come."""
    client_cid: bytes
    """The id that the client wants to be sent to."""
    early: list[tuple[bytes, Address]] = field(default_factory=list)
    """Packets that were here before FINISH."""

    @property
    def settled(self) -> bool:
        """Whether the client has proven its address, or the connection is over."""
        connection = self.connection
        return connection is not None and (
            connection.validated or connection.state is ConnectionState.CLOSED
        )


class HandshakeTable:
    """All of them, by HELLO and by connection id."""

    def __init__(self) -> None:
        """Nobody has said HELLO."""
        self._by_hello: OrderedDict[HelloKey, Handshake] = OrderedDict()
        self._by_cid: dict[bytes, Handshake] = {}
        self._unproven: deque[Handshake] = deque()
        self._waiting: deque[tuple[HelloKey, Handshake]] = deque()

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._by_hello)

    @property
    def unproven(self) -> int:
        """How many clients have not proven their address, as of the last :meth:`forget`."""
        return len(self._unproven)

    def get(self, key: HelloKey) -> Handshake | None:
        """The handshake that this HELLO has begun already."""
        return self._by_hello.get(key)

    def add(self, key: HelloKey, handshake: Handshake, *, proven: bool) -> None:
        """Remember a handshake; the caller has looked at the limits."""
        self._by_hello[key] = handshake
        self._by_cid[handshake.cid] = handshake
        if handshake.waiting is not None:
            self._waiting.append((key, handshake))
        if not proven:
            self._unproven.append(handshake)

    def make_room(self) -> bool:
        """Drop the handshake that has waited longest for its FINISH; False if none waits.

        Whoever is honest finishes after a round trip. Few can be begun in that time, so those that
        are dropped belong to somebody who begins many and finishes none.
        """
        while self._waiting:
            key, handshake = self._waiting.popleft()
            if handshake.waiting is not None:
                del self._by_hello[key], self._by_cid[handshake.cid]
                return True
        return False

    def of_cid(self, cid: bytes) -> Handshake | None:
        """The handshake in which this connection id was given out."""
        return self._by_cid.get(cid)

    def forget(self, now: float) -> None:
        """Drop what is too old to be repeated, and count as proven what is proven."""
        by_hello, unproven, waiting = self._by_hello, self._unproven, self._waiting
        while by_hello and next(iter(by_hello.values())).expires_at <= now:
            _, handshake = by_hello.popitem(last=False)
            del self._by_cid[handshake.cid]
        while unproven and (unproven[0].settled or unproven[0].expires_at <= now):
            unproven.popleft()
        while waiting and (waiting[0][1].waiting is None or waiting[0][1].expires_at <= now):
            waiting.popleft()
