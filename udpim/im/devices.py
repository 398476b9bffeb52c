"""The server's register of users and their devices: who is due a message (PROTOCOL §5.5).

A user's devices are the endpoints of every direct conversation with that user. Membership is a
history: epoch n differs from epoch n - 1 by one device. Ordinals are given in order of appearance
and never reused.
"""

from __future__ import annotations

from collections.abc import Sequence

from udpim.config import RETIRED_INCARNATIONS_MAX
from udpim.im.epoch_runs import epoch_at
from udpim.im.records import DeviceRecord
from udpim.model import Endpoint, StreamId
from udpim.wire.im_packets import EpochRun, Member


class Registry:
    """Every registered device, by user."""

    def __init__(self, records: Sequence[DeviceRecord]) -> None:
        """Restore from a snapshot."""
        self._users: dict[str, dict[str, DeviceRecord]] = {}
        self._latest: dict[str, dict[str, DeviceRecord]] = {}
        """With the logins whose transactions are on their way."""
        self.versions: dict[str, int] = {}
        """Rises whenever something in a user's membership lines changes."""
        for record in records:
            self.put(record)

    def devices(self, user: str) -> dict[str, DeviceRecord]:
        """Return the user's devices by name; empty for an unknown user."""
        return self._users.get(user, {})

    def epoch(self, user: str) -> int:
        """Return the user's present membership epoch; 0 for an unknown user."""
        return len(self.devices(user))

    def sizes(self) -> dict[str, int]:
        """Return how many users and devices are registered."""
        devices = sum(map(len, self._users.values()))
        return {"registered_users": len(self._users), "registered_devices": devices}

    def get(self, endpoint: Endpoint) -> DeviceRecord | None:
        """Return the record of one endpoint."""
        return self.devices(endpoint.user).get(endpoint.device)

    def latest(self, user: str) -> dict[str, DeviceRecord]:
        """Return the user's devices with what is not durable yet, of which nobody may be told."""
        return self._latest.setdefault(user, {})

    def put(self, record: DeviceRecord) -> None:
        """Insert or replace a device, durably."""
        devices = self._users.setdefault(record.user, {})
        old = devices.get(record.device)
        devices[record.device] = record
        self.latest(record.user).setdefault(record.device, record)
        if old is None or old.incarnation != record.incarnation:
            self.versions[record.user] = self.versions.get(record.user, 0) + 1

    def reached(self, endpoint: Endpoint, incarnation: int, mark: int) -> DeviceRecord | None:
        """A session's messages bore stamps up to ``mark``: a later login must be above it (R7).

        Returns:
            The record to commit, if it changed.
        """
        record = self.latest(endpoint.user)[endpoint.device]
        if record.incarnation != incarnation or record.login_count >= mark:
            return None
        record = record._replace(login_count=mark)
        self.latest(endpoint.user)[endpoint.device] = record
        self.put(record)
        return record

    def is_stale(self, endpoint: Endpoint, incarnation: int, login_count: int) -> bool:
        """Tell whether this login comes from a store that was restored from an old copy (R7)."""
        record = self._latest.get(endpoint.user, {}).get(endpoint.device)
        if record is None:
            return False
        if incarnation in record.retired:
            return True
        return incarnation == record.incarnation and login_count <= record.login_count

    def logged_in(
        self,
        endpoint: Endpoint,
        incarnation: int,
        login_count: int,
        *,
        continues: bool = False,
    ) -> DeviceRecord:
        """Return the endpoint's record as it is after this login.

        The caller commits it, and then calls `put`.
        """
        user, device = endpoint
        latest = self.latest(user)
        old = latest.get(device)
        if old is None:
            number = len(latest)
            record = DeviceRecord(user, device, number, number + 1, incarnation, (), login_count)
        elif old.incarnation == incarnation:
            record = old._replace(login_count=login_count)
        else:
            retired = (*old.retired, old.incarnation)[-RETIRED_INCARNATIONS_MAX:]
            record = old._replace(incarnation=incarnation, retired=retired, login_count=login_count)
        record = latest[device] = record._replace(continues=continues)
        return record

    def has_ended(self, stream: StreamId) -> bool:
        """Tell whether its sender has come back as another incarnation and left nothing open."""
        record = self.get(Endpoint(stream.user, stream.device))
        return (
            record is not None and record.incarnation != stream.incarnation and not record.continues
        )

    def is_sender(self, stream: StreamId) -> bool:
        """Tell whether such a stream can exist: its sender logged in with this incarnation."""
        record = self.get(Endpoint(stream.user, stream.device))
        if record is None:
            return False
        return stream.incarnation in (record.incarnation, *record.retired)

    def members(self, user: str) -> tuple[Member, ...]:
        """Return the membership history of conversations with ``user``."""
        return tuple(
            Member(record.ordinal, record.device, record.incarnation, record.joined, 0)
            for record in self.devices(user).values()
        )


def base_for(runs: Sequence[EpochRun], floor: int, joined: int) -> int | None:
    """Return the first seq ≥ floor that is due to an endpoint that joined at epoch ``joined``.

    Returns:
        None when nothing in the head is due to it.
    """
    for run in runs:
        if run.epoch >= joined:
            return max(floor, run.first)
    return None


def epochs_known(runs: Sequence[EpochRun], first: int, last: int, epoch: int) -> bool:
    """Tell whether every seq of first..last carries an epoch between 1 and ``epoch``."""
    return epoch_at(runs, first) >= 1 and epoch_at(runs, last) <= epoch
