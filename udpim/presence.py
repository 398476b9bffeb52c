"""Presence for the application: who of a user is there, and since when others are not.

Flow: `udpim.Client.presence` → node → server's hook → answer → node → `Asking` → whoever waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from udpim.errors import Error, PresenceRefused, UnknownUser
from udpim.model import PresenceCode
from udpim.node.client import ClientNode
from udpim.runtime.settings import check_name
from udpim.wire.im_packets import DeviceSeen, PresenceA
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


class Asking:
    """The questions that somebody waits for."""

    def __init__(self, node: ClientNode, wake: Callable[[], None]) -> None:
        """Ask through ``node``; ``wake`` has its commands carried out."""
        self._node = node
        self._wake = wake
        self._waiting: dict[int, tuple[str, asyncio.Future[Presence]]] = {}
        self._error: Error | None = None

    async def ask(self, user: str) -> Presence:
        """See `udpim.Client.presence`."""
        check_name("user", user)
        if self._error is not None:
            raise self._error
        request = self._node.inquiries.ask(user)
        future: asyncio.Future[Presence] = asyncio.get_running_loop().create_future()
        self._waiting[request] = (user, future)
        self._wake()
        try:
            return await future
        finally:
            del self._waiting[request]
            self._node.inquiries.forget(request)

    def answered(self, answers: Sequence[PresenceA]) -> None:
        """Take what the node got."""
        for answer in answers:
            entry = self._waiting.get(answer.request)
            if entry is None or entry[1].done():
                continue
            user, future = entry
            if answer.code == PresenceCode.OK:
                devices = {seen.device: _device(seen) for seen in answer.devices}
                future.set_result(Presence(user=user, devices=devices))
            elif answer.code == PresenceCode.UNKNOWN_USER:
                future.set_exception(UnknownUser(user))
            else:
                future.set_exception(PresenceRefused(user))

    def end(self, error: Error) -> None:
        """Nobody will answer any more."""
        self._error = error
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(error)


def _device(seen: DeviceSeen) -> DevicePresence:
    known = seen.online or seen.seen_s != NEVER_SEEN_S
    return DevicePresence(online=seen.online, last_seen_s=seen.seen_s if known else None)
