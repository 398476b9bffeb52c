"""Presence for the application: who of a user is there, and since when others are not.

Flow: `udpim.Client.presence` → node → server's hook → answer → node → `Presences` → whoever waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from udpim.asking import Asking
from udpim.errors import PresenceRefused, UnknownUser
from udpim.model import PresenceCode
from udpim.node.client import ClientNode
from udpim.runtime.settings import check_name
from udpim.wire.im_packets import DeviceSeen
from udpim.wire.im_schema import NEVER_SEEN_S


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePresence:
    """What the server says of one device.

    Attributes:
        online: Whether it has a session.
        last_seen_s: How many seconds ago it had one: 0 while it has, None when the server has
            not seen it since its own start.
    """

    online: bool
    last_seen_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """What the server said of one user, true at that moment.

    Attributes:
        user: Whom it is about.
        devices: Every registered device by name.
    """

    user: str
    devices: dict[str, DevicePresence]

    @property
    def online(self) -> bool:
        """Whether any device has a session."""
        return any(device.online for device in self.devices.values())


class Presences:
    """The questions about who is there that somebody waits for."""

    def __init__(self, node: ClientNode, wake: Callable[[], None]) -> None:
        """Ask through ``node``; ``wake`` has its commands carried out."""
        self._inquiries = node.inquiries
        asking = Asking(node.inquiries, wake)
        self._ask, self.answered, self.end = asking.ask, asking.answered, asking.end

    async def of(self, user: str) -> Presence:
        """See `udpim.Client.presence`."""
        check_name("user", user)
        answer = await self._ask(lambda: self._inquiries.ask(user))
        if answer.code == PresenceCode.UNKNOWN_USER:
            raise UnknownUser(user)
        if answer.code != PresenceCode.OK:
            raise PresenceRefused(user)
        return Presence(user=user, devices={seen.device: _device(seen) for seen in answer.devices})


def _device(seen: DeviceSeen) -> DevicePresence:
    known = seen.online or seen.seen_s != NEVER_SEEN_S
    return DevicePresence(online=seen.online, last_seen_s=seen.seen_s if known else None)
