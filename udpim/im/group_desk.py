"""What users ask of groups: create, join, leave, list (PROTOCOL §5.10).

A request is looked at, then authorised by the application (or by the rules below where it has none
of its own), then committed, then answered. Every action may be asked twice: what is so already is
done.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from udpim.im.ledger import Continuation
from udpim.im.records import Op
from udpim.im.session import Session
from udpim.model import GroupAction, GroupCode, is_group
from udpim.wire.im_packets import GroupA, GroupR

if TYPE_CHECKING:
    from udpim.im.router import Router


class GroupRequest(NamedTuple):
    """Who wants what of which group.

    Attributes:
        user: Who asks, as the login has proved.
        device: On which device.
        action: What is asked.
        group: Its name, with the mark "#"; empty to list the groups of the user.
        subject: Whom it is about: the user who asks, or somebody to be added or removed.
    """

    user: str
    device: str
    action: GroupAction
    group: str
    subject: str


class GroupDesk:
    """The part of the router that changes groups."""

    def __init__(self, router: Router, *, users_max: int, groups_max: int) -> None:
        """Work for this router.

        Args:
            router: Whose groups these are.
            users_max: Members of one group.
            groups_max: Groups on this server, empty ones included, for they keep their numbers.
        """
        self._router = router
        self._users_max = users_max
        self._groups_max = groups_max

    def read(self, session: Session, packet: GroupR) -> GroupRequest | None:
        """Look at a request; None when it was answered at once, for it makes no sense."""
        user, device = session.endpoint
        subject = packet.user or user
        lists_own = packet.action == GroupAction.LIST and not packet.group
        sensible = packet.action in set(GroupAction) and not is_group(subject)
        if not sensible or not (lists_own or (is_group(packet.group) and len(packet.group) > 1)):
            self.answer(session, packet.request, GroupCode.MALFORMED)
            return None
        return GroupRequest(user, device, GroupAction(packet.action), packet.group, subject)

    def allowed_by_default(self, request: GroupRequest) -> bool:
        """Tell what holds where the application has no rules of its own.

        Everybody may create a group, join one, leave it, and list the own ones; members may add
        others and see who belongs to it; who created it may remove others.
        """
        groups = self._router.groups
        if request.action is GroupAction.LIST and not request.group:
            return True
        is_member = request.user in groups.latest_users(request.group)
        if request.subject == request.user and request.action is not GroupAction.LIST:
            return True
        if request.action is GroupAction.LEAVE:
            return groups.owner(request.group) == request.user
        return is_member

    def carry_out(self, session: Session, number: int, request: GroupRequest) -> None:
        """Do what was authorised, and answer."""
        if request.action is GroupAction.LIST:
            self._list(session, number, request)
            return
        code = self.change(
            request.action,
            request.group,
            request.subject,
            lambda ok: self.answer(session, number, GroupCode.DONE if ok else GroupCode.BUSY),
        )
        if code is not GroupCode.DONE:
            self.answer(session, number, code)

    def _list(self, session: Session, number: int, request: GroupRequest) -> None:
        groups = self._router.groups
        if not request.group:
            self.answer(session, number, GroupCode.DONE, tuple(groups.of_user(request.user)))
            return
        group = groups.get(request.group)
        if group is None:
            self.answer(session, number, GroupCode.UNKNOWN_GROUP)
        else:
            self.answer(session, number, GroupCode.DONE, tuple(group.users))

    def change(self, action: GroupAction, name: str, user: str, after: Continuation) -> GroupCode:
        """Create, join or leave.

        Returns:
            DONE when ``after`` will be told whether it is durable; otherwise nothing happens, and
            this says why.
        """
        router, groups = self._router, self._router.groups
        if action is GroupAction.LEAVE:
            if user in groups.latest_users(name):
                router.memberships.leave(name, user, after)
            else:
                router.after_commits(after)
            return GroupCode.DONE
        if action is GroupAction.CREATE and groups.exists(name) and groups.owner(name) != user:
            return GroupCode.EXISTS
        if action is GroupAction.JOIN and not groups.exists(name):
            return GroupCode.UNKNOWN_GROUP
        if user in groups.latest_users(name):
            router.after_commits(after)
            return GroupCode.DONE
        if not router.is_user(user):
            return GroupCode.UNKNOWN_USER
        if not self._has_room(name, user):
            return GroupCode.FULL
        ops = groups.join(name, user)
        router.put_change(ops, partial(self._joined, name, ops, after))
        return GroupCode.DONE

    def _has_room(self, name: str, user: str) -> bool:
        groups = self._router.groups
        if len(groups.latest_users(name)) >= self._users_max or not groups.has_room(name, user):
            return False
        return groups.is_known(name) or groups.count() < self._groups_max

    def _joined(self, name: str, ops: list[Op], after: Continuation, ok: bool) -> None:
        self._router.memberships.joined(name, ops, ok=ok)
        after(ok)

    @staticmethod
    def answer(session: Session, number: int, code: GroupCode, names: tuple[str, ...] = ()) -> None:
        """group:A; a session that is over sends nothing."""
        session.send(GroupA(number, code, names))
