"""Those who come and those who leave: devices of users, users of groups (R2, R5).

Whoever comes has a line once that is durable. For who leaves nobody waits any more: what waits for
them is deleted, their senders are told, and they are told that what is missing will not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from udpim.im.ledger import Continuation
from udpim.im.records import DeviceRecord, Op, PutDevice
from udpim.model import Endpoint

if TYPE_CHECKING:
    from udpim.im.router import Router


class Memberships:
    """The part of the router that begins and ends memberships."""

    def __init__(self, router: Router) -> None:
        """Work for this router."""
        self._router = router

    def register(self, record: DeviceRecord, after: Continuation) -> None:
        """Make a login durable; nobody is told of it before.

        A new incarnation knows none of the receipts that wait (R7). A new device joins the groups
        of its user.
        """
        router = self._router
        endpoint = Endpoint(record.user, record.device)
        old = router.registry.get(endpoint)
        if old is not None and old.incarnation == record.incarnation:
            router.ledger.put(PutDevice(record), partial(self._registered, record, [], after))
            return
        joins = []
        if record.joined == record.renewed:
            joins = router.groups.device_joins(endpoint, record.joined)
        done = partial(self._registered, record, joins, after)
        router.put_change([*joins, PutDevice(record)], done)

    def _registered(
        self, record: DeviceRecord, joins: list[Op], after: Continuation, ok: bool
    ) -> None:
        if ok:
            router = self._router
            endpoint = Endpoint(record.user, record.device)
            old = router.registry.get(endpoint)
            router.registry.put(record)
            router.groups.apply(joins)
            if old is None or old.incarnation != record.incarnation:
                router.groups.renewed(record.user)
                router.receipts.forget(endpoint)
                router.answers.renewed(endpoint)
                self._tell(record.user)
            before = None if old is None else (old.incarnation, old.continues)
            if before != (record.incarnation, record.continues):
                router.endings.logged_in(endpoint)
                router.receipts.sender_left(endpoint, router.registry.has_ended)
        else:
            self._undo(record, joins)
        after(ok)

    def _undo(self, record: DeviceRecord, ops: Sequence[Op]) -> None:
        """It did not happen, and its number was given for nothing: who comes again gets another.

        A device that then took the old number would be due what was sent before it came.
        """
        self._router.registry.undo(record)
        self._router.groups.undo(ops)

    def leave(self, group: str, user: str, after: Continuation) -> None:
        """A user leaves a group."""
        ops = self._router.groups.leave(group, user)
        self._router.put_change(ops, partial(self._left, group, ops, after))

    def _left(self, group: str, ops: Sequence[Op], after: Continuation, ok: bool) -> None:
        if ok:
            router = self._router
            for endpoint in router.groups.apply(ops):
                router.receipts.forget_conversation(endpoint, group)
                router.delivery.left(endpoint)
            router.answers.changed(group)
        else:
            self._router.groups.undo(ops)
        after(ok)

    def joined(self, group: str, ops: Sequence[Op], *, ok: bool) -> None:
        """A user's joining is durable, or did not happen."""
        if ok:
            self._router.groups.apply(ops)
            self._router.answers.changed(group)
        else:
            self._router.groups.undo(ops)

    def _tell(self, user: str) -> None:
        """Lines of a user's devices are other ones now: tell who sends to them, or beside them."""
        self._router.answers.changed(user)
        for group in self._router.groups.of_user(user):
            self._router.answers.changed(group)

    def retire_unseen(self, age_s: int, after_s: float) -> int:
        """Retire the devices that were not seen for so long.

        Args:
            age_s: Age of the server: seconds that it has been running, ever.
            after_s: How long is too long.

        Returns:
            How many those are.
        """
        router = self._router
        unseen = [
            record
            for record in router.registry.everybody()
            if age_s - record.seen_s > after_s
            and Endpoint(record.user, record.device) not in router.sessions
            and not router.registry.latest(record.user)[record.device].left
        ]
        for record in unseen:
            self._retire(Endpoint(record.user, record.device))
        return len(unseen)

    def _retire(self, endpoint: Endpoint) -> None:
        record = self._router.registry.retire(endpoint)
        leaves = self._router.groups.device_leaves(endpoint, record.left)
        ops = [*leaves, PutDevice(record)]
        self._router.put_change(ops, partial(self._retired, record, leaves))

    def _retired(self, record: DeviceRecord, leaves: Sequence[Op], ok: bool) -> None:
        if not ok:
            self._undo(record, leaves)
            return
        router = self._router
        endpoint = Endpoint(record.user, record.device)
        router.groups.apply(leaves)
        router.registry.put(record)
        router.receipts.forget(endpoint)
        router.receipts.sender_left(endpoint, lambda stream: True)
        router.delivery.left(endpoint)
        self._tell(record.user)
