"""Who belonged to which conversation, as the server's disk had it: the oracle's own reckoning.

Fed with the server's durable operations, so it believes no node. PROTOCOL §5.10.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from udpim.im import group_records as g
from udpim.im import records as r
from udpim.model import Endpoint, StreamId, is_group


@dataclass(slots=True)
class Line:
    """One membership of one endpoint."""

    endpoint: Endpoint
    ordinal: int
    joined: int
    left: int = 0
    left_order: int = 0
    """When the leave became durable; 0 while there is none."""


@dataclass(slots=True)
class Lines:
    """All memberships of one store."""

    devices: dict[Endpoint, list[Line]] = field(default_factory=dict)
    """A device that was retired and came again has a second line."""
    groups: dict[str, list[Line]] = field(default_factory=dict)
    _epochs: dict[str, int] = field(default_factory=dict)

    def apply(self, op: r.Op, order: int) -> None:
        """An operation is durable."""
        if isinstance(op, r.PutDevice):
            self._put_device(op.record, order)
        elif isinstance(op, g.PutGroup):
            self._epochs[op.record.name] = op.record.epoch
        elif isinstance(op, g.PutMember) and op.record.device:
            group, user, device, ordinal, joined = op.record
            line = Line(Endpoint(user, device), ordinal, joined)
            self.groups.setdefault(group, []).append(line)
        elif isinstance(op, g.DropMember):
            for line in self.groups.get(op.group, ()):
                if line.endpoint == (op.user, op.device) and not line.left:
                    line.left, line.left_order = self._epochs[op.group], order

    def _put_device(self, record: r.DeviceRecord, order: int) -> None:
        endpoint = Endpoint(record.user, record.device)
        lines = self.devices.setdefault(endpoint, [])
        if not lines or lines[-1].ordinal != record.ordinal:
            lines.append(Line(endpoint, record.ordinal, record.joined))
        if record.left and not lines[-1].left:
            lines[-1].left, lines[-1].left_order = record.left, order

    def of(self, stream: StreamId) -> list[Line]:
        """Return every line that the stream's conversation ever had, its sender's own left out."""
        name, sender = stream.conversation, Endpoint(stream.user, stream.device)
        if is_group(name):
            return [line for line in self.groups.get(name, ()) if line.endpoint != sender]
        return [
            Line(
                endpoint,
                2 * line.ordinal + (endpoint.user != name),
                line.joined,
                line.left,
                line.left_order,
            )
            for endpoint, lines in self.devices.items()
            if endpoint.user in (name, stream.user) and endpoint != sender
            for line in lines
        ]

    def due(self, stream: StreamId, epoch: int) -> list[Line]:
        """Return whom a message that carries ``epoch`` is due to."""
        return [
            line
            for line in self.of(stream)
            if line.joined <= epoch and (not line.left or epoch < line.left)
        ]

    def by_ordinal(self, stream: StreamId, ordinal: int) -> Endpoint | None:
        """Return the endpoint that has this ordinal."""
        found = [line.endpoint for line in self.of(stream) if line.ordinal == ordinal]
        return found[-1] if found else None


def counts(stream: StreamId, endpoint: Endpoint) -> bool:
    """Tell whether an endpoint has a say in what the sender is shown."""
    return endpoint.user != stream.user or stream.user == stream.conversation
