"""A NAT between a client and everybody else, which forgets bindings that are not used.

Endpoint-independent mapping and filtering, as RFC 4787 asks of NATs: the virtual networks ask it
under which address a datagram goes on, and whether one still comes through.
"""

from __future__ import annotations

from itertools import count

from udpim.model import Address


class Nat:
    """The bindings of one NAT.

    Attributes:
        host: Its public side.
        forgotten: How many datagrams came for bindings that it had forgotten.
    """

    def __init__(self, host: str, life_s: float, *, inward_refreshes: bool = False) -> None:
        """Start without bindings.

        Args:
            host: Its public side.
            life_s: How long a binding lives without being used.
            inward_refreshes: Whether what comes in counts as use, too.
        """
        self.host = host
        self.forgotten = 0
        self._life_s = life_s
        self._inward_refreshes = inward_refreshes
        self._ports = count(30_000)
        self._public: dict[Address, Address] = {}
        self._inside: dict[Address, Address] = {}
        self._used_at: dict[Address, float] = {}
        self._ever: dict[Address, Address] = {}

    def outward(self, inside: Address, now: float) -> Address:
        """Return the public address that a datagram from ``inside`` has."""
        public = self._public.get(inside)
        if public is None or self._is_dead(public, now):
            if public is not None:
                del self._inside[public]
            public = (self.host, next(self._ports))
            self._public[inside] = public
            self._inside[public] = self._ever[public] = inside
        self._used_at[public] = now
        return public

    def inward(self, public: Address, now: float) -> Address | None:
        """Return where a datagram to ``public`` goes; None if nobody knows any more."""
        inside = self._inside.get(public)
        if inside is None or self._is_dead(public, now):
            self.forgotten += 1
            return None
        if self._inward_refreshes:
            self._used_at[public] = now
        return inside

    def whose(self, public: Address) -> Address | None:
        """Return for whom this public address ever was, forgotten or not; None: for nobody."""
        return self._ever.get(public)

    def rebind(self, host: str | None = None) -> None:
        """Forget every binding at once, as a restart of a router does.

        Args:
            host: Its new public side; None for the same, with other ports.
        """
        if host is not None:
            self.host = host
        self._public.clear()
        self._inside.clear()

    def _is_dead(self, public: Address, now: float) -> bool:
        return now - self._used_at[public] > self._life_s
