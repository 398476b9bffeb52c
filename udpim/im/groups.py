"""The server's groups: which users belong to them, and so which devices (PROTOCOL §5.10).

A user joins and leaves; each of the user's devices has a line with an ordinal of its own, those
that are registered later included. A group outlives its last member, so its numbers never return.

Changes are decided at once and seen once they are durable: what is on its way counts for the next
decision, and nobody is told of it before.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from udpim.config import GROUP_LINES_MAX
from udpim.im.devices import Registry
from udpim.im.group_records import DropMember, GroupRecord, MemberRecord, PutGroup, PutMember
from udpim.im.records import Op
from udpim.model import Endpoint
from udpim.wire.im_packets import Member

LEFT_LINES_MAX = 1024
"""Lines of leavers that a group remembers; whoever was told less gets the whole membership."""
ORDINALS_MAX = 65_535
"""Lines that a group can ever have; GROUP_LINES_MAX bounds those at one time."""


class Group:
    """One group as it is on disk."""

    def __init__(self, record: GroupRecord) -> None:
        """Start without members."""
        self.record = record
        self.users: dict[str, MemberRecord] = {}
        self.lines: dict[Endpoint, MemberRecord] = {}
        self.left: deque[Member] = deque(maxlen=LEFT_LINES_MAX)
        self.renewed = 0
        """Number of the last new incarnation behind a line."""
        self.left_from = 0
        """Of leavers with a number up to this one nothing is remembered."""
        self._members: tuple[Member, ...] | None = None
        self._by_endpoint: dict[Endpoint, Member] = {}

    def changed(self, renewed: int) -> None:
        """Lines, or incarnations behind them, are other ones now."""
        self.renewed = max(self.renewed, renewed)
        self._members = None

    @property
    def number(self) -> int:
        """Number of the last change in what `members` returns, or of a leave."""
        return max(self.record.epoch, self.renewed)

    def members(self, registry: Registry) -> tuple[Member, ...]:
        """Return the present lines."""
        if self._members is None:
            self._members = tuple(_line(registry, line) for line in self.lines.values())
            self._by_endpoint = {member.endpoint: member for member in self._members}
        return self._members

    def member(self, registry: Registry, endpoint: Endpoint) -> Member | None:
        """Return the line of an endpoint."""
        self.members(registry)
        return self._by_endpoint.get(endpoint)

    def leave(self, endpoint: Endpoint, number: int, registry: Registry) -> None:
        """One line ends with this change."""
        member = self.member(registry, endpoint)
        if member is not None:
            if len(self.left) == LEFT_LINES_MAX:
                self.left_from = self.left[0].left
            self.left.append(member._replace(left=number))
            del self.lines[endpoint]
            self.changed(number)


def _line(registry: Registry, line: MemberRecord) -> Member:
    record = registry.get(Endpoint(line.user, line.device))
    assert record is not None, "a line ends before its device does"
    renewed = max(record.renewed, line.joined)
    return Member(line.ordinal, line.user, line.device, record.incarnation, renewed, line.joined, 0)


class Groups:
    """All groups of a server."""

    def __init__(
        self,
        groups: Sequence[GroupRecord],
        members: Sequence[MemberRecord],
        registry: Registry,
    ) -> None:
        """Restore from a snapshot."""
        self._registry = registry
        self._groups = {record.name: Group(record) for record in groups}
        self._of_user: dict[str, dict[str, None]] = {}
        self._on_their_way: list[Sequence[Op]] = []
        """Decided, and not durable yet."""
        for record in groups:
            registry.changes = max(registry.changes, record.epoch)
            self._groups[record.name].left_from = record.epoch
        for member in members:
            self._enter(member)
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Work out what there is once everything on its way is durable."""
        self._latest: dict[str, GroupRecord] = {}
        self._latest_users: dict[str, dict[str, None]] = {}
        self._latest_of_user: dict[str, dict[str, None]] = {}
        self._latest_lines: defaultdict[str, set[Endpoint]] = defaultdict(set)
        for name, group in self._groups.items():
            self._latest[name] = group.record
            self._latest_lines[name] = set(group.lines)
            for user in group.users:
                self._note_latest(name, user, present=True)
        for ops in self._on_their_way:
            for op in ops:
                self._foresee(op)

    def _foresee(self, op: Op) -> None:
        if isinstance(op, PutGroup):
            self._latest[op.record.name] = op.record
        elif isinstance(op, PutMember) and op.record.device:
            self._note_line(op.record)
        elif isinstance(op, PutMember):
            self._note_latest(op.record.group, op.record.user, present=True)
        else:
            assert isinstance(op, DropMember), "groups have no other operations"
            if op.device:
                self._latest_lines[op.group].discard(Endpoint(op.user, op.device))
            else:
                self._note_latest(op.group, op.user, present=False)

    def _decided(self, ops: list[Op]) -> list[Op]:
        for op in ops:
            self._foresee(op)
        self._on_their_way.append(ops)
        return ops

    # --- Looking ---

    def get(self, name: str) -> Group | None:
        """Return a group, None if there is none of that name."""
        return self._groups.get(name)

    def of_user(self, user: str) -> Iterable[str]:
        """Return the names of a user's groups."""
        return self._of_user.get(user, {})

    def count(self) -> int:
        """Return how many groups there are, those on their way and empty ones included."""
        return len(self._latest)

    def sizes(self) -> dict[str, int]:
        """Return how full the tables are."""
        return {
            "groups": len(self._groups),
            "group_lines": sum(len(group.lines) for group in self._groups.values()),
        }

    # --- Deciding: what is on its way counts ---

    def is_known(self, name: str) -> bool:
        """Tell whether there is, or was, a group of that name."""
        return name in self._latest

    def owner(self, name: str) -> str:
        """Return who created it; empty if there is none."""
        record = self._latest.get(name)
        return "" if record is None else record.owner

    def exists(self, name: str) -> bool:
        """Tell whether somebody belongs to it."""
        return bool(self._latest_users.get(name))

    def latest_users(self, name: str) -> dict[str, None]:
        """Return the members' names."""
        return self._latest_users.get(name, {})

    def latest_of_user(self, user: str) -> dict[str, None]:
        """Return the names of a user's groups."""
        return self._latest_of_user.get(user, {})

    def has_room(self, name: str, user: str) -> bool:
        """Tell whether there is room for the lines of a user's devices."""
        record = self._latest.get(name)
        return record is None or self._has_room(record, len(self._registry.latest(user)))

    def _has_room(self, record: GroupRecord, count: int) -> bool:
        lines = len(self._latest_lines.get(record.name, ()))
        return record.next_ordinal + count <= ORDINALS_MAX and lines + count <= GROUP_LINES_MAX

    def join(self, name: str, user: str) -> list[Op]:
        """Return what makes a user a member; the group is made if there is none."""
        old = self._latest.get(name) or GroupRecord(name, user, 0, 0)
        owner = old.owner if self._latest_users.get(name) else user
        number = self._registry.next_change()
        present = [r.device for r in self._registry.latest(user).values() if not r.left]
        ordinals = range(old.next_ordinal, old.next_ordinal + len(present))
        record = GroupRecord(name, owner, number, old.next_ordinal + len(present))
        lines = [
            MemberRecord(name, user, device, ordinal, number)
            for device, ordinal in zip(present, ordinals, strict=True)
        ]
        mine = MemberRecord(name, user, "", 0, number)
        return self._decided([PutGroup(record), *map(PutMember, (mine, *lines))])

    def leave(self, name: str, user: str) -> list[Op]:
        """Return what ends a user's membership."""
        number = self._registry.next_change()
        record = self._latest[name]._replace(epoch=number)
        devices = ["", *(r.device for r in self._registry.latest(user).values())]
        drops = [DropMember(name, user, device) for device in devices]
        return self._decided([PutGroup(record), *drops])

    def device_joins(self, endpoint: Endpoint, number: int) -> list[Op]:
        """Return what brings a newly registered device into its user's groups."""
        ops: list[Op] = []
        for name in self.latest_of_user(endpoint.user):
            record = self._latest[name]
            if not self._has_room(record, 1):
                continue
            line = MemberRecord(name, *endpoint, record.next_ordinal, number)
            record = record._replace(epoch=number, next_ordinal=record.next_ordinal + 1)
            ops += [PutGroup(record), PutMember(line)]
        return self._decided(ops)

    def device_leaves(self, endpoint: Endpoint, number: int) -> list[Op]:
        """Return what takes a retired device out of its user's groups."""
        ops: list[Op] = []
        for name in self.latest_of_user(endpoint.user):
            record = self._latest[name]._replace(epoch=number)
            ops += [PutGroup(record), DropMember(name, *endpoint)]
        return self._decided(ops)

    def _note_line(self, line: MemberRecord) -> None:
        endpoint = Endpoint(line.user, line.device)
        self._latest_lines[line.group].add(endpoint)

    def _note_latest(self, name: str, user: str, *, present: bool) -> None:
        users = self._latest_users.setdefault(name, {})
        groups = self._latest_of_user.setdefault(user, {})
        if present:
            users[user] = groups[name] = None
        else:
            users.pop(user, None)
            groups.pop(name, None)

    # --- Durable now ---

    def apply(self, ops: Sequence[Op]) -> list[Endpoint]:
        """These operations are durable: from now on they are seen.

        Returns:
            The endpoints whose lines ended.
        """
        self._arrived(ops)
        left = []
        for op in ops:
            if isinstance(op, PutGroup):
                group = self._groups.get(op.record.name)
                if group is None:
                    group = self._groups[op.record.name] = Group(op.record)
                group.record = op.record
            elif isinstance(op, PutMember):
                self._enter(op.record)
            else:
                assert isinstance(op, DropMember), "groups have no other operations"
                left += self._remove(op)
        return left

    def undo(self, ops: Sequence[Op]) -> None:
        """These operations did not happen: decisions that follow do not build on them."""
        self._arrived(ops)
        self._look_ahead()

    def _arrived(self, ops: Sequence[Op]) -> None:
        self._on_their_way = [one for one in self._on_their_way if one is not ops]

    def _enter(self, record: MemberRecord) -> None:
        group = self._groups[record.group]
        if record.device:
            group.lines[Endpoint(record.user, record.device)] = record
            group.changed(self._registry.number(record.user))
        else:
            group.users[record.user] = record
            self._of_user.setdefault(record.user, {})[record.group] = None

    def _remove(self, op: DropMember) -> list[Endpoint]:
        group = self._groups[op.group]
        if not op.device:
            group.users.pop(op.user, None)
            # Where the join that came before did not happen there is nothing to take away.
            self._of_user.get(op.user, {}).pop(op.group, None)
            return []
        endpoint = Endpoint(op.user, op.device)
        if endpoint not in group.lines:
            return []
        group.leave(endpoint, group.record.epoch, self._registry)
        return [endpoint]

    def renewed(self, user: str) -> None:
        """A device of this user has another incarnation now."""
        for name in self.of_user(user):
            self._groups[name].changed(self._registry.number(user))
