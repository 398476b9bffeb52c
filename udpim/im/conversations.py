"""Who belongs to a conversation, as the server knows it: one answer for both kinds (R2).

A direct conversation has the recipient's devices and the sender's other ones; their lines follow
from the register. A group has its own lines. Either way a stream's conversation has an epoch, and
every endpoint in it a line with an ordinal.
"""

from __future__ import annotations

from collections.abc import Sequence

from udpim.im.devices import Registry
from udpim.im.groups import Group, Groups
from udpim.im.records import DeviceRecord
from udpim.model import Endpoint, RejectCode, StreamId, is_group
from udpim.wire.im_packets import Member


class Conversations:
    """Looks up memberships for the router and what answers senders."""

    def __init__(self, registry: Registry, groups: Groups) -> None:
        """Look into these."""
        self._registry = registry
        self._groups = groups

    def refusal(self, stream: StreamId) -> RejectCode | None:
        """Tell why a message of this stream is refused; None when it has somewhere to go."""
        name = stream.conversation
        if is_group(name):
            group = self._groups.get(name)
            if group is None:
                return RejectCode.UNKNOWN_RECIPIENT
            return None if stream.user in group.users else RejectCode.NOT_MEMBER
        devices = self._registry.devices(name)
        if devices.keys() - ({stream.device} if stream.user == name else ()):
            return None
        known = self._registry.knows(name)
        return RejectCode.NO_DEVICE if known else RejectCode.UNKNOWN_RECIPIENT

    def epoch(self, stream: StreamId) -> int:
        """Return the conversation's present membership epoch; 0 for an unknown one."""
        name = stream.conversation
        if is_group(name):
            group = self._groups.get(name)
            return 0 if group is None else group.record.epoch
        epoch = self._registry.epoch
        return max(epoch(name), epoch(stream.user)) if epoch(name) else 0

    def number(self, stream: StreamId) -> int:
        """Return the number of the last change in the conversation's lines."""
        name = stream.conversation
        if is_group(name):
            return self._group(name).number
        return max(self._registry.number(name), self._registry.number(stream.user))

    def present(self, stream: StreamId) -> Sequence[Member]:
        """Return the lines of everybody a message is due to: all but the sending device."""
        name = stream.conversation
        sender = (stream.user, stream.device)
        if is_group(name):
            lines = self._group(name).members(self._registry)
            return [line for line in lines if (line.user, line.device) != sender]
        own = stream.user == name
        lines_ = [
            _line(record, 2 * record.ordinal)
            for record in self._registry.devices(name).values()
            if not own or record.device != stream.device
        ]
        if not own:
            for record in self._registry.devices(stream.user).values():
                if record.device != stream.device:
                    lines_.append(_line(record, 2 * record.ordinal + 1))
        return lines_

    def changed_since(self, stream: StreamId, number: int | None) -> tuple[bool, list[Member]]:
        """Return what a sender has to be told who knows all up to a change.

        Returns:
            Whether these are all lines, and the lines: all, or those that changed and those that
            ended since.
        """
        present = self.present(stream)
        if number is None or not is_group(stream.conversation):
            return True, list(present)
        group = self._group(stream.conversation)
        if number < group.left_from:
            return True, list(present)
        fresh = [line for line in present if line.changed > number]
        return False, fresh + [line for line in group.left if line.left > number]

    def line(self, stream: StreamId, endpoint: Endpoint) -> Member | None:
        """Return the line of one endpoint in the stream's conversation, None if it has none."""
        name = stream.conversation
        if is_group(name):
            group = self._groups.get(name)
            return None if group is None else group.member(self._registry, endpoint)
        own = endpoint.user != name
        if own and endpoint.user != stream.user:
            return None
        record = self._registry.get(endpoint)
        return None if record is None else _line(record, 2 * record.ordinal + own)

    def _group(self, name: str) -> Group:
        group = self._groups.get(name)
        assert group is not None, "only known groups are routed to"
        return group


def _line(record: DeviceRecord, ordinal: int) -> Member:
    return Member(
        ordinal,
        record.user,
        record.device,
        record.incarnation,
        record.renewed,
        record.joined,
        0,
    )
