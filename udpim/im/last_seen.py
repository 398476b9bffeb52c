"""Who is there, and since when somebody is not, as far as this process has seen it.

The server's part of presence: asked when a hook has allowed somebody to know (PROTOCOL §4.5.22).
In memory only, so a server that was started anew has seen nobody leave.
"""

from __future__ import annotations

from collections.abc import Container

from udpim.im.devices import Registry
from udpim.model import Endpoint
from udpim.wire.im_packets import DeviceSeen
from udpim.wire.im_schema import NEVER_SEEN_S


class LastSeen:
    """When sessions ended; one time for each endpoint that left, so never more than devices."""

    def __init__(self) -> None:
        """Nobody has left."""
        self._left_at: dict[Endpoint, float] = {}

    def left(self, endpoint: Endpoint, now: float) -> None:
        """Its session has ended."""
        self._left_at[endpoint] = now

    def devices(
        self, user: str, *, registry: Registry, online: Container[Endpoint], now: float
    ) -> tuple[DeviceSeen, ...]:
        """Return every device of a user, in the order in which they came.

        Args:
            user: Whose.
            registry: Knows the devices.
            online: Endpoints with a session.
            now: The time.
        """
        return tuple(
            self._seen(Endpoint(user, device), online, now) for device in registry.devices(user)
        )

    def _seen(self, endpoint: Endpoint, online: Container[Endpoint], now: float) -> DeviceSeen:
        if endpoint in online:
            return DeviceSeen(endpoint.device, True, 0)
        left_at = self._left_at.get(endpoint)
        if left_at is None:
            return DeviceSeen(endpoint.device, False, NEVER_SEEN_S)
        return DeviceSeen(endpoint.device, False, min(int(now - left_at), NEVER_SEEN_S - 1))
