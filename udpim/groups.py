"""Groups for the application: create, join, leave, and see who belongs to them.

Flow: `udpim.Client.groups` → node → server's membership hook → commit → answer → whoever waits.
"""

from __future__ import annotations

from collections.abc import Callable

from udpim.asking import Asking
from udpim.errors import ConfigError, GroupRefused
from udpim.model import GROUP_MARK, GroupAction, GroupCode, is_group
from udpim.node.client import ClientNode
from udpim.runtime.settings import check_name


class Groups:
    """A client's way to the groups of its server; `Client.groups` is one.

    Each call returns once the change is durable at the server. It is asked again after a lost
    connection until it is answered; cancelling the call leaves open whether it happened, and
    calling it again does no harm.
    """

    def __init__(self, node: ClientNode, wake: Callable[[], None]) -> None:
        """Ask through ``node``; ``wake`` has its commands carried out."""
        self._questions = node.groups
        asking = Asking(node.groups, wake)
        self._ask, self.answered, self.end = asking.ask, asking.answered, asking.end

    async def create(self, group: str) -> None:
        """Create a group and be its first member.

        Args:
            group: Its name: "#" and at least one more character, at most 32 bytes in all.

        Raises:
            GroupRefused: By the server's rules, or since there is one of that name.
            ConfigError: The name is no group's.
            Error: The client was closed or has ended.
        """
        await self._request(GroupAction.CREATE, group, "")

    async def join(self, group: str, user: str = "") -> None:
        """Become a member, or make another user one; raises like `create`."""
        await self._request(GroupAction.JOIN, group, user)

    async def leave(self, group: str, user: str = "") -> None:
        """Leave, or remove another user; raises like `create`.

        What was sent before and has not arrived will not come any more.
        """
        await self._request(GroupAction.LEAVE, group, user)

    async def members(self, group: str) -> tuple[str, ...]:
        """Return the users who belong to a group; raises like `create`."""
        return await self._request(GroupAction.LIST, group, "")

    async def mine(self) -> tuple[str, ...]:
        """Return the groups that this user belongs to; raises like `create`."""
        return await self._request(GroupAction.LIST, None, "")

    async def _request(self, action: GroupAction, group: str | None, user: str) -> tuple[str, ...]:
        if group is not None:
            check_group(group)
        if user:
            check_name("user", user)
        answer = await self._ask(lambda: self._questions.ask(action, group or "", user))
        if answer.code != GroupCode.DONE:
            known = answer.code in set(GroupCode)
            words = GroupCode(answer.code).name.lower() if known else "refused"
            raise GroupRefused(group or "", answer.code, words.replace("_", " "))
        return answer.names


def check_group(name: str) -> str:
    """Return the name.

    Raises:
        ConfigError: If no group can have it.
    """
    check_name("group", name)
    if not is_group(name) or name == GROUP_MARK:
        raise ConfigError(f"a group's name begins with {GROUP_MARK} and goes on, {name!r} does not")
    return name
