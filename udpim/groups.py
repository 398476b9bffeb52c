"""Groups for the application: create, join, leave, and see who belongs to them.

Flow: `udpim.Client.groups` → node → server's membership hook → commit → answer → whoever waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from udpim.errors import ConfigError, Error, GroupRefused, TooManyInquiries
from udpim.im.group_questions import QUESTIONS_MAX
from udpim.model import GROUP_MARK, GroupAction, GroupCode, is_group
from udpim.node.client import ClientNode
from udpim.runtime.settings import check_name
from udpim.wire.im_packets import GroupA


class Groups:
    """A client's way to the groups of its server; `Client.groups` is one.

    Each call returns once the change is durable at the server. It is asked again after a lost
    connection until it is answered; cancelling the call leaves open whether it happened, and
    calling it again does no harm.
    """

    def __init__(self, node: ClientNode, wake: Callable[[], None]) -> None:
        """Ask through ``node``; ``wake`` has its commands carried out."""
        self._node = node
        self._wake = wake
        self._waiting: dict[int, tuple[str, asyncio.Future[tuple[str, ...]]]] = {}
        self._error: Error | None = None

    async def create(self, group: str) -> None:
        """Create a group and be its first member.

        Args:
            group: Its name: "#" and at least one more character, at most 32 bytes in all.

        Raises:
            GroupRefused: By the server's rules, or since there is one of that name.
            ConfigError: The name is no group's.
            Error: The client was closed or has ended.
        """
        await self._ask(GroupAction.CREATE, group, "")

    async def join(self, group: str, user: str = "") -> None:
        """Become a member, or make another user one; raises like `create`."""
        await self._ask(GroupAction.JOIN, group, user)

    async def leave(self, group: str, user: str = "") -> None:
        """Leave, or remove another user; raises like `create`.

        What was sent before and has not arrived will not come any more.
        """
        await self._ask(GroupAction.LEAVE, group, user)

    async def members(self, group: str) -> tuple[str, ...]:
        """Return the users who belong to a group; raises like `create`."""
        return await self._ask(GroupAction.LIST, group, "")

    async def mine(self) -> tuple[str, ...]:
        """Return the groups that this user belongs to; raises like `create`."""
        return await self._ask(GroupAction.LIST, None, "")

    async def _ask(self, action: GroupAction, group: str | None, user: str) -> tuple[str, ...]:
        if group is not None:
            check_group(group)
        if user:
            check_name("user", user)
        if self._error is not None:
            raise self._error
        number = self._node.groups.ask(action, group or "", user)
        if number is None:
            raise TooManyInquiries(QUESTIONS_MAX, "groups")
        future: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (group or "", future)
        self._wake()
        try:
            return await future
        finally:
            del self._waiting[number]
            self._node.groups.forget(number)

    def answered(self, answers: Sequence[GroupA]) -> None:
        """Take what the node got."""
        for answer in answers:
            entry = self._waiting.get(answer.request)
            if entry is None or entry[1].done():
                continue
            group, future = entry
            if answer.code == GroupCode.DONE:
                future.set_result(answer.names)
            else:
                known = answer.code in set(GroupCode)
                words = GroupCode(answer.code).name.lower() if known else "refused"
                refusal = GroupRefused(group, answer.code, words.replace("_", " "))
                future.set_exception(refusal)

    def end(self, error: Error) -> None:
        """Nobody will answer any more."""
        self._error = error
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(error)


def check_group(name: str) -> str:
    """Return the name.

    Raises:
        ConfigError: If no group can have it.
    """
    check_name("group", name)
    if not is_group(name) or name == GROUP_MARK:
        raise ConfigError(f"a group's name begins with {GROUP_MARK} and goes on, {name!r} does not")
    return name
